"""A camera's tone curve: cameras do not draw light as sRGB says, and where two captures of a bracket meet, it shows.

Pixels that two captures hold are apart by the stops between them, once each code is taken for the logarithm g of its
light: g(a) - g(b) = ev (Debevec and Malik 1997). Here g is sRGB's and a few smooth terms: few pixels are enough.
They cannot tell a power of all light from other exposures (Grossberg and Nayar 2003): there what was said of the
exposures counts. Light is drawn by the curve that it was read with, so a picture keeps the tones of its camera.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from camera_nano.color import Floats, by_root, light_of_roots, srgb_eotf
from camera_nano.values import F32

N_CODES = 256
_BINS, _FEWEST = 32, 8  # of codes; pixels in one of them
_KNOWN = (0.07, 0.95)  # codes that are neither noise nor clipped
# sRGB's curve is good enough below this error; a fitted one must have less than this of it
_SEEN_EV, _BETTER = 0.04, 0.6
_TOLD_EV, _TERM = 0.1, 2.0  # deviations: of what was said of exposures, and of the terms
_ROW_EV = 0.03  # of a median
_NEAR_WHITE = 0.93  # a code
_DRAWN, _LEAST_LIGHT = (0.03, 0.95), 5e-4  # codes and light of means that are compared with what was drawn
_SMOOTH_EV = 2.0  # deviation of what brightens by place

# codes 0..1 (n, 3) of two captures where neither clips, and stops from second to first
Pair = tuple[Floats, Floats, float]


def _terms(code: Floats) -> Floats:
    """What a curve's logarithm may differ in from sRGB's, (..., 5); all are 0 at white."""
    rest = 1 - code
    return np.stack([np.log2(np.maximum(code, 1 / 512)), rest, rest**2, rest**3, rest**4], -1)


def _srgb_ev(code: Floats) -> Floats:
    return np.asarray(np.log2(np.maximum(srgb_eotf(code), 1e-5)))


def fit_curve(pairs: Sequence[Pair]) -> F32 | None:
    """Linear light (256,) of codes, up to 1, as `pairs` tell it; None where sRGB's is as good."""
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
    is_better = errors[0] > _SEEN_EV and errors[1] < _BETTER * errors[0]
    return _curve(found[:n_terms]) if is_better else None


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """How a picture was drawn: `curve` as of `fit_curve`, of light times 2 ** (terms @ `smooth_ev`), (n, 3).

    `apart_ev` is the median of what is left.
    """

    curve: F32
    smooth_ev: F32
    apart_ev: float


def fit_drawn(light: F32, shown: Floats, terms: F32) -> Fitted | None:
    """How a camera drew a picture: light (h, w, 3), brightened by place as `terms` (h, w, n) can, became codes 0..1.

    None where that is no curve.
    """
    rows, wanted = list[Floats](), list[Floats]()
    n_smooth = terms.shape[-1]
    for channel in range(3):
        codes = shown[..., channel]
        known = (codes > _DRAWN[0]) & (codes < _DRAWN[1]) & (light[..., channel] > _LEAST_LIGHT)
        smooth = np.zeros((int(known.sum()), 3 * n_smooth))
        smooth[:, channel * n_smooth : (channel + 1) * n_smooth] = -terms[known]
        rows.append(np.hstack([_terms(codes[known]), smooth]))
        wanted.append(np.log2(light[known][:, channel]) - _srgb_ev(codes[known]))
    basis, target = np.vstack(rows), np.concatenate(wanted)
    n_terms = basis.shape[1] - 3 * n_smooth
    for term in _TERM / 4.0 ** np.arange(6):  # where bright codes are missing, terms may bend the curve back there
        pull = np.repeat([1 / term, 1 / _SMOOTH_EV], [n_terms, 3 * n_smooth])
        found = _ridge(basis / _ROW_EV, target / _ROW_EV, pull)
        curve, apart = _curve(found[:n_terms]), np.abs(target - basis @ found)
        if curve is not None:
            smooth_ev = found[n_terms:].reshape(3, n_smooth).T.astype(np.float32)
            return Fitted(curve, smooth_ev, float(np.median(apart)) if len(apart) else 0.0)
    return None


def _curve(terms: Floats) -> F32 | None:
    """Light by code; None where it does not rise."""
    code = np.arange(N_CODES) / (N_CODES - 1)
    curve = 2.0 ** (_srgb_ev(code) + _terms(code) @ terms)
    curve[0] = 0
    return curve.astype(np.float32) if (np.diff(curve) > 0).all() else None


def drawing(curve: F32 | None) -> Callable[[F32], F32]:
    """What turns light of a scene, at least 0, into light on a screen, as a camera of this curve draws it.

    Above white it goes on by the power that it has just below.
    """
    if curve is None:
        return lambda light: light
    codes = np.linspace(0, 1, len(curve))
    table = srgb_eotf(np.interp(light_of_roots(), curve, codes)).astype(np.float32)
    near = int(_NEAR_WHITE * (len(curve) - 1))
    power = np.float32(np.log(srgb_eotf(codes[near])) / np.log(curve[near]))

    def draw(light: F32) -> F32:
        shown, above = by_root(np.minimum(light, 1), table), light > 1
        shown[above] = light[above] ** power
        return shown

    return draw


def _ridge(basis: Floats, wanted: Floats, pull: Floats) -> Floats:
    """Least squares, pulled to 0; what is far from the rest counts less (Cauchy)."""
    weights: Floats = np.ones(len(wanted))
    for _ in range(8):
        weighted = basis * weights[:, None]
        found: Floats = np.linalg.solve(weighted.T @ basis + np.diag(pull**2), weighted.T @ wanted)
        weights = 1 / (1 + np.square((wanted - basis @ found) / 2))
    return found


def _medians(pair: Pair, number: int) -> list[tuple[float, float, float, int]]:
    """By channel and steps of the first one's code: medians of both codes, the stops, and the channel's number."""
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
