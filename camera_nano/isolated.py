"""Decoding in a child process: a file that hangs, crashes or eats memory costs that file, not the run.

The child is told a path and answers with a JSON header, nothing that has to be unpickled. The pixels are in memory that
both have mapped and that is used again for the next file: fresh pages cost more than decoding does.
"""

from __future__ import annotations

import json
import mmap
import os
import resource
import socket
import subprocess
import sys
import tempfile
from dataclasses import fields
from typing import Any

import numpy as np

from camera_nano.decode import Picture, UnreadableImage, open_image
from camera_nano.metadata import Metadata
from camera_nano.values import Frame

TIME_LIMIT_S = 120.0
MEMORY_LIMIT_BYTES = 6 << 30  # of address space: 200 megapixels of 16 bits, turned and converted
_MESSAGE_BYTES = 64 * 1024
_ARRAYS = ("pixels", "alpha", "headroom_ev")
_BLOCKS = [field.name for field in fields(Metadata) if field.name != "pixels_per_mm"]


class Decoder:
    """A child that decodes one file at a time; made when it is first needed, and again after it has died."""

    def __init__(self, *, time_limit_s: float = TIME_LIMIT_S, memory_limit_bytes: int = MEMORY_LIMIT_BYTES) -> None:
        self._time_limit_s, self._memory_limit_bytes = time_limit_s, memory_limit_bytes
        self._child: subprocess.Popen[bytes] | None = None
        self._socket: socket.socket | None = None
        self._memory: mmap.mmap | None = None

    @property
    def pid(self) -> int | None:
        """The child's, while there is one."""
        return None if self._child is None else self._child.pid

    def open(self, path: str | os.PathLike[str]) -> Picture:
        """`decode.open_image` in the child. The picture's arrays are only to be read, and only until the next `open`.

        Raises:
            UnreadableImage: as there, and for a file that takes too long, too much memory, or kills the child.
            OSError: as there.
        """
        child, line = self._running()
        try:
            line.send(json.dumps(os.fspath(path)).encode())
            message, handles, _, _ = socket.recv_fds(line, _MESSAGE_BYTES, 1)
        except TimeoutError as error:
            self.close()
            raise UnreadableImage(
                f"{path} takes more than {self._time_limit_s:.0f} s to decode: export it again"
            ) from error
        except ConnectionError:
            message, handles = b"", []
        if not message:
            died = child.wait()
            self.close()
            cause = f"signal {-died}" if died < 0 else f"exit {died}"
            raise UnreadableImage(f"{path} has crashed its decoder ({cause}): export it again")
        header = json.loads(message)
        if handles:
            self._memory = mmap.mmap(handles[0], header["n_shared"], prot=mmap.PROT_READ)
            os.close(handles[0])
        return _picture(header, self._memory, path)

    def _running(self) -> tuple[subprocess.Popen[bytes], socket.socket]:
        if self._child is None or self._socket is None:
            self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                argv = [
                    sys.executable,
                    "-m",
                    "camera_nano.isolated",
                    str(theirs.fileno()),
                    str(self._memory_limit_bytes),
                ]
                self._child = subprocess.Popen(
                    argv,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    env=os.environ | {"OMP_NUM_THREADS": "1"},
                    start_new_session=True,  # Ctrl-C is the parent's to handle
                )
            self._socket.settimeout(self._time_limit_s)
        return self._child, self._socket

    def close(self) -> None:
        """End the child; safe to call twice."""
        child, self._child, line, self._socket = self._child, None, self._socket, None
        if line is not None:
            line.close()
        if child is not None:
            child.kill()
            child.wait()


def _picture(header: dict[str, Any], memory: mmap.mmap | None, path: str | os.PathLike[str]) -> Picture:
    if "errno" in header:
        raise OSError(header["errno"], header["strerror"], os.fspath(path))
    if "error" in header:
        raise UnreadableImage(header["error"])
    assert memory is not None
    at = 0
    arrays: dict[str, Any] = {}
    for name in _ARRAYS:
        if header[name] is not None:
            shape, dtype = header[name]
            n_items = int(np.prod(shape))
            arrays[name] = np.frombuffer(memory, dtype, n_items, at).reshape(shape)
            at += arrays[name].nbytes
    blocks = {}
    for name in _BLOCKS:
        if header[name] is not None:
            blocks[name] = memory[at : at + header[name]]
            at += header[name]
    metadata = Metadata(**blocks, pixels_per_mm=header["pixels_per_mm"])
    frame = Frame(arrays["pixels"])
    return Picture(frame, arrays.get("alpha"), header["format"], metadata, arrays.get("headroom_ev"))


def _answer(path: str) -> tuple[dict[str, Any], list[Any]]:
    """What the child sends: the header, and what goes into the memory."""
    try:
        picture = open_image(path)
    except UnreadableImage as error:
        return {"error": str(error)}, []
    except OSError as error:
        return {"errno": error.errno or 5, "strerror": error.strerror or str(error)}, []
    except MemoryError:
        return {"error": f"{path} needs more memory than a picture may: reduce it"}, []
    arrays = {"pixels": picture.frame.pixels, "alpha": picture.alpha, "headroom_ev": picture.headroom_ev}
    blocks = {name: getattr(picture.metadata, name) for name in _BLOCKS}
    header: dict[str, Any] = {"format": picture.format, "pixels_per_mm": picture.metadata.pixels_per_mm}
    header |= {name: None if a is None else [a.shape, a.dtype.str] for name, a in arrays.items()}
    header |= {name: None if block is None else len(block) for name, block in blocks.items()}
    buffers: list[Any] = [array.reshape(-1).view(np.uint8) for array in arrays.values() if array is not None]
    return header, buffers + [np.frombuffer(block, np.uint8) for block in blocks.values() if block is not None]


def serve(line: socket.socket, memory_limit_bytes: int) -> None:
    """The child: a path a message, an answer each, until the other end is closed."""
    resource.setrlimit(resource.RLIMIT_AS, (memory_limit_bytes, memory_limit_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    shared = np.empty(0, np.uint8)
    while message := line.recv(_MESSAGE_BYTES):
        header, buffers = _answer(json.loads(message))
        n_bytes, handles = sum(map(len, buffers)), []
        if n_bytes > len(shared):
            handles = [_memory_handle(n_bytes)]
            shared = np.frombuffer(mmap.mmap(handles[0], n_bytes), np.uint8)
        at = 0
        for buffer in buffers:
            shared[at : at + len(buffer)] = buffer
            at += len(buffer)
        socket.send_fds(line, [json.dumps(header | {"n_shared": len(shared)}).encode()], handles)
        for handle in handles:
            os.close(handle)


def _memory_handle(n_bytes: int) -> int:
    """A descriptor of memory, or of a file without a name where the system has none of that."""
    if hasattr(os, "memfd_create"):
        handle = os.memfd_create("picture")
    else:
        with tempfile.TemporaryFile() as file:
            handle = os.dup(file.fileno())
    os.ftruncate(handle, n_bytes)
    return handle


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2]))
