"""How large a picture says that it is, read from the first bytes: a bomb is refused before its pixels have memory."""

from __future__ import annotations

import re
import struct

LIMIT_MEGAPIXELS = 200
_HEAD_BYTES = 1 << 16


class TooLarge(ValueError):
    """A picture of more pixels than are read. The message goes on where the name of the file ends."""


def check_size(width: int, height: int) -> None:
    """Raises TooLarge for more than `LIMIT_MEGAPIXELS`."""
    megapixels = width * height / 1e6
    if megapixels > LIMIT_MEGAPIXELS:
        size = f"{width}x{height}, {megapixels:.0f} megapixels"
        raise TooLarge(f"is too large ({size}, {LIMIT_MEGAPIXELS} at most): reduce it")


def size_of_exr(data: bytes) -> tuple[int, int]:
    """Width and height of the largest part of an OpenEXR file, by its data windows ("OpenEXR File Layout", header)."""
    windows = re.findall(rb"dataWindow\0box2i\0\x10\0\0\0(.{16})", data[:_HEAD_BYTES], re.DOTALL)
    sides = [(right - left + 1, lower - upper + 1) for left, upper, right, lower in map(_box, windows)]
    return max(sides, key=lambda side: side[0] * side[1], default=(0, 0))


def _box(window: bytes) -> tuple[int, int, int, int]:
    left, upper, right, lower = struct.unpack("<4i", window)
    return left, upper, right, lower


def size_of_radiance(data: bytes) -> tuple[int, int]:
    """Width and height of a Radiance picture, by its resolution line; the axes may stand either way round."""
    found = re.search(rb"\n[-+]([XY]) (\d{1,9}) [-+][XY] (\d{1,9})\n", data[:_HEAD_BYTES])
    if found is None:
        return 0, 0
    first, second = int(found[2]), int(found[3])
    return (first, second) if found[1] == b"X" else (second, first)
