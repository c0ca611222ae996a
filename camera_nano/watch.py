"""A folder that is watched: photos are taken when they are whole, which is when two looks at them are alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from camera_nano.plan import Job
from camera_nano.stop import Stop

_EVERY_S = 1.0


def watch(
    jobs_now: Callable[[], list[Job]],
    run: Callable[[Sequence[Job]], bool],
    stop: Stop,
    *,
    every_s: float = _EVERY_S,
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Until `stop`: look for photos every so often, and run those that are new and at rest.

    Polling, because network folders tell of no changes. A file that grows is left until it has stopped. `run` says
    whether to go on. A plan that makes no sense, as two photos of one name may appear, is told and looked at again.
    """
    seen: dict[Job, tuple[int, int]] = {}
    handled: dict[Job, tuple[int, int]] = {}
    told = ""
    say("watching; Ctrl-C ends")
    while not stop.is_set():
        try:
            jobs, trouble = jobs_now(), ""
        except ValueError as error:
            jobs, trouble = [], str(error)
        if trouble != told:
            say(trouble or "going on")
            told = trouble
        now = {job: mark for job in jobs if (mark := _mark(job)) is not None}
        at_rest = [job for job, mark in now.items() if seen.get(job) == mark != handled.get(job)]
        if at_rest:
            if not run(at_rest):
                return
            handled |= {job: now[job] for job in at_rest}
        seen = now
        stop.wait(every_s)


def _mark(job: Job) -> tuple[int, int] | None:
    """Size and time; None for one that is gone again."""
    try:
        found = job.input.stat()
    except OSError:
        return None
    return found.st_size, found.st_mtime_ns
