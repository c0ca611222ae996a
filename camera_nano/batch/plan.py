"""Which photos become which files, decided before anything is opened or written."""

from __future__ import annotations

import functools
import hashlib
import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path, PurePath
from typing import Generic, TypeVar

from camera_nano.formats import of_name, written_suffix
from camera_nano.values import Look

log = logging.getLogger(__name__)

Place = TypeVar("Place", Path, str)  # a path of this machine, or a URL


@dataclass(frozen=True)  # no slots: a generic class made through its alias has none before Python 3.12
class JobAt(Generic[Place]):
    """One photo and the file to write for each look, in the order of the looks."""

    input: Place
    outputs: tuple[Place, ...]
    notes: tuple[str, ...] = ()  # for people: which outputs have another name than usual
    others: tuple[Place, ...] = ()  # photos of the same scene, to be merged with it
    of: str = ""  # a digest of what those are

    @property
    def photos(self) -> list[Place]:
        """All that the looks are made of."""
        return list(chain([self.input], self.others))

    def key(self, recipe: str) -> str:
        """By which a journal knows an output: that of its recipe, and of the photos that are merged with the first."""
        return hashlib.sha256(f"{recipe} {self.of}".encode()).hexdigest() if self.of else recipe


Job = JobAt[Path]


@dataclass(frozen=True)
class PhotoAt(Generic[Place]):
    """A photo that was found."""

    place: Place
    name: PurePath  # of its looks, before their own part is added: relative to the output folder
    root: str  # the name of the folder it was found in, the one that was given
    others: tuple[Place, ...] = ()  # where it stands for several that are merged: the other ones
    of: str = ""  # a digest of what those are


class Claims:
    """What is known of the outputs made before: here nothing, see `Journal`."""

    def claim(self, output: str | Path, source: str | Path) -> int:
        """0 or 1: made of this photo before; 2: of none; 3: of another."""
        return 2

    def source_of(self, output: str | Path) -> str | None:
        """The photo an output was made of."""
        return None


NOTHING_MADE = Claims()


def plan(inputs: Sequence[Path], out: Path, looks: Sequence[Look], format: str) -> list[Job]:
    """The jobs of a run into a new folder: `find`, then `arrange`. Raises as they do."""
    return arrange(find(inputs, out), out, looks, format)


def arrange(
    photos: Sequence[PhotoAt[Place]], out: Place, looks: Sequence[Look], format: str, claims: Claims = NOTHING_MADE
) -> list[JobAt[Place]]:
    """Photos -> the jobs of a run, in the same order; nothing is opened or written.

    `format` "auto" keeps the input's extension (.jpg for a format that is not written). Of photos whose looks would
    have one name, a raw and its JPEG or two of one name, the first keeps it: the one that had it before, or is of the
    format that is written, or comes first by its path. The others get their extension or folder, or a number, into it.

    Raises:
        ValueError: a photo would be overwritten.
    """
    wanted: list[tuple[PhotoAt[Place], tuple[Place, ...]]] = []
    takers: dict[Place, list[PhotoAt[Place]]] = {}  # the photos that would become an output
    for photo in photos:
        outputs = tuple(_join(out, name) for name in outputs_of(photo.name, looks, format))
        if any(_is_same(photo.place, other.place) for other in takers.get(outputs[0], ())):
            continue  # named twice
        wanted.append((photo, outputs))
        for output in outputs:
            takers.setdefault(output, []).append(photo)
    other_names = _other_names(takers, claims)
    jobs: list[JobAt[Place]] = []
    for photo, outputs in wanted:
        renamed = [other_names.get((output, photo.place), (output, "")) for output in outputs]
        notes = tuple(note for _, note in renamed if note)
        jobs.append(JobAt(photo.place, tuple(output for output, _ in renamed), notes, photo.others, photo.of))
    inputs = {_real(job.input) for job in jobs}
    for job in jobs:
        if overwritten := [path for path in job.outputs if _real(path) in inputs]:
            raise ValueError(f"{overwritten[0]} is an input and would be overwritten: choose another --out")
    return jobs


def _other_names(
    takers: dict[Place, list[PhotoAt[Place]]], claims: Claims
) -> dict[tuple[Place, Place], tuple[Place, str]]:
    """(output, photo) -> another name for that output, and a note that says so, where another photo has the name."""
    taken, found = set(takers), dict[tuple[Place, Place], tuple[Place, str]]()
    for output, photos in takers.items():
        ranked = sorted(photos, key=functools.partial(_rank, claims, output))
        is_free = claims.claim(output, ranked[0].place) <= 2
        holder = str(ranked[0].place) if is_free else claims.source_of(output)
        for photo in ranked[is_free:]:
            names = _candidates(output, photo, PurePath(holder or ""))
            name = next(each for each in names if each not in taken and claims.claim(each, photo.place) <= 2)
            taken.add(name)
            shown = PurePath(str(name)).name, PurePath(str(output)).name
            found[output, photo.place] = name, f"{photo.name.name}: becomes {shown[0]}, as {holder} has {shown[1]}"
    return found


def _rank(claims: Claims, output: Place, photo: PhotoAt[Place]) -> tuple[int, bool, bool, str]:
    """Sorts photos that would become one output, in the same way whatever the order they are given in."""
    name, suffix = PurePath(str(output)), photo.name.suffix.lower()
    place = photo.place.absolute() if isinstance(photo.place, Path) else photo.place
    is_other_format = of_name(photo.name) != of_name(name)
    return claims.claim(output, photo.place), is_other_format, suffix != name.suffix, str(place)


def _candidates(output: Place, photo: PhotoAt[Place], holder: PurePath) -> Iterator[Place]:
    """Its extension or folder, where the holder of the name has another, and then numbers."""
    folder, slash, name = str(output).rpartition("/")
    stem, suffix = photo.name.stem, photo.name.suffix.lower()
    tags = [suffix[1:]] if suffix not in ("", holder.suffix.lower()) else []
    tags += [photo.root] if photo.root and photo.root not in holder.parts else []
    first = f"{tags[0]}-" if tags else ""
    for tag in chain(tags, map(f"{first}{{}}".format, count(2))):
        yield type(output)(f"{folder}{slash}{stem}-{tag}{name.removeprefix(stem)}")


def _join(out: Place, name: PurePath) -> Place:
    return out / name if isinstance(out, Path) else f"{out}/{name}"


def _is_same(one: Place, other: Place) -> bool:
    return one.samefile(other) if isinstance(one, Path) else one == other


def _real(place: Place) -> Place:
    return place.resolve() if isinstance(place, Path) else place


def outputs_of(name: PurePath, looks: Sequence[Look], format: str) -> list[PurePath]:
    """The files made from a photo, one for each look: its own path with the look's name and another suffix."""
    suffix = written_suffix(name, format)
    return [name.with_name(f"{name.stem}_{look.name}{suffix}") for look in looks]


def is_photo(name: PurePath) -> bool:
    """Whether a file of this name is taken from a folder: no dot file, and with a picture's suffix."""
    return not name.name.startswith(".") and of_name(name) is not None


def find(inputs: Iterable[Path], out: Path, passed_over: Counter[str] | None = None) -> list[PhotoAt[Path]]:
    """The photos to work on, in the order of the inputs.

    A folder is walked with all its subfolders, which become subfolders of `out`; dot files, other extensions, pipes and
    links to folders are passed over, and `passed_over` counts them, by extension, but no dot files. A file that is
    named itself may have any extension, and goes to the top of `out`.

    Raises:
        ValueError: an input is missing, or `out` is an input or inside one.
    """
    photos: list[PhotoAt[Path]] = []
    target, passed_over = out.resolve(), Counter() if passed_over is None else passed_over
    for given in inputs:
        if not given.exists():
            raise ValueError(f"{given}: there is no such file or folder; check the path")
        if target == given.resolve():
            raise ValueError(f"{out} is the input itself: originals are never overwritten, choose another --out")
        if not given.is_dir():
            photos.append(PhotoAt(given, PurePath(given.name), given.absolute().parent.name))
            continue
        if target.is_relative_to(given.resolve()):
            raise ValueError(f"{out} is inside the input {given}: results would become inputs, choose another --out")
        root = given.resolve().name
        photos += (PhotoAt(photo, photo.relative_to(given), root) for photo in _walk(given, passed_over))
    return photos


def _walk(root: Path, passed_over: Counter[str]) -> Iterator[Path]:
    def tell(error: OSError) -> None:
        log.warning("%s cannot be read (%s): passed over", error.filename, error.strerror)

    for folder, subfolders, names in os.walk(root, onerror=tell):  # links to folders are not followed: no loops
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(names):
            photo = Path(folder, name)
            # is_file is false for pipes and sockets, which would block, and for broken links
            if is_photo(photo) and photo.is_file():
                yield photo
            elif not name.startswith("."):
                passed_over[kind_of(photo)] += 1


def kind_of(name: PurePath) -> str:
    """What a file that is passed over is counted as."""
    return "pipe or broken link" if is_photo(name) else name.suffix.lower() or "without extension"


def shard(jobs: Sequence[Job], which: tuple[int, int] | None, out: Path) -> list[Job]:
    """The jobs of shard `which` = (i, n), i from 1; all of them for None.

    A hash of its output's path puts a job into a shard, so every machine comes to the same shards.
    """
    if which is None:
        return list(jobs)
    number, n_shards = which

    def place(job: Job) -> int:
        key = os.fsencode(job.outputs[0].relative_to(out))
        return int.from_bytes(hashlib.sha256(key).digest()[:8], "big") % n_shards

    return [job for job in jobs if place(job) == number - 1]
