"""What a run would cost in time and space, from doing a few of its photos without writing them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from camera_nano.batch import remaining
from camera_nano.isolated import Decoder
from camera_nano.journal import Journal
from camera_nano.photo import Labels, looks_of
from camera_nano.plan import Job
from camera_nano.progress import span
from camera_nano.recipe import Recipe
from camera_nano.values import Editor

_SAMPLES = 4


@dataclass(frozen=True, slots=True)
class Estimate:
    """Counts, and what is left to do; time and space are None where no sample could be done."""

    todo: tuple[Job, ...]
    n_photos: int
    n_files: int  # to write
    n_failed_before: int
    free_bytes: int
    took_s: float | None = None
    written_bytes: int | None = None

    def __str__(self) -> str:
        text = f"{len(self.todo)} of {self.n_photos} photos would be read, {self.n_files} files written"
        if self.n_failed_before:
            text += f"; {self.n_failed_before} failed before and would not be tried again"
        if self.took_s is None or self.written_bytes is None:
            return text
        text += f": about {span(self.took_s)} and {_size(self.written_bytes)}; {_size(self.free_bytes)} are free"
        return text + (", not enough" if self.written_bytes > self.free_bytes else "")


def estimate(
    jobs: Sequence[Job],
    out: Path,
    editor: Editor,
    recipes: Sequence[Recipe],
    journal: Journal,
    *,
    threads: int = 2,
    force: bool = False,
    retry_failed: bool = False,
    labels: Labels = Labels(),
) -> Estimate:
    """Look at every job, and do a few in memory. Time goes with the number of photos, space with their bytes."""
    todo: list[tuple[Job, list[int]]] = []
    keys = [labels.key(recipe) for recipe in recipes]
    n_failed_before = 0
    for job in jobs:
        missing, failed = remaining(job, keys, journal, force=force, retry_failed=retry_failed)
        if missing and failed is None:
            todo.append((job, missing))
        n_failed_before += failed is not None
    n_files = sum(len(missing) for _, missing in todo)
    left = tuple(job for job, _ in todo)
    started_s, read, written = time.perf_counter(), 0, 0
    with Decoder() as decoder:
        for job, missing in todo[:: max(1, len(todo) // _SAMPLES)][:_SAMPLES]:
            wanted = [(job.outputs[number].name, recipes[number]) for number in missing]
            try:
                files = list(looks_of(decoder.open(job.input), job.input, wanted, editor, labels=labels))
            except (OSError, ValueError, MemoryError):
                continue  # the run will say what is wrong with it
            read += job.input.stat().st_size
            written += sum(len(data) for data, _ in files)
    found = Estimate(left, len(jobs), n_files, n_failed_before, _free_bytes(out))
    if not read:
        return found
    per_photo_s = (time.perf_counter() - started_s) / min(_SAMPLES, len(todo))
    total = sum(map(_bytes, (job.input for job in left)))
    return replace(found, took_s=per_photo_s * len(todo) / threads, written_bytes=round(written / read * total))


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _free_bytes(folder: Path) -> int:
    """Of the file system a folder is on, or will be."""
    there = next(parent for parent in (folder.absolute(), *folder.absolute().parents) if parent.exists())
    return shutil.disk_usage(there).free


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.1f} MB"
