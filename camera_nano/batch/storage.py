"""Where inputs and outputs are: `Files` is what a run asks of them. Those of object stores are in `stores`."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Protocol

from camera_nano.atomic import write_atomically


class Files(Protocol):
    """Where inputs and outputs are, by path or URL. Every method raises OSError."""

    def stamp(self, name: str) -> tuple[int, int]:
        """Size in bytes, and a number that changes when the file is written again."""
        ...

    def digest(self, name: str) -> str:
        """SHA-256 of the content, hex."""
        ...

    def write(self, name: str, data: bytes, time_ns: int | None = None) -> None:
        """Write all of `data`, or nothing; folders are made. `time_ns` is the time of the file, if it has one."""
        ...


class LocalFiles:
    """Files on this machine."""

    def stamp(self, name: str) -> tuple[int, int]:
        """Size in bytes, and the time of the last change in nanoseconds. Raises OSError."""
        found = Path(name).stat()
        return found.st_size, found.st_mtime_ns

    def digest(self, name: str) -> str:
        """SHA-256 of the content, hex. Raises OSError."""
        with open(name, "rb") as file:  # noqa: PTH123 names may be of any bytes
            return hashlib.file_digest(file, "sha256").hexdigest()

    def write(self, name: str, data: bytes, time_ns: int | None = None) -> None:
        """As `write_atomically`, in a folder that is made where it is missing. Raises OSError."""
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        write_atomically(name, data, time_ns)


LOCAL = LocalFiles()
