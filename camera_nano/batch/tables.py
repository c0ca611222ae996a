"""The tables of a journal, in SQLite: rows as values, errors as what they mean, older journals brought up to date."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from camera_nano.errors import JournalBusy, JournalError

_TABLES = """
CREATE TABLE IF NOT EXISTS outputs (
  path BLOB PRIMARY KEY, input BLOB NOT NULL, input_size INT NOT NULL, input_mtime_ns INT NOT NULL,
  input_digest TEXT NOT NULL, recipe TEXT NOT NULL, size INT NOT NULL, mtime_ns INT NOT NULL, digest TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS failures (
  input BLOB PRIMARY KEY, input_size INT NOT NULL, input_mtime_ns INT NOT NULL, recipe TEXT NOT NULL,
  error BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS seen (
  input BLOB NOT NULL, kind TEXT NOT NULL, size INT NOT NULL, mtime_ns INT NOT NULL, value BLOB NOT NULL,
  PRIMARY KEY (input, kind));
"""
_APPLICATION, _SCHEMA = 0x63616D6E, 1  # SQLite's application_id ("camn") and user_version of a journal
# without the rest, which an older journal may lack, photos are made again
_NEEDED = {"path", "input", "size", "mtime_ns"}
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_LITTLE_BYTES = 1 << 16  # a disk with less left counts as full: SQLite does not always say why it could not write


@dataclass(frozen=True, slots=True)
class Entry:
    """An output and its input as they were when it was made. Each size and time is a stamp, as in `Files.stamp`."""

    path: str  # relative to the output folder
    input: str
    input_size: int
    input_mtime_ns: int
    input_digest: str
    recipe: str
    size: int
    mtime_ns: int
    digest: str


_COLUMNS = ", ".join(Entry.__slots__)


class Failure(NamedTuple):
    """An input that could not be worked on, with its stamp at that time."""

    input: str
    size: int
    mtime_ns: int
    recipe: str
    error: str


class Tables:
    """The tables of one journal, open until `close`.

    Every method raises JournalBusy where another program has them open, JournalError where they cannot be used, and
    OSError where the disk is full.
    """

    def __init__(self, database: Path, journal: Path) -> None:
        """Open a database; errors name it as `journal`, which it may be a copy of."""
        self._path = journal
        with self._explained():
            self._db = sqlite3.connect(database)

    def close(self) -> None:
        """Close the database; safe to call twice."""
        self._db.close()

    def prepare(self, digest_of: Callable[[Entry], str | None]) -> None:
        """Make the tables, or bring those of an earlier version up to date.

        `digest_of` is asked for the digests that were not noted then; None where the output has changed since.
        """
        with self._explained():
            self._prepare(digest_of)

    def entries(self) -> Iterator[Entry]:
        """Every output, by path."""
        with self._explained():
            yield from map(_entry, self._db.execute(f"SELECT {_COLUMNS} FROM outputs ORDER BY path"))

    def entry(self, path: str) -> Entry | None:
        """The output of this path."""
        row = self._find(f"SELECT {_COLUMNS} FROM outputs WHERE path = ?", os.fsencode(path))
        return None if row is None else _entry(row)

    def failure(self, source: str) -> Failure | None:
        """How an input failed."""
        row = self._find("SELECT * FROM failures WHERE input = ?", os.fsencode(source))
        if row is None:
            return None
        name, size, mtime_ns, recipe, error = row
        return Failure(os.fsdecode(name), size, mtime_ns, recipe, os.fsdecode(error))

    def note_made(self, entries: Iterable[Entry], source: str) -> None:
        """Note outputs of an input, which then has not failed."""
        with self._explained(), self._db:
            self._put(entries)
            self._db.execute("DELETE FROM failures WHERE input = ?", (os.fsencode(source),))

    def note_failed(self, failure: Failure) -> None:
        """Note a failure in place of the last one of its input."""
        row = (os.fsencode(failure.input), *failure[1:4], os.fsencode(failure.error))
        with self._explained(), self._db:
            self._db.execute("INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?)", row)

    def take_over(self, other: Tables) -> int:
        """Note all that others have noted; returns how many outputs that were."""
        with self._explained(), self._db:
            entries = list(other.entries())
            self._put(entries)
            failures = other._db.execute("SELECT * FROM failures")
            self._db.executemany("INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?)", failures)
        return len(entries)

    def recall(self, source: str, kind: str, stamp: tuple[int, int]) -> bytes | None:
        """What was seen of an input with this stamp."""
        query = "SELECT value FROM seen WHERE input = ? AND kind = ? AND size = ? AND mtime_ns = ?"
        row = self._find(query, os.fsencode(source), kind, *stamp)
        return None if row is None else bytes(row[0])

    def remember(self, kind: str, seen: Iterable[tuple[str, tuple[int, int], bytes]]) -> None:
        """Keep what was seen of inputs, each with its stamp."""
        rows = [(os.fsencode(source), kind, *stamp, value) for source, stamp, value in seen]
        with self._explained(), self._db:
            self._db.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?, ?)", rows)

    def _prepare(self, digest_of: Callable[[Entry], str | None]) -> None:
        [application], [version] = (
            self._db.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")
        )
        if version > _SCHEMA and application == _APPLICATION:
            raise JournalError(f"{self._path} is of a newer camera_nano: update this one, or choose another --out")
        tables = {name for [name] in self._db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        has = {row[1] for row in self._db.execute("PRAGMA table_info(outputs)")}
        if application not in (0, _APPLICATION) or (tables and not has >= _NEEDED):
            raise JournalError(f"{self._path} is of another program: move it away, or choose another --out")
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;" + _TABLES)
        missing = {name for name in Entry.__slots__ if has and name not in has}
        if (application, version) == (_APPLICATION, _SCHEMA) and not missing:
            return
        with self._db:
            if has:
                self._update(missing, digest_of)
            self._db.execute(f"PRAGMA application_id = {_APPLICATION}")
            self._db.execute(f"PRAGMA user_version = {_SCHEMA}")

    def _update(self, missing: set[str], digest_of: Callable[[Entry], str | None]) -> None:
        """Add the columns that an older journal lacks; names were text once."""
        for name in missing:
            self._db.execute(f"ALTER TABLE outputs ADD COLUMN {name} NOT NULL DEFAULT ''")
        self._db.execute("UPDATE outputs SET path = CAST(path AS BLOB), input = CAST(input AS BLOB)")
        self._db.execute("DROP TABLE failures")  # they are tried once more
        self._db.executescript(_TABLES)
        if "digest" in missing:
            old = list(map(_entry, self._db.execute(f"SELECT {_COLUMNS} FROM outputs")))
            self._put(replace(entry, digest=digest) for entry in old if (digest := digest_of(entry)) is not None)

    def _find(self, query: str, *values: Any) -> Any:
        with self._explained():
            return self._db.execute(query, values).fetchone()

    def _put(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            path, source, *others = (getattr(entry, name) for name in Entry.__slots__)
            row = [
                os.fsencode(path),
                os.fsencode(source),
                *others,
            ]  # names may be of any bytes: SQLite takes no such text
            self._db.execute(f"INSERT OR REPLACE INTO outputs ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """SQLite's errors, raised as what they mean here."""
        try:
            yield
        except sqlite3.Error as error:
            is_full = getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL
            if is_full or shutil.disk_usage(self._path.parent).free < _LITTLE_BYTES:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self._path)) from error
            if getattr(error, "sqlite_errorcode", 0) & 0xFF in _BUSY:
                raise JournalBusy(f"another program has {self._path} open: close that, and start again") from error
            way_out = "move it away, and photos are made again; what is there is compared, and kept where it differs"
            raise JournalError(f"the journal {self._path} cannot be used ({error}): {way_out}") from error


def _entry(row: Sequence[Any]) -> Entry:
    return Entry(os.fsdecode(row[0]), os.fsdecode(row[1]), *row[2:])
