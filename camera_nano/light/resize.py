"""Making pictures smaller."""

from __future__ import annotations

import numpy as np

from camera_nano.color import to_8_bit
from camera_nano.opencv import cv2
from camera_nano.values import Pixels


def halved(pixels: Pixels) -> Pixels:
    """The mean of every 2 x 2 pixels: OpenCV does this five times as fast as other ratios. Odd edges are dropped."""
    height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
    even = pixels[: 2 * height, : 2 * width]
    return cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def shrink(pixels: Pixels, width_px: int) -> Pixels:
    """Pixels (H, W, 3) -> the same picture at 8 bits, at most `width_px` wide, averaged by area."""
    if pixels.dtype == np.uint16:
        pixels = to_8_bit(pixels)
    height, width = pixels.shape[:2]
    if width <= width_px:
        return pixels
    size = (width_px, max(1, round(height * width_px / width)))
    while pixels.shape[1] >= 2 * width_px and pixels.shape[0] > 1:
        pixels = halved(pixels)
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]
