"""Pictures that hold more than eight bits of display code: HEIC, AVIF, JPEG XL, camera raw, OpenEXR, Radiance.

Each library is heavy and optional (extras `hdr` and `raw`). Each function takes a file's bytes and gives a `Wide`; what
a library throws on broken bytes is left to the caller, who names the file.
"""

from __future__ import annotations

import io
import re
import tempfile
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from camera_nano.apple import read_heic
from camera_nano.color import SDR_WHITE_NITS, XYZ_TO_2020, pq_nits, srgb_oetf
from camera_nano.gainmap import GainMap
from camera_nano.metadata import Metadata, read_blocks, rgb_profile
from camera_nano.values import F32, Pixels

_PQ, _HLG = 16, 18  # transfer characteristics, ITU-T H.273, table 3
_2020 = 9  # colour primaries, table 2
_RGB_TO_XYZ = np.array(  # IEC 61966-2-1, 5.2
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
)
_2020_TO_RGB = np.linalg.inv(XYZ_TO_2020 @ _RGB_TO_XYZ)


class MissingDecoder(ValueError):
    """A picture of a kind whose library is not installed; names the extra."""


@dataclass(frozen=True, slots=True, eq=False)
class Wide:
    """Upright pixels (H, W, 3) of 8 or 16 bits, sRGB-encoded or as their profile says, and what came with them.

    `headroom_ev` is (H, W) float32, at least 0: how much brighter than its pixel a place was, in every channel alike;
    `gain` says the same as a gain map. At most one of them is set.
    """

    pixels: Pixels
    metadata: Metadata
    alpha: Pixels | None = None
    headroom_ev: F32 | None = None
    gain: GainMap | None = None


def of_light(light: npt.NDArray[Any], metadata: Metadata) -> Wide:
    """Linear light (H, W, 3), BT.709 primaries, 1 = SDR white -> 16-bit sRGB codes, and headroom where it is brighter.

    A place above white is scaled down until its largest channel is at white: its hue stays, the scale is its headroom.
    """
    light = np.nan_to_num(np.maximum(light, 0), posinf=float(np.finfo(np.float32).max)).astype(np.float32)
    peak = np.maximum(light.max(axis=2), 1)
    pixels = np.rint(srgb_oetf(light / peak[..., None]) * 65535).astype(np.uint16)
    headroom_ev = np.log2(peak)
    return Wide(pixels, metadata, headroom_ev=headroom_ev if headroom_ev.max() > 0 else None)


def decode_heic(data: bytes) -> Wide:
    """HEIC or HEIF by libheif, which turns it upright itself. PQ and HLG pictures become light."""
    try:
        import pillow_heif
    except ImportError as error:
        raise MissingDecoder('HEIC pictures need their decoder: pip install "camera-nano[hdr]"') from error
    file = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)
    array, info = np.asarray(file), file.info
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=2)
    icc, nclx = info.get("icc_profile"), info.get("nclx_profile") or {}
    metadata = replace(read_blocks(data, info.get("xmp")), icc=rgb_profile(icc))
    pixels, alpha = _parts(array)
    wide = _of_nclx(pixels, metadata, nclx.get("transfer_characteristics"), nclx.get("color_primaries"))
    gain = read_heic(data) if wide.headroom_ev is None else None
    return replace(wide, alpha=alpha, gain=gain)


def decode_avif(data: bytes, metadata: Metadata, pixels: Pixels) -> Wide:
    """An AVIF that libvips has decoded already: what its nclx says about the codes is done here."""
    transfer, primaries = _nclx(data)
    return _of_nclx(pixels, metadata, transfer, primaries)


def _nclx(data: bytes) -> tuple[int | None, int | None]:
    """Transfer and primaries of a file's first `colr` box of type nclx (ISO/IEC 14496-12, 12.1.5)."""
    found = re.search(rb"colrnclx(.{4})", data[: 1 << 16], re.DOTALL)
    if found is None:
        return None, None
    return int.from_bytes(found[1][2:4], "big"), int.from_bytes(found[1][:2], "big")


