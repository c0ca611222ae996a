"""Reading what libvips does not: HEIC, JPEG XL, camera raw, OpenEXR, Radiance, and codes that mean HDR light.

The libraries are large and optional (extras `hdr`, `heic` and `raw`). Each `decode_` function takes the bytes of a file
and returns a `Decoded`. It lets the library's own exceptions for broken bytes pass: the caller knows the file's name.
"""

from __future__ import annotations

import io
import os
import re
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from camera_nano.color import (
    BT2020,
    P3,
    SDR_WHITE_NITS,
    STRIP_ROWS,
    XYZ_TO_2020,
    pq_nits,
    primaries_to_xyz,
    srgb_codes_16,
)
from camera_nano.errors import MissingDecoder
from camera_nano.files.bmff import boxes
from camera_nano.files.damage import doubt_about_raw
from camera_nano.files.gainmap_apple import read_heic
from camera_nano.files.icc import WIDE_GAMUT, cicp_of_profile, of_primaries
from camera_nano.files.jxl_header import read_header
from camera_nano.files.metadata import Metadata, read_blocks, with_profile
from camera_nano.files.sizes import check_size, size_of_exr, size_of_radiance
from camera_nano.values import F32, GainMap, Pixels

_LINEAR, _PQ, _HLG = 8, 16, 18  # transfer characteristics, ITU-T H.273, table 3
# from light with these primaries (the same, table 2) to light with those of BT.2020
_TO_2020 = {code: (XYZ_TO_2020 @ primaries_to_xyz(xy)).astype(np.float32) for code, xy in ((9, BT2020), (12, P3))}
_UNREAD_MAP = "its gain map is of a kind that is not read: its light above white is lost"
_SAMSUNG_MAP = b"urn:com:samsung:photo:2024:aux:hdrgainmap"
TMAP = re.compile(rb"infe\x02.{7,9}tmap", re.DOTALL)  # the item that joins base and map (ISO/IEC 23008-12)


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """Upright pixels (H, W, 3) of 8 or 16 bits, sRGB-encoded or as their profile says, and what came with them.

    `headroom_ev` is (H, W) float32, at least 0: how much brighter the scene was than the pixel, in R, G and B alike.
    `gain` says this as a gain map; at most one of the two is set. `notes` has a line for each thing to tell the user.
    """

    pixels: Pixels
    metadata: Metadata
    alpha: Pixels | None = None
    headroom_ev: F32 | None = None
    gain: GainMap | None = None
    notes: tuple[str, ...] = ()
    white_balance: tuple[float, ...] = ()  # gains of a raw file


def of_light(light: npt.NDArray[Any], metadata: Metadata, primaries: int | None = None) -> Decoded:
    """Linear light (H, W, 3), 1 = SDR white -> 16-bit codes with the sRGB curve, and headroom.

    A pixel above white is divided by its largest channel, which keeps its hue; the divisor is its headroom. `primaries`
    is a number of ITU-T H.273, table 2: light with BT.2020's or P3's gets the profile `WIDE_GAMUT`, all other counts as
    BT.709's.
    """
    to_2020 = _TO_2020.get(primaries or 0)
    pixels, headroom_ev = np.empty(light.shape, np.uint16), np.empty(light.shape[:2], np.float32)
    for first in range(0, len(light), STRIP_ROWS):
        rows = slice(first, first + STRIP_ROWS)
        strip = np.nan_to_num(light[rows].astype(np.float32), posinf=float(np.finfo(np.float32).max))
        strip = np.maximum(strip if to_2020 is None else strip @ to_2020.T, 0)
        peak = np.maximum(strip.max(axis=2), 1)
        pixels[rows] = srgb_codes_16(strip / peak[..., None])
        headroom_ev[rows] = np.log2(peak)
    metadata = metadata if to_2020 is None else replace(metadata, icc=WIDE_GAMUT)
    return Decoded(pixels, metadata, headroom_ev=headroom_ev if headroom_ev.max() > 0 else None)


