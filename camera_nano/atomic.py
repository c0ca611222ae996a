"""Writing files so that they are whole or not there, and the disk space for them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import shutil
import tempfile
from pathlib import Path


def write_atomically(path: str | os.PathLike[str], data: bytes, time_ns: int | None = None) -> None:
    """Write beside the target, flush to disk, then rename: `path` holds what it held before, or all of `data`.

    `time_ns` becomes the time of its last change, where the disk takes it; without it, that is now.

    Raises:
        OSError: the folder is missing or cannot be written, or the disk is full; its `filename` is `path`. No part of
            `data` is left behind, but for a process that is killed: `sweep` removes that.
    """
    path = Path(path)
    temporary = path.parent / f".camera_nano-{os.getpid()}-{secrets.token_hex(4)}.tmp"
    try:
        with temporary.open("xb") as file:
            with contextlib.suppress(OSError):  # not every disk has locks
                fcntl.flock(file, fcntl.LOCK_EX)  # so that `sweep` knows that we live
            file.write(data)
            file.flush()
            if time_ns is not None:
                with contextlib.suppress(OSError):  # not every disk holds any time
                    os.utime(file.fileno(), ns=(time_ns, time_ns))
            os.fsync(file.fileno())
            os.replace(temporary, path)  # noqa: PTH105
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    _sync_folder(path.parent)


def sweep(folder: Path, *, deep: bool = False) -> None:
    """Remove what killed processes left half-written in a folder, or with `deep` below it, too."""
    for left in (folder.rglob if deep else folder.glob)(".camera_nano-*.tmp"):
        with contextlib.suppress(OSError), left.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # OSError where somebody is writing it
            left.unlink()


def _sync_folder(folder: Path) -> None:
    """Make the rename itself survive a power cut."""
    with contextlib.suppress(OSError):  # some network file systems cannot do it; the file's bytes are on disk already
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def free_bytes(folder: Path) -> int:
    """The free space of the disk that the folder is on, or will be made on."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def check_writable(folder: Path) -> None:
    """Make the folder, and try that files can be made in it. Raises OSError, which names the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass
