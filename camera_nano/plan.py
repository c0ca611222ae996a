"""Which photos of which folders become which files: decided before anything is opened or written."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Generic, TypeVar

from camera_nano.encode import EXTENSION_OF_FORMAT, FORMAT_OF_EXTENSION
from camera_nano.values import Look

log = logging.getLogger(__name__)

# what a folder is walked for; a file that is named is taken whatever it is called
_READ_ONLY = ".jxl .heif .hif .dng .cr2 .cr3 .nef .nrw .arw .orf .rw2 .raf .pef .srw .exr .hdr"
_EXTENSIONS = frozenset((*FORMAT_OF_EXTENSION, *_READ_ONLY.split()))


Place = TypeVar("Place", Path, str)  # on this machine, or at a URL


@dataclass(frozen=True)  # no slots: a generic class made through its alias has none before Python 3.12
class JobAt(Generic[Place]):
    """One photo and the file to write for each look, in the order of the looks."""

    input: Place
    outputs: tuple[Place, ...]


Job = JobAt[Path]


def plan(inputs: Sequence[Path], out: Path, looks: Sequence[Look], format: str) -> list[Job]:
    """The jobs of a run, in the order of the inputs; nothing is opened or written.

    A folder is walked to its leaves and mirrored in `out`, by name; dot files, other extensions, pipes and links to
    folders are passed over. A file is taken whatever it is called and goes to the top of `out`. `format` "auto"
    keeps the input's extension (.jpg for one that cannot be written).

    Raises:
        ValueError: an input is missing, `out` is an input or inside one, two photos would be written to one file,
            or a photo would be overwritten.
    """
    jobs: list[Job] = []
    origin: dict[Path, Path] = {}  # which photo an output is made of
    for photo, folder in _photos(inputs, out):
        outputs = tuple(out / name for name in outputs_of(folder / photo.name, looks, format))
        if all(path in origin and origin[path].samefile(photo) for path in outputs):
            continue  # named twice
        for path in outputs:
            if path in origin:
                raise ValueError(f"{origin[path]} and {photo} would both become {path}: rename one, or run them apart")
            origin[path] = photo
        jobs.append(Job(photo, outputs))
    photos = {photo.resolve() for photo in origin.values()}
    for path in origin:
        if path.resolve() in photos:
            raise ValueError(f"{path} is an input and would be overwritten: choose another --out")
    return jobs


def outputs_of(name: PurePath, looks: Sequence[Look], format: str) -> list[PurePath]:
    """The files of a photo: beside where its name is, one for each look."""
    extension = name.suffix.lower() if format == "auto" else EXTENSION_OF_FORMAT[format]
    if extension not in FORMAT_OF_EXTENSION:
        extension = ".jpg"
    return [name.with_name(f"{name.stem}_{look.name}{extension}") for look in looks]


def is_photo(name: PurePath) -> bool:
    """Whether a folder is walked for a file of this name: no dot file, and called as a picture."""
    return not name.name.startswith(".") and name.suffix.lower() in _EXTENSIONS


def _photos(inputs: Iterable[Path], out: Path) -> Iterator[tuple[Path, Path]]:
    """Each photo with the folder it goes to, relative to `out`."""
    target = out.resolve()
    for given in inputs:
        if not given.exists():
            raise ValueError(f"{given}: there is no such file or folder; check the path")
        if target == given.resolve():
            raise ValueError(f"{out} is the input itself: originals are never overwritten, choose another --out")
        if not given.is_dir():
            yield given, Path()
            continue
        if target.is_relative_to(given.resolve()):
            raise ValueError(f"{out} is inside the input {given}: results would become inputs, choose another --out")
        yield from ((photo, photo.parent.relative_to(given)) for photo in _walk(given))


def _walk(root: Path) -> Iterator[Path]:
    def tell(error: OSError) -> None:
        log.warning("%s cannot be read (%s): passed over", error.filename, error.strerror)

    for folder, subfolders, names in os.walk(root, onerror=tell):  # links to folders are not followed: no loops
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(names):
            photo = Path(folder, name)
            # is_file is false for pipes and sockets, which would block, and for broken links
            if is_photo(photo) and photo.is_file():
                yield photo


def shard(jobs: Sequence[Job], which: tuple[int, int] | None, out: Path) -> list[Job]:
    """The jobs of shard i of n, from 1, by a hash of where they go: the same on every machine. All of them for None."""
    if which is None:
        return list(jobs)
    number, n_shards = which

    def place(job: Job) -> int:
        key = os.fsencode(job.outputs[0].relative_to(out))
        return int.from_bytes(hashlib.sha256(key).digest()[:8], "big") % n_shards

    return [job for job in jobs if place(job) == number - 1]
