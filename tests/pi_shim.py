"""What a desktop lacks for real picamera2 on libcamera's virtual camera; imported before picamera2.

No DRM (a stub), no DMA heap (buffers in memfds, two planes as NV12 has), no raw role (a mode of the virtual camera),
and no exposure, which is put below the library.
"""

import mmap
import os
import sys
import types
from typing import Any

import libcamera


class _Anything(types.ModuleType):
    def __getattr__(self, name: str) -> Any:
        return name


pykms = _Anything("pykms")
vars(pykms)["PixelFormat"] = _Anything("PixelFormat")
sys.modules["pykms"] = pykms

import numpy as np  # noqa: E402
from picamera2 import Picamera2, allocators, picamera2  # noqa: E402
from picamera2.request import CompletedRequest  # noqa: E402

N_BUFFERS = 9  # as a Pi gives them; the virtual camera asks for four


class MemfdAllocator(allocators.DmaAllocator):
    """Buffers of plain memory."""

    def __init__(self) -> None:
        allocators.allocator.Allocator.__init__(self)
        self.dmaHeap = None
        self.mapped_buffers: dict[Any, mmap.mmap] = {}
        self.mapped_buffers_used: dict[int, bool] = {}
        self.frame_buffers: dict[Any, list[Any]] = {}
        self.open_fds: list[int] = []
        self.libcamera_fds: list[int] = []
        self.sync = MappedMemory

    def allocate(self, libcamera_config: Any, _: Any) -> None:
        self.close()
        for stream_config in libcamera_config:
            stream_config.buffer_count = N_BUFFERS
            made = list[Any]()
            for number in range(stream_config.buffer_count):
                fd = os.memfd_create(f"buffer-{number}")
                os.ftruncate(fd, stream_config.frame_size)
                self.open_fds.append(fd)
                luma = stream_config.stride * stream_config.size.height
                planes = [libcamera.FrameBuffer.Plane(), libcamera.FrameBuffer.Plane()]
                for plane, (offset, length) in zip(planes, ((0, luma), (luma, luma // 2)), strict=True):
                    plane.fd, plane.offset, plane.length = fd, offset, length
                made.append(libcamera.FrameBuffer(planes))
                self.libcamera_fds.append(made[-1].planes[0].fd)
                self.mapped_buffers_used[made[-1].planes[0].fd] = False
                self.mapped_buffers[made[-1]] = mmap.mmap(fd, stream_config.frame_size)
            self.frame_buffers[stream_config.stream] = made


class MappedMemory(allocators.allocator.Sync):
    """Memory needs no synchronising."""

    def __init__(self, allocator: Any, buffer: Any, write: bool) -> None:
        self.memory: mmap.mmap = allocator.mapped_buffers[buffer]

    def __enter__(self) -> mmap.mmap:
        return self.memory

    def __exit__(self, *error: object) -> None:
        return None


SIZE_WH = tuple(int(side) for side in os.environ["CAMERA_NANO_PI_SIZE"].split("x"))
picamera2.DmaAllocator = MemfdAllocator
Picamera2._get_raw_modes = lambda self: [{"format": "SRGGB8", "size": SIZE_WH}]


# ---------------------------------------------------------------- a sensor below the real library

AUTOMATIC = 20_000, 2.0  # microseconds and gain
OFFERED = {
    "AeEnable": (False, True, True),
    "ExposureTime": (100, 200_000, 20_000),
    "AnalogueGain": (1.0, 16.0, 1.0),
}
DELAY = 2  # requests that are with the sensor already when one brings other controls
# what the library itself sets beside ExposureTime and AnalogueGain, and 1 is manual there
MODES = {"ExposureTimeMode": 0, "AnalogueGainMode": 0}


class Sensor:
    """libcamera's camera, with the exposure that the virtual one lacks: controls arrive with requests, some later."""

    def __init__(self, camera: Any) -> None:
        self._camera, self._set = camera, dict[str, Any]()
        self.exposures = [AUTOMATIC] * DELAY

    def __getattr__(self, name: str) -> Any:
        return getattr(self._camera, name)

    def queue_request(self, request: Any) -> None:
        self._set |= getattr(request, "controls_set", {})
        is_manual = self._set.get("AeEnable") is False and all(self._set.get(mode) == 1 for mode in MODES)
        self.exposures.append((self._set["ExposureTime"], self._set["AnalogueGain"]) if is_manual else AUTOMATIC)
        self._camera.queue_request(getattr(request, "real", request))


class Recorded:
    """A request of libcamera, which also checks the controls, and what was set in it."""

    def __init__(self, real: Any) -> None:
        self.real, self.controls_set = real, dict[str, Any]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def set_control(self, control: Any, value: Any) -> None:
        self.real.set_control(control, value)  # raises where the type is wrong
        self.controls_set[control.name] = value


def _configure(self: Any, config: Any, real: Any = Picamera2.configure_) -> None:
    real(self, config)
    if not isinstance(self.camera, Sensor):
        self.camera = Sensor(self.camera)
    for name, (low, high, default) in OFFERED.items():
        limits = types.SimpleNamespace(min=low, max=high, default=default)
        self.camera_ctrl_info[name] = getattr(libcamera.controls, name), limits


def _complete(self: Any, request: Any, picam2: Any, real: Any = CompletedRequest.__init__) -> None:
    real(self, Recorded(request), picam2)
    self.exposure = picam2.camera.exposures.pop(0)
    light = self.exposure[0] * self.exposure[1] / (AUTOMATIC[0] * AUTOMATIC[1])
    for memory in (picam2.allocator.mapped_buffers[buffer] for buffer in request.buffers.values()):
        codes = np.frombuffer(memory, np.uint8)
        luma = codes[: len(codes) * 2 // 3]  # the picture is grey enough
        luma[:] = np.minimum(luma * light ** (1 / 2.2), 255)


def _metadata(self: Any, real: Any = CompletedRequest.get_metadata) -> Any:
    told = {"ExposureTime": self.exposure[0], "AnalogueGain": self.exposure[1], "DigitalGain": 1.0, "Lux": 3.0}
    return real(self) | told


Picamera2.configure_ = _configure
CompletedRequest.__init__, CompletedRequest.get_metadata = _complete, _metadata