def _of_nclx(pixels: Pixels, metadata: Metadata, transfer: int | None, primaries: int | None) -> Wide:
    """SDR codes as they are; PQ as the light it means. HLG, whose light depends on the display, as for 1000 cd/m2."""
    if transfer not in (_PQ, _HLG) or metadata.icc:
        return Wide(pixels, metadata)
    code = pixels.astype(np.float32) / np.float32(np.iinfo(pixels.dtype).max)
    nits = pq_nits(code) if transfer == _PQ else _hlg_nits(code)
    light = nits / np.float32(SDR_WHITE_NITS)
    if primaries == _2020:
        light = light @ _2020_TO_RGB.T.astype(np.float32)
    return of_light(light, metadata)


def _hlg_nits(code: F32) -> F32:
    """HLG code (..., 3) in 0..1 -> cd/m2 on a display of 1000 cd/m2 (ITU-R BT.2100-2, table 5: inverse OETF, OOTF)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
    y = scene @ np.array([0.2627, 0.6780, 0.0593])
    return np.asarray(1000 * np.maximum(y, 1e-6)[..., None] ** 0.2 * scene, np.float32)


def decode_jxl(data: bytes) -> Wide:
    """JPEG XL; float pictures are light, others sRGB codes. Of metadata what is not compressed."""
    try:
        import imagecodecs
    except ImportError as error:
        raise MissingDecoder('JPEG XL pictures need their decoder: pip install "camera-nano[hdr]"') from error
    array = imagecodecs.jpegxl_decode(data)
    # in boxes, ISO/IEC 18181-2, 9; otherwise a bare codestream
    metadata = read_blocks(data) if data[4:8] == b"JXL " else Metadata()
    pixels, alpha = _parts(array if array.ndim == 3 else array[..., None])
    if pixels.dtype.kind == "f":
        return replace(of_light(pixels, metadata), alpha=None)
    return Wide(pixels, metadata, alpha)


def decode_raw(data: bytes) -> Wide:
    """A camera's raw file by LibRaw: its white balance, no brightening, 1 = the sensor's saturation; upright."""
    try:
        import rawpy
    except ImportError as error:
        raise MissingDecoder('raw files need their decoder: pip install "camera-nano[raw]"') from error
    with rawpy.imread(io.BytesIO(data)) as raw:
        linear = raw.postprocess(
            gamma=(1, 1),
            no_auto_bright=True,
            adjust_maximum_thr=0,  # else the brightest pixel counts as the sensor's limit
            use_camera_wb=True,
            output_bps=16,
            output_color=rawpy.ColorSpace.sRGB,
            highlight_mode=rawpy.HighlightMode.Blend,
        )
    return of_light(linear.astype(np.float32) / np.float32(65535), read_blocks(data))


def decode_exr(data: bytes) -> Wide:
    """OpenEXR, linear light with BT.709 primaries unless it says others, which are not read."""
    try:
        import OpenEXR
    except ImportError as error:
        raise MissingDecoder('OpenEXR pictures need their decoder: pip install "camera-nano[hdr]"') from error
    with tempfile.NamedTemporaryFile(prefix="camera_nano-", suffix=".exr") as file:  # its reader takes names alone
        file.write(data)
        file.flush()
        channels: dict[str, Any] = {
            name: c.pixels for name, c in OpenEXR.File(file.name, separate_channels=True).channels().items()
        }
    if {"R", "G", "B"} <= channels.keys():
        light = np.stack([channels[name] for name in "RGB"], axis=2)
    elif "Y" in channels:
        light = np.repeat(np.asarray(channels["Y"])[..., None], 3, axis=2)
    else:
        raise ValueError(f"it has the channels {', '.join(channels)}, not R, G, B or Y")
    return of_light(light, Metadata())


def decode_radiance(data: bytes) -> Wide:
    """Radiance RGBE, linear light."""
    try:
        import imagecodecs
    except ImportError as error:
        raise MissingDecoder('Radiance pictures need their decoder: pip install "camera-nano[hdr]"') from error
    return of_light(imagecodecs.rgbe_decode(data), Metadata())


def _parts(array: Any) -> tuple[Pixels, Pixels | None]:
    """(H, W, 1, 2, 3 or 4) -> RGB and alpha."""
    bands = array.shape[2]
    colour = array[..., :3] if bands >= 3 else np.repeat(array[..., :1], 3, axis=2)
    alpha = np.ascontiguousarray(array[..., -1]) if bands in (2, 4) else None
    return np.ascontiguousarray(colour), alpha
