"""What has been made in an output folder, from which input and by which recipe: an SQLite file beside the pictures.

A run asks the journal what is left to do, and notes in it what is done once that is on the disk. A run that is killed
may have made photos that are not noted yet; the next run makes them once more. One process at a time may write to it.
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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO, Literal, NamedTuple, Protocol, Self

from camera_nano.atomic import sweep, write_atomically
from camera_nano.batch.plan import Claims
from camera_nano.errors import JournalBusy, JournalError

FOLDER = ".camera_nano"
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
_NEEDED = {
    "path",
    "input",
    "size",
    "mtime_ns",
}  # without the rest, which an older journal may lack, photos are made again
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_LITTLE_BYTES = 1 << 16  # a disk with less left counts as full: SQLite does not always say why it could not write


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


@dataclass(frozen=True, slots=True)
class Made:
    """An output that has just been written."""

    path: str
    recipe: str  # `Labels.key`
    digest: str  # SHA-256, hex
    stamp: tuple[int, int]  # as in `Files.stamp`


class Found(NamedTuple):
    """What is at the place of an output.

    made: it, as it was made from this input by this recipe. free: nothing. own: it, of another recipe or input.
    changed: it, but somebody has changed it since. unknown: a file that the journal does not know like this.
    """

    status: Literal["made", "free", "own", "changed", "unknown"]
    digest: str = ""  # of an own one, as noted
    is_shorter: bool = False  # a changed one, than it was when it was made


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


class Journal(Claims):
    """The journal of an output folder, open and locked until `close`. Only the thread that opened it may use it."""

    def __init__(
        self,
        out: Path,
        *,
        shard: str = "",
        read_only: bool = False,
        root: str | None = None,
        files: Files = LOCAL,
    ) -> None:
        """Open the journal in the folder `out`; one that is `read_only` changes nothing there, and may be empty.

        Each `shard`, such as "2-of-8", has its own. `root` is where the outputs are, if not in `out`.

        A journal of an earlier version is brought up to date.

        Raises:
            JournalBusy: another run writes to it, or another program has it open.
            JournalError: it is damaged, of a newer version or of another program.
            OSError: the folder cannot be written to, or the disk is full.
        """
        self._out, self._root, self._files = out, PurePosixPath(root or os.fspath(out)), files
        folder = out / FOLDER
        name = f"journal{shard and '-'}{shard}"
        self._path = folder / f"{name}.sqlite"
        with contextlib.ExitStack() as closing:  # closes what is open where the rest fails
            path, lock = self._path, folder / f"{name}.lock"
            if read_only:
                if lock.exists():
                    _lock(closing.enter_context(lock.open("rb")), out, fcntl.LOCK_SH)
                path = _copy_of(path, Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="camera_nano-"))))
            else:
                folder.mkdir(parents=True, exist_ok=True)
                _lock(closing.enter_context(lock.open("ab")), out, fcntl.LOCK_EX)
                if not shard and not any(folder.glob("journal-*.lock")):  # shards may be writing here
                    sweep(out, deep=True)  # first, as it makes room
            # what was merged before is known to shards, too
            is_new_part = shard and not read_only and (folder / "journal.sqlite").exists()
            self._merged = closing.enter_context(Journal(out, read_only=True)) if is_new_part else None
            with self._explained():
                self._db = closing.enter_context(contextlib.closing(sqlite3.connect(path)))
                self._prepare()
            self._closing = closing.pop_all()

    @staticmethod
    def exists(out: Path) -> bool:
        """Whether a folder has a journal, or that of a shard."""
        return any((out / FOLDER).glob("journal*.sqlite"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """Close and unlock it; safe to call twice."""
        self._closing.close()

    def entries(self) -> Iterator[Entry]:
        """Every output that was noted, by path."""
        with self._explained():
            yield from map(_entry, self._db.execute(f"SELECT {_COLUMNS} FROM outputs ORDER BY path"))

    def look_at(self, output: str | Path, source: str | Path, recipe: str) -> Found:
        """What is at the place of an output that is to be made from this input by this recipe.

        A file is hashed only where its stamp has changed but its size has not.
        """
        output = os.fspath(output)
        try:
            now = self._files.stamp(output)
        except OSError:
            return Found("free")
        if (entry := self._entry_of(output)) is None:
            return Found("unknown")
        is_asked = entry.recipe == recipe and self._is_of(entry, os.fspath(source))
        if now == (entry.size, entry.mtime_ns) or (now[0] == entry.size and self._has(output, entry.digest)):
            return Found("made" if is_asked else "own", entry.digest)
        return Found("changed", is_shorter=now[0] < entry.size) if is_asked else Found("unknown")

    def failure(self, source: str | Path, recipe: str, of: str = "") -> str | None:
        """Why the input, unchanged since, failed with this recipe before; None where it did not. `of` as in `JobAt`."""
        source = os.fspath(source)
        if (row := self._find("SELECT * FROM failures WHERE input = ?", _failed(source, of))) is None:
            return None
        _, size, mtime_ns, failed_recipe, error = row
        try:
            is_same = (*self._files.stamp(source), recipe) == (size, mtime_ns, failed_recipe)
        except OSError:
            return None
        return os.fsdecode(error) if is_same else None

    def note_made(
        self, outputs: Sequence[Made], source: str | Path, stamp: tuple[int, int], input_digest: str, of: str = ""
    ) -> None:
        """Note outputs, written from an input of this stamp and digest. Raises OSError where the disk is full."""
        source = os.fspath(source)
        with self._explained(), self._db:
            for made in outputs:
                key = self._key(made.path)
                self._put(Entry(key, _whole(source), *stamp, input_digest, made.recipe, *made.stamp, made.digest))
            self._db.execute("DELETE FROM failures WHERE input = ?", (os.fsencode(_failed(source, of)),))

    def note_failed(self, source: str | Path, recipe: str, error: str, of: str = "") -> None:
        """Note an input that cannot be worked on. Raises OSError where the disk is full."""
        source = os.fspath(source)
        try:
            now = self._files.stamp(source)
        except OSError:
            return  # the input has gone
        with self._explained(), self._db:
            row = (os.fsencode(_failed(source, of)), *now, recipe, os.fsencode(error))
            self._db.execute("INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?)", row)

    def recall(self, source: str | Path, kind: str, stamp: tuple[int, int]) -> bytes | None:
        """What was remembered of an input with this stamp."""
        with self._explained():
            query = "SELECT value FROM seen WHERE input = ? AND kind = ? AND size = ? AND mtime_ns = ?"
            row = self._db.execute(query, (os.fsencode(source), kind, *stamp)).fetchone()
        return None if row is None else bytes(row[0])

    def remember(self, kind: str, stamps: Mapping[str, tuple[int, int]], values: Mapping[str, bytes]) -> None:
        """Keep what was found out of inputs with these stamps, so that the next run need not read them again.

        Where the disk is full they are not kept: the run will say so when it writes a picture.
        """
        rows = [(os.fsencode(source), kind, *stamps[source], value) for source, value in values.items()]
        with contextlib.suppress(OSError), self._explained(), self._db:
            self._db.executemany("INSERT OR REPLACE INTO seen VALUES (?, ?, ?, ?, ?)", rows)

    def merge(self) -> int:
        """Move all entries of the shards' journals into this one; returns how many outputs that were.

        Raises:
            JournalBusy: a shard is still running.
        """
        n_taken = 0
        for path in sorted((self._out / FOLDER).glob("journal-*.sqlite")):
            name = path.stem.removeprefix("journal-")
            with Journal(self._out, shard=name, read_only=True) as shard, self._explained(), self._db:
                for entry in shard.entries():
                    self._put(entry)
                    n_taken += 1
                failures = shard._db.execute("SELECT * FROM failures")
                self._db.executemany("INSERT OR REPLACE INTO failures VALUES (?, ?, ?, ?, ?)", failures)
            for left in path.parent.glob(f"{path.stem}.*"):
                left.unlink()
        sweep(self._out, deep=True)
        return n_taken

    def verify(self) -> Iterator[tuple[str, str]]:
        """Outputs that are not as they were made, each with what is wrong with it. Reads every byte."""
        for entry in self.entries():
            path = os.fspath(self._out / entry.path)
            try:
                if self._files.stamp(path)[0] != entry.size or self._files.digest(path) != entry.digest:
                    yield entry.path, "has changed since it was made"
            except OSError as error:
                yield entry.path, (error.strerror or str(error)).lower()

    def claim(self, output: str | Path, source: str | Path) -> int:
        """Whether an output is noted as of this photo: 0 yes, 1 of its copy elsewhere, 2 not noted, 3 of another."""
        if (entry := self._entry_of(output)) is None:
            return 2
        if _whole(entry.input) == _whole(source):
            return 0
        return 1 if self._is_of(entry, os.fspath(source)) else 3

    def source_of(self, output: str | Path) -> str | None:
        """The photo that an output is noted as made of; None for one that is not noted."""
        return None if (entry := self._entry_of(output)) is None else entry.input

    def _prepare(self) -> None:
        """Make the tables, or bring those of an earlier version up to date."""
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
                self._update(missing)
            self._db.execute(f"PRAGMA application_id = {_APPLICATION}")
            self._db.execute(f"PRAGMA user_version = {_SCHEMA}")

    def _update(self, missing: set[str]) -> None:
        """Add the columns that an older journal lacks; names were text once."""
        for name in missing:
            self._db.execute(f"ALTER TABLE outputs ADD COLUMN {name} NOT NULL DEFAULT ''")
        self._db.execute("UPDATE outputs SET path = CAST(path AS BLOB), input = CAST(input AS BLOB)")
        self._db.execute("DROP TABLE failures")  # they are tried once more
        self._db.executescript(_TABLES)
        if "digest" in missing:
            for entry in list(map(_entry, self._db.execute(f"SELECT {_COLUMNS} FROM outputs"))):
                path = os.fspath(self._root / entry.path)
                with contextlib.suppress(OSError):
                    if self._files.stamp(path) == (entry.size, entry.mtime_ns):
                        self._put(replace(entry, digest=self._files.digest(path)))

    def _entry_of(self, output: str | Path) -> Entry | None:
        row = self._find(f"SELECT {_COLUMNS} FROM outputs WHERE path = ?", self._key(output))
        if row is None:
            return None if self._merged is None else self._merged._entry_of(output)
        return _entry(row)

    def _is_of(self, entry: Entry, source: str) -> bool:
        """Whether an output was made from this input, as it is now."""
        try:
            now = self._files.stamp(source)
        except OSError:
            return False
        was = entry.input_size, entry.input_mtime_ns
        return now == was or (now[0] == was[0] and self._has(source, entry.input_digest))

    def _has(self, name: str, digest: str) -> bool:
        try:
            return self._files.digest(name) == digest
        except OSError:
            return False

    def _find(self, query: str, name: str) -> Any:
        with self._explained():
            return self._db.execute(query, (os.fsencode(name),)).fetchone()

    def _put(self, entry: Entry) -> None:
        path, source, *others = (getattr(entry, name) for name in Entry.__slots__)
        row = [os.fsencode(path), os.fsencode(source), *others]  # names may be of any bytes: SQLite takes no such text
        self._db.execute(f"INSERT OR REPLACE INTO outputs ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)

    def _key(self, output: str | Path) -> str:
        return os.fspath(PurePosixPath(output).relative_to(self._root))

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


def _failed(source: str, of: str) -> str:
    """The name of a failure: a photo may be readable by itself, and not fit those it was to be merged with."""
    return f"{source}\0{of}" if of else source


def _whole(source: str | Path) -> str:
    """The path of a photo from any folder; a URL stays."""
    return text if "://" in (text := os.fspath(source)) else os.fspath(Path(text).absolute())


def _copy_of(database: Path, folder: Path) -> Path:
    """A copy of an SQLite database in a folder: even who only reads such a database writes beside it."""
    for part in database.parent.glob(f"{database.name}*"):
        shutil.copy(part, folder)
    return folder / database.name


def _lock(file: BinaryIO, out: Path, kind: int) -> None:
    """Lock until the file is closed: exclusively to write (LOCK_EX), or with other readers (LOCK_SH)."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise JournalBusy(f"another run writes to {out}: wait for it, or choose another --out") from error
