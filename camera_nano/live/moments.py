"""The frames just before and after the last shot: one of them may be the better picture."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping

from camera_nano.values import Frame

_KEPT_S = 5.0
_KEPT_FRAMES = 12


class Moments:
    """At most 12 frames around the last shot, until five seconds after it."""

    def __init__(self) -> None:
        self._kept: tuple[float, list[Frame]] = 0.0, []  # until when, on the monotonic clock, and what
        self._lock = threading.Lock()  # who frees old frames must not free those of a shot taken meanwhile

    def keep(self, frames: Mapping[int, Frame], shot_id: int) -> None:
        """Keep those of `frames`, by id, that are nearest to the shot; the five seconds start again."""
        # the nearest, not the newest: when the shot took long to save, the newest show something else by now
        nearest = sorted(frames, key=lambda frame_id: abs(frame_id - shot_id))[:_KEPT_FRAMES]
        with self._lock:
            self._kept = time.monotonic() + _KEPT_S, [frames[frame_id] for frame_id in sorted(nearest)]

    def frames(self) -> list[Frame]:
        """What is kept, oldest first; nothing once its time is over."""
        with self._lock:
            if time.monotonic() > self._kept[0]:
                self._kept = 0.0, []
            return self._kept[1]
