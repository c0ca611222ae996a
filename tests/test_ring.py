import threading

import numpy as np
import pytest

from camera_nano.ring import FrameRing
from camera_nano.values import Frame

PIXELS = np.zeros((2, 2, 3), np.uint8)


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
