"""Decoding in a process of its own: a file that hangs, crashes or swallows memory costs that file, not the run.

A child is started once and reused. It is handed the open file, and hands back an anonymous file in memory with all
that the picture holds, so that no pixel goes through a pipe and nothing that could run code is read from it.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import logging
import math
import mmap
import os
import signal
import socket
import subprocess
import sys
import threading
import weakref
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any, NoReturn, Self

import numpy as np
import psutil

from camera_nano.decode import Picture, UnreadableImage, check_regular
from camera_nano.decode_child import LONGEST_MESSAGE
from camera_nano.metadata import Metadata
from camera_nano.values import Frame

log = logging.getLogger(__name__)

_START_S = 60  # for the child to load its libraries, on the slowest of machines
_GRACE_S = 10  # an orphan that hangs outlives its file's time by this
_LEAST_BYTES, _MOST_BYTES = 1 << 30, 8 << 30
_DTYPES = ("|u1", "<u2", "<f4")
_MOST_ROOMS, _LARGEST_ROOM_BYTES = 4, 96 << 20  # kept for coming pictures


def default_memory_bytes() -> int:
    """Three quarters of the machine's memory, 1 GiB to 8 GiB: 200 megapixels of 16 bits need about six."""
    total: int = psutil.virtual_memory().total
    return min(max(total * 3 // 4, _LEAST_BYTES), _MOST_BYTES)


class Decoder:
    """`decode.open_image` in child processes, one for each thread that is decoding; a dead child is replaced."""

    def __init__(self, *, time_s: float = 120, memory_bytes: int | None = None) -> None:
        """Limits for one file: seconds on the clock, and address space of a child beyond its own code."""
        self._limits = time_s, memory_bytes or default_memory_bytes()
        self._lock = threading.Lock()
        self._idle: list[_Child] = []
        self._rooms: list[_Room] = []
        self._is_closed = False

    def open(self, path: str | os.PathLike[str]) -> Picture:
        """The picture of a file, as `open_image` gives it. Waits for nothing but its own child.

        Raises:
            UnreadableImage: as `open_image`, and where a limit was reached or the decoder crashed.
            OSError: as `open_image`.
            RuntimeError: decoding processes do not start here, or this is closed.
        """
        path = Path(path)
        check_regular(path)
        with path.open("rb") as file:
            child, room = self._take()
            try:
                said, room = child.decode(file.fileno(), str(path), room)
            finally:
                self._give(child)
        return _unpack(said, room.lend(self._keep))

    def close(self) -> None:
        """End the children; those at work end with their file. Pictures stay. Safe to call twice."""
        with self._lock:
            self._is_closed = True
            idle, self._idle = self._idle, []
            self._rooms.clear()
        for child in idle:
            child.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self) -> tuple[_Child, _Room | None]:
        with self._lock:
            if self._is_closed:
                raise RuntimeError("the decoder is closed")
            room = self._rooms.pop() if self._rooms else None
            while self._idle:
                if (child := self._idle.pop()).is_alive():
                    return child, room
                child.close()
        return _Child(*self._limits), room

    def _give(self, child: _Child) -> None:
        with self._lock:
            if child.is_alive() and not self._is_closed:
                self._idle.append(child)
                return
        child.close()

    def _keep(self, room: _Room) -> None:
        """The last array of a picture is gone. Called wherever that happens, so it must not wait for the lock."""
        if not self._is_closed and len(self._rooms) < _MOST_ROOMS and len(room.memory) <= _LARGEST_ROOM_BYTES:
            self._rooms.append(room)


class _Room:
    """Anonymous memory that a child writes a picture to. Used again, as fresh pages cost more than the copy."""

    def __init__(self, handle: int) -> None:
        self.handle = handle
        weakref.finalize(self, os.close, handle)
        if not fcntl.fcntl(handle, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK:
            raise ValueError("the picture's memory could be cut short while it is read")
        self.memory = mmap.mmap(handle, 0, mmap.MAP_SHARED | mmap.MAP_POPULATE)

    def lend(self, take_back: Callable[[_Room], None]) -> Any:
        """The memory, for arrays; `take_back` is called when none of them is left."""
        lent = (ctypes.c_char * len(self.memory)).from_buffer(self.memory)
        weakref.finalize(lent, take_back, self).atexit = False
        return lent


class _Child:
    """A process that decodes one file at a time, seen from its parent."""

    def __init__(self, time_s: float, memory_bytes: int) -> None:
        self._time_s, self._memory_bytes = time_s, memory_bytes
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # -P: nothing is imported from the current folder
        command = [sys.executable, "-P", "-m", "camera_nano.decode_child"]
        with theirs:
            self._process = subprocess.Popen(
                [*command, str(theirs.fileno()), str(memory_bytes), str(math.ceil(time_s + _GRACE_S))],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # foreign libraries talk there
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C is for the parent, which decides
                env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        self._socket.settimeout(_START_S)
        try:
            ready = self._socket.recv(1)
        except OSError:
            ready = b""
        if not ready:
            self.close()
            code = self._process.returncode
            raise RuntimeError(f"decoding processes do not start here (exit code {code}): run camera-nano doctor")

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def decode(self, file: int, name: str, room: _Room | None) -> tuple[dict[str, Any], _Room]:
        """The child's message and where it put the picture: the room, where it was large enough, or a new one."""
        self._socket.settimeout(self._time_s)
        try:
            socket.send_fds(self._socket, [os.fsencode(name)], [file] if room is None else [file, room.handle])
            message, handles, _, _ = socket.recv_fds(self._socket, LONGEST_MESSAGE, 1)
        except TimeoutError:
            self.close(at_once=True)
            raise UnreadableImage(f"{name} took longer than {self._time_s:g} s to decode: export it again") from None
        except OSError:
            message, handles = b"", []
        except BaseException:  # an interrupt: the answer that is still to come belongs to no other file
            self.close(at_once=True)
            raise
        if not message:
            self._explain_death(name)
        said = json.loads(message)
        for line in said["warnings"]:
            log.warning("%s", line)
        if "error" in said:
            raise _ERRORS[said["error"]](*said["arguments"])
        return said, _Room(handles[0]) if handles or room is None else room

    def _explain_death(self, name: str) -> NoReturn:
        self.close()
        code = self._process.returncode
        if code == -signal.SIGABRT:  # how GLib and C++ end without memory
            cause = f"its decoder gave up, or needed more than {self._memory_bytes >> 20} MiB"
        else:
            cause = "its decoder was killed" if code == -signal.SIGKILL else f"its decoder crashed, code {code}"
        raise UnreadableImage(f"{name} cannot be decoded ({cause}): reduce it, or export it again")

    def close(self, *, at_once: bool = False) -> None:
        """It ends by itself when its socket does, unless it hangs."""
        self._socket.close()
        if not at_once:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE_S)
                return
        self._process.kill()
        self._process.wait()


_ERRORS: dict[str, type[Exception]] = {"UnreadableImage": UnreadableImage, "OSError": OSError}


def _unpack(said: dict[str, Any], memory: Any) -> Picture:
    """What the child packed. The memory lives as long as its arrays."""
    values: dict[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in said["plain"].items()
    }
    for name, (dtype, shape, offset) in said["arrays"].items():
        if dtype not in _DTYPES:
            raise ValueError(f"no picture has samples of {dtype}")
        values[name] = np.ndarray(shape, dtype, memory, offset)
    metadata: dict[str, Any] = {f.name: values.pop(f.name) for f in fields(Metadata)}
    for name in said["blocks"]:
        metadata[name] = metadata[name].tobytes()
    return Picture(Frame(values.pop("pixels")), metadata=Metadata(**metadata), **values)
