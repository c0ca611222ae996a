"""The last few full-resolution frames: the shutter reaches back to the one that was on the screen."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import replace
from weakref import WeakKeyDictionary

from camera_nano.values import Frame

_BRACKET_IDS = 64
_NEAR_NS = 1_500_000_000  # later, the camera looks somewhere else
_BESIDE_NS = 4_000_000_000  # some cameras need three seconds from one darker frame to the next


class FrameRing:
    """The newest frames, at most `capacity`, and what is pinned. A slow reader never blocks the writer.

    Of the frames that the camera took darker or brighter (`Exposure.bracket_ev`) it keeps the newest darker and the
    newest brighter one, beside the others: no reader that asks for frames gets them.
    """

    def __init__(self, capacity: int = 16) -> None:
        if capacity < 1:
            raise ValueError(f"a ring holds at least one frame, not {capacity}")
        self._capacity = capacity
        self._frames: list[Frame] = []
        self._brackets: dict[bool, Frame] = {}  # by whether it is darker
        self._bracket_ids: list[int] = []
        self._pins = WeakKeyDictionary[object, frozenset[int]]()  # a holder that is gone pins nothing
        self._grown = threading.Condition()
        self._closed = False

    def push(self, frame: Frame) -> None:
        """Add the newest frame; the oldest falls out."""
        with self._grown:
            if self._closed:
                _release(frame)
                return
            if frame.exposure.bracket_ev:
                self._put_beside(frame)
                return
            self._make_room(frame, 0)
            self._frames.append(frame)
            self._grown.notify_all()

    def _put_beside(self, frame: Frame) -> None:
        is_darker = frame.exposure.bracket_ev < 0
        if is_darker in self._brackets:
            _release(self._brackets[is_darker])
        self._brackets[is_darker] = frame
        self._bracket_ids = [*self._bracket_ids[1 - _BRACKET_IDS :], frame.id]
        self._make_room(frame, 1)

    def _make_room(self, frame: Frame, n_more: int) -> None:
        """Let go of frames until there is room for one, and for `n_more` fewer than that."""
        room = self._capacity
        if frame.held is not None:
            room = min(room, max(1, frame.held.most_kept - len(self._brackets)))
        while (index := self._surplus(room + n_more, frame)) is not None:
            _release(self._frames.pop(index))

    def _surplus(self, room: int, new: Frame) -> int | None:
        """The index of the frame that makes room for a new one. A camera's few buffers are not all pinned."""
        pinned = frozenset[int]().union(*self._pins.values())
        free = [index for index, frame in enumerate(self._frames) if frame.id not in pinned]
        n_kept = len(free) if new.held is None else len(self._frames)
        return None if n_kept < room else next(iter(free), 0)

    def pin(self, holder: object, frame_ids: Iterable[int]) -> None:
        """Keep these frames for a holder, in place of those that it had pinned before; none lets go."""
        with self._grown:
            self._pins.pop(holder, None)
            if kept := frozenset(frame_ids):
                self._pins[holder] = kept

    def close(self) -> None:
        """Wake every thread that waits. Frames stay readable, but the camera gets its buffers back."""
        with self._grown:
            if not self._closed:
                for frame in (*self._frames, *self._brackets.values()):
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
        """The frame with this id, or the nearest one. The caller becomes an owner of its `held`, and must release it.

        Raises:
            LookupError: no frame has arrived yet.
        """
        with self._grown:
            if not self._frames:
                raise LookupError("no frame has arrived from the camera yet")
            return self._owned([min(self._frames, key=lambda frame: abs(frame.id - frame_id))])[0]

    def around(self, frame: Frame, n: int) -> list[Frame]:
        """The `n` frames nearest to this one and of its time, without it, nearest first.

        The caller owns their `held`, as of `get`.
        """
        with self._grown:
            others = [
                other for other in self._frames if other.id != frame.id and abs(other.t_ns - frame.t_ns) <= _NEAR_NS
            ]
            return self._owned(sorted(others, key=lambda other: abs(other.id - frame.id))[:n])

    def brackets(self, t_ns: int) -> list[Frame]:
        """The darker and the brighter frame beside one of `t_ns`, if they are of its time.

        The caller owns their `held`, as of `get`.
        """
        with self._grown:
            return self._owned([frame for frame in self._brackets.values() if abs(frame.t_ns - t_ns) <= _BESIDE_NS])

    def n_brackets(self, first_id: int, last_id: int) -> int:
        """How many frames from `first_id` to `last_id` were taken darker or brighter, of those lately."""
        with self._grown:
            return sum(first_id <= number <= last_id for number in self._bracket_ids)

    def _owned(self, frames: Sequence[Frame]) -> list[Frame]:
        if self._closed:
            return [replace(frame, held=None) for frame in frames]
        for frame in frames:
            if frame.held is not None:
                frame.held.acquire()
        return list(frames)

    def frames(self) -> list[Frame]:
        """Every frame in the ring, oldest first, without `held`."""
        with self._grown:
            return [replace(frame, held=None) for frame in self._frames]


def release(frames: Iterable[Frame]) -> None:
    """Give back what the owner of these frames holds of the camera."""
    for frame in frames:
        _release(frame)


def _release(frame: Frame) -> None:
    if frame.held is not None:
        frame.held.release()
