"""The compiled loops of `_merge.c`; `align` and `average` go on without."""

from __future__ import annotations

import ctypes
from functools import cache
from pathlib import Path

from camera_nano.compiled import compiled

_KERNEL = 4  # the version that a compiled library must return from `camera_nano_merge`


@cache
def kernel() -> ctypes.CDLL | None:
    """The compiled loops; None where they were not built for this platform, or for another version of this file."""
    return compiled(Path(__file__).with_name("_merge.c"), "camera_nano_merge", _KERNEL)
