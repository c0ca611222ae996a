"""Gain maps of iPhone photos. The formulas are Apple's: "Applying Apple HDR effect to your photos", developer pages.

Light is SDR light * (1 + (headroom - 1) * gain), the gain being the map's code through the curve of ITU-R BT.709.
Here it becomes an ordinary map of log2 gains.
"""

from __future__ import annotations

import math
import re
import struct
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from camera_nano.gainmap import GainMap

AUXILIARY = "urn:com:apple:photo:2020:aux:hdrgainmap"
_IS_MAP = re.compile(rb"HDRGainMapVersion")
_HEADROOM = re.compile(rb"HDRGainMapHeadroom\s*(?:=\s*[\"']|>)\s*([0-9.]{1,20})")
_EXIF_IFD, _MAKER_NOTE = 0x8769, 0x927C
_HDR_HEADROOM, _HDR_GAIN = 33, 48  # the maker note's tags
_MAKER = b"Apple iOS\0"
_SIGNED_RATIONAL = 10  # TIFF 6.0, section 2


def is_map(xmp: bytes) -> bool:
    """Whether the XMP of a second picture says that it is Apple's gain map."""
    return _IS_MAP.search(xmp) is not None


def gain_map(codes: npt.NDArray[np.uint8], xmp: bytes, exif: bytes) -> GainMap:
    """Codes (h, w) of Apple's map; bytes with its XMP, which may name the headroom; EXIF, whose maker note may.

    Raises:
        ValueError: neither does.
    """
    named = _HEADROOM.search(xmp)
    try:
        headroom = float(named[1]) if named else 2 ** _stops(_maker_note(exif))
    except (struct.error, KeyError, ValueError, ZeroDivisionError) as error:
        raise ValueError("an Apple gain map whose headroom is not said") from error
    v = codes / 255
    light = np.where(v < 0.081, v / 4.5, ((v + 0.099) / 1.099) ** (1 / 0.45))  # BT.709-6, item 1.2, inverse
    high_ev = math.log2(max(headroom, 1))
    gain_ev = np.log2(1 + (max(headroom, 1) - 1) * light)
    codes_ev = np.rint(255 * gain_ev / max(high_ev, 1e-6)).astype(np.uint8)
    return GainMap(codes_ev, (high_ev,), high_ev, kind="apple")


def _maker_note(exif: bytes) -> bytes:
    tags = Image.Exif()
    try:
        tags.load(exif)
        return bytes(tags.get_ifd(_EXIF_IFD).get(_MAKER_NOTE, b""))
    except Exception:  # a foreign parser on foreign bytes
        return b""


def _stops(note: bytes) -> float:
    """Headroom in stops by the maker note; 0 at least. Raises KeyError, struct.error or ZeroDivisionError."""
    found = _rationals(note)
    if _HDR_HEADROOM not in found:
        raise KeyError(_HDR_HEADROOM)
    gain = max(found.get(_HDR_GAIN, 0.0), 0.0)  # the formula is of no others, and would give any headroom
    if found[_HDR_HEADROOM] < 1:
        stops = 1.8 - 20 * gain if gain <= 0.01 else 1.601 - 0.101 * gain
    else:
        stops = 3.0 - 70 * gain if gain <= 0.01 else 2.303 - 0.303 * gain
    return max(stops, 0.0)


def _rationals(note: bytes) -> dict[int, float]:
    """The maker note's signed rationals by tag: a big-endian directory after 14 bytes of heading."""
    if not note.startswith(_MAKER):
        raise KeyError(_MAKER)
    (n_tags,) = struct.unpack_from(">H", note, 14)
    found = {}
    for at in range(16, 16 + 12 * n_tags, 12):
        tag, kind, count, offset = struct.unpack_from(">HHII", note, at)
        if kind == _SIGNED_RATIONAL and count == 1 and tag in (_HDR_HEADROOM, _HDR_GAIN):
            numerator, denominator = struct.unpack_from(">ii", note, offset)
            found[tag] = numerator / denominator
    return found


def read_heic(data: bytes) -> GainMap | None:
    """The gain map of an iPhone's HEIC file; None for one without, and where the extra `hdr` is not installed.

    Raises:
        ValueError: it is there, and cannot be read.
    """
    if AUXILIARY.encode() not in data:
        return None
    try:
        import pillow_heif
    except ImportError:
        return None
    try:
        image: Any = pillow_heif.open_heif(data)
        ids = image.info.get("aux", {}).get(AUXILIARY)
        if not ids:
            return None
        codes = np.asarray(image.get_aux_image(ids[0]))
    except (RuntimeError, SyntaxError) as error:
        raise ValueError("the gain map is damaged") from error
    return gain_map(codes[..., 0] if codes.ndim == 3 else codes, data, image.info.get("exif") or b"")
