"""Gain maps of iPhone photos, turned into maps of log2 gains like all others here.

The formulas are from Apple's developer page "Applying Apple HDR effect to your photos": HDR light is SDR light *
(1 + (headroom - 1) * gain), where gain is the map's code decoded by the curve of ITU-R BT.709.
"""

from __future__ import annotations

import math
import re
import struct
from typing import Any

import numpy as np
import numpy.typing as npt

from camera_nano.files.exif import MAKER_NOTE, PHOTO, read
from camera_nano.values import GainMap

AUXILIARY = "urn:com:apple:photo:2020:aux:hdrgainmap"
_IS_MAP = re.compile(rb"HDRGainMapVersion")
_HEADROOM = re.compile(rb"HDRGainMapHeadroom\s*(?:=\s*[\"']|>)\s*([0-9.]{1,20})")
_HDR_HEADROOM, _HDR_GAIN = 33, 48  # the maker note's tags
_MAKER = b"Apple iOS\0"
_SIGNED_RATIONAL = 10  # TIFF 6.0, section 2


def is_map(xmp: bytes) -> bool:
    """Whether the XMP of a second picture says that it is Apple's gain map."""
    return _IS_MAP.search(xmp) is not None


def gain_map(codes: npt.NDArray[np.uint8], xmp: bytes, exif: bytes) -> GainMap:
    """Apple's map -> a map of log2 gains.

    Args:
        codes: (h, w) of the map.
        xmp: bytes that contain its XMP, which may tell the headroom.
        exif: of the photo; its maker note tells the headroom where the XMP does not.

    Raises:
        ValueError: neither tells the headroom.
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
    try:
        return read(exif.removeprefix(b"Exif\0\0")).get(PHOTO, MAKER_NOTE)
    except ValueError:
        return b""


def _stops(note: bytes) -> float:
    """Headroom in stops, at least 0, from the maker note. Raises KeyError, struct.error or ZeroDivisionError."""
    found = _rationals(note)
    if _HDR_HEADROOM not in found:
        raise KeyError(_HDR_HEADROOM)
    gain = max(
        found.get(_HDR_GAIN, 0.0), 0.0
    )  # the formula holds for these only; a negative gain would give any headroom
    if found[_HDR_HEADROOM] < 1:
        stops = 1.8 - 20 * gain if gain <= 0.01 else 1.601 - 0.101 * gain
    else:
        stops = 3.0 - 70 * gain if gain <= 0.01 else 2.303 - 0.303 * gain
    return max(stops, 0.0)


def _rationals(note: bytes) -> dict[int, float]:
    """The signed rationals in a maker note, by tag. It is a big-endian directory after a header of 14 bytes."""
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
    """The gain map in an iPhone's HEIC file; None if it has none, or if the extra `heic` is not installed.

    Raises:
        ValueError: there is a gain map, but it cannot be read.
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
