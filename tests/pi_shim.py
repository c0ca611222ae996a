"""What a desktop lacks for real picamera2 on libcamera's virtual camera; imported before picamera2.

No DRM (a stub), no DMA heap (buffers in memfds, two planes as NV12 has), no raw role (a mode of the virtual camera).
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

from picamera2 import Picamera2, allocators, picamera2  # noqa: E402


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
