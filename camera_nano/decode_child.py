"""The process that `isolated` starts: takes open files, hands back memory that holds what their pictures hold."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import logging
import os
import resource
import signal
import socket
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from camera_nano.decode import Picture, UnreadableImage, decode
from camera_nano.machine import give_back_memory

LONGEST_MESSAGE = 1 << 16
_LONGEST_TEXT = 1 << 12
_MOST_WARNINGS, _LONGEST_WARNING = 20, 500
_ALIGNMENT = 64
_CHUNK_BYTES = 1 << 30  # less than one write takes


def _serve() -> None:
    """Decode what comes until the parent goes. A signal ends a file that hangs even where the parent is gone."""
    handle, memory_bytes, time_s = (int(argument) for argument in sys.argv[1:])
    _limit(memory_bytes)
    warnings = _Warnings()
    logging.getLogger().addHandler(warnings)
    with socket.socket(fileno=handle) as parent, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        parent.send(b"!")
        while True:
            name, handles, _, _ = socket.recv_fds(parent, LONGEST_MESSAGE, 2)
            if not handles:
                return
            signal.alarm(time_s)  # its default action is to end the process, in the midst of C as well
            said, made = _answer(handles, os.fsdecode(name), memory_bytes)
            said["warnings"] = warnings.take()
            signal.alarm(0)
            socket.send_fds(parent, [json.dumps(said).encode()], made)
            for handle in [*handles, *made]:
                os.close(handle)
            give_back_memory()


class _Warnings(logging.Handler):
    """What decoders log, for the parent to log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if len(self._lines) < _MOST_WARNINGS:
            self._lines.append(record.getMessage()[:_LONGEST_WARNING])

    def take(self) -> list[str]:
        """The lines since the last call."""
        lines, self._lines = self._lines, []
        return lines


def _limit(memory_bytes: int) -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # where memory ends all the same, this goes first
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    most = psutil.Process().memory_info().vms + memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (most, most))


def _answer(handles: list[int], name: str, memory_bytes: int) -> tuple[dict[str, Any], list[int]]:
    """The message for the parent, and the memory that was made for it. The first handle is the file's."""
    try:
        with os.fdopen(handles[0], "rb", closefd=False) as file:
            picture = decode(file.read(), name)
        return _pack(picture, handles[1:])
    except UnreadableImage as error:
        return {"error": "UnreadableImage", "arguments": [str(error)[:_LONGEST_TEXT]]}, []
    except Exception as error:
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
            text = f"{name} needs more than {memory_bytes >> 20} MiB to decode: reduce it"
            return {"error": "UnreadableImage", "arguments": [text]}, []
        if isinstance(error, OSError):
            return {"error": "OSError", "arguments": [error.errno, error.strerror, name]}, []
        text = f"{name} is damaged ({type(error).__name__}: {error})"[:_LONGEST_TEXT]
        return {"error": "UnreadableImage", "arguments": [f"{text}: export it again"]}, []


def _pack(picture: Picture, rooms: list[int]) -> tuple[dict[str, Any], list[int]]:
    """A picture -> what says where its parts are; they are in the room, or in new memory where that is too small."""
    values: dict[str, Any] = {f.name: getattr(picture, f.name) for f in fields(picture)}
    values["pixels"] = values.pop("frame").pixels
    metadata = values.pop("metadata")
    values |= {f.name: getattr(metadata, f.name) for f in fields(metadata)}
    blocks = [name for name, value in values.items() if isinstance(value, bytes)]
    values |= {name: np.frombuffer(values[name], np.uint8) for name in blocks}
    parts = {name: np.ascontiguousarray(value) for name, value in values.items() if isinstance(value, np.ndarray)}
    arrays, end = {}, 0
    for name, part in parts.items():
        arrays[name] = (part.dtype.str, part.shape, end)
        end += -(-part.nbytes // _ALIGNMENT) * _ALIGNMENT
    made = [] if rooms and os.fstat(rooms[0]).st_size >= end else [_new_room(end)]
    for name, part in parts.items():
        rest = part.reshape(-1).view(np.uint8).data
        for at in range(0, len(rest), _CHUNK_BYTES):  # written, as a map would fault on every page
            os.pwrite((made or rooms)[0], rest[at : at + _CHUNK_BYTES], arrays[name][2] + at)
    plain = {name: value for name, value in values.items() if name not in parts}
    return {"plain": plain, "arrays": arrays, "blocks": blocks}, made


def _new_room(n_bytes: int) -> int:
    """An anonymous file in memory that nobody can cut short."""
    handle = os.memfd_create("camera_nano", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(handle, n_bytes)
    fcntl.fcntl(handle, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
    return handle


if __name__ == "__main__":
    _serve()
