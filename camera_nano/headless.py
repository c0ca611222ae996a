"""The live loop without a page: so many shots, so far apart."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

from camera_nano.engines import ModelError
from camera_nano.session import Session
from camera_nano.shots import Shot
from camera_nano.sources import CameraLost


def shoot(session: Session, n_shots: int, every_s: float, strength: float = 1.0) -> Iterator[Shot]:
    """Start the session and yield each shot once it is on disk, with every look; SIGTERM ends it early.

    A shot is of the frame its looks were proposed for, so that field and frame belong together.

    Raises:
        ModelError: the model cannot be loaded or run.
        CameraLost: the camera has ended.
        OSError: a shot could not be saved.
    """
    stop = threading.Event()
    before = signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        session.start()
        last = 0
        for number in range(n_shots):
            if number and stop.wait(every_s):
                return
            while (proposal := session.wait_proposal(last, timeout_s=1.0)) is None:
                if session.model_error:
                    raise ModelError(session.model_error)
                if session.camera_error:
                    raise CameraLost(session.camera_error)
                if stop.is_set():
                    return
            last = proposal.id
            yield session.commit(proposal.frame_id, last, list(proposal.fields), strength).result()
    finally:
        signal.signal(signal.SIGTERM, before)