def decode_heic(data: bytes) -> Decoded:
    """HEIC or HEIF, by libheif, which turns the picture upright itself."""
    try:
        import pillow_heif
    except ImportError as error:
        raise MissingDecoder('HEIC pictures need their decoder: pip install "camera-nano[heic]"') from error
    file = pillow_heif.open_heif(io.BytesIO(data), convert_hdr_to_8bit=False)
    if not len(file):
        raise ValueError("it holds no picture that is coded as HEVC, AV1 or JPEG")
    check_size(*file.size)
    array, info = np.asarray(file), file.info
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=2)
    icc, nclx = info.get("icc_profile"), info.get("nclx_profile") or {}
    metadata = with_profile(read_blocks(data), icc)
    pixels, alpha = _parts(array)
    cicp = nclx.get("color_primaries"), nclx.get("transfer_characteristics")
    decoded = apply_cicp(Decoded(pixels, metadata, alpha), *cicp)
    if decoded.headroom_ev is not None:
        return decoded
    try:
        gain = read_heic(data)
        return replace(decoded, gain=gain, notes=unread_maps(data) if gain is None else ())
    except ValueError as error:
        return replace(decoded, notes=(f"its gain map cannot be read ({error}): its light above white is lost",))


def unread_maps(data: bytes) -> tuple[str, ...]:
    """A note if a HEIC or AVIF file has a gain map of a kind that is not read: an item of ISO 21496-1, or Samsung's."""
    head = data[: 1 << 16]
    return (_UNREAD_MAP,) if TMAP.search(head) or _SAMSUNG_MAP in head else ()


def read_cicp(data: bytes) -> tuple[int | None, int | None]:
    """Primaries and transfer (ITU-T H.273, tables 2 and 3) of a PNG or AVIF file; None where it does not say.

    They are in the chunk cICP (PNG 3rd edition, 11.3.2.6) or in the first box nclx (ISO/IEC 14496-12, 12.1.5).
    """
    if data.startswith(b"\x89PNG"):
        chunk = re.search(rb"\0\0\0\x04cICP(..)", data[: 1 << 16], re.DOTALL)
        return (chunk[1][0], chunk[1][1]) if chunk else (None, None)
    if data[4:8] != b"ftyp":
        return None, None
    box = re.search(rb"colrnclx(.{4})", data[: 1 << 16], re.DOTALL)
    return (int.from_bytes(box[1][:2], "big"), int.from_bytes(box[1][2:], "big")) if box else (None, None)


def apply_cicp(decoded: Decoded, primaries: int | None, transfer: int | None) -> Decoded:
    """A picture whose codes have these primaries and transfer (ITU-T H.273) -> sRGB-encoded codes, and headroom.

    SDR codes stay; without a profile they get that of their primaries. PQ, HLG and linear codes are turned into light,
    then encoded by `of_light`. HLG is relative to the display: one of 1000 cd/m2 is assumed.
    """
    if decoded.metadata.icc:  # the profile overrules them, and may have such numbers itself
        primaries, transfer = cicp_of_profile(decoded.metadata.icc) or (primaries, transfer)
    if transfer not in (_LINEAR, _PQ, _HLG):
        icc = decoded.metadata.icc or of_primaries(primaries or 0)
        return replace(decoded, metadata=replace(decoded.metadata, icc=icc))
    if decoded.metadata.icc and transfer == _LINEAR:
        return decoded
    limit = int(np.iinfo(decoded.pixels.dtype).max)
    light = np.linspace(0, 1, limit + 1, dtype=np.float32)  # of every code, as a table
    if transfer == _PQ:
        light = pq_nits(light) / np.float32(SDR_WHITE_NITS)
    light = light[decoded.pixels]
    if transfer == _HLG:
        light = _hlg_nits(light) / np.float32(SDR_WHITE_NITS)
    return replace(of_light(light, replace(decoded.metadata, icc=None), primaries), alpha=decoded.alpha)


