import threading

import numpy as np
import pytest

from camera_nano.live.ring import FrameRing
from camera_nano.values import Exposure, Frame

PIXELS = np.zeros((2, 2, 3), np.uint8)


class Page:
    """Who may pin."""


class Buffers:
    """A camera's buffers, of which three may be kept."""

    most_kept, is_kept = 3, True

    def release(self):
        assert self.is_kept
        self.is_kept = False


def filled(capacity, ids):
    ring = FrameRing(capacity)
    for number in ids:
        ring.push(Frame(PIXELS, number))
    return ring


def test_empty():
    ring = FrameRing()
    assert ring.latest() is None
    assert ring.wait_newer(-1, timeout_s=0) is None
    with pytest.raises(LookupError, match="no frame"):
        ring.get(0)


def test_keeps_the_newest_and_gives_the_nearest():
    ring = filled(4, range(10))
    assert ring.latest().id == 9
    assert [ring.get(i).id for i in (0, 6, 8, 99)] == [6, 6, 8, 9]


def test_what_is_pinned_stays_until_its_holder_lets_go():
    ring, pages = filled(4, range(4)), [Page(), Page()]
    ring.pin(pages[0], [1, 2])
    ring.pin(pages[1], [2])
    for number in range(4, 20):
        ring.push(Frame(PIXELS, number))
    assert [frame.id for frame in ring.frames()] == [1, 2, 16, 17, 18, 19] and ring.latest().id == 19
    ring.pin(pages[0], [19])
    ring.push(Frame(PIXELS, 20))
    assert [frame.id for frame in ring.frames()] == [2, 16, 17, 18, 19, 20]
    del pages[1]  # a page that never said goodbye
    ring.pin(pages[0], [])
    ring.push(Frame(PIXELS, 21))
    assert [frame.id for frame in ring.frames()] == [18, 19, 20, 21]


def test_a_cameras_few_buffers_are_never_all_pinned():
    ring, page, held = FrameRing(8), Page(), [Buffers() for _ in range(6)]
    for number, buffers in enumerate(held):
        ring.pin(page, range(number))
        ring.push(Frame(PIXELS, number, held=buffers))
    assert ring.latest().id == 5 and [buffers.is_kept for buffers in held] == [False] * 3 + [True] * 3


def test_a_waiting_reader_gets_the_newest_frame_only():
    ring = filled(4, range(3))
    got = []
    reader = threading.Thread(target=lambda: got.append(ring.wait_newer(2, timeout_s=10)))
    reader.start()
    ring.push(Frame(PIXELS, 7))
    reader.join()
    assert got[0].id == 7


def test_close_wakes_waiters_and_keeps_frames():
    ring = filled(4, range(3))
    got = ["not yet"]
    reader = threading.Thread(target=lambda: got.append(ring.wait_newer(99, timeout_s=60)))
    reader.start()
    ring.close()
    reader.join(timeout=10)
    assert not reader.is_alive() and got[-1] is None and ring.get(1).id == 1


def test_no_room_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        FrameRing(0)


class _Buffers:
    """A camera's buffers that count their owners."""

    most_kept = 8

    def __init__(self) -> None:
        self.owners = 1

    def acquire(self) -> None:
        assert self.owners > 0, "taken after the camera had it back"
        self.owners += 1

    def release(self) -> None:
        assert self.owners > 0, "given back twice"
        self.owners -= 1


def test_a_cameras_buffers_go_back_once_when_nobody_needs_them():
    ring, buffers = FrameRing(2), [_Buffers() for _ in range(4)]
    frames = [Frame(PIXELS, number, held=held) for number, held in enumerate(buffers)]
    for frame in frames[:3]:
        ring.push(frame)
    assert [held.owners for held in buffers[:3]] == [0, 1, 1]
    mine = ring.get(1)
    assert [(frame.id, frame.held) for frame in ring.frames()] == [(1, None), (2, None)]
    ring.close()
    ring.close()
    ring.push(frames[3])
    assert [held.owners for held in buffers] == [0, 1, 0, 0]
    mine.held.release()
    assert ring.get(1).held is None  # readable after the end, but not the camera's any more
    assert buffers[1].owners == 0


def test_frames_at_other_exposures_are_kept_beside_the_others():
    ring, held = FrameRing(8), [Buffers() for _ in range(9)]
    offsets = [0, 0, -2.0, 0, 0, -2.0, 2.0, 0, 0]
    for number, (offset, buffers) in enumerate(zip(offsets, held, strict=True)):
        ring.push(Frame(PIXELS, number, exposure=Exposure(bracket_ev=offset), held=buffers))
        assert sum(buffers.is_kept for buffers in held[: number + 1]) <= 3
    assert [frame.id for frame in ring.frames()] == [8] and ring.latest().id == 8
    assert [number for number, buffers in enumerate(held) if buffers.is_kept] == [5, 6, 8]
    assert ring.n_brackets(0, 8) == 3 and ring.n_brackets(3, 8) == 2
    ring.close()
    assert not any(buffers.is_kept for buffers in held)


def test_companions_are_near_in_number_and_time():
    ring = FrameRing(8)
    for number in range(8):
        ring.push(Frame(PIXELS, number, t_ns=number * 500_000_000))
    ring.push(Frame(PIXELS, 8, t_ns=4_000_000_000, exposure=Exposure(bracket_ev=-2.0)))
    frame = ring.get(7)
    assert [near.id for near in ring.around(frame, 7)] == [6, 5, 4]
    assert [near.id for near in ring.around(frame, 2)] == [6, 5]
    assert [beside.id for beside in ring.brackets(frame.t_ns)] == [8]
    assert ring.brackets(frame.t_ns + 5_000_000_000) == []
