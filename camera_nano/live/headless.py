"""The live loop without a page: shots at an interval, or one for every press of a button."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from itertools import islice
from queue import Empty, SimpleQueue

from camera_nano.errors import CameraLost, ModelError
from camera_nano.live.session import Session
from camera_nano.live.shot import Shot
from camera_nano.stop import Stop, on_signals

Presses = SimpleQueue[Future[Shot] | None]  # the shots a button takes; None ends them

_CHECK_S = 1.0  # how often to check for errors and the camera's troubles


def shoot(
    session: Session,
    n_shots: int | None,
    every_s: float,
    strength: float = 1.0,
    *,
    presses: Presses | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Iterator[Shot]:
    """Start the session and yield each shot, with every look, once it is on disk. SIGTERM and SIGHUP end it early.

    A shot is of the frame that its looks were proposed for, so that fields and frame belong together.

    Args:
        session: not started yet.
        n_shots: how many; None goes on until a signal.
        every_s: seconds from one shot to the next.
        strength: of the looks, 0..1.
        presses: shots come from this queue, where a button puts them, instead of by the clock.
        say: called with a line when the camera goes away or the disk is full, and when that is over.

    Raises:
        ModelError: the model cannot be loaded or run.
        CameraLost: the camera has ended for good; a watched one never does.
        OSError: a shot could not be saved.
    """
    stop = Stop()

    def end(*_: object) -> None:
        stop.set()
        if presses is not None:
            presses.put(None)

    with on_signals(end, [signal.SIGTERM, signal.SIGHUP]):
        session.start()
        troubles = _Troubles(session, say)
        shots = _by_clock(session, every_s, strength, stop, troubles) if presses is None else _taken(presses, troubles)
        for shot in islice(shots, n_shots):
            while not wait([shot], _CHECK_S).done and not (stop.is_set() and session.album.trouble):
                troubles.disk()
            if not shot.done():  # no room, and asked to end: closing the session tries once more
                return
            troubles.disk()
            yield shot.result()


def _by_clock(
    session: Session, every_s: float, strength: float, stop: Stop, troubles: _Troubles
) -> Iterator[Future[Shot]]:
    last, due_s = 0, time.monotonic()
    while not stop.wait(min(_CHECK_S, max(0.0, due_s - time.monotonic()))):
        troubles.check()
        if time.monotonic() < due_s:
            continue
        proposal = session.wait_proposal(last, timeout_s=_CHECK_S)
        if proposal is not None and not stop.is_set():
            last = proposal.id
            yield session.commit(proposal.frame_id, last, list(proposal.fields), strength)
            due_s = time.monotonic() + every_s


def _taken(presses: Presses, troubles: _Troubles) -> Iterator[Future[Shot]]:
    while True:
        try:
            shot = presses.get(timeout=_CHECK_S)
        except Empty:
            troubles.check()
            continue
        if shot is None:
            return
        yield shot


class _Troubles:
    """Says each change of the camera's and the disk's state once, and raises errors that will not pass."""

    def __init__(self, session: Session, say: Callable[[str], None]) -> None:
        self._session, self._say = session, say
        self._said: str | None = None
        self._said_of_disk: str | None = None

    def check(self) -> None:
        """Raises ModelError or CameraLost."""
        session = self._session
        if session.model_error:
            raise ModelError(session.model_error)
        if session.camera_error:
            raise CameraLost(session.camera_error)
        trouble = session.trouble
        reason = trouble and trouble.partition("; trying again")[0]  # without the seconds, which change
        if reason != self._said:
            self._said = reason
            self._say(trouble or "the camera is back")

    def disk(self) -> None:
        """What keeps shots from being saved."""
        trouble = self._session.album.trouble
        if trouble != self._said_of_disk:
            self._said_of_disk = trouble
            self._say(trouble or "there is room again: the shots are saved")
