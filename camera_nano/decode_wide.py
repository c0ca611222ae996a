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
from camera_nano.bmff import boxes
from camera_nano.color import BT2020, P3, SDR_WHITE_NITS, XYZ_TO_2020, pq_nits, primaries_to_xyz, srgb_codes_16
from camera_nano.gainmap import GainMap
from camera_nano.jxl_header import read_header
from camera_nano.metadata import Metadata, read_blocks, rgb_profile
from camera_nano.profile import WIDE, coded_points, of_primaries
from camera_nano.sizes import check_size, size_of_exr, size_of_radiance
from camera_nano.values import F32, Pixels

_LINEAR, _PQ, _HLG = 8, 16, 18  # transfer characteristics, ITU-T H.273, table 3
# light with these primaries, table 2, to light of BT.2020's
_TO_2020 = {code: (XYZ_TO_2020 @ primaries_to_xyz(xy)).astype(np.float32) for code, xy in ((9, BT2020), (12, P3))}
_STRIP_ROWS = 64  # what is worked on at a time stays in the cache
_UNREAD_MAP = "its gain map is of a kind that is not read: its light above white is lost"
TMAP = re.compile(rb"infe\x02.{7,9}tmap", re.DOTALL)  # ISO/IEC 23008-12: the item of base and map together


class MissingDecoder(ValueError):
    """A picture of a kind whose library is not installed; names the extra."""


@dataclass(frozen=True, slots=True, eq=False)
class Wide:
    """Upright pixels (H, W, 3) of 8 or 16 bits, sRGB-encoded or as their profile says, and what came with them.

    `headroom_ev` is (H, W) float32, at least 0: how much brighter than its pixel a place was, in every channel alike;
    `gain` says the same as a gain map. At most one of them is set. `notes` are what people should know, a line each.
    """

    pixels: Pixels
    metadata: Metadata
    alpha: Pixels | None = None
    headroom_ev: F32 | None = None
    gain: GainMap | None = None
    notes: tuple[str, ...] = ()


def of_light(light: npt.NDArray[Any], metadata: Metadata, primaries: int | None = None) -> Wide:
    """Linear light (H, W, 3), 1 = SDR white -> 16-bit codes with the sRGB curve, and headroom where it is brighter.

    Light with the primaries of BT.2020 or P3 (ITU-T H.273, table 2) is coded by `WIDE`, other light counts as BT.709's.
    A place above white is scaled down until its largest channel is at white: its hue stays, the scale is its headroom.
    """
    to_2020 = _TO_2020.get(primaries or 0)
    pixels, headroom_ev = np.empty(light.shape, np.uint16), np.empty(light.shape[:2], np.float32)
    for first in range(0, len(light), _STRIP_ROWS):
        rows = slice(first, first + _STRIP_ROWS)
        strip = np.nan_to_num(light[rows].astype(np.float32), posinf=float(np.finfo(np.float32).max))
        strip = np.maximum(strip if to_2020 is None else strip @ to_2020.T, 0)
        peak = np.maximum(strip.max(axis=2), 1)
        pixels[rows] = srgb_codes_16(strip / peak[..., None])
        headroom_ev[rows] = np.log2(peak)
    metadata = metadata if to_2020 is None else replace(metadata, icc=WIDE)
    return Wide(pixels, metadata, headroom_ev=headroom_ev if headroom_ev.max() > 0 else None)


def decode_heic(data: bytes) -> Wide:
    """HEIC or HEIF by libheif, which turns it upright itself. PQ and HLG pictures become light."""
    try:
        import pillow_heif
    except ImportError as error:
        raise MissingDecoder('HEIC pictures need their decoder: pip install "camera-nano[hdr]"') from error
    file = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)
    check_size(*file.size)
    array, info = np.asarray(file), file.info
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=2)
    icc, nclx = info.get("icc_profile"), info.get("nclx_profile") or {}
    metadata = replace(read_blocks(data, info.get("xmp")), icc=rgb_profile(icc))
    pixels, alpha = _parts(array)
    points = nclx.get("color_primaries"), nclx.get("transfer_characteristics")
    wide = _of_points(Wide(pixels, metadata, alpha), *points)
    if wide.headroom_ev is not None:
        return wide
    try:
        gain = read_heic(data)
        return replace(wide, gain=gain, notes=unread_maps(data) if gain is None else ())
    except ValueError as error:
        return replace(wide, notes=(f"its gain map cannot be read ({error}): its light above white is lost",))


def unread_maps(data: bytes) -> tuple[str, ...]:
    """A note where a HEIC or AVIF has a gain map as an item of its own (ISO 21496-1 in HEIF), which is not read yet."""
    return (_UNREAD_MAP,) if TMAP.search(data[: 1 << 16]) else ()


def of_coded_points(wide: Wide, data: bytes) -> Wide:
    """A picture that libvips has decoded: what is said beside the profile's curves about its codes is done here."""
    return _of_points(wide, *_points(data))


