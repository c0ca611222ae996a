"""How noisy a capture is: variance = a * light + b, shot and read noise as a sensor has them (Foi et al. 2008).

Weights need it for each light, in linear values. Whether a frame is dark at all is one number of its codes, which
`light/measure.py` tells in a fraction of the time.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from camera_nano.color import Floats
from camera_nano.values import F32

BAND_PX = 10  # rows of a capture that are looked at together: two boxes
_BOX_PX = 5
_LOW, _OF_NORMAL = 20, 0.2533  # per cent of differences below it times their deviation: flat places are the low ones
_LEVELS = 12
_FLAT, _MEDIAN_OF_NORMAL = 0.1, 0.6745  # share of the boxes that are flattest
_FEWEST, _MOST_ALIKE = 200, 8.0
_LEAST_A, _LEAST_B = 1e-6, (1 / 255 / 12.92) ** 2 / 12  # of the steps of 8-bit codes in the dark


@dataclass(frozen=True, slots=True)
class Noise:
    """Variance of a pixel's linear light is `a` * light + `b`.

    Neighbours in a developed picture resemble each other, so the mean of 5 x 5 pixels varies by more than a 25th of
    that: by `alike` 25ths.
    """

    a: float
    b: float
    alike: float = 1.0

    def variance(self, light: Floats) -> Floats:
        """Of pixels of this light."""
        return self.a * light + self.b


def measure_noise(light: F32) -> Noise:
    """Bands (n, `BAND_PX`, W, 3) of linear light -> their noise, told from texture by looking where they vary least."""
    noise = Noise(*_line(light[:, 4:6]))
    n_boxes = light.shape[2] // _BOX_PX
    boxes = light[:, :, : n_boxes * _BOX_PX].reshape(len(light), 2, _BOX_PX, n_boxes, _BOX_PX, 3)
    mean = boxes.mean((2, 4))
    spread = boxes.var((2, 4)) / noise.variance(mean)
    flat = np.maximum(spread[:, 0], spread[:, 1])
    flat, level = np.maximum(flat[:, 1:], flat[:, :-1]).ravel(), mean[:, 0, 1:].ravel()
    bend = (np.diff(mean[:, 0], axis=1) - np.diff(mean[:, 1], axis=1)).ravel() / 2
    known = (level < 0.8) & (level > 0)
    if known.sum() < _FEWEST:
        return noise
    flattest = known & (flat <= np.percentile(flat[known], 100 * _FLAT))
    times = np.abs(bend[flattest]) / np.sqrt(noise.variance(level[flattest])) * _BOX_PX
    alike = float(np.median(times) / _MEDIAN_OF_NORMAL) ** 2
    return replace(noise, alike=float(np.clip(alike, 1, _MOST_ALIKE)))


def _line(rows: F32) -> tuple[float, float]:
    """Pairs of rows (n, 2, w, 3) -> a and b of their noise."""
    # what bends in both directions is noise; edges and ramps along one are not. A quarter of the sum has its variance
    bend = (rows[:, 0, 1:] - rows[:, 0, :-1] - rows[:, 1, 1:] + rows[:, 1, :-1]).ravel() / 2
    level = ((rows[:, 0, 1:] + rows[:, 0, :-1] + rows[:, 1, 1:] + rows[:, 1, :-1]) / 4).ravel()
    known = (level < 0.8) & (level > 0)
    bend, level = np.abs(bend[known]), level[known]
    if len(level) < _FEWEST:
        return _LEAST_A, _LEAST_B
    order = np.argsort(level)
    light = np.array([np.mean(part) for part in np.array_split(level[order], _LEVELS)])
    variance = np.array([np.percentile(part, _LOW) / _OF_NORMAL for part in np.array_split(bend[order], _LEVELS)]) ** 2
    variance = np.maximum(variance, _LEAST_B)
    # least squares of the ratio, so that dark levels count as much as bright ones
    basis = np.stack([light, np.ones_like(light)], 1) / variance[:, None]
    a, b = np.linalg.lstsq(basis, np.ones_like(light), rcond=None)[0]
    if b < _LEAST_B:
        a, b = float(np.median(variance / light)), _LEAST_B
    elif a < _LEAST_A:
        a, b = _LEAST_A, float(np.median(variance))
    return max(float(a), _LEAST_A), max(float(b), _LEAST_B)
