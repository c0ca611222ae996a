"""A camera without hardware."""

import threading
from collections.abc import Iterator

import numpy as np

from camera_nano.values import Frame, Pixels


class Playback:
    """A camera that the test plays by hand, or that plays itself every `pace_s`; the hardware edge."""

    name = "playback"

    def __init__(self, photo: Pixels, pace_s: float | None = None) -> None:
        self.photo, self.pace_s = photo, pace_s
        self.due, self.closed, self.entered = threading.Semaphore(0), threading.Event(), threading.Event()
        self.error: Exception | None = None

    def frames(self) -> Iterator[Frame]:
        self.entered.set()
        number = 0
        while not self.closed.is_set():
            if self.pace_s is None:
                assert self.due.acquire(timeout=60), "the test never released the next frame"
            else:
                self.closed.wait(self.pace_s)
            if self.closed.is_set():
                return
            if self.error:
                raise self.error
            # every frame is told apart by its content
            yield Frame(np.roll(self.photo, number * 8, axis=1), id=number, t_ns=1_000_000 * (number + 1))
            number += 1

    def close(self) -> None:
        self.closed.set()
        self.due.release()
