"""The live loop without a page: so many shots, so far apart, or one for every press of a button."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from camera_nano.engines import ModelError
from camera_nano.session import Proposal, Session
from camera_nano.shots import Shot
from camera_nano.sources import CameraLost


def shoot(
    session: Session,
    n_shots: int | None,
    every_s: float,
    strength: float = 1.0,
    *,
    pressed: threading.Event | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> Iterator[Shot]:
    """Start the session and yield each shot once it is on disk, with every look; SIGTERM ends it early.

    A shot is of the frame its looks were proposed for, so that field and frame belong together.

    Args:
        session: not started yet.
        n_shots: how many; None goes on until it is ended.
        every_s: seconds between two.
        strength: of the looks.
        pressed: where it is given, a shot is taken whenever it is set, and not by the clock.
        say: is told in one line when the camera goes away, and when it is back.

    Raises:
        ModelError: the model cannot be loaded or run.
        CameraLost: the camera has ended. One that is watched is waited for.
        OSError: a shot could not be saved.
    """
    with _ended_by_signal(pressed) as stop:
        session.start()
        last, n_taken = 0, 0
        while n_shots is None or n_taken < n_shots:
            if pressed is not None:
                pressed.wait()
                pressed.clear()
            elif n_taken and stop.wait(every_s):
                return
            proposal = _next_proposal(session, last, stop, say)
            if proposal is None or stop.is_set():
                return
            last, n_taken = proposal.id, n_taken + 1
            yield session.commit(proposal.frame_id, last, list(proposal.fields), strength).result()


@contextmanager
def _ended_by_signal(pressed: threading.Event | None) -> Iterator[threading.Event]:
    """An event that SIGTERM sets; whoever waits for a press is woken."""
    stop = threading.Event()

    def end(*_: object) -> None:
        stop.set()
        if pressed is not None:
            pressed.set()

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield stop
    finally:
        signal.signal(signal.SIGTERM, before)


def _next_proposal(
    session: Session, after_id: int, stop: threading.Event, say: Callable[[str], None]
) -> Proposal | None:
    """The newest proposal once there is one; None when it is to end."""
    told = None
    while (proposal := session.wait_proposal(after_id, timeout_s=1.0)) is None:
        if session.model_error:
            raise ModelError(session.model_error)
        if session.camera_error:
            raise CameraLost(session.camera_error)
        if stop.is_set():
            return None
        trouble = session.trouble
        if (reason := trouble and trouble.partition("; trying again")[0]) != told:
            told = reason
            say(trouble or "the camera is back")
    if told is not None:
        say("the camera is back")
    return proposal
