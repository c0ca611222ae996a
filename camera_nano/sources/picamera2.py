"""The Raspberry Pi camera by picamera2, which comes with the operating system."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from camera_nano.sources import CameraLost
from camera_nano.values import Exposure, Frame

_INSTALL = (
    "picamera2 is not installed: sudo apt install python3-picamera2, and make the venv with --system-site-packages"
)
_TIMEOUT_S = 3.0  # a lost sensor raises nothing, it only goes quiet


class PiCamera:
    """One camera of the Pi."""

    def __init__(self, number: int = 0, *, size_wh: tuple[int, int] = (1920, 1080)) -> None:
        self.name = f"picamera2:{number}"
        try:
            from picamera2 import Picamera2  # only there on a Pi
        except ImportError as error:
            raise CameraLost(_INSTALL) from error
        try:
            self._camera = Picamera2(number)
        except (RuntimeError, IndexError) as error:
            raise CameraLost(_unusable(self.name, error)) from error
        self._closed = threading.Event()
        self._lock = threading.Lock()
        self._next_id = 0
        try:
            # picamera2 names channels from the top byte down: BGR888 is R, G, B in memory
            config = self._camera.create_preview_configuration(
                main={"size": size_wh, "format": "BGR888"}, buffer_count=4, queue=True
            )
            self._camera.configure(config)
            self._camera.start(show_preview=False)
            self._width, self._height = self._camera.camera_configuration()["main"]["size"]
        except RuntimeError as error:
            self.close()
            raise CameraLost(_unusable(self.name, error)) from error

    def frames(self) -> Iterator[Frame]:
        """Frames as they come; the camera has its buffer back before the caller has the frame."""
        while not self._closed.is_set():
            frame = self._capture()
            if frame is None:
                return
            yield frame

    def _capture(self) -> Frame | None:
        with self._lock:
            if self._closed.is_set():
                return None
            try:
                request = self._camera.capture_request(wait=_TIMEOUT_S)
            except (RuntimeError, TimeoutError) as error:
                self._forget_capture()
                cause = str(error) or "no frame in time"
                raise CameraLost(
                    f"{self.name} stopped ({_one_line(cause)}): check its ribbon cable and restart"
                ) from error
            try:
                array = np.asarray(request.make_array("main"))
                # rows may be padded to the hardware's stride
                pixels = np.array(array[: self._height, : self._width, :3], np.uint8, copy=True, order="C")
                metadata = dict(request.get_metadata())
            finally:
                request.release()
        frame = Frame(pixels, self._next_id, _start_ns(metadata), _exposure(metadata))
        self._next_id += 1
        return frame

    def _forget_capture(self) -> None:
        """A timed-out capture stays queued and would swallow a request that nobody releases."""
        self._camera.cancel_all_and_flush()

    def close(self) -> None:
        """Free the camera; safe to call twice, and from another thread."""
        self._closed.set()
        with self._lock:
            camera, self._camera = self._camera, None
            if camera is not None:
                camera.stop()
                camera.close()


def _start_ns(metadata: Mapping[str, Any]) -> int:
    """Start of exposure on the monotonic clock; SensorTimestamp is when its first row was read out."""
    stamp = metadata.get("SensorTimestamp")
    if stamp is None:
        return time.monotonic_ns()
    return int(stamp) - 1000 * int(metadata.get("ExposureTime", 0))


def _exposure(metadata: Mapping[str, Any]) -> Exposure:
    """ExposureTime is in microseconds; an analogue gain of 1 is taken as ISO 100."""
    time_us, gain = metadata.get("ExposureTime"), metadata.get("AnalogueGain")
    return Exposure(
        time_ms=None if time_us is None else time_us / 1000, iso=None if gain is None else float(gain) * 100
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _unusable(name: str, error: Exception) -> str:
    return f"{name} cannot be opened ({_one_line(str(error))}): check its cable, and close programs that use it"