def _points(data: bytes) -> tuple[int | None, int | None]:
    """Primaries and transfer (ITU-T H.273) by the first nclx (ISO/IEC 14496-12, 12.1.5) or cICP (PNG 3, 11.3.2.6)."""
    if data.startswith(b"\x89PNG"):
        chunk = re.search(rb"\0\0\0\x04cICP(..)", data[: 1 << 16], re.DOTALL)
        return (chunk[1][0], chunk[1][1]) if chunk else (None, None)
    if data[4:8] != b"ftyp":
        return None, None
    box = re.search(rb"colrnclx(.{4})", data[: 1 << 16], re.DOTALL)
    return (int.from_bytes(box[1][:2], "big"), int.from_bytes(box[1][2:], "big")) if box else (None, None)


def _of_points(wide: Wide, primaries: int | None, transfer: int | None) -> Wide:
    """SDR codes as they are, with the profile of their primaries where they bring none; PQ, HLG as the light they mean.

    HLG, whose light depends on the display, as on one of 1000 cd/m2.
    """
    if wide.metadata.icc:  # it counts, and may say the same of itself
        primaries, transfer = coded_points(wide.metadata.icc) or (primaries, transfer)
    if transfer not in (_LINEAR, _PQ, _HLG):
        icc = wide.metadata.icc or of_primaries(primaries or 0)
        return replace(wide, metadata=replace(wide.metadata, icc=icc))
    if wide.metadata.icc and transfer == _LINEAR:
        return wide
    limit = int(np.iinfo(wide.pixels.dtype).max)
    light = np.linspace(0, 1, limit + 1, dtype=np.float32)  # of each code
    if transfer == _PQ:
        light = pq_nits(light) / np.float32(SDR_WHITE_NITS)
    light = light[wide.pixels]
    if transfer == _HLG:
        light = _hlg_nits(light) / np.float32(SDR_WHITE_NITS)
    return replace(of_light(light, replace(wide.metadata, icc=None), primaries), alpha=wide.alpha)


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
    parts = {b"jxlc": data}
    if data[4:8] == b"JXL ":  # in boxes, ISO/IEC 18181-2, 9; otherwise a bare codestream
        parts = {}
        for kind, content in boxes(data):
            parts.setdefault(kind, content)
    header = read_header(parts.get(b"jxlc") or parts[b"jxlp"][4:])  # parts begin with their number
    check_size(*header.size_wh)
    array = imagecodecs.jpegxl_decode(data)
    metadata = read_blocks(data) if data[4:8] == b"JXL " else Metadata()
    notes: tuple[str, ...] = (_UNREAD_MAP,) if b"jhgm" in parts else ()
    notes += ("its colours are told in a way that is not read: they are taken for sRGB",) if header.is_rare else ()
    pixels, alpha = _parts(array if array.ndim == 3 else array[..., None])
    if pixels.dtype.kind == "f":
        wide = of_light(pixels, metadata, header.primaries)
    else:
        wide = _of_points(Wide(pixels, metadata, alpha), header.primaries, header.transfer)
    return replace(wide, notes=notes)


def decode_raw(data: bytes) -> Wide:
    """A camera's raw file by LibRaw: its white balance, no brightening, 1 = the sensor's saturation; upright."""
    try:
        import rawpy
    except ImportError as error:
        raise MissingDecoder('raw files need their decoder: pip install "camera-nano[raw]"') from error
    with rawpy.imread(io.BytesIO(data)) as raw:
        check_size(raw.sizes.raw_width, raw.sizes.raw_height)
        linear = raw.postprocess(
            gamma=(1, 1),
            no_auto_bright=True,
            adjust_maximum_thr=0,  # else the brightest pixel counts as the sensor's limit
            use_camera_wb=True,
            output_bps=16,
            output_color=rawpy.ColorSpace.sRGB,
            highlight_mode=rawpy.HighlightMode.Blend,
        )
    return of_light(np.linspace(0, 1, 65536, dtype=np.float32)[linear], read_blocks(data))


def decode_exr(data: bytes) -> Wide:
    """OpenEXR, linear light with BT.709 primaries unless it says others, which are not read."""
    try:
        import OpenEXR
    except ImportError as error:
        raise MissingDecoder('OpenEXR pictures need their decoder: pip install "camera-nano[hdr]"') from error
    check_size(*size_of_exr(data))
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
    check_size(*size_of_radiance(data))
    return of_light(imagecodecs.rgbe_decode(data), Metadata())


def _parts(array: Any) -> tuple[Pixels, Pixels | None]:
    """(H, W, 1, 2, 3 or 4) -> RGB and alpha."""
    bands = array.shape[2]
    colour = array[..., :3] if bands >= 3 else np.repeat(array[..., :1], 3, axis=2)
    alpha = np.ascontiguousarray(array[..., -1]) if bands in (2, 4) else None
    return np.ascontiguousarray(colour), alpha
