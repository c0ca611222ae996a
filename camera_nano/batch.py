"""Folders of photos through the same looks: plan first, then run; what is done already is left alone."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from camera_nano.decode import UnreadableImage, is_whole, open_image, size_wh
from camera_nano.encode import FORMAT_OF_EXTENSION, format_of, save
from camera_nano.enhance import enhance_frame
from camera_nano.values import Editor, Look

log = logging.getLogger(__name__)

_EXTENSION_OF_FORMAT = {"jpeg": ".jpg", "png": ".png", "tiff": ".tif", "webp": ".webp"}
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)


@dataclass(frozen=True, slots=True)
class Job:
    """One photo and the file to write for each look, in the order of the looks."""

    input: Path
    outputs: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a job; `error` is one line, set if and only if it failed."""

    job: Job
    status: Literal["done", "skipped", "failed"]
    error: str | None = None
    is_disk_full: bool = False
    took_ms: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "input": str(self.job.input),
            "outputs": [str(path) for path in self.job.outputs],
            "status": self.status,
            "error": self.error,
            "took_ms": self.took_ms,
        }


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of photos; `not_started` is above 0 only where a full disk stopped the run."""

    done: int
    skipped: int
    failed: int
    not_started: int
    out_of_space: bool

    def __str__(self) -> str:
        text = f"{self.done} done, {self.skipped} there already, {self.failed} failed"
        if self.out_of_space:
            text += f", {self.not_started} not started: no space left; free some and start again"
        return text


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
        extension = photo.suffix.lower() if format == "auto" else _EXTENSION_OF_FORMAT[format]
        if extension not in FORMAT_OF_EXTENSION:
            extension = ".jpg"
        outputs = tuple(out / folder / f"{photo.stem}_{look.name}{extension}" for look in looks)
        if all(path in origin and origin[path].samefile(photo) for path in outputs):
            continue  # named twice
        for path in outputs:
            if path in origin:
                raise ValueError(f"{origin[path]} and {photo} would both become {path}: rename one, or run them apart")
            origin[path] = photo
        jobs.append(Job(photo, outputs))
    photos = {job.input.resolve() for job in jobs}
    for path in origin:
        if path.resolve() in photos:
            raise ValueError(f"{path} is an input and would be overwritten: choose another --out")
    return jobs


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
            if not name.startswith(".") and photo.suffix.lower() in FORMAT_OF_EXTENSION and photo.is_file():
                yield photo


def run(
    jobs: Sequence[Job],
    editor: Editor,
    *,
    looks: Sequence[Look],
    strength: float = 1.0,
    n_steps: int = 2,
    threads: int = 2,
    force: bool = False,
    on_done: Callable[[Result], None] = lambda result: None,
) -> Summary:
    """Work through jobs, `threads` photos at a time; each result goes to `on_done`, on this thread, as it comes.

    A job whose outputs are all there, whole, of the right size and not older than the photo is skipped unless
    `force`. A photo that fails is counted and the run goes on; a full disk ends it. On KeyboardInterrupt nothing
    more is started, what is being written is finished or removed, and the interrupt is passed on.
    """
    stop = threading.Event()
    results: list[Result] = []

    def work(job: Job) -> Result | None:
        return None if stop.is_set() else _process(job, editor, looks, strength, n_steps, force, stop)

    with contextlib.closing(_in_parallel(work, jobs, threads, stop)) as finished:
        for result in finished:
            results.append(result)
            if result.is_disk_full:
                stop.set()
            on_done(result)
    counts = {status: sum(r.status == status for r in results) for status in ("done", "skipped", "failed")}
    full = any(result.is_disk_full for result in results)
    return Summary(**counts, not_started=len(jobs) - len(results), out_of_space=full)


def _in_parallel(
    work: Callable[[Job], Result | None], jobs: Sequence[Job], threads: int, stop: threading.Event
) -> Generator[Result, None, None]:
    """Results as they come. Sets `stop` when it is left early, and is left only when no thread works any more."""
    waiting = iter(jobs)
    pending: set[Future[Result | None]] = set()
    with ThreadPoolExecutor(threads, thread_name_prefix="batch") as pool:
        try:
            while True:
                # enough to keep every thread busy, few enough to stop soon
                room = 0 if stop.is_set() else 2 * threads - len(pending)
                pending |= {pool.submit(work, job) for job in islice(waiting, room)}
                if not pending:
                    return
                ready, pending = wait(pending, return_when=FIRST_COMPLETED)
                yield from (result for future in ready if (result := future.result()) is not None)
        except BaseException:
            stop.set()  # leaving the pool waits for the threads
            raise


def _process(
    job: Job,
    editor: Editor,
    looks: Sequence[Look],
    strength: float,
    n_steps: int,
    force: bool,
    stop: threading.Event,
) -> Result | None:
    """None where the run was stopped before all looks were written."""
    started_ns = time.monotonic_ns()
    try:
        if not force and _is_done(job):
            return Result(job, "skipped")
        picture = open_image(job.input)
        alternatives = enhance_frame(picture.frame, editor, looks, strength=strength, n_steps=n_steps)
        for path, alternative in zip(job.outputs, alternatives, strict=True):
            if stop.is_set():
                return None
            if path.exists() and path.samefile(job.input):
                raise ValueError(f"{path} is the input itself: originals are never overwritten, choose another --out")
            path.parent.mkdir(parents=True, exist_ok=True)
            save(path, alternative.image, format=format_of(path), metadata=picture.metadata, alpha=picture.alpha)
    except Exception as error:  # the top of a thread: one bad photo must not cost the others
        log.debug("%s failed", job.input, exc_info=True)
        is_full = isinstance(error, OSError) and error.errno in _DISK_FULL
        return Result(job, "failed", _one_line(job, error), is_full)
    return Result(job, "done", took_ms=round((time.monotonic_ns() - started_ns) / 1e6, 1))


def _is_done(job: Job) -> bool:
    """Whether every output is there, whole, of the photo's size and not older than it. Reads headers only."""
    try:
        born_ns = job.input.stat().st_mtime_ns
        if not all(path.stat().st_mtime_ns >= born_ns and is_whole(path) for path in job.outputs):
            return False
        size = size_wh(job.input)
        return all(size_wh(path) == size for path in job.outputs)
    except (OSError, UnreadableImage):
        return False


def _one_line(job: Job, error: Exception) -> str:
    if isinstance(error, MemoryError):
        text = f"{job.input} needs more memory than there is: use fewer --threads, or reduce it"
    elif isinstance(error, OSError) and error.strerror:
        text = f"{error.filename or job.input}: {error.strerror}"
    elif isinstance(error, ValueError):
        text = str(error)
    else:
        text = f"{type(error).__name__}: {error}"
    if str(job.input) not in text:
        text = f"{job.input}: {text}"
    return " ".join(text.split())
