"""Folders of photos through the same looks: what is made already is left alone, and a bad photo costs only itself."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import threading
import time
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, Literal, NamedTuple

from camera_nano.batch.journal import Journal, Made
from camera_nano.batch.merging import open_photos
from camera_nano.batch.photo import Maker, check_other, looks_of
from camera_nano.batch.plan import Job, JobAt
from camera_nano.batch.results import Result, Summary, Tally, one_line
from camera_nano.batch.storage import LOCAL, Files
from camera_nano.errors import NoDecoder
from camera_nano.machine import give_back_memory
from camera_nano.stop import Stop

log = logging.getLogger(__name__)

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
ANYTHING, TORN = "anything", "torn"
# of the outputs to make, by number: the SHA-256 of the file that may be replaced, if one is there; TORN is a piece of
# what is made now. A file that is the same already is left as it is, and any other is left alone
Missing = dict[int, str]
Task = tuple[JobAt[Any], Missing]
ResultsOf = Callable[[Sequence[Task], Stop], Generator[Result, None, None]]  # does tasks until it is told to stop


@dataclass(frozen=True, slots=True)
class RunPolicy:
    """What a run does again, and when it gives up."""

    force: bool = False  # make every output again, even one that the journal knows, or one that somebody else has made
    retry_failed: bool = False  # try again what failed in an earlier run because of the photo itself
    max_failures: int | None = None  # end the run after so many new failures, at least 1; None never does

    def is_exceeded(self, n_new_failures: int) -> bool:
        """Whether there are too many failures to go on."""
        return self.max_failures is not None and n_new_failures >= max(1, self.max_failures)


def run(
    jobs: Sequence[Job],
    maker: Maker,
    journal: Journal,
    *,
    threads: int = 2,
    policy: RunPolicy = RunPolicy(),
    interrupt: Stop | None = None,
    on_done: Callable[[Result], None] = lambda result: None,
) -> Summary:
    """Work through jobs on this machine, `threads` photos at a time; the rest is as in `follow`.

    KeyboardInterrupt is passed on after what is being written is finished.
    """
    heic = threading.Lock()  # x265 uses every core: no second photo waits for it in memory

    def results_of(tasks: Sequence[Task], stop: Stop) -> Generator[Result, None, None]:
        def work(task: Task) -> Result | None:
            is_heic = any(Path(output).suffix == ".heic" for output in task[0].outputs)
            with heic if is_heic else contextlib.nullcontext():
                result = None if stop.is_set() else process(task, task[0].photos, maker, LOCAL, stop)
            give_back_memory()
            return result

        return _in_parallel(work, tasks, threads, stop)

    return follow(jobs, maker.keys, journal, results_of, policy=policy, interrupt=interrupt, on_done=on_done)


def follow(
    jobs: Sequence[JobAt[Any]],
    keys: Sequence[str],
    journal: Journal,
    results_of: ResultsOf,
    *,
    policy: RunPolicy = RunPolicy(),
    interrupt: Stop | None = None,
    on_done: Callable[[Result], None] = lambda result: None,
) -> Summary:
    """Have `results_of` do what the journal does not know, and note in the journal what is done.

    A photo that fails is counted, and the run goes on. It ends early where the disk is full, `policy` says so, or
    `interrupt` is set, and finishes first what is being written. At the end, photos whose looks are gone have failed.

    Args:
        jobs: as `plan` gives them.
        keys: of the recipes, by `Labels.key`; one for each output of a job.
        journal: of the output folder.
        results_of: makes the outputs.
        policy: what is done again, and when to give up.
        interrupt: set by whoever wants the run to end.
        on_done: gets each result as it comes, on this thread.
    """
    stop, tally, done = Stop(interrupt), Tally(), list[JobAt[Any]]()
    with contextlib.closing(_results(jobs, keys, journal, results_of, policy, stop)) as results:
        for result in results:
            result = _noted(result, journal, keys[0])
            tally.add(result)
            if result.status == "done":
                done.append(result.job)
            if result.is_disk_full or policy.is_exceeded(tally.n_new_failures):
                stop.set()
            on_done(result)
    for job in done:
        if gone := [output for output in job.outputs if isinstance(output, Path) and not os.path.lexists(output)]:
            error = f"{gone[0]} was made and is gone: was {gone[0].parent} moved during the run?"
            result = Result(job, "failed", error, was_done=True)
            tally.add(result)
            on_done(result)
    return tally.summary(len(jobs), is_interrupted=interrupt is not None and interrupt.is_set())


def _results(
    jobs: Sequence[JobAt[Any]],
    keys: Sequence[str],
    journal: Journal,
    results_of: ResultsOf,
    policy: RunPolicy,
    stop: Stop,
) -> Generator[Result, None, None]:
    """First the results that the journal knows, then those of the jobs that are left."""
    todo: list[Task] = []
    kept: dict[JobAt[Any], tuple[str, ...]] = {}
    for job in jobs:
        left = remaining(job, keys, journal, policy)
        if stop.is_set():
            break
        if not left.missing:
            yield Result(job, "kept" if left.kept else "skipped", kept=left.kept)
        elif left.error_before is not None:
            yield Result(job, "unmerged" if job.others else "failed", left.error_before, is_old=True)
        else:
            todo.append((job, left.missing))
            if left.kept:
                kept[job] = left.kept
    for result in results_of(todo, stop):
        yield replace(result, kept=kept.get(result.job, ()) + result.kept)


def _noted(result: Result, journal: Journal, key: str) -> Result:
    """The result, once the journal knows it; a failure where the journal cannot be written."""
    job = result.job
    try:
        if result.status == "done":
            journal.note_made(result.made, job.input, result.input_stamp, result.input_digest, job.of)
        elif result.is_lasting:
            journal.note_failed(job.input, job.key(key), result.error or "", job.of)
    except OSError as error:
        return _failure(result.job, error)
    return result


class Remaining(NamedTuple):
    """What is left of a job."""

    missing: Missing
    kept: tuple[str, ...]  # the outputs that somebody has changed since they were made: they are left alone
    error_before: str | None  # why the photo failed before, where it is not to be tried again


def remaining(job: JobAt[Any], keys: Sequence[str], journal: Journal, policy: RunPolicy) -> Remaining:
    """What is left of a job; `keys` are those of the recipes, by `Labels.key`."""
    if policy.force:
        return Remaining(dict.fromkeys(range(len(keys)), ANYTHING), (), None)
    missing, kept = Missing(), list[str]()
    for number, (output, key) in enumerate(zip(job.outputs, map(job.key, keys), strict=True)):
        found = journal.look_at(output, job.input, key)
        if found.status == "changed" and not found.is_shorter:
            kept.append(str(output))
        elif found.status != "made":
            missing[number] = TORN if found.is_shorter else found.digest
    error = journal.failure(job.input, job.key(keys[0]), job.of) if missing and not policy.retry_failed else None
    return Remaining(missing, tuple(kept), error)


def _in_parallel(
    work: Callable[[Task], Result | None], tasks: Sequence[Task], threads: int, stop: Stop
) -> Generator[Result, None, None]:
    """Results as they come. Where its reader leaves early, it sets `stop` and waits until every thread has ended."""
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
            stop.set()  # the pool waits for its threads when it is left
            raise


def process(task: Task, paths: Sequence[Path], maker: Maker, files: Files, stop: Stop) -> Result | None:
    """Make the outputs of a task; whatever goes wrong is in the result.

    `paths` are where the job's photos can be decoded: their own, or those of copies. None where the run was stopped
    before an output was written.
    """
    job, _ = task
    try:
        return _make_outputs(task, paths, maker, files, stop)
    except NoDecoder:  # no photo can be read
        raise
    except Exception as error:  # the top of a thread or worker: one bad photo must not cost the others
        log.debug("%s failed", job.input, exc_info=True)
        return _failure(job, error, paths[0])


def _make_outputs(task: Task, paths: Sequence[Path], maker: Maker, files: Files, stop: Stop) -> Result | None:
    (job, missing), started_ns, path = task, time.monotonic_ns(), paths[0]
    source, sources = str(job.input), [str(photo) for photo in job.photos]
    stamps, made, kept = _stamps(files, sources), list[Made](), list[str]()
    notes, looks_finished = list(job.notes), False
    time_ns = path.stat().st_mtime_ns if maker.keep_times and str(path) == source else None  # a copy's time is none
    opened, input_digest = open_photos(paths, maker.decoder), LOCAL.digest(str(path))
    notes += [opened.merging.told] if opened.merging else []
    if changed := [name for name, stamp in _stamps(files, sources).items() if stamp != stamps[name]]:
        return Result(job, "failed", f"{changed[0]} changed while it was read: start again when it is whole")
    wanted = [(PurePosixPath(job.outputs[number]).name, opened.recipe(maker.recipes[number])) for number in missing]
    looks = looks_of(opened.picture, opened.origin, wanted, maker.editor, labels=maker.labels, decoder=maker.decoder)
    for (number, replaceable), look in zip(missing.items(), looks, strict=True):
        if stop.is_set() and not made:  # what is begun is finished, so that the journal knows what is there
            return None
        output, digest = str(job.outputs[number]), hashlib.sha256(look.data).hexdigest()
        check_other(Path(output), path)
        if _is_written(files, output, look.data, digest, replaceable, time_ns):
            key = job.key(maker.labels.key(maker.recipes[number]))
            made.append(Made(output, key, digest, files.stamp(output)))
        else:
            kept.append(output)
        notes += [note for note in look.notes if note not in notes]
        looks_finished = look.looks_finished
    return Result(
        job,
        "done" if made else "kept",
        notes=tuple(notes),
        took_ms=round((time.monotonic_ns() - started_ns) / 1e6, 1),
        made=tuple(made),
        kept=tuple(kept),
        input_stamp=stamps[source],
        input_digest=input_digest,
        looks_finished=looks_finished,
        merging=opened.merging,
    )


def _stamps(files: Files, sources: Sequence[str]) -> dict[str, tuple[int, int]]:
    return {source: files.stamp(source) for source in sources}


def _is_written(files: Files, output: str, data: bytes, digest: str, replaceable: str, time_ns: int | None) -> bool:
    """Write an output, if it is not there already; False where another file is there, see `Missing`."""
    if replaceable != ANYTHING:
        try:
            there = files.digest(output)
        except FileNotFoundError:
            there = replaceable
        if there == digest:
            return True  # a run that was killed has made it, or one whose journal is lost
        if replaceable == TORN:
            replaceable = hashlib.sha256(data[: files.stamp(output)[0]]).hexdigest()
        if there != replaceable:
            return False
    files.write(output, data, time_ns)
    return True


def _failure(job: JobAt[Any], error: Exception, path: Path | None = None) -> Result:
    is_full = isinstance(error, OSError) and error.errno in _DISK_FULL
    is_lasting = isinstance(error, ValueError)
    # a photo that cannot be read fails by itself; that it is not merged either is no second failure
    status: Literal["failed", "unmerged"] = "unmerged" if is_lasting and job.others else "failed"
    return Result(job, status, one_line(job, error, path), is_disk_full=is_full, is_lasting=is_lasting)
