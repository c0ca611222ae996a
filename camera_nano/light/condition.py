"""Frame -> Condition: the whole picture, small.

What formulas say of the picture is computed inside the network (`nn/net.py`), so that both engines and training share
one definition of it.
"""

from __future__ import annotations

import numpy as np

from camera_nano.color import to_16_bit
from camera_nano.light.resize import halved
from camera_nano.opencv import cv2
from camera_nano.values import Condition, Frame

THUMBNAIL_PX = 64
_DARK = 16  # mean code value of 255


def condition(frame: Frame) -> Condition:
    """Frame of any size -> (64, 64, 3) float32 code values in 0..1: the whole picture, squeezed to a square.

    Averaged by area. In a dark frame areas differ by less than one 8-bit code, so their means are kept in 16 bits.
    """
    middle = frame.pixels
    is_dark = middle[::16, ::16].mean() < _DARK * np.iinfo(middle.dtype).max / 255
    while min(middle.shape[:2]) >= 8 * THUMBNAIL_PX:
        middle = halved(to_16_bit(middle) if is_dark else middle)
        is_dark = True  # only the first halving, the largest, may round to 8 bits
    unit = middle.astype(np.float32) * np.float32(1 / np.iinfo(middle.dtype).max)
    small = cv2.resize(unit, (THUMBNAIL_PX, THUMBNAIL_PX), interpolation=cv2.INTER_AREA)
    return Condition(np.clip(small, 0, 1), frame.id, frame.t_ns)
