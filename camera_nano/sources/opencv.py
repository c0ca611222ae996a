"""V4L2 cameras and video files, read by OpenCV; no other module ever has pixels as BGR."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from camera_nano.errors import CameraLost
from camera_nano.light import ratio_ev
from camera_nano.opencv import cv2
from camera_nano.values import Exposure, Frame

_BRACKET_EVERY = 45  # frames: the view stands still while the exposure changes, there and back
_SETTLING = 6  # the most frames that takes, one way
_BY_HAND = 1  # of CAP_PROP_AUTO_EXPOSURE: V4L2_EXPOSURE_MANUAL
_MISSES = 10  # failed reads in a row that mean a lost camera; a busy USB bus makes a read fail now and then


class _Capture:
    """A cv2.VideoCapture that another thread may close while this one reads."""

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self._capture = capture
        self._lock = threading.Lock()  # releasing during a read crashes some backends
        self.closed = threading.Event()
        self._usual: tuple[float, float] | None = None  # automatic or not, and exposure, while it is set by hand

    def read(self) -> Frame | None:
        """The next picture as RGB, with the time at which it was grabbed; None if the read fails."""
        with self._lock:
            if self.closed.is_set() or not self._capture.grab():
                return None
            t_ns = time.monotonic_ns()
            ok, bgr = self._capture.retrieve()
        if not ok or bgr is None:
            return None
        return Frame(np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8), t_ns=t_ns)

    def expose(self, offset_ev: float) -> bool:
        """Set the exposure by hand, in stops against the one now, until `restore`; False where it cannot be set."""
        with self._lock:
            usual = self._capture.get(cv2.CAP_PROP_AUTO_EXPOSURE), self._capture.get(cv2.CAP_PROP_EXPOSURE)
            if self.closed.is_set() or usual[1] <= 0 or not self._capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, _BY_HAND):
                return False
            self._capture.set(cv2.CAP_PROP_EXPOSURE, max(1, round(usual[1] * 2**offset_ev)))  # in 100 us
            self._usual = usual
            return True

    def restore(self) -> None:
        """Set the exposure as it was before `expose`."""
        with self._lock:
            self._restore()

    def _restore(self) -> None:
        if self._usual is not None:
            self._capture.set(cv2.CAP_PROP_EXPOSURE, self._usual[1])
            self._capture.set(cv2.CAP_PROP_AUTO_EXPOSURE, self._usual[0])
            self._usual = None

    def reopen(self, path: Path) -> bool:
        """Start the file again, whether that works. Seeking to frame 0 would fail for short clips and some codecs."""
        with self._lock:
            return not self.closed.is_set() and self._capture.open(str(path))

    def close(self) -> None:
        self.closed.set()
        with self._lock:
            self._restore()  # a camera keeps what is set
            self._capture.release()


class V4L2Camera:
    """A USB camera, by number or device path."""

    def __init__(self, device: int | str = 0, *, size_wh: tuple[int, int] = (1280, 720)) -> None:
        self.name = f"v4l2:{device}"
        node = Path(f"/dev/video{device}" if isinstance(device, int) else device)
        if not node.exists():
            raise CameraLost(f"{self.name} is not there ({node} does not exist): plug it in, or use --source demo")
        if not os.access(node, os.R_OK | os.W_OK):
            raise CameraLost(f"{self.name} may not be used by you: sudo usermod -aG video $USER, then log in again")
        self.stable_uri = f"v4l2:{_by_id(node)}"  # plugged in again, a camera may get another number
        capture = cv2.VideoCapture(str(node), cv2.CAP_V4L2)
        if not capture.isOpened():
            capture.release()
            raise CameraLost(
                f"{self.name} cannot be opened: close the program that uses it, or choose another --source"
            )
        # the camera compresses: USB 2 carries only 5-10 raw frames of this size a second
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, size_wh[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size_wh[1])
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the newest frame, not the oldest
        self._capture = _Capture(capture)
        self._next_id = 0
        self._offsets_ev: tuple[float, ...] = ()

    def bracket(self, offsets_ev: Sequence[float]) -> bool:
        """Take a frame at one of these exposures every second or two, in turn; as in `seams.Bracketing`."""
        self._offsets_ev = tuple(offsets_ev)
        return True

    def _bracketed(self, before: Frame, offset_ev: float) -> Iterator[Frame]:
        """One frame at another exposure. Those on the way there and back are left out: they would flicker."""
        if not self._capture.expose(offset_ev):
            self._offsets_ev = ()
            return
        try:
            frame, ev = self._settled(before, lambda ev: ev / offset_ev > 0.5)
        finally:
            self._capture.restore()
        if frame is not None:  # one that did not follow says what it was to be, so that whoever checks sees it
            yield Frame(frame.pixels, self._next_id, frame.t_ns, Exposure(bracket_ev=ev or offset_ev))
            self._next_id += 1
        self._settled(before, lambda ev: abs(ev) < 0.5)

    def _settled(self, before: Frame, is_there: Callable[[float], bool]) -> tuple[Frame | None, float | None]:
        """The first frame whose light, in stops against `before`, is as wanted, and that; else the last, and None."""
        frame = None
        for _ in range(_SETTLING):
            frame = self._capture.read() or frame
            ev = None if frame is None else ratio_ev(frame.pixels, before.pixels)
            if ev is not None and is_there(ev):
                return frame, ev
        return frame, None

    def frames(self) -> Iterator[Frame]:
        """Frames as they come. Raises CameraLost when they stop coming."""
        misses = 0
        while not self._capture.closed.is_set():
            frame = self._capture.read()
            if frame is not None:
                misses = 0
                yield Frame(frame.pixels, self._next_id, frame.t_ns)
                self._next_id += 1
                turn, rest = divmod(self._next_id, _BRACKET_EVERY)
                if self._offsets_ev and not rest:
                    yield from self._bracketed(frame, self._offsets_ev[turn % len(self._offsets_ev)])
                continue
            misses += 1
            if misses >= _MISSES and not self._capture.closed.is_set():
                raise CameraLost(f"{self.name} stopped sending frames: check its cable, then start it again")
            self._capture.closed.wait(0.05)

    def close(self) -> None:
        """Free the device; safe to call twice, and from another thread."""
        self._capture.close()


def _by_id(node: Path) -> Path:
    """The link that udev gives a camera by maker, model and serial number; the node itself where there is none."""
    links = Path("/dev/v4l/by-id").glob("*")
    return min((link for link in links if link.resolve() == node.resolve()), default=node)


class VideoFile:
    """A video file, played at its own speed. FFmpeg reads it in this process: another would cost frames."""

    is_camera = False  # its frames were not taken now
    may_be_finished = True  # somebody may have developed them

    def __init__(self, path: Path, *, loop: bool = True, pace: bool = True) -> None:
        self.name = f"video:{path.name}"
        if not path.is_file():
            raise CameraLost(f"{self.name} is not there ({path} is not a file): check the path")
        capture = cv2.VideoCapture(str(path))
        if not capture.isOpened():
            capture.release()
            raise CameraLost(
                f"{self.name} cannot be read ({path} is not a video OpenCV knows): convert it to MP4 or AVI"
            )
        fps = capture.get(cv2.CAP_PROP_FPS)
        self.fps = fps if 0.1 <= fps <= 1000 else 30.0  # some containers say 0 or NaN
        self._capture = _Capture(capture)
        self._path, self._loop, self._pace = path, loop, pace
        self._next_id = 0

    def frames(self) -> Iterator[Frame]:
        """Every frame in turn, each at its time, over and over; without `loop`, once."""
        start_ns, n_played, n_this_turn = time.monotonic_ns(), 0, 0
        while not self._capture.closed.is_set():
            frame = self._capture.read()
            if frame is None:
                if n_this_turn == 0 and not self._capture.closed.is_set():
                    raise CameraLost(f"{self.name} holds no readable frame: {self._path} is damaged, convert it again")
                if not self._loop or not self._capture.reopen(self._path):
                    return
                n_this_turn = 0
                continue
            due_ns = start_ns + int(n_played * 1e9 / self.fps)
            if self._pace and self._capture.closed.wait(max(0, due_ns - time.monotonic_ns()) / 1e9):
                return
            yield Frame(frame.pixels, self._next_id, max(due_ns, frame.t_ns) if self._pace else due_ns)
            self._next_id += 1
            n_played, n_this_turn = n_played + 1, n_this_turn + 1

    def close(self) -> None:
        """Free the file; safe to call twice, and from another thread."""
        self._capture.close()
