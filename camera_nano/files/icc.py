"""ICC profiles: whose code values may be treated as sRGB's, and the conversion of those that may not.

Relighting treats all codes as sRGB-encoded. That is close enough for Display P3, Adobe RGB, Rec. 2020 and every profile
whose tone curve is near sRGB's: their codes and profile are kept. It is not for linear light, ProPhoto's gamma of 1.8,
PQ and HLG: these become 16 bits with the profile `WIDE_GAMUT`, which covers the colours of all displays.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import cache, lru_cache

import numpy as np
import numpy.typing as npt
import pyvips

from camera_nano.color import BT709, BT2020, P3, XYZ_TO_2020, primaries_to_xyz, srgb_codes_16
from camera_nano.files.exif import IMAGE, SHORT, number, read, with_tags
from camera_nano.files.exif_writer import write
from camera_nano.files.sizes import check_size
from camera_nano.values import F32, Pixels

_NEAR_CODES = 16  # of 255: the largest difference of greys from sRGB's. Gamma 2.4 differs by 13, gamma 1.8 by 20
_PHOTOMETRIC, _RGB = 0x0106, 2  # a tag of TIFF 6.0
_CONVERTED_ROWS = 256  # at a time: libvips starts its pipeline anew for each strip
_HEADER_BYTES = 128  # ICC.1:2022, 7.2
_D50 = np.array([0.9642, 1.0, 0.8249])  # the same, 7.2.16
_D65_TO_D50 = np.array(  # the same, annex E: Bradford's
    [[1.0478112, 0.0228866, -0.0501270], [0.0295424, 0.9904844, -0.0170491], [-0.0092345, 0.0150436, 0.7521316]]
)
_MATRIX = {b"rXYZ", b"gXYZ", b"bXYZ", b"rTRC", b"gTRC", b"bTRC"}
_SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)  # IEC 61966-2-1, 5.2, as the terms of 10.18
_PROFILES = {9: ("Rec. 2020 with the sRGB curve", BT2020), 12: ("Display P3", P3)}


def light_2020(pixels: Pixels, icc: bytes | None) -> Iterator[tuple[int, F32]]:
    """Codes (H, W, 3) with the profile `icc`, sRGB if None -> strips of light: the first row, and (rows, W, 3) float32.

    The light is linear, at least 0, 1 = SDR white, with BT.2020 primaries.
    """
    # XYZ of libvips has the white point D65, and white is 100
    xyz = _image(pixels, icc).icc_import(embedded=True, input_profile="srgb", pcs="xyz", intent="relative")
    matrix = (XYZ_TO_2020.T / 100).astype(np.float32)
    for first in range(0, len(pixels), _CONVERTED_ROWS):
        n_rows = min(_CONVERTED_ROWS, len(pixels) - first)
        yield first, np.maximum(xyz.crop(0, first, xyz.width, n_rows).numpy() @ matrix, 0)


def to_wide_gamut(pixels: Pixels, icc: bytes) -> npt.NDArray[np.uint16]:
    """Codes (H, W, 3) with a profile -> 16-bit codes with `WIDE_GAMUT`. Light above white, which is rare, is cut."""
    out = np.empty(pixels.shape, np.uint16)
    for first, light in light_2020(pixels, icc):
        out[first : first + len(light)] = srgb_codes_16(np.minimum(light, 1))
    return out


def lab_of_8_bits(tiff: bytes) -> pyvips.Image:
    """A TIFF file of CIE L*a*b* with 8 bits, of a kind that libvips refuses -> the picture in sRGB.

    libvips reads its codes as those of RGB: L* is 0..255 for 0..100, a* and b* are signed (TIFF 6.0, section 23).
    """
    exif = read(tiff)
    as_rgb = write(with_tags(exif, IMAGE, {_PHOTOMETRIC: number(exif, SHORT, _RGB)}))
    codes = pyvips.Image.tiffload_buffer(as_rgb, fail_on="error")
    check_size(codes.width, codes.height)
    ab = codes.extract_band(1, n=2).copy(format="char")
    return (codes[0] * (100 / 255)).bandjoin(ab).copy(interpretation="lab").colourspace("srgb")


def to_srgb(pixels: Pixels, icc: bytes) -> Pixels:
    """Codes (H, W, 3) of a profile -> sRGB's, same depth, clipped; unchanged if the profile cannot be read."""
    depth = 8 * pixels.dtype.itemsize
    try:
        return np.asarray(
            _image(pixels, icc).icc_transform("srgb", embedded=True, intent="relative", depth=depth).numpy()
        )
    except pyvips.Error:
        return pixels


