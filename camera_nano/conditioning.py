"""Frame -> Condition: the whole picture, small.

The analytic priors are part of the network's own graph (`nn/net.py`), so that both engines and training share one
definition of them.
"""

from __future__ import annotations

import cv2
import numpy as np

from camera_nano.values import Condition, Frame, Pixels

THUMBNAIL_PX = 64
_DARK = 16  # mean code value


def halved(pixels: Pixels) -> Pixels:
    """Every two by two pixels averaged, which OpenCV does five times as fast as other sizes. Odd edges are left out."""
    height, width = pixels.shape[0] // 2, pixels.shape[1] // 2
    even = pixels[: 2 * height, : 2 * width]
    return cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA)  # type: ignore[return-value]


def _deep(pixels: Pixels) -> Pixels:
    """The same in 16 bits."""
    return pixels if pixels.dtype == np.uint16 else pixels.astype(np.uint16) * np.uint16(257)


def condition(frame: Frame) -> Condition:
    """Frame of any size -> (64, 64, 3) float32 code values in 0..1; never a crop, the aspect is squashed.

    Averaged by area. In a dark frame the mean of a patch is a fraction of an 8-bit code: there, in 16 bits.
    """
    middle = frame.pixels
    is_dark = middle[::16, ::16].mean() < _DARK * np.iinfo(middle.dtype).max / 255
    while min(middle.shape[:2]) >= 8 * THUMBNAIL_PX:
        middle = halved(_deep(middle) if is_dark else middle)
        is_dark = True  # only the first, largest halving may round to 8 bits
    unit = middle.astype(np.float32) * np.float32(1 / np.iinfo(middle.dtype).max)
    small = cv2.resize(unit, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA)
    return Condition(np.clip(small, 0, 1), frame.id, frame.t_ns)


def shrink(pixels: Pixels, width_px: int) -> Pixels:
    """Pixels at most `width_px` wide, 8 bit; area-averaged."""
    if pixels.dtype == np.uint16:
        pixels = (pixels // 257).astype(np.uint8)
    height, width = pixels.shape[:2]
    if width <= width_px:
        return pixels
    size = (width_px, max(1, round(height * width_px / width)))
    while pixels.shape[1] >= 2 * width_px and pixels.shape[0] > 1:
        pixels = halved(pixels)
    return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)  # type: ignore[return-value]
