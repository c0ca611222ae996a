"""Frame -> Condition: the whole picture, small.

The analytic priors are part of the network's own graph (`nn/net.py`), so that both engines and training share one
definition of them.
"""

from __future__ import annotations

import cv2
import numpy as np

from camera_nano.values import Condition, Frame

THUMBNAIL_PX = 64
_DARK = 16  # mean code value


def condition(frame: Frame) -> Condition:
    """Frame of any size -> (64, 64, 3) float32 code values in 0..1; never a crop, the aspect is squashed.

    Averaged by area. In a dark frame the mean of a patch is a fraction of an 8-bit code: there, in 16 bits.
    """
    pixels = frame.pixels
    if pixels.dtype == np.uint8 and pixels[::16, ::16].mean() < _DARK:
        pixels = pixels.astype(np.uint16) * 257
    height, width = pixels.shape[:2]
    coarse = (min(width, 4 * THUMBNAIL_PX), min(height, 4 * THUMBNAIL_PX))
    middle = cv2.resize(pixels, coarse, interpolation=cv2.INTER_AREA)
    unit = middle.astype(np.float32) * np.float32(1 / np.iinfo(pixels.dtype).max)
    small = cv2.resize(unit, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA)
    return Condition(np.clip(small, 0, 1), frame.id, frame.t_ns)
