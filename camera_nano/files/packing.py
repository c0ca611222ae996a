"""Values on their way to and from a child process: JSON, beside memory that holds what is long.

Only values of the kinds named here come out, so nothing that is read could run code, as a pickle could.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from camera_nano.files.decode import Picture
from camera_nano.files.deliver import Original
from camera_nano.files.inspect import GainMapFound, Report
from camera_nano.files.metadata import Metadata
from camera_nano.files.taken import Taken
from camera_nano.recipe import Labels, Merging, Recipe
from camera_nano.values import Exposure, Frame, GainMap, Look

_KINDS = (
    Picture,
    Original,
    Report,
    GainMapFound,
    Metadata,
    Taken,
    Labels,
    Recipe,
    Merging,
    Look,
    Frame,
    Exposure,
    GainMap,
)
_BY_NAME: dict[str, Any] = {kind.__name__: kind for kind in _KINDS}
_DTYPES = ("|u1", "<u2", "<f4")
_ALIGNMENT = 64
_CHUNK_BYTES = 1 << 30  # what one write takes at most is a little more

Part = tuple[int, npt.NDArray[Any]]  # where in the memory it lies, and what


def pack(value: Any) -> tuple[Any, list[Part], int]:
    """A value -> a tree for JSON, what is to be written to memory, and how many bytes of it that takes.

    Raises:
        TypeError: it holds something that is of none of the kinds.
    """
    parts: list[Part] = []
    tree = _packed(value, parts)
    return tree, parts, _end(parts)


def _end(parts: list[Part]) -> int:
    at, array = parts[-1] if parts else (0, np.empty(0))
    return at + -(-array.nbytes // _ALIGNMENT) * _ALIGNMENT


def _placed(array: npt.NDArray[Any], parts: list[Part]) -> int:
    parts.append((at := _end(parts), np.ascontiguousarray(array)))
    return at


def _packed(value: Any, parts: list[Part]) -> Any:
    """The tree; no closure, whose circle would keep the pixels until the next collection of garbage."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case np.generic():
            return value.item()
        case Path():
            return {"path": str(value)}
        case bytes():
            return {"bytes": [_placed(np.frombuffer(value, np.uint8), parts), len(value)]}
        case np.ndarray():
            return {"array": [value.dtype.str, value.shape, _placed(value, parts)]}
        case list() | tuple():
            return [_packed(each, parts) for each in value]
        case dict():
            return {"dict": {str(key): _packed(each, parts) for key, each in value.items()}}
        case _ if is_dataclass(value) and type(value) in _KINDS:
            values = {f.name: _packed(getattr(value, f.name), parts) for f in fields(value)}
            return {"kind": type(value).__name__, "values": values}
    raise TypeError(f"{type(value).__name__} does not go to another process")


def unpack(tree: Any, memory: Any) -> Any:
    """The value that `pack` was given; lists become tuples. Its arrays lie in `memory`, and keep it alive.

    Raises:
        ValueError, TypeError, LookupError, AttributeError, OverflowError, MemoryError: `pack` did not make it.
    """
    match tree:
        case None | bool() | int() | float() | str():
            return tree
        case list():
            return tuple(unpack(each, memory) for each in tree)
        case {"path": str(path)}:
            return Path(path)
        case {"bytes": [int(at), int(n_bytes)]} if at >= 0:  # numpy would read before the memory
            return np.ndarray(n_bytes, np.uint8, memory, at).tobytes()
        case {"array": [str(dtype), list(shape), int(at)]} if dtype in _DTYPES and at >= 0:
            return np.ndarray(shape, dtype, memory, at)
        case {"dict": dict(values)}:
            return {key: unpack(each, memory) for key, each in values.items()}
        case {"kind": str(name), "values": dict(values)}:
            return _BY_NAME[name](**{key: unpack(each, memory) for key, each in values.items()})
    raise ValueError("no such value goes between processes")


def new_room(n_bytes: int) -> int:
    """An anonymous file in memory that can not be shortened any more."""
    handle = os.memfd_create("camera_nano", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(handle, max(n_bytes, 1))
    fcntl.fcntl(handle, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
    return handle


def write_parts(room: int, parts: Sequence[Part]) -> None:
    """Write what `pack` has put aside to where it belongs in such a file."""
    for start, array in parts:
        rest = array.reshape(-1).view(np.uint8).data
        for at in range(0, len(rest), _CHUNK_BYTES):  # written, since a memory map would fault on every page
            os.pwrite(room, rest[at : at + _CHUNK_BYTES], start + at)
