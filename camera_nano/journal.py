"""What has been made in an output folder, of which input and by which recipe: SQLite beside the pictures.

A run asks it what is left to do, and tells it what is done once that is on the disk. Killed at any point it has at
worst forgotten the last photos, which are then made once more. One process at a time has it.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

FOLDER = ".camera_nano"
_TABLES = """
CREATE TABLE IF NOT EXISTS outputs (
  path TEXT PRIMARY KEY, input TEXT NOT NULL, input_size INT NOT NULL, input_mtime_ns INT NOT NULL,
  input_digest TEXT NOT NULL, recipe TEXT NOT NULL, size INT NOT NULL, mtime_ns INT NOT NULL, digest TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS failures (
  input TEXT PRIMARY KEY, input_size INT NOT NULL, input_mtime_ns INT NOT NULL, recipe TEXT NOT NULL,
  error TEXT NOT NULL);
"""


class JournalBusy(RuntimeError):
    """Another run writes to the same folder."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An output as it was when it was made. Sizes in bytes, times on the file's clock."""

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

    def __init__(self, out: Path, *, shard: str = "") -> None:
        """`shard`, such as "2-of-8", has a journal of its own.

        Raises:
            JournalBusy: another run has it.
            OSError: the folder cannot be written.
        """
        self._out = out
        folder = out / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        name = f"journal{shard and '-'}{shard}"
        self._lock = (folder / f"{name}.lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._lock.close()
            raise JournalBusy(f"another run writes to {out}: wait for it, or choose another --out") from error
        self._db = sqlite3.connect(folder / f"{name}.sqlite")
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + _TABLES)
        self._entries = {entry.path: entry for entry in self.entries()}
        self._failures = {row[0]: row[1:] for row in self._db.execute("SELECT * FROM failures")}
        if not shard and not any(folder.glob("journal-*.lock")):  # shards may be writing here
            _sweep(out)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Let it go; safe to call twice."""
        self._db.close()
        self._lock.close()

    def entries(self) -> Iterator[Entry]:
        """Every output that is known."""
        return (Entry(*row) for row in self._db.execute("SELECT * FROM outputs ORDER BY path"))

    def is_made(self, output: Path, source: Path, recipe: str) -> bool:
        """Whether an output is there as it was made, of this input by this recipe. Hashes only what looks touched."""
        entry = self._entries.get(self._key(output))
        if entry is None or entry.recipe != recipe:
            return False
        try:
            now, then = output.stat(), source.stat()
            is_same_input = (then.st_size, then.st_mtime_ns) == (entry.input_size, entry.input_mtime_ns)
            if not is_same_input and (then.st_size != entry.input_size or digest_of(source) != entry.input_digest):
                return False
            is_untouched = (now.st_size, now.st_mtime_ns) == (entry.size, entry.mtime_ns)
            return is_untouched or (now.st_size == entry.size and digest_of(output) == entry.digest)
        except OSError:
            return False

    def failure(self, source: Path, recipe: str) -> str | None:
        """Why this very input failed with this recipe before; None where it did not."""
        size, mtime_ns, failed_recipe, error = self._failures.get(str(source), (None, None, None, None))
        try:
            now = source.stat()
        except OSError:
            return None
        return error if (size, mtime_ns, failed_recipe) == (now.st_size, now.st_mtime_ns, recipe) else None

    def note_made(self, outputs: Sequence[tuple[Path, str]], source: Path, input_digest: str) -> None:
        """Outputs with their recipes, on the disk, of an input with this digest."""
        then = source.stat()
        with self._db:
            for path, recipe in outputs:
                now = path.stat()
                entry = Entry(self._key(path), str(source), then.st_size, then.st_mtime_ns, input_digest, recipe,
                              now.st_size, now.st_mtime_ns, digest_of(path))  # fmt: skip
                self._put(entry)
            self._db.execute("DELETE FROM failures WHERE input = ?", (str(source),))
        self._failures.pop(str(source), None)

    def note_failed(self, source: Path, recipe: str, error: str) -> None:
        """An input that cannot be worked on."""
        with contextlib.suppress(OSError), self._db:
            now = source.stat()
            row = (str(source), now.st_size, now.st_mtime_ns, recipe, error)
            self._db.execute("INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?)", row)

    def merge(self) -> int:
        """Take over the journals of the shards, which are removed; how many outputs they knew.

        Raises:
            JournalBusy: one of them is in use.
        """
        n_taken = 0
        for path in sorted((self._out / FOLDER).glob("journal-*.sqlite")):
            with Journal(self._out, shard=path.stem.removeprefix("journal-")) as shard, self._db:
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
            path = self._out / entry.path
            try:
                if path.stat().st_size != entry.size or digest_of(path) != entry.digest:
                    yield entry.path, "has changed since it was made"
            except OSError as error:
                yield entry.path, (error.strerror or str(error)).lower()

    def _put(self, entry: Entry) -> None:
        values = [getattr(entry, name) for name in Entry.__slots__]
        self._db.execute("INSERT OR REPLACE INTO outputs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
        self._entries[entry.path] = entry

    def _key(self, output: Path) -> str:
        return os.fspath(output.relative_to(self._out))


def digest_of(path: Path) -> str:
    """SHA-256 of a file, hex. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _sweep(out: Path) -> None:
    """Remove what a killed run has left half-written: nobody else writes here now."""
    for left in out.rglob(".camera_nano-*.tmp"):
        left.unlink(missing_ok=True)
