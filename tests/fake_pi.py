"""A strict picamera2 for where there is none: it counts every request and starves like the real one."""

import threading
import time
import types
from pathlib import Path

import numpy as np

SENSOR_WH = (202, 150)  # rows are padded to a stride of 64
ALIGN = 64


class Request:
    def __init__(self, camera, number):
        self.camera, self.number, self.owners, self.lock = camera, number, 1, threading.Lock()

    def acquire(self):
        with self.lock:
            assert self.owners > 0, "acquired after the camera had it back"
            self.owners += 1

    def release(self):
        with self.lock:
            self.owners -= 1
            assert self.owners >= 0, "released twice"
            if self.owners == 0:
                self.camera.back(self)

    def make_array(self, name):
        assert self.owners > 0, "read after the camera had it back"
        stream = self.camera.config[name]
        width, height = stream["size"]
        stride = -(-width // ALIGN) * ALIGN
        if stream["format"] == "YUV420":
            planes = np.full((height * 3 // 2, stride), 77, np.uint8)  # 77 is the padding
            planes[:height, :width] = self.luma()
            chroma = planes[height:].reshape(2, height // 2, stride // 2)
            chroma[0, :, : width // 2], chroma[1, :, : width // 2] = 90, 160
            return planes
        assert stream["format"] == "BGR888"
        full = np.full((height, stride, 3), 77, np.uint8)
        full[:, :width] = self.rgb()
        return full

    def luma(self):
        return 100 + self.number % 60

    def rgb(self):
        """Of Y, Cb 90 and Cr 160, by ITU-T T.871, 7."""
        y, cb, cr = self.luma(), 90 - 128, 160 - 128
        return np.rint([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb])

    def get_metadata(self):
        assert self.owners > 0
        known = {"ExposureTime": 20_000, "AnalogueGain": 2.0, "DigitalGain": 1.5, "Lux": 400.0}
        return known | {"ColourGains": (1.8, 1.4), "SensorTimestamp": 1_000_000_000 * self.number, "AfState": 1}

    def save_dng(self, path):
        assert isinstance(path, str) and self.owners > 0
        Path(path).write_bytes(b"II*\0 raw of %d" % self.number)


class Picamera2:
    """One camera, thirty frames as fast as buffers are free."""

    made = None
    refuses = frozenset()  # streams it has not
    most_buffers = 99
    sensor_resolution = SENSOR_WH
    camera_controls = {  # noqa: RUF012
        "ExposureValue": (-8.0, 8.0, 0.0),
        "AeEnable": (False, True, True),
        "AwbEnable": (False, True, True),
        "AfMode": (0, 2, 0),
        "FrameDurationLimits": (1, 10**6, 1),
    }

    def __init__(self, number):
        if number > 0:
            raise IndexError("list index out of range")
        if Picamera2.made is not None and not Picamera2.made.closed:
            raise RuntimeError("Failed to acquire camera: Device or resource busy")
        Picamera2.made = self
        self.post_callback, self.closed, self.started, self.silent = None, False, False, threading.Event()
        self.out, self.lock, self.set, self.number = 0, threading.Condition(), [], 0

    def create_preview_configuration(self, *, main, buffer_count, queue, display, lores=None, raw=None):
        for name, stream in {"lores": lores, "raw": raw}.items():
            if stream and name in self.refuses:
                raise RuntimeError(f"no {name} stream")
        assert main["size"][0] % 2 == main["size"][1] % 2 == 0
        streams = {"main": dict(main), "lores": lores and dict(lores), "raw": raw and dict(raw)}
        return {**streams, "buffer_count": buffer_count, "controls": {}}

    def configure(self, config):
        assert not self.started
        self.config = config
        n_buffers = min(self.config["buffer_count"], self.most_buffers)
        stream = types.SimpleNamespace(buffer_count=n_buffers)
        self.libcamera_config = types.SimpleNamespace(size=1, at=lambda number: stream)
        self.n_buffers = n_buffers

    def camera_configuration(self):
        return self.config

    def start(self, *, show_preview):
        assert show_preview is False
        self.started = True
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
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
            request = Request(self, self.number)
            started_s = time.perf_counter()
            self.post_callback(request)
            assert time.perf_counter() - started_s < 0.5, "work in the camera's thread"
            request.release()
            with self.lock:
                self.lock.wait(0.005)

    def back(self, request):
        with self.lock:
            self.out -= 1
            assert self.out >= 0
            self.lock.notify_all()

    def set_controls(self, wanted):
        assert wanted.keys() <= self.camera_controls.keys() | {"AfTrigger"}
        self.set.append(wanted)

    def stop(self):
        with self.lock:
            self.started = False
            self.lock.notify_all()
        self.thread.join(5)

    def close(self):
        assert not self.started
        self.closed = True


def install(monkeypatch, **traits):
    """Put it where picamera2 would be; what it does not have is in `traits`."""
    import sys

    camera = type("Picamera2", (Picamera2,), traits)
    Picamera2.made = None
    monkeypatch.setitem(sys.modules, "picamera2", types.SimpleNamespace(Picamera2=camera))
    enums = {"AfModeEnum": types.SimpleNamespace(Auto=1), "AfTriggerEnum": types.SimpleNamespace(Start=0)}
    controls = types.SimpleNamespace(controls=types.SimpleNamespace(**enums))
    monkeypatch.setitem(sys.modules, "libcamera", controls)
    return camera
