"""The streams of a Pi's camera: what is asked of picamera2, and their pictures."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from camera_nano.machine import available_bytes
from camera_nano.opencv import cv2
from camera_nano.sources.bayer import is_read, raw_stream
from camera_nano.sources.pulses import FRAME_US
from camera_nano.values import Pixels

_log = logging.getLogger(__name__)

_VIEW_WIDTH_PX = 1280
_KEPT = 4  # frames that the shutter can reach back to; the full-size buffer of each is 36 MB
AT_WORK = 5  # further buffers: one waits to be read, one is being saved, three are with the sensor and the ISP
_BUFFER_BYTES = 5  # of each pixel of the sensor: a finished picture, and raw values


def _n_buffers(n_px: int) -> int:
    """How many buffers to ask for: fewer than wanted where memory is short."""
    n_fit = available_bytes() // 2 // (_BUFFER_BYTES * n_px)
    return int(np.clip(n_fit, AT_WORK + 1, _KEPT + AT_WORK))


def configure(camera: Any) -> dict[str, Any]:
    """Configure the best streams this camera can give; returns them by name, as libcamera has set them."""
    width, height = camera.sensor_resolution
    n_buffers = _n_buffers(width * height)
    full = (width - width % 2, height - height % 2)
    small = (min(_VIEW_WIDTH_PX, full[0]), min(_VIEW_WIDTH_PX, full[0]) * full[1] // full[0] // 2 * 2)
    lores, raw = {"size": small, "format": "YUV420"}, raw_stream(camera.sensor_format, (width, height))
    refusal: Exception | None = None
    for more in ({"lores": lores, "raw": raw}, {"lores": lores}, {}):  # USB and virtual cameras have fewer streams
        try:
            # picamera2 names channels from the top byte down: BGR888 is R, G, B in memory
            config = camera.create_preview_configuration(
                main={"size": full, "format": "BGR888"}, buffer_count=n_buffers, queue=True, display=None, **more
            )
            if "FrameDurationLimits" in camera.camera_controls:
                config["controls"]["FrameDurationLimits"] = FRAME_US
            camera.configure(config)
        except RuntimeError as error:
            refusal = error
            continue
        actual = camera.camera_configuration()  # libcamera may have adjusted sizes and formats
        if actual.get("raw") and not is_read(actual["raw"]["format"]):
            _log.warning(
                "raw values in %s are not understood: night shots are of finished frames", actual["raw"]["format"]
            )
        return {name: actual[name] for name in ("main", "lores", "raw") if actual.get(name)}
    raise RuntimeError(str(refusal))


def to_rgb(array: Pixels, pixel_format: str, size_wh: tuple[int, int]) -> Pixels:
    """A picamera2 array, its rows padded to the hardware's stride -> (H, W, 3) RGB uint8 without the padding.

    YUV is full range with the matrix of JFIF (ITU-T T.871, 7), as in libcamera's `ColorSpace.Sycc`.

    Raises:
        RuntimeError: a format that `configure` never asks for.
    """
    width, height = size_wh
    if pixel_format in ("BGR888", "XBGR8888"):
        return np.array(array[:height, :width, :3], np.uint8, copy=True, order="C")
    if pixel_format in ("RGB888", "XRGB8888"):
        return np.array(array[:height, :width, 2::-1], np.uint8, copy=True, order="C")
    if pixel_format not in ("YUV420", "NV12"):
        raise RuntimeError(f"{pixel_format} pictures are not understood")
    stride = array.shape[1]
    chroma = array[height:].reshape(-1)
    if pixel_format == "NV12":
        pairs = chroma[: height // 2 * stride].reshape(height // 2, stride // 2, 2)
        u, v = pairs[:, : width // 2, 0], pairs[:, : width // 2, 1]
    else:
        u, v = chroma[: height // 2 * stride].reshape(2, height // 2, stride // 2)[..., : width // 2]
    # OpenCV's YUV420 conversions expect video range; its YCrCb is JFIF's
    wide = [cv2.resize(np.ascontiguousarray(plane), size_wh, interpolation=cv2.INTER_LINEAR) for plane in (v, u)]
    planes = cv2.merge([np.ascontiguousarray(array[:height, :width]), *wide])
    return np.asarray(cv2.cvtColor(planes, cv2.COLOR_YCrCb2RGB), np.uint8)
