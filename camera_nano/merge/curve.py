"""A camera's tone curve, told from a bracket: cameras do not draw light as sRGB says, and where two captures meet, it shows.

Pixels that two captures hold are apart by the stops between them, once each code is taken for the logarithm g of its
light: g(a) - g(b) = ev (Debevec and Malik 1997). Here g is sRGB's and a few smooth terms, so that few pixels are enough.
They cannot tell a power of all light from other exposures (Grossberg and Nayar 2003): there what was said of the
exposures counts, and no picture changes, since light is drawn by the curve that it was read with.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from camera_nano.color import Floats, srgb_eotf
from camera_nano.values import F32

N_CODES = 256
_BINS, _FEWEST = 32, 8  # of codes; pixels in one of them
_KNOWN = (0.07, 0.95)  # codes that are neither noise nor clipped
_SEEN_EV, _BETTER = 0.04, 0.6  # sRGB's curve is good enough below this error; a fitted one must have less than this of it
_TOLD_EV, _TERM = 0.1, 2.0  # deviations: of what was said of exposures, and of the terms
_ROW_EV = 0.03  # of a median

Pair = tuple[Floats, Floats, float]  # codes 0..1 (n, 3) of two captures where neither clips, and stops from second to first


def _terms(code: Floats) -> Floats:
    """What a curve's logarithm may differ in from sRGB's, (..., 5); all are 0 at white."""
    rest = 1 - code
    return np.stack([np.log2(np.maximum(code, 1 / 512)), rest, rest**2, rest**3, rest**4], -1)


def _srgb_ev(code: Floats) -> Floats:
    return np.asarray(np.log2(np.maximum(srgb_eotf(code), 1e-5)))


def fit_curve(pairs: Sequence[Pair]) -> F32 | None:
    """Linear light (256,) of codes as `pairs` tell it, up to 1; None where sRGB's is as good, or nothing better found."""
    rows = [row for number, pair in enumerate(pairs) for row in _medians(pair, number)]
    if len(rows) < 2 * _terms(np.ones(1)).shape[-1]:
        return None
    a, b, ev, group = np.array(rows).T
    groups, which = np.unique(group, return_inverse=True)
    offset = np.eye(len(groups))[which]  # by how much a channel's exposure differs from what was said
    wanted = ev - (_srgb_ev(a) - _srgb_ev(b))
    basis = np.hstack([_terms(a) - _terms(b), offset])
    n_terms = basis.shape[1] - len(groups)
    plain = wanted - offset @ (offset.T @ wanted / offset.sum(0))
    found = _ridge(basis / _ROW_EV, wanted / _ROW_EV, np.repeat([1 / _TERM, 1 / _TOLD_EV], [n_terms, len(groups)]))
    errors = [float(np.sqrt(np.mean(np.square(error)))) for error in (plain, wanted - basis @ found)]
    code = np.arange(N_CODES) / (N_CODES - 1)
    curve = 2.0 ** (_srgb_ev(code) + _terms(code) @ found[:n_terms])
    curve[0] = 0
    is_curve = bool((np.diff(curve) > 0).all())
    return curve.astype(np.float32) if errors[0] > _SEEN_EV and errors[1] < _BETTER * errors[0] and is_curve else None


def _ridge(basis: Floats, wanted: Floats, pull: Floats) -> Floats:
    """Least squares, pulled to 0; what is far from the rest counts less (Cauchy)."""
    weights, found = np.ones(len(wanted)), np.zeros(basis.shape[1])
    for _ in range(8):
        weighted = basis * weights[:, None]
        found = np.linalg.solve(weighted.T @ basis + np.diag(pull**2), weighted.T @ wanted)
        weights = 1 / (1 + np.square((wanted - basis @ found) / 2))
    return found


def _medians(pair: Pair, number: int) -> list[tuple[float, float, float, int]]:
    """By channel and by steps of the first one's code: medians of both codes, the stops, and the number of the channel."""
    rows = []
    for channel in range(3):
        a, b = pair[0][:, channel], pair[1][:, channel]
        known = (a > _KNOWN[0]) & (a < _KNOWN[1]) & (b > _KNOWN[0] / 2) & (b < _KNOWN[1])
        step = (a * _BINS).astype(int)
        for each in np.unique(step[known]):
            inside = known & (step == each)
            middle = float(np.median(b[inside]))
            if inside.sum() >= _FEWEST and middle > _KNOWN[0]:
                rows.append((float(np.median(a[inside])), middle, pair[2], 3 * number + channel))
    return rows
