"""Folders of photos through the same looks: what is done already is left alone, and one bad photo costs itself."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from camera_nano.encode import write_atomically
from camera_nano.isolated import Decoder
from camera_nano.journal import LOCAL, Journal, Made
from camera_nano.photo import Labels, check_other, looks_of
from camera_nano.plan import Job, JobAt
from camera_nano.recipe import Recipe
from camera_nano.values import Editor

log = logging.getLogger(__name__)

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
Task = tuple[JobAt[Any], list[int]]  # a job, and the numbers of the outputs to make


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a job; `error` is one line, set if and only if it failed. `notes` are what people should know."""

    job: JobAt[Any]
    status: Literal["done", "skipped", "failed"]
    error: str | None = None
    notes: tuple[str, ...] = ()
    is_disk_full: bool = False
    took_ms: float = 0.0
    made: tuple[Made, ...] = ()
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
    is_interrupted: bool = False

    @classmethod
    def of(cls, results: Sequence[Result], n_jobs: int, *, is_interrupted: bool = False) -> Summary:
        """The counts of what came of so many jobs."""
        counts = {status: sum(r.status == status for r in results) for status in ("done", "skipped", "failed")}
        full = any(result.is_disk_full for result in results)
        return cls(**counts, not_started=n_jobs - len(results), out_of_space=full, is_interrupted=is_interrupted)

    def __str__(self) -> str:
        text = f"{self.done} done, {self.skipped} there already, {self.failed} failed"
        if self.out_of_space:
            text += f", {self.not_started} not started: no space left; free some and start again"
        elif self.not_started:
            why = "interrupted, start again to go on" if self.is_interrupted else "too many failures"
            text += f", {self.not_started} not started: {why}"
        return text


def run(
    jobs: Sequence[Job],
    editor: Editor,
    recipes: Sequence[Recipe],
    journal: Journal,
    *,
    threads: int = 2,
    labels: Labels = Labels(),
    **how: Any,
) -> Summary:
    """Work through jobs on this machine, `threads` photos at a time.

    On KeyboardInterrupt nothing more is started, what is being written is finished or removed, and the interrupt is
    passed on.

    Args:
        jobs: as `plan` gives them.
        editor: the model.
        recipes: one for each look, in the order of the outputs of a job.
        journal: of the output folder.
        threads: photos at a time.
        labels: of the outputs.
        **how: as in `follow`.
    """
    with Decoder() as decoder:

        def results(tasks: Sequence[Task], stop: threading.Event) -> Generator[Result, None, None]:
            def work(task: Task) -> Result | None:
                return None if stop.is_set() else _process(*task, editor, recipes, decoder, stop, labels)

            return _in_parallel(work, tasks, threads, stop)

        return follow(jobs, recipes, journal, results, labels=labels, **how)


def follow(
    jobs: Sequence[JobAt[Any]],
    recipes: Sequence[Recipe],
    journal: Journal,
    results_of: Callable[[Sequence[Task], threading.Event], Generator[Result, None, None]],
    *,
    labels: Labels = Labels(),
    force: bool = False,
    retry_failed: bool = False,
    max_failures: int | None = None,
    on_done: Callable[[Result], None] = lambda result: None,
) -> Summary:
    """Have done what the journal does not know, by whatever gives results of tasks until it is told to stop.

    An output that the journal knows, of this input by this recipe and with these labels, is not made again unless
    `force`; a photo that failed before fails again unread unless `retry_failed`. A photo that fails is counted and the
    run goes on, up to `max_failures`; a full disk ends it. Each result goes to `on_done`, on this thread, as it comes.
    """
    stop, keys = threading.Event(), [labels.key(recipe) for recipe in recipes]
    results: list[Result] = []

    def finish(result: Result) -> None:
        try:
            if result.status == "done":
                journal.note_made(result.made, result.job.input, result.input_digest)
            elif result.status == "failed" and result.input_digest != _KNOWN and not result.is_disk_full:
                journal.note_failed(result.job.input, keys[0], result.error or "")
        except OSError as error:
            if error.errno not in _DISK_FULL:
                raise
            result = Result(result.job, "failed", str(error), is_disk_full=True)
        results.append(result)
        n_failed = sum(each.status == "failed" for each in results)
        if result.is_disk_full or (max_failures is not None and n_failed >= max_failures):
            stop.set()
        on_done(result)

    todo: list[Task] = []
    for job in jobs:
        missing, before = remaining(job, keys, journal, force=force, retry_failed=retry_failed)
        if stop.is_set():
            break
        if not missing:
            finish(Result(job, "skipped"))
        elif before is not None:
            finish(Result(job, "failed", before, input_digest=_KNOWN))
        else:
            todo.append((job, missing))
    with contextlib.closing(results_of(todo, stop)) as coming:
        for result in coming:
            finish(result)
    return Summary.of(results, len(jobs))


