"""What has been made in an output folder, from which input and by which recipe: an SQLite file beside the pictures.

A run asks the journal what is left to do, and notes in it what is done once that is on the disk. A run that is killed
may have made photos that are not noted yet; the next run makes them once more. One process at a time may write to it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Literal, NamedTuple, Self

from camera_nano.atomic import sweep
from camera_nano.batch.plan import Claims
from camera_nano.batch.storage import LOCAL, Files
from camera_nano.batch.tables import Entry, Failure, Tables
from camera_nano.errors import JournalBusy

FOLDER = ".camera_nano"


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
        with contextlib.ExitStack() as closing:  # closes what is open where the rest fails
            own, lock = folder / f"{name}.sqlite", folder / f"{name}.lock"
            path = own
            if read_only:
                if lock.exists():
                    _lock(closing.enter_context(lock.open("rb")), out, fcntl.LOCK_SH)
                path = _copy_of(own, Path(closing.enter_context(tempfile.TemporaryDirectory(prefix="camera_nano-"))))
            else:
                folder.mkdir(parents=True, exist_ok=True)
                _lock(closing.enter_context(lock.open("ab")), out, fcntl.LOCK_EX)
                if not shard and not any(folder.glob("journal-*.lock")):  # shards may be writing here
                    sweep(out, deep=True)  # first, as it makes room
            # what was merged before is known to shards, too
            is_new_part = shard and not read_only and (folder / "journal.sqlite").exists()
            self._merged = closing.enter_context(Journal(out, read_only=True)) if is_new_part else None
            self._tables = closing.enter_context(contextlib.closing(Tables(path, own)))
            self._tables.prepare(self._digest_of)
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
        return self._tables.entries()

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
        if (failure := self._tables.failure(_failed(source, of))) is None:
            return None
        try:
            is_same = (*self._files.stamp(source), recipe) == (failure.size, failure.mtime_ns, failure.recipe)
        except OSError:
            return None
        return failure.error if is_same else None

    def note_made(
        self, outputs: Sequence[Made], source: str | Path, stamp: tuple[int, int], input_digest: str, of: str = ""
    ) -> None:
        """Note outputs, written from an input of this stamp and digest. Raises OSError where the disk is full."""
        source = os.fspath(source)
        entries = [
            Entry(
                self._key(made.path), _whole(source), *stamp, input_digest, made.recipe, *made.stamp, made.digest
            )
            for made in outputs
        ]  # fmt: skip
        self._tables.note_made(entries, _failed(source, of))

    def note_failed(self, source: str | Path, recipe: str, error: str, of: str = "") -> None:
        """Note an input that cannot be worked on. Raises OSError where the disk is full."""
        source = os.fspath(source)
        try:
            now = self._files.stamp(source)
        except OSError:
            return  # the input has gone
        self._tables.note_failed(Failure(_failed(source, of), *now, recipe, error))

    def recall(self, source: str | Path, kind: str, stamp: tuple[int, int]) -> bytes | None:
        """What was remembered of an input with this stamp."""
        return self._tables.recall(os.fspath(source), kind, stamp)

    def remember(self, kind: str, stamps: Mapping[str, tuple[int, int]], values: Mapping[str, bytes]) -> None:
        """Keep what was found out of inputs with these stamps, so that the next run need not read them again.

        Where the disk is full they are not kept: the run will say so when it writes a picture.
        """
        with contextlib.suppress(OSError):
            self._tables.remember(kind, ((source, stamps[source], value) for source, value in values.items()))

    def merge(self) -> int:
        """Move all entries of the shards' journals into this one; returns how many outputs that were.

        Raises:
            JournalBusy: a shard is still running.
        """
        n_taken = 0
        for path in sorted((self._out / FOLDER).glob("journal-*.sqlite")):
            name = path.stem.removeprefix("journal-")
            with Journal(self._out, shard=name, read_only=True) as shard:
                n_taken += self._tables.take_over(shard._tables)
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

    def _entry_of(self, output: str | Path) -> Entry | None:
        if (entry := self._tables.entry(self._key(output))) is None and self._merged is not None:
            return self._merged._entry_of(output)
        return entry

    def _digest_of(self, entry: Entry) -> str | None:
        """The digest of an output that is still as it was made, by its stamp."""
        path = os.fspath(self._root / entry.path)
        with contextlib.suppress(OSError):
            if self._files.stamp(path) == (entry.size, entry.mtime_ns):
                return self._files.digest(path)
        return None

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

    def _key(self, output: str | Path) -> str:
        return os.fspath(PurePosixPath(output).relative_to(self._root))


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
