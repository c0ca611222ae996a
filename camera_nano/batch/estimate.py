"""What a run would cost in time and space, by making a few of its photos without writing them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from camera_nano.atomic import free_bytes
from camera_nano.batch.journal import Journal
from camera_nano.batch.merging import open_photos
from camera_nano.batch.photo import Maker, looks_of
from camera_nano.batch.plan import Job
from camera_nano.batch.run import RunPolicy, Task, remaining
from camera_nano.console import span

_SAMPLES = 4


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is left to do, and what it costs; time and space are None where no sample could be made."""

    todo: tuple[Job, ...]
    n_photos: int
    n_files: int  # to write
    n_failed_before: int
    n_kept: int  # outputs that others have changed
    free_bytes: int
    took_s: float | None = None
    written_bytes: int | None = None

    def __str__(self) -> str:
        n_merged = sum(bool(job.others) for job in self.todo)
        text = f"{len(self.todo) - n_merged} of {self.n_photos} photos would be read, {self.n_files} files written"
        if n_merged:
            text += f"; {n_merged} of the pictures would be merged from several photos"
        if self.n_failed_before:
            text += f"; {self.n_failed_before} failed before and would not be tried again"
        if self.n_kept:
            text += f"; {self.n_kept} have been changed since, and would be left alone"
        if self.took_s is None or self.written_bytes is None:
            return text
        text += f": about {span(self.took_s)} and {_size(self.written_bytes)}; {_size(self.free_bytes)} are free"
        return text + (", not enough" if self.written_bytes > self.free_bytes else "")


def estimate(
    jobs: Sequence[Job], out: Path, maker: Maker, journal: Journal, *, threads: int = 2, policy: RunPolicy = RunPolicy()
) -> Estimate:
    """Look at every job, and make a few. Time is taken to grow with the number of photos, space with their bytes."""
    todo: list[Task] = []
    keys, n_failed_before, n_kept = maker.keys, 0, 0
    for job in jobs:
        rest = remaining(job, keys, journal, policy)
        if rest.missing and rest.error_before is None:
            todo.append((job, rest.missing))
        n_failed_before += rest.error_before is not None
        n_kept += len(rest.kept)
    left = tuple(job for job, _ in todo)
    n_files = sum(len(missing) for _, missing in todo)
    n_photos = sum(not job.others for job in jobs)
    found = Estimate(left, n_photos, n_files, n_failed_before, n_kept, free_bytes(out.absolute()))
    samples = todo[:: max(1, len(todo) // _SAMPLES)][:_SAMPLES]
    started_s = time.perf_counter()
    read, written = _sample_bytes(samples, maker)
    if not read:
        return found
    per_photo_s = (time.perf_counter() - started_s) / len(samples)
    total = sum(_input_bytes(job) for job in left)
    return replace(found, took_s=per_photo_s * len(todo) / threads, written_bytes=round(written / read * total))


def _sample_bytes(samples: Sequence[Task], maker: Maker) -> tuple[int, int]:
    """The bytes of the photos that could be made, and of their looks."""
    read = written = 0
    for job, missing in samples:
        try:
            opened = open_photos(job.photos, maker.decoder)
            wanted = [(job.outputs[number].name, opened.recipe(maker.recipes[number])) for number in missing]
            made = looks_of(
                opened.picture, opened.origin, wanted, maker.editor, labels=maker.labels, decoder=maker.decoder
            )
            files = list(made)
        except (OSError, ValueError, MemoryError):
            continue  # the run will say what is wrong with it
        read += _input_bytes(job)
        written += sum(len(file.data) for file in files)
    return read, written


def _input_bytes(job: Job) -> int:
    try:
        return sum(photo.stat().st_size for photo in job.photos)
    except OSError:
        return 0


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.1f} MB"
