"""The frames just before and after the last shot: one of them may be the better picture."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping

from camera_nano.values import Frame

_KEPT_S = 5.0
_KEPT_FRAMES = 12


class Moments:
    """At most 12 frames around the last shot, until five seconds after it is saved.

    Of shots before it, none are kept: where the disk is full, any number waits to be saved.
    """

    def __init__(self) -> None:
        self._shot_id, self._frames = -1, dict[int, Frame]()
        self._until_s = 0.0  # on the monotonic clock
        self._lock = threading.Lock()  # who frees old frames must not free those of a shot taken meanwhile

    def keep(self, frames: Mapping[int, Frame], shot_id: int) -> None:
        """Keep those of `frames`, by id, that are nearest to the frame of a shot, until it is saved."""
        with self._lock:
            self._shot_id, self._frames, self._until_s = shot_id, _nearest(frames, shot_id), math.inf

    def saved(self, shot_id: int, later: Mapping[int, Frame]) -> None:
        """The shot is saved, or never will be: if it is the last one, its five seconds start, with later frames."""
        with self._lock:
            if shot_id == self._shot_id:
                self._frames = _nearest({**self._frames, **later}, shot_id)
                self._until_s = time.monotonic() + _KEPT_S

    def frames(self) -> list[Frame]:
        """What is kept, oldest first; nothing once its time is over."""
        with self._lock:
            if time.monotonic() > self._until_s:
                self._frames = {}
            return list(self._frames.values())


def _nearest(frames: Mapping[int, Frame], shot_id: int) -> dict[int, Frame]:
    # the nearest, not the newest: when the shot took long to save, the newest show something else by now
    nearest = sorted(frames, key=lambda frame_id: abs(frame_id - shot_id))[:_KEPT_FRAMES]
    return {frame_id: frames[frame_id] for frame_id in sorted(nearest)}
