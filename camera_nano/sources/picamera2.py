"""The Raspberry Pi camera, by picamera2, which comes with the operating system.

The camera is configured once for everything: a small picture for the view and the model, the full one for the shot,
and the sensor's raw values, for the DNG and so that the field of view never changes. A frame keeps the camera's own
buffers: the shutter saves the very request that was on the screen, and nothing is copied before that.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from camera_nano.errors import CameraLost
from camera_nano.seams import Control
from camera_nano.sources.bayer import raw_of
from camera_nano.sources.picamera2_streams import AT_WORK, configure, to_rgb
from camera_nano.sources.pulses import Pulses
from camera_nano.values import Exposure, Frame, Pixels, Raw

_INSTALL = (
    "picamera2 is not installed: sudo apt install python3-picamera2, and make the venv with --system-site-packages"
)
_TIMEOUT_S = 3.0  # a lost sensor raises no error, it only sends nothing more
_EV_LIMIT = 4.0
_LEAST_KEPT = 3  # a darker frame, and two that a page may show
_SCANNING = 1  # AfState, in libcamera's control_ids_core


class PiCamera:
    """One camera of the Pi."""

    def __init__(self, number: int = 0) -> None:
        self.name = f"picamera2:{number}"
        try:
            from picamera2 import Picamera2  # only there on a Pi
        except ImportError as error:
            raise CameraLost(_INSTALL) from error
        self._changed = threading.Condition()
        self._newest: Any = None  # a completed request that is ours
        self._closed = False
        self._next_id = 0
        self._set: dict[str, float] = {"ev": 0.0, "exposure_lock": 0.0}
        self._is_focusing = False
        self._pulses = Pulses()
        try:
            self._camera = Picamera2(number)
        except (RuntimeError, IndexError) as error:
            raise CameraLost(_unusable(self.name, error)) from error
        try:
            self._streams = configure(self._camera)
            config = self._camera.libcamera_config
            n_buffers = min(config.at(i).buffer_count for i in range(config.size))  # some give fewer than asked for
            self._most_kept = max(1, n_buffers - AT_WORK)
            self._camera.post_callback = self._completed
            self._camera.start(show_preview=False)
        except RuntimeError as error:
            self.close()
            raise CameraLost(_unusable(self.name, error)) from error

    def _completed(self, request: Any) -> None:
        """The camera's thread calls this for every request and holds the camera's lock: do no work here."""
        with self._changed:
            if self._closed:
                return
            request.acquire()
            late, self._newest = self._newest, request
            self._changed.notify_all()
        if late is not None:
            late.release()

    def frames(self) -> Iterator[Frame]:
        """Frames as they come; each owns its request until it is released.

        Raises:
            CameraLost: no frame has come for three seconds.
        """
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._newest is not None or self._closed, _TIMEOUT_S)
                if self._closed:
                    return
                request, self._newest = self._newest, None
            if request is None:
                raise CameraLost(f"{self.name} stopped (no frame in time): check its ribbon cable and restart")
            yield self._frame(request)

    def _frame(self, request: Any) -> Frame:
        held = _Request(request, self._streams, self._most_kept)
        try:
            metadata = dict(request.get_metadata())
            self._is_focusing = metadata.get("AfState") == _SCANNING
            small = "lores" if "lores" in self._streams else "main"
            exposure = self._pulses.marked(_exposure(metadata), metadata.get("AnalogueGain"))
            frame = Frame(held.pixels(small), self._next_id, _start_ns(metadata), exposure, held)
            self._pulse()
        except BaseException:
            held.release()
            raise
        self._next_id += 1
        return frame

    def bracket(self, offsets_ev: Sequence[float]) -> bool:
        """Take every eighth frame at one of these exposures, in turn; as in `seams.Bracketing`."""
        offered = self._camera.camera_controls
        can = {"AeEnable", "ExposureTime", "AnalogueGain"} <= set(offered) and self._most_kept >= _LEAST_KEPT
        self._pulses.offsets_ev = tuple(offsets_ev) if can else ()
        return can

    def _pulse(self) -> None:
        """Set another exposure for one request; the next that is queued gets the usual one again."""
        wanted = self._pulses.next(bool(self._set["exposure_lock"]), self._camera.camera_controls)
        if wanted is not None:
            self._camera.set_controls(wanted)

    def controls(self) -> list[Control]:
        """What this camera lets people set."""
        offered, made = self._camera.camera_controls, []
        if "ExposureValue" in offered:
            low, high = (float(np.clip(limit, -_EV_LIMIT, _EV_LIMIT)) for limit in offered["ExposureValue"][:2])
            made.append(Control("ev", "range", self._set["ev"], low, high, 1 / 3))
        if "AeEnable" in offered:
            made.append(Control("exposure_lock", "switch", self._set["exposure_lock"]))
        if "AfMode" in offered:
            made.append(Control("autofocus", "trigger", float(self._is_focusing)))
        return made

    def adjust(self, name: str, value: float) -> None:
        """Set a control; it takes a few frames. Raises ValueError for one it lacks, or a value out of range."""
        control = next((control for control in self.controls() if control.name == name), None)
        if control is None or not control.low <= value <= control.high:
            raise ValueError(f"{self.name} has no {name} of {value:g}")
        if name == "ev":
            self._camera.set_controls({"ExposureValue": value})
        elif name == "exposure_lock":  # white balance, too: the pictures of a series are to look alike
            is_free = not value
            wanted = {"AeEnable": is_free, "AwbEnable": is_free}
            self._camera.set_controls({key: wanted[key] for key in wanted if key in self._camera.camera_controls})
        else:
            from libcamera import controls

            trigger = {"AfMode": controls.AfModeEnum.Auto, "AfTrigger": controls.AfTriggerEnum.Start}
            self._camera.set_controls(trigger)
        if name in self._set:
            self._set[name] = value

    def meter(self, x: float, y: float) -> None:
        """Focus on what is at a point of the frame, 0..1. libcamera exposes for the whole or the middle, for no point.

        Raises ValueError where this camera has a fixed focus.
        """
        if "AfWindows" not in self._camera.camera_controls:
            raise ValueError(f"{self.name} has a fixed focus, and no meter for a point")
        from libcamera import controls

        # windows are in pixels of the largest crop of the sensor (libcamera, control_ids_core)
        left, top, width, height = self._camera.camera_properties["ScalerCropMaximum"]
        side = min(width, height) // 8
        window = (left + round(x * width) - side // 2, top + round(y * height) - side // 2, side, side)
        focus = {"AfMode": controls.AfModeEnum.Auto, "AfMetering": controls.AfMeteringEnum.Windows}
        self._camera.set_controls({**focus, "AfWindows": [window], "AfTrigger": controls.AfTriggerEnum.Start})

    def close(self) -> None:
        """Free the camera; safe to call twice, and from another thread."""
        with self._changed:
            was_closed, self._closed = self._closed, True
            waiting, self._newest = self._newest, None
            self._changed.notify_all()
        if waiting is not None:
            waiting.release()
        if not was_closed:
            self._camera.stop()
            self._camera.close()


class _Request:
    """A completed request, as what a frame holds of its camera (`values.Held`)."""

    def __init__(self, request: Any, streams: Mapping[str, Any], most_kept: int) -> None:
        self._request, self._streams, self.most_kept = request, streams, most_kept

    def acquire(self) -> None:
        self._request.acquire()

    def release(self) -> None:
        self._request.release()

    def full_pixels(self) -> Pixels:
        return self.pixels("main")

    def pixels(self, stream: str) -> Pixels:
        """The picture of a stream, (H, W, 3) RGB uint8; a copy."""
        about = self._streams[stream]
        return to_rgb(self._request.make_array(stream), about["format"], about["size"])

    def raw(self) -> Raw:
        about = self._streams.get("raw")
        if about is None:
            raise LookupError("this camera gives no raw values")
        metadata = self._request.get_metadata()
        return raw_of(self._request.make_array("raw"), about["format"], about["size"], metadata)

    def save_dng(self, path: Path) -> None:
        if "raw" not in self._streams:
            raise LookupError("this camera gives no raw values")
        try:
            self._request.save_dng(str(path))  # picamera2 would take a Path for a format
        except TypeError as error:  # it and the writer of DNGs beside it do not fit in every version
            raise LookupError(f"picamera2 cannot write a DNG here: {error}") from error


def _start_ns(metadata: Mapping[str, Any]) -> int:
    """Start of exposure on the monotonic clock; SensorTimestamp is when the first row was read out."""
    stamp = metadata.get("SensorTimestamp")
    if stamp is None:
        return time.monotonic_ns()
    return int(stamp) - 1000 * int(metadata.get("ExposureTime", 0))


def _exposure(metadata: Mapping[str, Any]) -> Exposure:
    """ExposureTime is in microseconds; a gain of 1, analogue and digital together, is taken as ISO 100."""
    time_us, gain, colour_gains = (metadata.get(key) for key in ("ExposureTime", "AnalogueGain", "ColourGains"))
    lux = metadata.get("Lux")
    return Exposure(
        time_ms=None if time_us is None else time_us / 1000,
        iso=None if gain is None else float(gain) * float(metadata.get("DigitalGain", 1)) * 100,
        lux=None if lux is None else float(lux),
        colour_gains=None if colour_gains is None else (float(colour_gains[0]), float(colour_gains[1])),
    )


def _unusable(name: str, error: Exception) -> str:
    cause = " ".join(str(error).split())
    return f"{name} cannot be opened ({cause}): check its cable, and close programs that use it"
