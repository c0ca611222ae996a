"""Picture files -> small pictures, without decoding every pixel where the format allows that."""

from __future__ import annotations

import numpy as np
import pyvips

from camera_nano.color import to_8_bit
from camera_nano.files.decode import decode
from camera_nano.values import Pixels


def small(data: bytes, name: str, side_px: int) -> Pixels:
    """A picture file -> upright sRGB, (h, w, 3) uint8, that fits a square of `side_px`; what is transparent is white.

    `name` is for messages. Raises UnreadableImage as `decode`.
    """
    try:
        image = pyvips.Image.thumbnail_buffer(data, side_px, height=side_px, output_profile="srgb").colourspace("srgb")
        if image.hasalpha():
            image = image.flatten(background=[255])
        return np.ascontiguousarray(image.cast("uchar").numpy()[..., :3])
    except pyvips.Error:  # kinds that libvips does not read
        pixels = decode(data, name).frame.pixels
        pixels = to_8_bit(pixels) if pixels.dtype == np.uint16 else pixels
        reduced = pyvips.Image.new_from_array(pixels).thumbnail_image(side_px, height=side_px, size="down")
        return np.ascontiguousarray(reduced.numpy())
