"""Folders of photos through the same looks: what is done already is left alone, and one bad photo costs itself."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from camera_nano.encode import write_atomically
from camera_nano.isolated import Decoder
from camera_nano.journal import LOCAL, Files, Journal, Made
from camera_nano.machine import give_back_memory
from camera_nano.photo import Labels, check_other, looks_of
from camera_nano.plan import Job, JobAt
from camera_nano.recipe import Recipe
from camera_nano.stop import Stop
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
    input_stamp: tuple[int, int] = (0, 0)  # as in `Files.stamp`, before it was read
    input_digest: str = ""
    is_lasting: bool = False  # it failed by the photo's own fault, so it would fail again
    is_old: bool = False  # it failed in an earlier run, and was not tried again

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
    failed_before: int  # of those that failed: in an earlier run, and not tried again
    not_started: int
    out_of_space: bool
    is_interrupted: bool = False

    def __str__(self) -> str:
        text = f"{self.done} done, {self.skipped} there already, {self.failed} failed"
        if self.failed_before:
            text += f" ({self.failed_before} of them in an earlier run: --retry-failed tries them again)"
        if self.out_of_space:
            text += f", {self.not_started} not started: no space left; free some and start again"
        elif self.not_started:
            why = "interrupted, start again to go on" if self.is_interrupted else "too many failures"
            text += f", {self.not_started} not started: {why}"
        return text


class Tally:
    """Results, counted as they come and not kept: there may be millions."""

    def __init__(self) -> None:
        self.n_new_failures, self.is_disk_full = 0, False
        self._counts: Counter[str] = Counter()

    def add(self, result: Result) -> None:
        """One more."""
        self._counts[result.status] += 1
        self.n_new_failures += result.status == "failed" and not result.is_old
        self.is_disk_full |= result.is_disk_full

    def summary(self, n_jobs: int | None = None, *, is_interrupted: bool = False) -> Summary:
        """What came of so many jobs, or of all there were."""
        done, skipped, failed = (self._counts[status] for status in ("done", "skipped", "failed"))
        not_started = 0 if n_jobs is None else n_jobs - self._counts.total()
        old = failed - self.n_new_failures
        return Summary(done, skipped, failed, old, not_started, self.is_disk_full, is_interrupted)


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
    """Work through jobs on this machine; KeyboardInterrupt finishes what is being written, and is passed on.

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

        def results(tasks: Sequence[Task], stop: Stop) -> Generator[Result, None, None]:
            def work(task: Task) -> Result | None:
                result = None if stop.is_set() else _process(*task, editor, recipes, decoder, stop, labels)
                give_back_memory()
                return result

            return _in_parallel(work, tasks, threads, stop)

        return follow(jobs, recipes, journal, results, labels=labels, **how)


def follow(
    jobs: Sequence[JobAt[Any]],
    recipes: Sequence[Recipe],
    journal: Journal,
    results_of: Callable[[Sequence[Task], Stop], Generator[Result, None, None]],
    *,
    labels: Labels = Labels(),
    force: bool = False,
    retry_failed: bool = False,
    max_failures: int | None = None,
    asked: Stop | None = None,
    on_done: Callable[[Result], None] = lambda result: None,
) -> Summary:
    """Have done what the journal does not know, by whatever gives results of tasks until it is told to stop.

    An output that the journal knows, of this input by this recipe and with these labels, is not made again unless
    `force`; a photo that failed before, by its own fault, fails again unread unless `retry_failed`. A photo that fails
    is counted and the run goes on, up to `max_failures` new ones; a full disk ends it, and so does `asked`, both after
    what is being written is finished. Each result goes to `on_done`, on this thread, as it comes.
    """
    stop, tally, keys = Stop(asked), Tally(), [labels.key(recipe) for recipe in recipes]

    def finish(result: Result) -> None:
        try:
            if result.status == "done":
                journal.note_made(result.made, result.job.input, result.input_stamp, result.input_digest)
            elif result.is_lasting:
                journal.note_failed(result.job.input, keys[0], result.error or "")
        except OSError as error:
            is_full = error.errno in _DISK_FULL
            result = Result(result.job, "failed", _one_line(result.job, error), is_disk_full=is_full)
        tally.add(result)
        if result.is_disk_full or (max_failures is not None and tally.n_new_failures >= max(1, max_failures)):
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
            finish(Result(job, "failed", before, is_old=True))
        else:
            todo.append((job, missing))
    with contextlib.closing(results_of(todo, stop)) as coming:
        for result in coming:
            finish(result)
    return tally.summary(len(jobs), is_interrupted=asked is not None and asked.is_set())


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


def _in_parallel(
    work: Callable[[Task], Result | None], tasks: Sequence[Task], threads: int, stop: Stop
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
    stop: Stop,
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
    stop: Stop,
    labels: Labels,
    files: Files = LOCAL,
) -> Result | None:
    """Make the outputs with these numbers of a photo that lies at `path`; whatever goes wrong is in the result.

    None where the run was stopped before all of them were written.
    """
    started_ns = time.monotonic_ns()
    try:
        stamp, made, notes = files.stamp(str(job.input)), list[Made](), list[str]()
        wanted = [(PurePosixPath(job.outputs[number]).name, recipes[number]) for number in missing]
        looks = looks_of(decoder.open(path), path, wanted, editor, labels=labels)
        for number, (data, told) in zip(missing, looks, strict=True):
            if stop.is_set():
                return None
            output = str(job.outputs[number])
            write(output, data)
            digest = hashlib.sha256(data).hexdigest()
            made.append(Made(output, labels.key(recipes[number]), digest, files.stamp(output)))
            notes += [line for line in told if line not in notes]
        digest = LOCAL.digest(str(path))
        if files.stamp(str(job.input)) != stamp:
            return Result(job, "failed", f"{job.input} changed while it was read: start again when it is whole")
    except Exception as error:  # the top of a thread or worker: one bad photo must not cost the others
        log.debug("%s failed", job.input, exc_info=True)
        is_full = isinstance(error, OSError) and error.errno in _DISK_FULL
        is_lasting = isinstance(error, ValueError)
        return Result(job, "failed", _one_line(job, error, path), is_disk_full=is_full, is_lasting=is_lasting)
    took_ms = round((time.monotonic_ns() - started_ns) / 1e6, 1)
    return Result(
        job, "done", notes=tuple(notes), took_ms=took_ms, made=tuple(made), input_stamp=stamp, input_digest=digest
    )


def _one_line(job: JobAt[Any], error: Exception, path: Path | None = None) -> str:
    if isinstance(error, MemoryError):
        text = f"{job.input} needs more memory than there is: use fewer --threads, or reduce it"
    elif isinstance(error, OSError) and error.strerror:
        text = f"{error.filename or job.input}: {error.strerror}"
    elif isinstance(error, ValueError):
        text = str(error)
    else:
        text = f"{type(error).__name__}: {error}"
    if path is not None:
        text = text.replace(str(path), str(job.input))  # it may lie elsewhere, as a copy
    if str(job.input) not in text:
        text = f"{job.input}: {text}"
    return " ".join(text.split())
