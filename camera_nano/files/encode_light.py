"""Linear light -> files for other programs to go on with: TIFF of 16 bits, or OpenEXR (extra `hdr`)."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from camera_nano.color import XYZ_TO_2020, XYZ_TO_RGB, srgb_codes_16
from camera_nano.errors import MissingDevice
from camera_nano.files.icc import LINEAR_2020, LINEAR_SRGB, light_2020
from camera_nano.files.metadata import Metadata
from camera_nano.values import F32

LIGHT_SUFFIXES = (".tif", ".tiff", ".exr")
_NOISE_EV = 0.05  # above what was clipped in the darkest capture lies its noise
_TO_709 = (XYZ_TO_RGB @ np.linalg.inv(XYZ_TO_2020)).astype(np.float32)  # from BT.2020's primaries


def require_exr() -> Any:
    """What writes OpenEXR. Raises MissingDevice where it is not installed."""
    try:
        import OpenEXR
    except ImportError as error:
        raise MissingDevice('OpenEXR files need their writer: pip install "camera-nano[hdr]"') from error
    return OpenEXR


def exr_of_light(light: F32, icc: bytes | None) -> bytes:
    """Linear light (H, W, 3) with the primaries of `icc`, sRGB's if None -> OpenEXR, float32 with BT.709 primaries."""
    open_exr = require_exr()
    if icc:
        light = np.asarray(_in_2020(light, icc) @ _TO_709.T, np.float32)
    header = {"compression": open_exr.ZIP_COMPRESSION, "type": open_exr.scanlineimage}
    channels = {name: np.ascontiguousarray(light[..., k]) for k, name in enumerate("RGB")}
    handle = os.memfd_create("camera_nano")  # the library writes only to a path
    with os.fdopen(handle, "rb") as file:
        open_exr.File(header, channels).write(f"/proc/self/fd/{handle}")
        return file.read()


def codes_of_light(light: F32, metadata: Metadata) -> tuple[npt.NDArray[np.uint16], Metadata, float]:
    """Linear light (H, W, 3) -> linear codes of 16 bits with a linear profile, and how many stops below their top 1 is.

    A whole number of stops, so that files of one scene compare. The primaries are sRGB's; those of BT.2020 where the
    photos had a profile of their own.
    """
    down_ev = float(np.ceil(np.log2(max(float(light.max()), 1.0)) - _NOISE_EV))
    profile = LINEAR_SRGB
    if metadata.icc:
        light, profile = _in_2020(light, metadata.icc), LINEAR_2020
    codes = np.rint(np.minimum(light * np.float32(2**-down_ev), 1) * 65535).astype(np.uint16)
    return codes, replace(metadata, icc=profile), down_ev


def _in_2020(light: F32, icc: bytes) -> F32:
    """Light with the primaries of a profile whose tone curve is near sRGB's -> with BT.2020's."""
    peak = np.float32(max(float(light.max()), 1.0))
    found = np.empty_like(light)
    for first, strip in light_2020(srgb_codes_16(light / peak), icc):
        found[first : first + len(strip)] = strip * peak
    return found
