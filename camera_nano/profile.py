"""ICC profiles: which code values may be taken for sRGB's, and light in BT.2020 primaries of those that may not.

What relights a picture takes its codes for sRGB-encoded. Display P3, Adobe RGB, Rec.2020 and every profile whose tone
curve is near sRGB's are close enough: their codes and profile are kept. Linear light, ProPhoto's gamma of 1.8, PQ and
HLG are not: they become 16 bits of `WIDE`, which holds every colour that a display can show.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt
import pyvips
from PIL import ImageCms

from camera_nano.color import BT2020, P3, XYZ_TO_2020, primaries_to_xyz, srgb_codes_16
from camera_nano.values import F32, Pixels

_NEAR_CODES = 16  # of 255, between greys of a profile and of sRGB: gamma 2.4 differs by 13, gamma 1.8 by 20
_STRIP_ROWS = 256
_HEADER_BYTES = 128  # ICC.1:2022, 7.2
_D50 = np.array([0.9642, 1.0, 0.8249])  # the same, 7.2.16
_D65_TO_D50 = np.array(  # the same, annex E: Bradford's
    [[1.0478112, 0.0228866, -0.0501270], [0.0295424, 0.9904844, -0.0170491], [-0.0092345, 0.0150436, 0.7521316]]
)
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)  # IEC 61966-2-1, 5.2, as the terms of 10.18
_PROFILES = {9: ("Rec. 2020 with the sRGB curve", BT2020), 12: ("Display P3", P3)}


def light_2020(pixels: Pixels, icc: bytes | None) -> Iterator[tuple[int, F32]]:
    """First row and linear light in BT.2020 primaries, 1 = SDR white, of one strip after the other; none below 0.

    `icc` says what the codes (H, W, 3) are; sRGB without it.
    """
    # libvips' XYZ has the white point D65, at 100
    xyz = _image(pixels, icc).icc_import(embedded=True, input_profile="srgb", pcs="xyz", intent="relative")
    matrix = (XYZ_TO_2020.T / 100).astype(np.float32)
    for first in range(0, len(pixels), _STRIP_ROWS):
        n_rows = min(_STRIP_ROWS, len(pixels) - first)
        yield first, np.maximum(xyz.crop(0, first, xyz.width, n_rows).numpy() @ matrix, 0)


def to_wide(pixels: Pixels, icc: bytes) -> npt.NDArray[np.uint16]:
    """Codes (H, W, 3) of a profile -> those of `WIDE`, 16 bits. Light beyond white, which few profiles have, is cut."""
    out = np.empty(pixels.shape, np.uint16)
    for first, light in light_2020(pixels, icc):
        out[first : first + len(light)] = srgb_codes_16(np.minimum(light, 1))
    return out


@lru_cache(16)  # the photos of a folder share a few
def is_near_srgb(icc: bytes) -> bool:
    """Whether a profile has about the greys of sRGB; yes for one that cannot be read, of which nothing is known."""
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    try:
        seen = _image(ramp, icc).icc_transform("srgb", embedded=True, intent="relative").numpy()
    except pyvips.Error:
        return True
    return int(np.abs(seen.astype(int) - ramp).max()) <= _NEAR_CODES


def profile_name(icc: bytes) -> str:
    """What a profile calls itself, in printable characters."""
    try:
        told = str(ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(icc))))
    except (ImageCms.PyCMSError, OSError):
        told = ""
    return "".join(c if c.isprintable() else " " for c in told).strip()[:80] or "which has no name"


def _image(pixels: Pixels, icc: bytes | None) -> pyvips.Image:
    deep = pixels.dtype == np.uint16
    image = pyvips.Image.new_from_array(np.ascontiguousarray(pixels), interpretation="rgb16" if deep else "srgb")
    if icc:
        image = image.copy()
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", icc)
    return image


def coded_points(icc: bytes) -> tuple[int, int] | None:
    """Primaries and transfer (ITU-T H.273, tables 2 and 3) of a profile with the tag `cicp` (ICC.1:2022, 9.2.17)."""
    n_tags = int.from_bytes(icc[_HEADER_BYTES : _HEADER_BYTES + 4], "big")
    for at in range(_HEADER_BYTES + 4, _HEADER_BYTES + 4 + 12 * min(n_tags, 100), 12):
        if icc[at : at + 4] == b"cicp":
            body = icc[int.from_bytes(icc[at + 4 : at + 8], "big") :][8:10]
            return (body[0], body[1]) if len(body) == 2 else None
    return None


@cache
def of_primaries(code: int) -> bytes | None:
    """The profile of sRGB-encoded codes with these primaries (ITU-T H.273, table 2); None for sRGB's and for others."""
    return _profile(*_PROFILES[code]) if code in _PROFILES else None


def _profile(name: str, primaries_xy: npt.NDArray[np.float64]) -> bytes:
    """A display profile of three primaries, white D65 and the sRGB curve (ICC.1:2022, 8.3.3)."""

    def numbers(kind: bytes, values: npt.ArrayLike) -> bytes:
        codes = np.rint(np.ravel(values) * 65536).astype(">i4")  # s15Fixed16Number
        return kind + bytes(4) + bytes(codes.data)

    def text(words: str) -> bytes:
        coded = words.encode("utf-16-be")
        return b"mluc" + bytes(4) + struct.pack(">II4sII", 1, 12, b"enUS", len(coded), 28) + coded

    colourants = _D65_TO_D50 @ primaries_to_xyz(primaries_xy)
    curve = b"para" + bytes(4) + struct.pack(">H2x", 3) + numbers(b"", _SRGB_CURVE)[4:]
    tags = [(b"desc", text(name)), (b"cprt", text("CC0")), (b"wtpt", numbers(b"XYZ ", _D50))]
    tags += [(b"chad", numbers(b"sf32", _D65_TO_D50))]
    tags += [(b"%cXYZ" % c, numbers(b"XYZ ", colourants[:, i])) for i, c in enumerate(b"rgb")]
    tags += [(b"%cTRC" % c, curve) for c in b"rgb"]
    table, body = struct.pack(">I", len(tags)), b""
    start = _HEADER_BYTES + 4 + 12 * len(tags)
    for kind, data in tags:
        table += struct.pack(">4sII", kind, start + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(
        ">I4xI4s4s4s6H4s28x", start + len(body), 0x04400000, b"mntr", b"RGB ", b"XYZ ", 2026, 1, 1, 0, 0, 0, b"acsp"
    )
    return (head + numbers(b"", _D50)[4:]).ljust(_HEADER_BYTES, b"\0") + table + body


WIDE = _profile(*_PROFILES[9])
