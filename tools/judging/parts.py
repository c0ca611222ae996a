"""Where the squared error of a picture sits: in its exposure, its tone curve, light by place, the rest, or colour."""

from __future__ import annotations

import cv2
import numpy as np
from metrics import F64, U8, within_width

from camera_nano.color import srgb_eotf, srgb_oetf

PARTS = ("exposure", "tone", "local", "fine", "chroma")  # of the squared error
WORK_PX = 384  # the width at which light is compared: its changes are wide
LIGHT = srgb_eotf(np.arange(256) / 255)  # by code


def decomposed(made: U8, reference: U8) -> dict[str, float]:
    """The mean squared error in codes squared, split into `PARTS` by the kind of edit that would remove it.

    Exposure: what the best single gain of linear light removes. Tone: what one monotone curve of luma then removes.
    Local: what is left of luma when blurred over a sixteenth of the width. Fine: the rest of luma. Chroma: the rest of
    all. The parts sum to the whole; luma is the mean of the channels, so that luma and chroma add up.
    """
    ours, theirs = (np.asarray(within_width(x, WORK_PX), np.float64) for x in (made, reference))
    exposed = _best_exposed(ours, theirs)
    total, after_exposure = (float(np.square(x - theirs).mean()) for x in (ours, exposed))
    luma, luma_wanted = exposed.mean(2), theirs.mean(2)
    error = _isotonic(luma, luma_wanted) - luma_wanted
    of_luma, toned = (float(np.square(x).mean()) for x in (luma - luma_wanted, error))
    local = min(toned, float(np.square(cv2.GaussianBlur(error, (0, 0), error.shape[1] / 16)).mean()))
    parts = (total - after_exposure, of_luma - toned, local, toned - local, after_exposure - of_luma)
    return {name: round(max(0.0, part), 6) for name, part in zip(PARTS, parts, strict=True)}


def _best_exposed(ours: F64, theirs: F64) -> F64:
    """Codes (H, W, 3) 0..255 after the gain within +-4 EV that brings them nearest to the wanted ones."""
    light, sparse = LIGHT[np.rint(ours).astype(np.uint8)], (slice(None, None, 3), slice(None, None, 3))

    def exposed(ev: float, light: F64) -> F64:
        return 255 * srgb_oetf(np.clip(light * 2.0**ev, 0, 1))

    def error(ev: float) -> float:
        return float(np.square(exposed(ev, light[sparse]) - theirs[sparse]).mean())

    best = min(np.arange(-4, 4.01, 0.5), key=error)
    best = min(best + np.arange(-0.5, 0.51, 0.0625), key=error)
    found = exposed(best, light)
    return found if np.square(found - theirs).mean() < np.square(ours - theirs).mean() else ours


def _isotonic(luma: F64, wanted: F64, n_bins: int = 768) -> F64:
    """`luma` through the monotone curve that brings it nearest to `wanted` (pool adjacent violators)."""
    place = np.clip(np.rint(luma / 256 * n_bins).astype(int), 0, n_bins - 1)
    counts = np.bincount(place.ravel(), minlength=n_bins).astype(float)
    means = np.bincount(place.ravel(), wanted.ravel(), minlength=n_bins) / np.maximum(counts, 1)
    pools: list[list[float]] = []  # value, weight, bins
    for mean, count in zip(means, counts, strict=True):
        pools.append([mean, count, 1])
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            high, low = pools.pop(), pools.pop()
            weight = high[1] + low[1]
            value = (high[0] * high[1] + low[0] * low[1]) / weight if weight else low[0]
            pools.append([value, weight, high[2] + low[2]])
    curve = np.concatenate([np.full(int(n), value) for value, _, n in pools])
    return np.asarray(curve[place])
