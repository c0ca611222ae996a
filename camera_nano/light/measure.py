"""What a picture says of its exposure: how much is clipped, how noisy it is, how it differs from another."""

from __future__ import annotations

import numpy as np

from camera_nano.color import srgb_eotf
from camera_nano.opencv import cv2
from camera_nano.values import CLIPPED_HIGH, F32, Pixels

_SAMPLES_PX = 128  # a side: enough for shares and medians
_SEEN = (0.01, 0.7)  # linear light between which two exposures are compared


def clipped_share(pixels: Pixels) -> float:
    """The share, 0..1, of pixels (H, W, 3) that have a channel at its top."""
    return float((_unit(_samples(pixels)).max(axis=2) >= CLIPPED_HIGH[1]).mean())


def mean_light(pixels: Pixels) -> float:
    """Mean linear light, 0..1, of pixels (H, W, 3)."""
    return float(srgb_eotf(_unit(_samples(pixels))).mean())


def noise_level(pixels: Pixels) -> float:
    """Standard deviation of the noise of pixels (H, W, 3), in code values 0..1.

    Immerkaer 1996, "Fast noise variance estimation": its mask removes edges and slopes. The median of the absolute
    values stands for their mean, so that texture counts less. One number, quick enough for every frame of a view, says
    whether it is dark; weights of a merge need the noise of each light instead: `merge/noise.py`, a sibling room.
    """
    height, width = pixels.shape[:2]
    middle = _unit(pixels[height // 4 : height // 4 + 512, width // 4 : width // 4 + 512, 1])
    mask = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
    return float(np.median(np.abs(cv2.filter2D(middle, cv2.CV_32F, mask))) / (6 * 0.6745))


def ratio_ev(pixels: Pixels, other: Pixels) -> float | None:
    """By how many stops pixels (H, W, 3) are brighter than `other` of the same scene and size; None if too few tell.

    The median over what is neither clipped nor black in both.
    """
    ours, theirs = (srgb_eotf(_unit(_samples(p))).mean(axis=2) for p in (pixels, other))
    known = (np.minimum(ours, theirs) > _SEEN[0]) & (np.maximum(ours, theirs) < _SEEN[1])
    return float(np.median(np.log2(ours[known] / theirs[known]))) if known.sum() >= 100 else None


def _samples(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    return pixels[:: max(1, height // _SAMPLES_PX), :: max(1, width // _SAMPLES_PX)]


def _unit(pixels: Pixels) -> F32:
    return pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
