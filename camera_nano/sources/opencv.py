"""V4L2 cameras and video files by OpenCV; the only place where pixels are ever BGR."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from camera_nano.sources import CameraLost
from camera_nano.values import Frame

_MISSES = 10  # empty reads in a row before a camera counts as lost; a busy USB bus drops one now and then


class _Capture:
    """A cv2.VideoCapture that another thread may close while this one reads."""

    def __init__(self, capture: cv2.VideoCapture) -> None:
        self._capture = capture
        self._lock = threading.Lock()  # releasing during a read crashes some backends
        self.closed = threading.Event()

    def read(self) -> Frame | None:
        """The next picture as RGB, stamped when it was grabbed; None where there is none."""
        with self._lock:
            if self.closed.is_set() or not self._capture.grab():
                return None
            t_ns = time.monotonic_ns()
            ok, bgr = self._capture.retrieve()
        if not ok or bgr is None:
            return None
        return Frame(np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8), t_ns=t_ns)

    def reopen(self, path: Path) -> bool:
        """Start the file again; seeking to frame 0 fails for short clips and some codecs."""
        with self._lock:
            return not self.closed.is_set() and self._capture.open(str(path))

    def close(self) -> None:
        self.closed.set()
        with self._lock:
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
        # compressed at the camera: raw YUYV at this size is 5-10 fps on USB 2
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        capture.set(cv2.CAP_PROP_FRAME_WIDTH, size_wh[0])
        capture.set(cv2.CAP_PROP_FRAME_HEIGHT, size_wh[1])
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the newest frame, not the oldest
        self._capture = _Capture(capture)
        self._next_id = 0

    def frames(self) -> Iterator[Frame]:
        """Frames as they come; CameraLost when they stop coming."""
        misses = 0
        while not self._capture.closed.is_set():
            frame = self._capture.read()
            if frame is not None:
                misses = 0
                yield Frame(frame.pixels, self._next_id, frame.t_ns)
                self._next_id += 1
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
    """A video file, played at its own speed."""

    is_camera = False  # what it shows was not taken now

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
        """Every frame in turn, each at its time; without `loop` the end of the file ends it."""
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
