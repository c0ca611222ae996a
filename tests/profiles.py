"""ICC profiles made from scratch, as old and odd as they come, and colours by a CMS that is not the product's."""

import struct
from collections.abc import Mapping
from typing import Any, Literal

import imagecodecs
import numpy as np
import numpy.typing as npt
import skimage.color

from camera_nano.values import Pixels

F64 = npt.NDArray[np.float64]
XY = tuple[float, float]

PRIMARIES = {
    "srgb": ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06)),
    "p3": ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
    "adobe": ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06)),
    "2020": ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    "prophoto": ((0.734699, 0.265301), (0.159597, 0.840403), (0.036598, 0.000105)),
}
D65, D50 = (0.3127, 0.3290), (0.345704, 0.358540)
_PCS = np.array([0.9642, 1.0, 0.8249])
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def matrix_profile(primaries: str, gamma: float | Literal["srgb"], white: XY = D65) -> bytes:
    """A display profile of ICC version 2: primaries by name, and a power law or the sRGB curve as a table."""
    if gamma == "srgb":
        codes = np.arange(1024) / 1023
        light = np.where(codes <= 0.04045, codes / 12.92, ((codes + 0.055) / 1.055) ** 2.4)
        curve = b"curv" + bytes(4) + struct.pack(">I", 1024) + np.rint(light * 65535).astype(">u2").tobytes()
    else:
        curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))

    def xyz(xy: XY) -> F64:
        return np.array([xy[0] / xy[1], 1, (1 - xy[0] - xy[1]) / xy[1]])

    columns = np.stack([xyz(xy) for xy in PRIMARIES[primaries]], 1)
    columns = columns * np.linalg.solve(columns, xyz(white))
    adapt = np.linalg.inv(_BRADFORD) @ np.diag(_BRADFORD @ _PCS / (_BRADFORD @ xyz(white))) @ _BRADFORD
    columns = adapt @ columns
    name = f"{primaries} {gamma}".encode() + b"\0"
    tags = {b"desc": b"desc" + bytes(4) + struct.pack(">I", len(name)) + name + bytes(12 + 67), b"wtpt": fixed(_PCS)}
    tags |= {b"%cXYZ" % letter: fixed(columns[:, i]) for i, letter in enumerate(b"rgb")}
    tags |= {b"%cTRC" % letter: curve for letter in b"rgb"}
    return assemble(b"RGB ", tags)


def fixed(values: npt.ArrayLike) -> bytes:
    return b"XYZ " + bytes(4) + bytes(np.rint(np.asarray(values) * 65536).astype(">i4").data)


def assemble(space: bytes, tags: Mapping[bytes, bytes]) -> bytes:
    """The bytes of a display profile with these tags."""
    table, body, at = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, data in tags.items():
        table += struct.pack(">4sII", name, at + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4xI4s4s4s12x4s", at + len(body), 0x02100000, b"mntr", space, b"XYZ ", b"acsp")
    return (head.ljust(68, b"\0") + fixed(_PCS)[8:]).ljust(128, b"\0") + table + body


def lab(pixels: Pixels, icc: bytes | None) -> F64:
    """Codes (H, W, 3) of a profile, sRGB without one -> CIE L*a*b* under D50, by Little CMS in floating point."""
    xyz = imagecodecs.cms_transform(
        np.ascontiguousarray(pixels),
        icc or imagecodecs.cms_profile("srgb"),
        imagecodecs.cms_profile("xyz"),
        colorspace="rgb",
        outcolorspace="xyz",
        outdtype=np.float64,
        intent=1,
    )
    return np.asarray(skimage.color.xyz2lab(xyz, illuminant="D50"))


def recoded(pixels: Pixels, icc: bytes, dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """sRGB codes (H, W, 3) -> codes of a profile, for a file to be made of them."""
    source = imagecodecs.cms_profile("srgb")
    codes = imagecodecs.cms_transform(
        np.ascontiguousarray(pixels), source, icc, colorspace="rgb", outcolorspace="rgb", outdtype=dtype, intent=1
    )
    return np.asarray(codes)