def remaining(
    job: JobAt[Any], keys: Sequence[str], journal: Journal, *, force: bool = False, retry_failed: bool = False
) -> tuple[list[int], str | None]:
    """The numbers of the outputs to make, and why the photo failed before, where it is not to be tried again.

    `keys` are those of the recipes, by `Labels.key`.
    """
    if force:
        return list(range(len(keys))), None
    missing = [n for n, path in enumerate(job.outputs) if not journal.is_made(path, job.input, keys[n])]
    return missing, journal.failure(job.input, keys[0]) if missing and not retry_failed else None


_KNOWN = "known"  # in the place of a digest: a failure that the journal has already


def _in_parallel(
    work: Callable[[Task], Result | None], tasks: Sequence[Task], threads: int, stop: threading.Event
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
    def write(output: str, data: bytes) -> None:
        path = Path(output)
        check_other(path, job.input)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, data)

    return process(job, missing, job.input, editor, recipes, decoder, write, stop=stop, labels=labels)


def process(
    job: JobAt[Any],
    missing: Sequence[int],
    path: Path,
    editor: Editor,
    recipes: Sequence[Recipe],
    decoder: Decoder,
    write: Callable[[str, bytes], None],
    *,
    stop: threading.Event,
    labels: Labels,
) -> Result | None:
    """Make the outputs with these numbers of a photo that lies at `path`; whatever goes wrong is in the result.

    None where the run was stopped before all of them were written.
    """
    started_ns = time.monotonic_ns()
    try:
        made, notes = list[Made](), list[str]()
        wanted = [(PurePosixPath(job.outputs[number]).name, recipes[number]) for number in missing]
        files = looks_of(decoder.open(path), path, wanted, editor, labels=labels)
        for number, (data, told) in zip(missing, files, strict=True):
            if stop.is_set():
                return None
            output = str(job.outputs[number])
            write(output, data)
            made.append(Made(output, labels.key(recipes[number]), hashlib.sha256(data).hexdigest()))
            notes += [line for line in told if line not in notes]
        digest = LOCAL.digest(str(path))
    except Exception as error:  # the top of a thread or worker: one bad photo must not cost the others
        log.debug("%s failed", job.input, exc_info=True)
        is_full = isinstance(error, OSError) and error.errno in _DISK_FULL
        return Result(job, "failed", _one_line(job, path, error), is_disk_full=is_full)
    took_ms = round((time.monotonic_ns() - started_ns) / 1e6, 1)
    return Result(job, "done", notes=tuple(notes), took_ms=took_ms, made=tuple(made), input_digest=digest)


def _one_line(job: JobAt[Any], path: Path, error: Exception) -> str:
    if isinstance(error, MemoryError):
        text = f"{job.input} needs more memory than there is: use fewer --threads, or reduce it"
    elif isinstance(error, OSError) and error.strerror:
        text = f"{error.filename or job.input}: {error.strerror}"
    elif isinstance(error, ValueError):
        text = str(error)
    else:
        text = f"{type(error).__name__}: {error}"
    text = text.replace(str(path), str(job.input))  # of one that lies elsewhere, it is a copy
    if str(job.input) not in text:
        text = f"{job.input}: {text}"
    return " ".join(text.split())
