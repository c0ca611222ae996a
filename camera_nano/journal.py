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
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Protocol, Self

FOLDER = ".camera_nano"
_TABLES = """
CREATE TABLE IF NOT EXISTS outputs (
  path BLOB PRIMARY KEY, input BLOB NOT NULL, input_size INT NOT NULL, input_mtime_ns INT NOT NULL,
  input_digest TEXT NOT NULL, recipe TEXT NOT NULL, size INT NOT NULL, mtime_ns INT NOT NULL, digest TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS failures (
  input BLOB PRIMARY KEY, input_size INT NOT NULL, input_mtime_ns INT NOT NULL, recipe TEXT NOT NULL,
  error BLOB NOT NULL);
"""
_LITTLE_BYTES = 1 << 16  # a disk with less left is full: SQLite does not always say why it could not write


class JournalError(RuntimeError):
    """A journal that cannot be used, in one line."""


class JournalBusy(JournalError):
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
    """An output that is on the disk, the digest of its recipe and that of its bytes, and when that was."""

    path: str
    recipe: str
    digest: str
    stamp: tuple[int, int]  # as in `Files.stamp`


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

        One that is read only changes nothing in the folder, and is empty where there is none.

        Raises:
            JournalBusy: another run has it.
            JournalError: it is damaged.
            OSError: the folder cannot be written, or is full.
        """
        self._out, self._root, self._files = out, PurePosixPath(root or os.fspath(out)), files
        folder = out / FOLDER
        name = f"journal{shard and '-'}{shard}"
        self._path = folder / f"{name}.sqlite"
        with contextlib.ExitStack() as closing:  # what is open is closed where the rest fails
            path, lock = self._path, folder / f"{name}.lock"
            if not read_only:
                folder.mkdir(parents=True, exist_ok=True)
                _lock(closing.enter_context(lock.open("ab")), out, fcntl.LOCK_EX)
                if not shard and not any(folder.glob("journal-*.lock")):  # shards may be writing here
                    _sweep(out)  # first, as it makes room
            else:
                if lock.exists():
                    _lock(closing.enter_context(lock.open("rb")), out, fcntl.LOCK_SH)
                # a copy, as whoever reads such a database writes beside it
                path = Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="camera_nano-")), path.name)
                for there in folder.glob(f"{path.name}*"):
                    shutil.copy(there, path.with_name(there.name))
            with self._explained():
                self._db = closing.enter_context(contextlib.closing(sqlite3.connect(path)))
                self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + _TABLES)
            self._closing = closing.pop_all()

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
        self._closing.close()

    def entries(self) -> Iterator[Entry]:
        """Every output that is known."""
        with self._explained():
            yield from map(_entry, self._db.execute("SELECT * FROM outputs ORDER BY path"))

    def is_made(self, output: str | Path, source: str | Path, recipe: str) -> bool:
        """Whether an output is there as it was made, of this input by this recipe. Hashes only what looks touched."""
        row, files = self._find("SELECT * FROM outputs WHERE path = ?", self._key(output)), self._files
        if row is None or (entry := _entry(row)).recipe != recipe:
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
        if (row := self._find("SELECT * FROM failures WHERE input = ?", source)) is None:
            return None
        _, size, mtime_ns, failed_recipe, error = row
        try:
            is_same = (*self._files.stamp(source), recipe) == (size, mtime_ns, failed_recipe)
        except OSError:
            return None
        return os.fsdecode(error) if is_same else None

    def note_made(self, outputs: Sequence[Made], source: str | Path, then: tuple[int, int], input_digest: str) -> None:
        """Outputs on the disk, of an input with this stamp and digest. Raises OSError where the disk is full."""
        source = os.fspath(source)
        with self._explained(), self._db:
            for made in outputs:
                key = self._key(made.path)
                self._put(Entry(key, source, *then, input_digest, made.recipe, *made.stamp, made.digest))
            self._db.execute("DELETE FROM failures WHERE input = ?", (os.fsencode(source),))

    def note_failed(self, source: str | Path, recipe: str, error: str) -> None:
        """An input that cannot be worked on. Raises OSError where the disk is full."""
        source = os.fspath(source)
        try:
            now = self._files.stamp(source)
        except OSError:
            return  # it has gone
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
                failures = shard._db.execute("SELECT * FROM failures")
                self._db.executemany("INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?)", failures)
            for left in path.parent.glob(f"{path.stem}.*"):
                left.unlink()
        _sweep(self._out)
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

    def _find(self, query: str, name: str) -> Any:
        with self._explained():
            return self._db.execute(query, (os.fsencode(name),)).fetchone()

    def _put(self, entry: Entry) -> None:
        path, source, *others = (getattr(entry, name) for name in Entry.__slots__)
        row = [os.fsencode(path), os.fsencode(source), *others]  # names may be of any bytes: SQLite takes no such text
        self._db.execute("INSERT OR REPLACE INTO outputs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

    def _key(self, output: str | Path) -> str:
        return os.fspath(PurePosixPath(output).relative_to(self._root))

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """SQLite's errors, as what they mean here."""
        try:
            yield
        except sqlite3.Error as error:
            is_full = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
            if is_full or shutil.disk_usage(self._path.parent).free < _LITTLE_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path)) from error
            way_out = "delete it, and what it knew is made once more"
            raise JournalError(f"the journal {self._path} cannot be used ({error}): {way_out}") from error


def _entry(row: Sequence[Any]) -> Entry:
    return Entry(os.fsdecode(row[0]), os.fsdecode(row[1]), *row[2:])


def _lock(file: BinaryIO, out: Path, how: int) -> None:
    """Until the file is closed."""
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise JournalBusy(f"another run writes to {out}: wait for it, or choose another --out") from error


def _sweep(out: Path) -> None:
    """Remove what a killed run has left half-written: nobody else writes here now."""
    for left in out.rglob(".camera_nano-*.tmp"):
        left.unlink(missing_ok=True)
