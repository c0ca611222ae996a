"""A small camera's sensor, simulated: what it measures of light."""

from __future__ import annotations

import numpy as np

from camera_nano.color import Floats
from camera_nano.values import F32

ELECTRONS = 6000  # that a pixel holds at white at ISO 100
READ_NOISE = 2.5  # electrons, RMS
MOST = 4.0  # light, 1 = SDR white, beyond which nothing is measured


def sensed(light: Floats, rng: np.random.Generator, iso: float) -> F32:
    """Light of any shape, 1 = SDR white -> the same with shot and read noise (Poisson-Gaussian, Foi et al. 2008)."""
    white = ELECTRONS * 100 / iso
    electrons = np.clip(light, 0, MOST) * white
    noise = rng.standard_normal(light.shape, np.float32)
    return np.asarray((electrons + noise * np.sqrt(electrons + READ_NOISE**2)) / white, np.float32)
