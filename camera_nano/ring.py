"""The last few full-resolution frames, so that the shutter can reach back to the frame that was on the screen."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import replace

from camera_nano.values import Frame


class FrameRing:
    """A bounded, thread-safe run of frames, oldest first. A slow reader never blocks the writer."""

    def __init__(self, capacity: int = 16) -> None:
        if capacity < 1:
            raise ValueError(f"a ring holds at least one frame, not {capacity}")
        self._capacity = capacity
        self._frames: deque[Frame] = deque()
        self._grown = threading.Condition()
        self._closed = False

    def push(self, frame: Frame) -> None:
        """Add the newest frame; the oldest falls out."""
        with self._grown:
            if self._closed:
                _release(frame)
                return
            room = self._capacity if frame.held is None else min(self._capacity, frame.held.most_kept)
            while len(self._frames) >= room:
                _release(self._frames.popleft())
            self._frames.append(frame)
            self._grown.notify_all()

    def close(self) -> None:
        """Wake every waiter; frames stay readable, but what a camera held for them goes back to it."""
        with self._grown:
            if not self._closed:
                for frame in self._frames:
                    _release(frame)
            self._closed = True
            self._grown.notify_all()

    def latest(self) -> Frame | None:
        """The newest frame, or None before the first."""
        with self._grown:
            return self._frames[-1] if self._frames else None

    def wait_newer(self, frame_id: int, timeout_s: float) -> Frame | None:
        """The newest frame once its id is above `frame_id`; None on time-out or when the ring is closed."""
        with self._grown:
            self._grown.wait_for(lambda: self._closed or self._has_newer(frame_id), timeout_s)
            return self._frames[-1] if self._has_newer(frame_id) else None

    def _has_newer(self, frame_id: int) -> bool:
        return bool(self._frames) and self._frames[-1].id > frame_id

    def get(self, frame_id: int) -> Frame:
        """The frame with this id, or the nearest one in the ring. The caller owns its `held` too, and releases it.

        Raises:
            LookupError: no frame has arrived yet.
        """
        with self._grown:
            if not self._frames:
                raise LookupError("no frame has arrived from the camera yet")
            frame = min(self._frames, key=lambda frame: abs(frame.id - frame_id))
            if self._closed:
                return replace(frame, held=None)
            if frame.held is not None:
                frame.held.acquire()
            return frame

    def frames(self) -> list[Frame]:
        """Every frame in the ring, oldest first, without what a camera holds for them."""
        with self._grown:
            return [replace(frame, held=None) for frame in self._frames]


def _release(frame: Frame) -> None:
    if frame.held is not None:
        frame.held.release()
