"""The live loop without a page: so many shots, so far apart, or one for every press of a button."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from queue import Empty, SimpleQueue

from camera_nano.engines import ModelError
from camera_nano.session import Session
from camera_nano.shots import Shot
from camera_nano.sources import CameraLost
from camera_nano.stop import Stop

Presses = SimpleQueue[Future[Shot] | None]  # what a button took; None ends it

_LOOK_UP_S = 1.0  # how often errors and the camera's trouble are looked for while nothing else happens


def shoot(
    session: Session,
    n_shots: int | None,
    every_s: float,
    strength: float = 1.0,
    *,
    presses: Presses | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Iterator[Shot]:
    """Start the session and yield each shot once it is on disk, with every look; SIGTERM ends it early.

    A shot is of the frame its looks were proposed for, so that field and frame belong together.

    Args:
        session: not started yet.
        n_shots: how many; None goes on until it is ended.
        every_s: seconds between two.
        strength: of the looks.
        presses: where it is given, the shots are those that a button puts there, and none are taken by the clock.
        say: is told in one line when the camera goes away, and when it is back.

    Raises:
        ModelError: the model cannot be loaded or run.
        CameraLost: the camera has ended. One that is watched is waited for.
        OSError: a shot could not be saved.
    """
    with _ended_by_signal(presses) as stop:
        session.start()
        troubles = _Troubles(session, say)
        shots = _by_clock(session, every_s, strength, stop, troubles) if presses is None else _taken(presses, troubles)
        n_taken = 0
        while n_taken != n_shots and (shot := next(shots, None)) is not None:
            yield shot.result()
            n_taken += 1


def _by_clock(
    session: Session, every_s: float, strength: float, stop: Stop, troubles: _Troubles
) -> Iterator[Future[Shot]]:
    last, due_s = 0, time.monotonic()
    while not stop.wait(min(_LOOK_UP_S, max(0.0, due_s - time.monotonic()))):
        troubles.look_up()
        if time.monotonic() < due_s:
            continue
        proposal = session.wait_proposal(last, timeout_s=_LOOK_UP_S)
        if proposal is not None and not stop.is_set():
            last = proposal.id
            yield session.commit(proposal.frame_id, last, list(proposal.fields), strength)
            due_s = time.monotonic() + every_s


def _taken(presses: Presses, troubles: _Troubles) -> Iterator[Future[Shot]]:
    while True:
        try:
            shot = presses.get(timeout=_LOOK_UP_S)
        except Empty:
            troubles.look_up()
            continue
        if shot is None:
            return
        yield shot


@contextmanager
def _ended_by_signal(presses: Presses | None) -> Iterator[Stop]:
    """What SIGTERM sets; whoever waits for a press is woken."""
    stop = Stop()

    def end(*_: object) -> None:
        stop.set()
        if presses is not None:
            presses.put(None)  # SimpleQueue.put may be called from a signal handler

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)


class _Troubles:
    """Tells each change of the camera's state once; what will not pass is raised."""

    def __init__(self, session: Session, say: Callable[[str], None]) -> None:
        self._session, self._say = session, say
        self._told: str | None = None

    def look_up(self) -> None:
        """Raises ModelError or CameraLost."""
        session = self._session
        if session.model_error:
            raise ModelError(session.model_error)
        if session.camera_error:
            raise CameraLost(session.camera_error)
        trouble = session.trouble
        reason = trouble and trouble.partition("; trying again")[0]  # not each countdown
        if reason != self._told:
            self._told = reason
            self._say(trouble or "the camera is back")
