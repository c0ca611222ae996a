"""The shape of a look: cut out of the middle. The original stays whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from camera_nano.values import GainMap, Pixels


def cut(pixels: Pixels, aspect: str) -> Pixels:
    """The middle of (H, W) or (H, W, 3), as large as fits: "4:3" is 3:4 of an upright picture; "" is the whole."""
    if not aspect:
        return pixels
    height, width = pixels.shape[:2]
    long, short = map(int, aspect.split(":"))
    across, down = (short, long) if height > width else (long, short)
    new_width, new_height = min(width, round(height * across / down)), min(height, round(width * down / across))
    left, top = (width - new_width) // 2, (height - new_height) // 2
    return np.ascontiguousarray(pixels[top : top + new_height, left : left + new_width])


def cut_look(image: Pixels, gain: GainMap | None, aspect: str) -> tuple[Pixels, GainMap | None]:
    """A look and its gain map in this shape; the map covers the same part, whatever its size."""
    return cut(image, aspect), gain and replace(gain, codes=cut(gain.codes, aspect))
