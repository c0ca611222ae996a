"""A strict picamera2 for where there is none: it counts every request and starves like the real one."""

from __future__ import annotations

import threading
import time
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import bayer
import cv2
import numpy as np
import numpy.typing as npt
import pytest

from camera_nano.values import F32, Pixels

SENSOR_WH = (202, 150)  # rows are padded to a stride of 64
ALIGN = 64
AUTOMATIC = 20_000, 2.0  # microseconds and gain


class Request:
    def __init__(self, camera: Picamera2, number: int, exposure: tuple[int, float] = (20_000, 2.0)) -> None:
        self.camera, self.number, self.owners, self.lock = camera, number, 1, threading.Lock()
        self.time_us, self.gain = exposure

    def acquire(self) -> None:
        with self.lock:
            assert self.owners > 0, "acquired after the camera had it back"
            self.owners += 1

    def release(self) -> None:
        with self.lock:
            self.owners -= 1
            assert self.owners >= 0, "released twice"
            if self.owners == 0:
                self.camera.back(self)

    def make_array(self, name: str) -> Pixels:
        assert self.owners > 0, "read after the camera had it back"
        stream = self.camera.config[name]
        width, height = stream["size"]
        stride = -(-width // ALIGN) * ALIGN
        if stream["format"] == "YUV420":
            if self.camera.light is not None:
                small = cv2.resize(self.finished(), (width, height), interpolation=cv2.INTER_AREA)
                return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2YUV_I420), np.uint8)
            planes = np.full((height * 3 // 2, stride), 77, np.uint8)  # 77 is the padding
            planes[:height, :width] = self.luma()
            chroma = planes[height:].reshape(2, height // 2, stride // 2)
            chroma[0, :, : width // 2], chroma[1, :, : width // 2] = 90, 160
            return planes
        if name == "raw":
            known = stream["format"][1:5] in bayer.ORDERS
            return (
                bayer.packed(self.mosaic(), stream["format"], pad=12) if known else np.zeros((height, stride), np.uint8)
            )
        assert stream["format"] == "BGR888"
        if self.camera.light is not None:
            return self.finished()
        full = np.full((height, stride, 3), 77, np.uint8)
        full[:, :width] = self.rgb()
        return full

    def mosaic(self) -> npt.NDArray[np.uint16]:
        """The sensor's values of this request, always the same."""
        height, width = self.camera.sensor_resolution[::-1]
        light = np.full((height, width, 3), 0.2, np.float32) if self.camera.light is None else self.camera.light
        return bayer.sensed(light, np.random.default_rng(self.number), *self.kind())

    def kind(self) -> tuple[str, int]:
        """Of the raw stream; a sensor without colours is not simulated, and has a picture all the same."""
        pixel_format = self.camera.config["raw"]["format"]
        return bayer.kind(pixel_format) if pixel_format[1:5] in bayer.ORDERS else ("RGGB", 10)

    def finished(self) -> Pixels:
        return bayer.finished(self.mosaic(), *self.kind())

    def luma(self) -> int:
        light: float = self.time_us * self.gain / 40_000
        return int(min(255, round((100 + self.number % 60) * light ** (1 / 2.2))))

    def rgb(self) -> npt.NDArray[np.float64]:
        """Of Y, Cb 90 and Cr 160, by ITU-T T.871, 7."""
        y, cb, cr = self.luma(), 90 - 128, 160 - 128
        return np.rint([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb])

    def get_metadata(self) -> dict[str, Any]:
        assert self.owners > 0
        known = {"ExposureTime": self.time_us, "AnalogueGain": self.gain, "DigitalGain": 1.5, "Lux": self.camera.lux}
        if self.camera.light is not None:
            known["DigitalGain"] = 1.0
        return known | bayer.METADATA | {"SensorTimestamp": 1_000_000_000 * self.number, "AfState": 1}

    def save_dng(self, file_output: str) -> None:
        assert isinstance(file_output, str) and self.owners > 0
        Path(file_output).write_bytes(b"II*\0 raw of %d" % self.number)


class Picamera2:
    """One camera, thirty frames as fast as buffers are free."""

    made: ClassVar[Picamera2 | None] = None
    refuses: frozenset[str] = frozenset()  # streams it has not
    most_buffers = 99
    lux = 400.0
    delay = 2  # requests that are with the sensor already when a control is set
    sensor_resolution = SENSOR_WH
    sensor_format = "SRGGB10_CSI2P"
    light: F32 | None = None  # (H, W, 3), of the sensor's size, a multiple of 64 wide; else flat pictures
    camera_controls: ClassVar[dict[str, tuple[Any, Any, Any]]] = {
        "ExposureValue": (-8.0, 8.0, 0.0),
        "AeEnable": (False, True, True),
        "AwbEnable": (False, True, True),
        "ExposureTime": (100, 200_000, 20_000),
        "AnalogueGain": (1.0, 16.0, 1.0),
        "AfMode": (0, 2, 0),
        "FrameDurationLimits": (1, 10**6, 1),
    }

    def __init__(self, number: int) -> None:
        if number > 0:
            raise IndexError("list index out of range")
        if Picamera2.made is not None and not Picamera2.made.closed:
            raise RuntimeError("Failed to acquire camera: Device or resource busy")
        Picamera2.made = self
        self.post_callback: Callable[[Request], None] = lambda request: None
        self.closed: bool = False
        self.started, self.silent = False, threading.Event()
        self.out, self.lock, self.number = 0, threading.Condition(), 0
        self.set: list[dict[str, Any]] = []
        self.manual: tuple[int, float] | None = None
        self.pending = dict[str, Any]()  # for the next request that goes to the sensor
        self.exposures = [AUTOMATIC] * self.delay  # of the requests that are there

    def create_preview_configuration(
        self,
        *,
        main: dict[str, Any],
        buffer_count: int,
        queue: bool,
        display: str | None,
        lores: dict[str, Any] | None = None,
        raw: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        for name, stream in {"lores": lores, "raw": raw}.items():
            if stream and name in self.refuses:
                raise RuntimeError(f"no {name} stream")
        assert main["size"][0] % 2 == main["size"][1] % 2 == 0
        streams = {
            "main": dict(main),
            "lores": lores and dict(lores),
            "raw": raw and {"format": self.sensor_format} | raw,
        }
        return {**streams, "buffer_count": buffer_count, "controls": {}}

    def configure(self, camera_config: dict[str, Any]) -> None:
        assert not self.started
        self.config = camera_config
        n_buffers = min(self.config["buffer_count"], self.most_buffers)
        stream = types.SimpleNamespace(buffer_count=n_buffers)
        self.libcamera_config = types.SimpleNamespace(size=1, at=lambda number: stream)
        self.n_buffers = n_buffers

    def camera_configuration(self) -> dict[str, Any]:
        return self.config

    def start(self, *, show_preview: bool) -> None:
        assert show_preview is False
        self.started = True
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        while self.started:
            with self.lock:
                # one buffer is always with the sensor
                if not self.lock.wait_for(lambda: self.out < self.n_buffers - 1 or not self.started, 0.2):
                    continue
                if not self.started:
                    return
                if self.silent.is_set():
                    self.lock.wait(0.05)
                    continue
                self.out += 1
                self.number += 1
                self.exposures.append(self.applied())
            request = Request(self, self.number, self.exposures.pop(0))
            started_s = time.thread_time()  # of work, not of waiting for a busy machine
            self.post_callback(request)
            assert time.thread_time() - started_s < 0.5, "work in the camera's thread"
            request.release()
            with self.lock:
                self.lock.wait(0.005)

    def applied(self) -> tuple[int, float]:
        """Time and gain of a request that goes to the sensor now: controls stay until they are set again."""
        wanted, self.pending = self.pending, {}
        if wanted.get("AeEnable"):
            assert wanted.get("ExposureTime", 0) == wanted.get("AnalogueGain", 0) == 0, "neither automatic nor manual"
            self.manual = None
        elif "ExposureTime" in wanted:
            self.manual = wanted["ExposureTime"], wanted["AnalogueGain"]
            low, high, _ = self.camera_controls["ExposureTime"]
            assert isinstance(self.manual[0], int) and low <= self.manual[0] <= high
            assert 1 <= self.manual[1] <= 16
        return self.manual or AUTOMATIC

    def back(self, request: Request) -> None:
        with self.lock:
            self.out -= 1
            assert self.out >= 0
            self.lock.notify_all()

    def set_controls(self, controls: dict[str, Any]) -> None:
        assert controls.keys() <= self.camera_controls.keys() | {"AfTrigger"}
        self.set.append(controls)
        with self.lock:
            self.pending |= controls

    def stop(self) -> None:
        with self.lock:
            self.started = False
            self.lock.notify_all()
        self.thread.join(5)

    def close(self) -> None:
        assert not self.started
        self.closed = True


def install(monkeypatch: pytest.MonkeyPatch, **traits: Any) -> type[Picamera2]:
    """Put it where picamera2 would be; what it does not have is in `traits`."""
    import sys

    camera = type("Picamera2", (Picamera2,), traits)
    Picamera2.made = None
    monkeypatch.setitem(sys.modules, "picamera2", types.SimpleNamespace(Picamera2=camera))
    enums = {"AfModeEnum": types.SimpleNamespace(Auto=1), "AfTriggerEnum": types.SimpleNamespace(Start=0)}
    enums |= {"AfMeteringEnum": types.SimpleNamespace(Windows=1)}
    controls = types.SimpleNamespace(controls=types.SimpleNamespace(**enums))
    monkeypatch.setitem(sys.modules, "libcamera", controls)
    return camera
