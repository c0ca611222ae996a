"""A watched folder: a photo is taken once it is whole, which is when it has not changed since the last look."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from camera_nano.batch.plan import Job
from camera_nano.batch.storage import LOCAL
from camera_nano.stop import Stop

_EVERY_S, _SETTLED_S = 1.0, 10.0


def watch(
    jobs_now: Callable[[], list[Job]],
    run: Callable[[Sequence[Job]], bool],
    stop: Stop,
    *,
    every_s: float = _EVERY_S,
    settled_s: float = _SETTLED_S,
    say: Callable[[str], None] = lambda line: None,
) -> None:
    """Until `stop` is set, look for photos every `every_s` seconds, and `run` those that are new and have not changed.

    It polls, because network folders report no changes. A file that still grows waits for a later look, and photos to
    be merged wait until no other has joined them for `settled_s` seconds. `run` returns whether to go on. Where
    `jobs_now` raises ValueError, as two photos of one name may appear, that is said once; the next look tries again.
    """
    seen: dict[Job, tuple[int, int]] = {}
    handled: dict[Job, tuple[int, int]] = {}
    since_s: dict[Job, float] = {}
    last_trouble = ""
    say("watching; Ctrl-C ends")
    while not stop.is_set():
        try:
            jobs, trouble = jobs_now(), ""
        except ValueError as error:
            jobs, trouble = [], str(error)
        if trouble != last_trouble:
            say(trouble or "going on")
            last_trouble = trouble
        now = {job: stamp for job in jobs if (stamp := _stamp(job)) is not None}
        since_s = {job: since_s.get(job, time.monotonic()) for job in now if job.others}
        late_s = time.monotonic() - settled_s
        settled = {job: stamp for job, stamp in now.items() if since_s.get(job, late_s) <= late_s}
        whole = [job for job, stamp in settled.items() if seen.get(job) == stamp != handled.get(job)]
        if whole:
            if not run(whole):
                return
            handled |= {job: now[job] for job in whole}
        seen = now
        stop.wait(every_s)


def _stamp(job: Job) -> tuple[int, int] | None:
    """As `LocalFiles.stamp`; None for a photo that is gone again."""
    try:
        sizes, times = zip(*(LOCAL.stamp(str(photo)) for photo in job.photos), strict=True)
        return sum(sizes), sum(times)
    except OSError:
        return None
