"""The parent's side of one decoding process, and the memory that it writes pictures to.

The child runs `decoder_child`. Messages are JSON over a socket, `packing` says where each part lies in memory.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import logging
import mmap
import os
import signal
import socket
import subprocess
import sys
import weakref
from collections.abc import Callable
from typing import Any, NoReturn, TypeVar

from camera_nano.environment import for_child
from camera_nano.errors import NoDecoder, UnreadableImage
from camera_nano.files.packing import unpack
from camera_nano.sandbox import Wall

T = TypeVar("T")
log = logging.getLogger(__name__)
log.addHandler(logging.NullHandler())  # what libraries say is for logs, not for a terminal where nobody asked

LONGEST_MESSAGE = 1 << 17  # bytes, to or from a child
# what children do with a file; else they write one
READS = ("decode", "taken", "inspect", "thumbnail", "recipe", "gain map")
_START_S = 60  # for a child to load its libraries, on the slowest machine
_GRACE_S = 10  # for an idle child to end
_ERRORS: dict[str, type[Exception]] = {"UnreadableImage": UnreadableImage, "OSError": OSError, "ValueError": ValueError}


class Room:
    """Anonymous memory that a child writes a picture to. It is reused: new pages cost more time than the copy."""

    def __init__(self, handle: int) -> None:
        self.handle = handle
        weakref.finalize(self, os.close, handle)
        if not fcntl.fcntl(handle, fcntl.F_GET_SEALS) & fcntl.F_SEAL_SHRINK:
            raise ValueError("the picture's memory could be cut short while it is read")
        self.memory = mmap.mmap(handle, 0, mmap.MAP_SHARED | mmap.MAP_POPULATE)

    def lend(self, take_back: Callable[[Room], None]) -> Any:
        """The memory, for arrays to lie in; `take_back` is called when the last of them is gone."""
        lent = (ctypes.c_char * len(self.memory)).from_buffer(self.memory)
        weakref.finalize(lent, take_back, self).atexit = False
        return lent


class Child:
    """The parent's side of a process that does one thing at a time."""

    def __init__(self, memory_bytes: int) -> None:
        """Start it; `memory_bytes` of data is all that it may have. Raises NoDecoder."""
        self._memory_bytes = memory_bytes
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # -P: do not import from the current folder
        command = [sys.executable, "-P", "-m", "camera_nano.sandbox", str(memory_bytes)]
        with theirs:
            self._process = subprocess.Popen(
                [*command, "camera_nano.files.decoder_child", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,  # libraries write warnings there
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C goes to the parent only, which decides what ends
                env=for_child(),
            )
        self._socket.settimeout(_START_S)
        try:
            ready = self._socket.recv(LONGEST_MESSAGE)
        except OSError:
            ready = b""
        if not ready:
            self.close()
            code = self._process.returncode
            raise NoDecoder(f"decoding processes do not start here (exit code {code}): run camera-nano doctor")
        self.walls = [Wall(*wall) for wall in json.loads(ready)]

    def is_alive(self) -> bool:
        """Whether it can be asked."""
        return self._process.poll() is None

    def ask(
        self,
        kind: type[T],
        request: dict[str, Any],
        handles: dict[str, int],
        room: Room | None,
        take_back: Callable[[Room], None],
    ) -> T | Exception:
        """What the child answers, which has to be of this kind, or the error it tells. It may write to `room`."""
        handles = handles | ({"room": room.handle} if room else {})
        message, new = self._exchange(request | {"handles": list(handles)}, list(handles.values()))
        try:
            room = Room(new[0]) if new else room
            answer = json.loads(message)
            for line in answer["warnings"]:
                log.warning("%s", line)
            if "error" in answer:
                return self._told(request, answer["error"], answer["arguments"])
            value = unpack(answer["value"], room.lend(take_back)) if room else None
            if isinstance(value, kind):
                return value
        except Exception:  # what a child may say that a photo has taken over is anything
            log.debug("%s", message, exc_info=True)
        self.close(at_once=True)
        return UnreadableImage(f"{request['name']} has spoilt its decoder, which answered nonsense: leave it out")

    def _exchange(self, request: dict[str, Any], handles: list[int]) -> tuple[bytes, list[int]]:
        """The child's answer, and new memory. Raises UnreadableImage where none comes."""
        name, is_read, time_s = request["name"], request["verb"] in READS, request["time_s"]
        self._socket.settimeout(time_s)
        try:
            socket.send_fds(self._socket, [json.dumps(request).encode()], handles)
            message, new, _, _ = socket.recv_fds(self._socket, LONGEST_MESSAGE, 1)
        except TimeoutError:
            self.close(at_once=True)
            doing = "decode: export it again" if is_read else "write: reduce the photo"
            raise UnreadableImage(f"{name} took longer than {time_s:g} s to {doing}") from None
        except OSError:
            message, new = b"", []
        except BaseException:  # an interrupt: the answer still to come must not be taken for that of the next file
            self.close(at_once=True)
            raise
        if not message:
            self._explain_death(name, is_read)
        return message, new

    def _told(self, request: dict[str, Any], error: str, arguments: list[Any]) -> Exception:
        if error == "MemoryError":
            doing = "decode: reduce it" if request["verb"] in READS else "write: reduce the photo"
            return UnreadableImage(f"{request['name']} needs more than {self._memory_bytes >> 20} MiB to {doing}")
        return _ERRORS[error](*arguments)

    def _explain_death(self, name: str, is_read: bool) -> NoReturn:
        self.close()
        code = self._process.returncode
        if code == -signal.SIGABRT:  # how GLib and C++ end a process that is out of memory
            cause = f"its decoder gave up, or needed more than {self._memory_bytes >> 20} MiB"
        else:
            cause = "its decoder was killed" if code == -signal.SIGKILL else f"its decoder crashed, code {code}"
        verb = "decoded" if is_read else "written"
        raise UnreadableImage(f"{name} cannot be {verb} ({cause}): reduce it, or export it again")

    def close(self, *, at_once: bool = False) -> None:
        """End the child: it exits when its socket closes, or is killed if it hangs."""
        self._socket.close()
        if not at_once:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE_S)
                return
        self._process.kill()
        self._process.wait()