@lru_cache(16)  # the photos of a folder share a few
def is_near_srgb(icc: bytes) -> bool:
    """Whether the greys of a profile are near those of sRGB. True for one that cannot be read: its codes are kept."""
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2)
    try:
        seen = _image(ramp, icc).icc_transform("srgb", embedded=True, intent="relative").numpy()
    except pyvips.Error:
        return True
    return int(np.abs(seen.astype(int) - ramp).max()) <= _NEAR_CODES


@lru_cache(16)
def repaired(icc: bytes) -> bytes | None:
    """The profile of an RGB picture with the length that its header tells (ICC.1:2022, 7.2.2); None if it is useless.

    Some phones write bytes after it, and some programs cut it: what is there may still do.
    """
    n_bytes = int.from_bytes(icc[:4], "big")
    if n_bytes == len(icc):
        return icc
    icc = icc[:n_bytes] if _HEADER_BYTES < n_bytes <= len(icc) else len(icc).to_bytes(4, "big") + icc[4:]
    return icc if is_usable(icc) else None


def is_usable(icc: bytes) -> bool:
    """Whether a profile of RGB has what a conversion needs: curves and primaries, or a table (ICC.1:2022, 8.3, 8.4)."""
    whole = {name for name, content, n_bytes in _tags_of(icc) if 8 < n_bytes == len(content)}
    return icc[36:40] == b"acsp" and (whole >= _MATRIX or b"A2B0" in whole)


def profile_name(icc: bytes) -> str:
    """The name in a profile, in printable characters: its tag `desc`, of version 2 or 4 (ICC.1:2022, 9.2.41, 10.15)."""
    body = next((content for name, content, _ in _tags_of(icc) if name == b"desc"), b"")
    if body.startswith(b"mluc"):
        n_bytes, at = (int.from_bytes(body[k : k + 4]) for k in (20, 24))
        name = body[at : at + n_bytes].decode("utf-16-be", "replace")
    else:
        name = body[12 : 12 + int.from_bytes(body[8:12])].decode("latin-1")
    return "".join(c if c.isprintable() else " " for c in name).strip()[:80] or "which has no name"


def _tags_of(icc: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    """Name, content and length, which may be more, of each tag (ICC.1:2022, 7.3)."""
    n_tags = int.from_bytes(icc[_HEADER_BYTES : _HEADER_BYTES + 4])
    for k in range(_HEADER_BYTES + 4, _HEADER_BYTES + 4 + 12 * min(n_tags, 100), 12):
        at, n_bytes = (int.from_bytes(icc[j : j + 4]) for j in (k + 4, k + 8))
        yield icc[k : k + 4], icc[at : at + n_bytes], n_bytes


def _image(pixels: Pixels, icc: bytes | None) -> pyvips.Image:
    deep = pixels.dtype == np.uint16
    image = pyvips.Image.new_from_array(np.ascontiguousarray(pixels), interpretation="rgb16" if deep else "srgb")
    if icc:
        image = image.copy()
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", icc)
    return image


def cicp_of_profile(icc: bytes) -> tuple[int, int] | None:
    """Primaries and transfer (ITU-T H.273, tables 2 and 3) from a profile's tag `cicp` (ICC.1:2022, 9.2.17), if any."""
    body = next((content[8:10] for name, content, _ in _tags_of(icc) if name == b"cicp"), b"")
    return (body[0], body[1]) if len(body) == 2 else None


@cache
def of_primaries(code: int) -> bytes | None:
    """The profile for sRGB-encoded codes with primaries 9 or 12 (ITU-T H.273, table 2: BT.2020, P3), else None."""
    return _profile(*_PROFILES[code]) if code in _PROFILES else None


def _profile(name: str, primaries_xy: npt.NDArray[np.float64], *, is_linear: bool = False) -> bytes:
    """A display profile with these primaries, white D65 and the sRGB curve, or none (ICC.1:2022, 8.3.3)."""

    def numbers(kind: bytes, values: npt.ArrayLike) -> bytes:
        codes = np.rint(np.ravel(values) * 65536).astype(">i4")  # s15Fixed16Number
        return kind + bytes(4) + bytes(codes.data)

    def text(words: str) -> bytes:
        coded = words.encode("utf-16-be")
        return b"mluc" + bytes(4) + struct.pack(">II4sII", 1, 12, b"enUS", len(coded), 28) + coded

    colourants = _D65_TO_D50 @ primaries_to_xyz(primaries_xy)
    curve = b"para" + bytes(4) + struct.pack(">H2x", 3) + numbers(b"", _SRGB_CURVE)[4:]
    curve = b"curv" + bytes(8) if is_linear else curve  # of no points: the identity (the same, 10.6)
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


WIDE_GAMUT = _profile(*_PROFILES[9])
LINEAR_SRGB = _profile("Linear sRGB", BT709, is_linear=True)
LINEAR_2020 = _profile("Linear Rec. 2020", BT2020, is_linear=True)