def _hlg_nits(code: F32) -> F32:
    """HLG code (..., 3) in 0..1 -> cd/m2 on a display of 1000 cd/m2 (ITU-R BT.2100-2, table 5: inverse OETF, OOTF)."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    scene = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
    y = scene @ np.array([0.2627, 0.6780, 0.0593])
    return np.asarray(1000 * np.maximum(y, 1e-6)[..., None] ** 0.2 * scene, np.float32)


def decode_jxl(data: bytes) -> Decoded:
    """JPEG XL. Float samples are linear light, others codes. Compressed metadata is not read."""
    try:
        import imagecodecs
    except ImportError as error:
        raise MissingDecoder('JPEG XL pictures need their decoder: pip install "camera-nano[hdr]"') from error
    parts = {b"jxlc": data}
    if data[4:8] == b"JXL ":  # in boxes, ISO/IEC 18181-2, 9; otherwise a bare codestream
        parts = {}
        for kind, content in boxes(data):
            parts.setdefault(kind, content)
    header = read_header(parts.get(b"jxlc") or parts[b"jxlp"][4:])  # each part begins with its number, 4 bytes
    check_size(*header.size_wh)
    array = imagecodecs.jpegxl_decode(data, index=0)  # the first frame of an animation
    metadata = read_blocks(data) if data[4:8] == b"JXL " else Metadata()
    notes: tuple[str, ...] = (_UNREAD_MAP,) if b"jhgm" in parts else ()
    notes += ("its further frames are left out",) if header.is_animated else ()
    notes += ("its colours are told in a way that is not read: they are taken for sRGB",) if header.is_rare else ()
    pixels, alpha = _parts(array if array.ndim == 3 else array[..., None])
    if pixels.dtype.kind == "f":
        decoded = of_light(pixels, metadata, header.primaries)
    else:
        decoded = apply_cicp(Decoded(pixels, metadata, alpha), header.primaries, header.transfer)
    return replace(decoded, notes=notes)


def decode_raw(data: bytes, *, is_capture: bool = False, white_balance: tuple[float, ...] = ()) -> Decoded:
    """A camera's raw file, by LibRaw: its own white balance, no brightening, 1 = saturation of the sensor; upright.

    One of several captures that are merged gets the `white_balance` of the first, four gains, so that all have one
    scale. Its light is cut where the first channel is full, not blended: what is missing there, a darker capture has.
    """
    try:
        import rawpy
    except ImportError as error:
        raise MissingDecoder('raw files need their decoder: pip install "camera-nano[raw]"') from error
    with rawpy.imread(io.BytesIO(data)) as raw:
        check_size(raw.sizes.raw_width, raw.sizes.raw_height)
        linear = raw.postprocess(
            gamma=(1, 1),
            no_auto_bright=True,
            adjust_maximum_thr=0,  # else the brightest pixel is taken for the saturation of the sensor
            use_camera_wb=not white_balance,
            user_wb=list(white_balance) or None,
            output_bps=16,
            output_color=rawpy.ColorSpace.sRGB,
            highlight_mode=rawpy.HighlightMode.Clip if is_capture else rawpy.HighlightMode.Blend,
        )
        gains = raw.camera_whitebalance if raw.camera_whitebalance[0] > 0 else raw.daylight_whitebalance
    decoded = of_light(np.linspace(0, 1, 65536, dtype=np.float32)[linear], read_blocks(data))
    notes = tuple(filter(None, [doubt_about_raw(data)]))
    return replace(decoded, notes=notes, white_balance=white_balance or tuple(map(float, gains)))


def decode_exr(data: bytes) -> Decoded:
    """OpenEXR: linear light, which is taken to have BT.709 primaries; others that a file names are not read."""
    try:
        import OpenEXR
    except ImportError as error:
        raise MissingDecoder('OpenEXR pictures need their decoder: pip install "camera-nano[hdr]"') from error
    check_size(*size_of_exr(data))
    handle = os.memfd_create("camera_nano")  # the library reads only from a path
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        parts = OpenEXR.File(f"/proc/self/fd/{handle}", separate_channels=True).channels()
    channels: dict[str, Any] = {name: c.pixels for name, c in parts.items()}
    if {"R", "G", "B"} <= channels.keys():
        light = np.stack([channels[name] for name in "RGB"], axis=2)
    elif "Y" in channels:
        light = np.repeat(np.asarray(channels["Y"])[..., None], 3, axis=2)
    else:
        raise ValueError(f"it has the channels {', '.join(channels)}, not R, G, B or Y")
    return of_light(light, Metadata())


def decode_radiance(data: bytes) -> Decoded:
    """Radiance RGBE: linear light."""
    try:
        import imagecodecs
    except ImportError as error:
        raise MissingDecoder('Radiance pictures need their decoder: pip install "camera-nano[hdr]"') from error
    check_size(*size_of_radiance(data))
    return of_light(imagecodecs.rgbe_decode(data), Metadata())


def _parts(array: Any) -> tuple[Pixels, Pixels | None]:
    """Bands (H, W, 1 to 4), of grey or RGB, with or without alpha -> RGB (H, W, 3), and alpha (H, W) or None."""
    bands = array.shape[2]
    colour = array[..., :3] if bands >= 3 else np.repeat(array[..., :1], 3, axis=2)
    alpha = np.ascontiguousarray(array[..., -1]) if bands in (2, 4) else None
    return np.ascontiguousarray(colour), alpha
