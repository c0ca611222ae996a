"""Folders of photos through the same looks: what is done already is left alone, and one bad photo costs itself."""

from __future__ import annotations

import contextlib
import errno
import logging
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from camera_nano.enhance import enhance_frame
from camera_nano.isolated import Decoder
from camera_nano.journal import Journal, digest_of
from camera_nano.photo import Labels, write
from camera_nano.plan import Job
from camera_nano.recipe import Recipe
from camera_nano.values import Editor

log = logging.getLogger(__name__)

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_Task = tuple[Job, list[int]]  # a job, and the numbers of the outputs to make


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a job; `error` is one line, set if and only if it failed. `notes` are what people should know."""

    job: Job
    status: Literal["done", "skipped", "failed"]
    error: str | None = None
    notes: tuple[str, ...] = ()
    is_disk_full: bool = False
    took_ms: float = 0.0
    made: tuple[Path, ...] = ()
    input_digest: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "input": str(self.job.input),
            "outputs": [str(path) for path in self.job.outputs],
            "status": self.status,
            "error": self.error,
            "notes": list(self.notes),
            "took_ms": self.took_ms,
        }


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of photos; `not_started` is above 0 only where the run was stopped."""

    done: int
    skipped: int
    failed: int
    not_started: int
    out_of_space: bool

    def __str__(self) -> str:
        text = f"{self.done} done, {self.skipped} there already, {self.failed} failed"
        if self.out_of_space:
            text += f", {self.not_started} not started: no space left; free some and start again"
        elif self.not_started:
            text += f", {self.not_started} not started: too many failures"
        return text


def run(
    jobs: Sequence[Job],
    editor: Editor,
    recipes: Sequence[Recipe],
    journal: Journal,
    *,
    threads: int = 2,
    force: bool = False,
    retry_failed: bool = False,
    max_failures: int | None = None,
    labels: Labels = Labels(),
    on_done: Callable[[Result], None] = lambda result: None,
) -> Summary:
    """Work through jobs, `threads` photos at a time; each result goes to `on_done`, on this thread, as it comes.

    An output that the journal knows, of this input by this recipe, is not made again unless `force`; a photo that
    failed before fails again unread unless `retry_failed`. A photo that fails is counted and the run goes on, up to
    `max_failures`; a full disk ends it. On KeyboardInterrupt nothing more is started, what is being written is finished
    or removed, and the interrupt is passed on.

    Args:
        jobs: as `plan` gives them.
        editor: the model.
        recipes: one for each look, in the order of the outputs of a job.
        journal: of the output folder.
        threads: photos at a time.
        force: make everything again.
        retry_failed: read again what failed before.
        max_failures: stop when so many photos have failed.
        labels: of the outputs.
        on_done: is told each result.
    """
    stop = threading.Event()
    results: list[Result] = []
    digests = [recipe.digest() for recipe in recipes]
    decoder = Decoder()

    def finish(result: Result) -> None:
        if result.status == "done":
            made = [(path, digests[result.job.outputs.index(path)]) for path in result.made]
            journal.note_made(made, result.job.input, result.input_digest)
        elif result.status == "failed" and result.input_digest != _KNOWN and not result.is_disk_full:
            journal.note_failed(result.job.input, digests[0], result.error or "")
        results.append(result)
        n_failed = sum(each.status == "failed" for each in results)
        if result.is_disk_full or (max_failures is not None and n_failed >= max_failures):
            stop.set()
        on_done(result)

    todo: list[_Task] = []
    for job in jobs:
        missing = [
            number
            for number, path in enumerate(job.outputs)
            if force or not journal.is_made(path, job.input, digests[number])
        ]
        before = None if force or retry_failed else journal.failure(job.input, digests[0])
        if stop.is_set():
            break
        if not missing:
            finish(Result(job, "skipped"))
        elif before is not None:
            finish(Result(job, "failed", before, input_digest=_KNOWN))
        else:
            todo.append((job, missing))

    def work(task: _Task) -> Result | None:
        return None if stop.is_set() else _process(*task, editor, recipes, decoder, stop, labels)

    try:
        with contextlib.closing(_in_parallel(work, todo, threads, stop)) as finished:
            for result in finished:
                finish(result)
    finally:
        decoder.close()
    counts = {status: sum(r.status == status for r in results) for status in ("done", "skipped", "failed")}
    full = any(result.is_disk_full for result in results)
    return Summary(**counts, not_started=len(jobs) - len(results), out_of_space=full)


_KNOWN = "known"  # in the place of a digest: a failure that the journal has already


def _in_parallel(
    work: Callable[[_Task], Result | None], tasks: Sequence[_Task], threads: int, stop: threading.Event
) -> Generator[Result, None, None]:
    """Results as they come. Sets `stop` when it is left early, and is left only when no thread works any more."""
    waiting = iter(tasks)
    pending: set[Future[Result | None]] = set()
    with ThreadPoolExecutor(threads, thread_name_prefix="batch") as pool:
        try:
            while True:
                # enough to keep every thread busy, few enough to stop soon
                room = 0 if stop.is_set() else 2 * threads - len(pending)
                pending |= {pool.submit(work, task) for task in islice(waiting, room)}
                if not pending:
                    return
                ready, pending = wait(pending, return_when=FIRST_COMPLETED)
                yield from (result for future in ready if (result := future.result()) is not None)
        except BaseException:
            stop.set()  # leaving the pool waits for the threads
            raise


def _process(
    job: Job,
    missing: Sequence[int],
    editor: Editor,
    recipes: Sequence[Recipe],
    decoder: Decoder,
    stop: threading.Event,
    labels: Labels,
) -> Result | None:
    """Make the outputs with these numbers; None where the run was stopped before all of them were written."""
    started_ns = time.monotonic_ns()
    try:
        picture, made = decoder.open(job.input), list[Path]()
        notes: list[str] = []
        wanted = [recipes[number] for number in missing]
        looks, first = [recipe.look for recipe in wanted], wanted[0]
        alternatives = enhance_frame(
            picture.frame, editor, looks, strength=first.strength, n_steps=first.n_steps, seed=first.seed
        )
        for number, alternative in zip(missing, alternatives, strict=True):
            path = job.outputs[number]
            if stop.is_set():
                return None
            path.parent.mkdir(parents=True, exist_ok=True)
            told = write(path, alternative, picture, job.input, recipes[number], labels=labels)
            notes += [line for line in told if line not in notes]
            made.append(path)
        digest = digest_of(job.input)
    except Exception as error:  # the top of a thread: one bad photo must not cost the others
        log.debug("%s failed", job.input, exc_info=True)
        is_full = isinstance(error, OSError) and error.errno in _DISK_FULL
        return Result(job, "failed", _one_line(job, error), is_disk_full=is_full)
    took_ms = round((time.monotonic_ns() - started_ns) / 1e6, 1)
    return Result(job, "done", notes=tuple(notes), took_ms=took_ms, made=tuple(made), input_digest=digest)


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
