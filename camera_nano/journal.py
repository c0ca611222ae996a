"""What has been made in an output folder, of which input and by which recipe: SQLite beside the pictures.

A run asks it what is left to do, and tells it what is done once that is on the disk. Killed at any point it has at
worst forgotten the last photos, which are then made once more. One process at a time has it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol, Self
from urllib.parse import quote

FOLDER = ".camera_nano"
_TABLES = """
CREATE TABLE IF NOT EXISTS outputs (
  path BLOB PRIMARY KEY, input BLOB NOT NULL, input_size INT NOT NULL, input_mtime_ns INT NOT NULL,
  input_digest TEXT NOT NULL, recipe TEXT NOT NULL, size INT NOT NULL, mtime_ns INT NOT NULL, digest TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS failures (
  input BLOB PRIMARY KEY, input_size INT NOT NULL, input_mtime_ns INT NOT NULL, recipe TEXT NOT NULL,
  error BLOB NOT NULL);
"""


class JournalBusy(RuntimeError):
    """Another run writes to the same folder."""


class Files(Protocol):
    """Where inputs and outputs are, by path or URL."""

    def stamp(self, name: str) -> tuple[int, int]:
        """Size in bytes, and a number that is another one when it was written again. Raises OSError."""
        ...

    def digest(self, name: str) -> str:
        """SHA-256, hex. Raises OSError."""
        ...


class LocalFiles:
    """Files of this machine."""

    def stamp(self, name: str) -> tuple[int, int]:
        """Size, and the time of the last change in nanoseconds. Raises OSError."""
        found = Path(name).stat()
        return found.st_size, found.st_mtime_ns

    def digest(self, name: str) -> str:
        """SHA-256, hex. Raises OSError."""
        with open(name, "rb") as file:  # noqa: PTH123 names may be of any bytes
            return hashlib.file_digest(file, "sha256").hexdigest()


LOCAL = LocalFiles()


@dataclass(frozen=True, slots=True)
class Made:
    """An output that is on the disk, the digest of its recipe, and that of its bytes."""

    path: str
    recipe: str
    digest: str


@dataclass(frozen=True, slots=True)
class Entry:
    """An output as it was when it was made. Sizes in bytes, times as in `Files.stamp`."""

    path: str  # relative to the folder
    input: str
    input_size: int
    input_mtime_ns: int
    input_digest: str
    recipe: str
    size: int
    mtime_ns: int
    digest: str


class Journal:
    """The journal of an output folder, open and locked until `close`. One thread's."""

    def __init__(
        self,
        out: Path,
        *,
        shard: str = "",
        read_only: bool = False,
        root: str | None = None,
        files: Files = LOCAL,
    ) -> None:
        """`shard`, such as "2-of-8", has a journal of its own. `root` is where the outputs are, if that is not `out`.

        One that is read only locks and writes nothing, and is empty where there is none.

        Raises:
            JournalBusy: another run has it.
            OSError: the folder cannot be written.
        """
        self._out, self._root, self._files = out, PurePosixPath(root or os.fspath(out)), files
        folder = out / FOLDER
        name = f"journal{shard and '-'}{shard}"
        self._path = folder / f"{name}.sqlite"
        self._lock = None
        if read_only:
            self._db = _open_to_read(self._path)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = (folder / f"{name}.lock").open("w")
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                self._lock.close()
                raise JournalBusy(f"another run writes to {out}: wait for it, or choose another --out") from error
            self._db = sqlite3.connect(self._path)
            with self._explained():
                self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + _TABLES)
        self._entries = {entry.path: entry for entry in self.entries()}
        failures = self._db.execute("SELECT * FROM failures")
        self._failures = {os.fsdecode(row[0]): (*row[1:4], os.fsdecode(row[4])) for row in failures}
        if not (read_only or shard or any(folder.glob("journal-*.lock"))):  # shards may be writing here
            _sweep(out)

    @staticmethod
    def exists(out: Path) -> bool:
        """Whether a folder has one, or one of a shard."""
        return any((out / FOLDER).glob("journal*.sqlite"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let it go; safe to call twice."""
        self._db.close()
        if self._lock is not None:
            self._lock.close()

    def entries(self) -> Iterator[Entry]:
        """Every output that is known."""
        for path, source, *others in self._db.execute("SELECT * FROM outputs ORDER BY path"):
            yield Entry(os.fsdecode(path), os.fsdecode(source), *others)

    def is_made(self, output: str | Path, source: str | Path, recipe: str) -> bool:
        """Whether an output is there as it was made, of this input by this recipe. Hashes only what looks touched."""
        entry, files = self._entries.get(self._key(output)), self._files
        if entry is None or entry.recipe != recipe:
            return False
        output, source = os.fspath(output), os.fspath(source)
        try:
            now, then = files.stamp(output), files.stamp(source)
            if then != (entry.input_size, entry.input_mtime_ns) and (
                then[0] != entry.input_size or files.digest(source) != entry.input_digest
            ):
                return False
            is_untouched = now == (entry.size, entry.mtime_ns)
            return is_untouched or (now[0] == entry.size and files.digest(output) == entry.digest)
        except OSError:
            return False

    def failure(self, source: str | Path, recipe: str) -> str | None:
        """Why this very input failed with this recipe before; None where it did not."""
        source = os.fspath(source)
        if (found := self._failures.get(source)) is None:
            return None
        size, mtime_ns, failed_recipe, error = found
        try:
            return error if (*self._files.stamp(source), recipe) == (size, mtime_ns, failed_recipe) else None
        except OSError:
            return None

    def note_made(self, outputs: Sequence[Made], source: str | Path, input_digest: str) -> None:
        """Outputs that are on the disk, of an input with this digest. Raises OSError where the disk is full."""
        source = os.fspath(source)
        then = self._files.stamp(source)
        with self._explained(), self._db:
            for made in outputs:
                now = self._files.stamp(made.path)
                self._put(Entry(self._key(made.path), source, *then, input_digest, made.recipe, *now, made.digest))
            self._db.execute("DELETE FROM failures WHERE input = ?", (os.fsencode(source),))
        self._failures.pop(source, None)

    def note_failed(self, source: str | Path, recipe: str, error: str) -> None:
        """An input that cannot be worked on. Raises OSError where the disk is full."""
        source = os.fspath(source)
        try:
            now = self._files.stamp(source)
        except OSError:
            return
        with self._explained(), self._db:
            row = (os.fsencode(source), *now, recipe, os.fsencode(error))
            self._db.execute("INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?)", row)

    def merge(self) -> int:
        """Take over the journals of the shards, which are removed; how many outputs they knew.

        Raises:
            JournalBusy: one of them is in use.
        """
        n_taken = 0
        for path in sorted((self._out / FOLDER).glob("journal-*.sqlite")):
            with Journal(self._out, shard=path.stem.removeprefix("journal-")) as shard, self._explained(), self._db:
                for entry in shard.entries():
                    self._put(entry)
                    n_taken += 1
                self._db.executemany(
                    "INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?)",
                    shard._db.execute("SELECT * FROM failures"),
                )
            for left in path.parent.glob(f"{path.stem}.*"):
                left.unlink()
        return n_taken

    def verify(self) -> Iterator[tuple[str, str]]:
        """Outputs that are not as they were made, each with what is wrong. Reads every byte."""
        for entry in self.entries():
            path = os.fspath(self._out / entry.path)
            try:
                if self._files.stamp(path)[0] != entry.size or self._files.digest(path) != entry.digest:
                    yield entry.path, "has changed since it was made"
            except OSError as error:
                yield entry.path, (error.strerror or str(error)).lower()

    def _put(self, entry: Entry) -> None:
        path, source, *others = (getattr(entry, name) for name in Entry.__slots__)
        row = [
            os.fsencode(path),
            os.fsencode(source),
            *others,
        ]  # names may be of any bytes, and SQLite takes no such text
        self._db.execute("INSERT OR REPLACE INTO outputs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
        self._entries[entry.path] = entry

    def _key(self, output: str | Path) -> str:
        return os.fspath(PurePosixPath(output).relative_to(self._root))

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            is_full = error.sqlite_errorcode == sqlite3.SQLITE_FULL
            code = errno.ENOSPC if is_full else errno.EIO
            raise OSError(code, os.strerror(code) if is_full else str(error), str(self._path)) from error


def _open_to_read(path: Path) -> sqlite3.Connection:
    if path.exists():
        # the log of a folder that cannot be written has to be at rest
        how = "mode=ro" if os.access(path.parent, os.W_OK) else "immutable=1"
        return sqlite3.connect(f"file:{quote(os.fsencode(path.absolute()))}?{how}", uri=True)
    nothing = sqlite3.connect(":memory:")
    nothing.executescript(_TABLES)
    return nothing


def _sweep(out: Path) -> None:
    """Remove what a killed run has left half-written: nobody else writes here now."""
    for left in out.rglob(".camera_nano-*.tmp"):
        left.unlink(missing_ok=True)
