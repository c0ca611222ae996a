"""The size of a picture from the first bytes of its file: one that is too large is refused before it takes memory."""

from __future__ import annotations

import re
import struct

from camera_nano.errors import TooLarge

LIMIT_MEGAPIXELS = 200
_HEAD_BYTES = 1 << 16


def check_size(width: int, height: int) -> None:
    """Raises TooLarge for more than `LIMIT_MEGAPIXELS`."""
    megapixels = width * height / 1e6
    if megapixels > LIMIT_MEGAPIXELS:
        size = f"{width}x{height}, {megapixels:.0f} megapixels"
        raise TooLarge(f"is too large ({size}, {LIMIT_MEGAPIXELS} at most): reduce it")


def size_of_exr(data: bytes) -> tuple[int, int]:
    """Width and height of the largest part of an OpenEXR file, from its data windows ("OpenEXR File Layout")."""
    windows = re.findall(rb"dataWindow\0box2i\0\x10\0\0\0(.{16})", data[:_HEAD_BYTES], re.DOTALL)
    sides = [(right - left + 1, lower - upper + 1) for left, upper, right, lower in map(_box, windows)]
    return max(sides, key=lambda side: side[0] * side[1], default=(0, 0))


def _box(window: bytes) -> tuple[int, int, int, int]:
    left, upper, right, lower = struct.unpack("<4i", window)
    return left, upper, right, lower


def size_of_radiance(data: bytes) -> tuple[int, int]:
    """Width and height of a Radiance picture, from its resolution line, in which either axis may come first."""
    found = re.search(rb"\n[-+]([XY]) (\d{1,9}) [-+][XY] (\d{1,9})\n", data[:_HEAD_BYTES])
    if found is None:
        return 0, 0
    first, second = int(found[2]), int(found[3])
    return (first, second) if found[1] == b"X" else (second, first)
