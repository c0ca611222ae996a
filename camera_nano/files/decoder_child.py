"""The program of the child processes in `decoder`: open files in, pictures in shared memory out."""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import math
import mmap
import os
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

from camera_nano.errors import UnreadableImage
from camera_nano.files.decode import decode
from camera_nano.files.decoder_process import LONGEST_MESSAGE
from camera_nano.files.deliver import finish
from camera_nano.files.encode import encode
from camera_nano.files.icc import to_srgb
from camera_nano.files.inspect import look_into
from camera_nano.files.marking import read_recipe
from camera_nano.files.metadata import read_blocks
from camera_nano.files.packing import new_room, pack, unpack, write_parts
from camera_nano.files.taken import read_taken
from camera_nano.files.thumbnail import small
from camera_nano.files.ultrahdr import read_gainmap
from camera_nano.machine import give_back_memory

_LONGEST_TEXT = 1 << 12
_GRACE_S = 10  # so much longer than its limit may a file hang here without a parent
_MOST_WARNINGS, _LONGEST_WARNING = 20, 500

# what can be asked for: with the bytes of a file and its name, or with values alone
_OF_FILES: dict[str, Callable[..., Any]] = {
    "decode": decode,
    "taken": lambda data, name: read_taken(data),
    "inspect": look_into,
    "thumbnail": small,
    "recipe": lambda data, name: read_recipe(read_blocks(data)),
    "gain map": lambda data, name: tuple(filter(None, [read_gainmap(data)])),
}
_OF_VALUES: dict[str, Callable[..., Any]] = {"encode": encode, "deliver": finish, "to sRGB": to_srgb}
_SAY_WHY = ("recipe", "gain map", *_OF_VALUES)  # their ValueErrors are words for people


def _serve() -> None:
    """Answer until the parent closes its socket. An alarm ends this process if a file hangs without a parent."""
    handle, walls = int(sys.argv[1]), sys.argv[2]
    warnings = _Warnings()
    logging.getLogger().addHandler(warnings)
    with socket.socket(fileno=handle) as parent, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        parent.send(walls.encode())
        while True:
            message, handles, _, _ = socket.recv_fds(parent, LONGEST_MESSAGE, 3)
            if not message:
                return
            request = json.loads(message)
            signal.alarm(math.ceil(request["time_s"]) + _GRACE_S)  # ends the process, even inside C code
            answer, made = _answer(request, dict(zip(request["handles"], handles, strict=True)))
            text = json.dumps(answer | {"warnings": warnings.take()}).encode()
            if len(text) > LONGEST_MESSAGE:
                text = json.dumps(
                    _error(UnreadableImage(f"{request['name']} holds more text than is read: export it again"))
                ).encode()
            signal.alarm(0)
            socket.send_fds(parent, [text], made)
            for each in [*handles, *made]:
                os.close(each)
            give_back_memory()


class _Warnings(logging.Handler):
    """Keeps what is logged here, for the parent to log."""

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


def _answer(request: dict[str, Any], handles: dict[str, int]) -> tuple[dict[str, Any], list[int]]:
    """The answer for the parent, and new memory that it needs."""
    name, verb = request["name"], request["verb"]
    try:
        tree, parts, n_bytes = pack(_done(request, name, handles))
        room = handles.get("room")
        made = [] if room is not None and os.fstat(room).st_size >= n_bytes else [new_room(n_bytes)]
        write_parts(made[0] if made else room or 0, parts)
        return {"value": tree}, made
    except Exception as error:
        is_memory = isinstance(error, OSError) and error.errno in (errno.ENOMEM, errno.EFBIG)
        if is_memory or isinstance(error, MemoryError) or "out of memory" in str(error):
            return {"error": "MemoryError", "arguments": []}, []
        if isinstance(error, OSError):
            return {"error": "OSError", "arguments": [error.errno, error.strerror, name]}, []
        if isinstance(error, UnreadableImage) or (isinstance(error, ValueError) and verb in _SAY_WHY):
            return _error(error), []
        cause = f"({type(error).__name__}: {error})"
        text = (
            f"{name} is damaged {cause}: export it again" if verb in _OF_FILES else f"{name} cannot be written {cause}"
        )
        return _error(UnreadableImage(text)), []


def _done(request: dict[str, Any], name: str, handles: dict[str, int]) -> Any:
    values: dict[str, Any] = {}
    if "values" in handles:
        size = os.fstat(handles["values"]).st_size
        values = unpack(request["values"], mmap.mmap(handles["values"], size, mmap.MAP_SHARED, mmap.PROT_READ))
    data = b""
    if "file" in handles:
        with os.fdopen(handles["file"], "rb", closefd=False) as file:
            data = file.read()
    if request["verb"] in _OF_FILES:
        return _OF_FILES[request["verb"]](data, name, **values)
    return _OF_VALUES[request["verb"]](**values, **({"source": data} if "file" in handles else {}))


def _error(error: Exception) -> dict[str, Any]:
    kind = "UnreadableImage" if isinstance(error, UnreadableImage) else "ValueError"
    return {"error": kind, "arguments": [str(error)[:_LONGEST_TEXT]], "warnings": []}


if __name__ == "__main__":
    _serve()
