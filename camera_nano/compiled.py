"""Loops in C, beside the Python that calls them: found where they were built; their callers go on without."""

from __future__ import annotations

import ctypes
import sysconfig
from pathlib import Path


def compiled(source: Path, version_function: str, version: int) -> ctypes.CDLL | None:
    """The library built of `source`, a C file, for this platform.

    None where there is none, or where `version_function` of it does not return `version`: it is of another version of
    the Python beside it.
    """
    try:
        library = ctypes.CDLL(str(source.with_suffix(f".{sysconfig.get_platform()}.so")))
        return library if getattr(library, version_function)() == version else None
    except (OSError, AttributeError):
        return None
