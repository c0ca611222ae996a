"""Transfer functions, luminance and white points. Linear light is 0..1 with 1 = SDR white.

Needs numpy only. `nn/light.py` has the same few formulas for tensors.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]

SDR_WHITE_NITS = 203  # diffuse white in HDR pictures (ITU-R BT.2408-7, table 1)
LUMINANCE_709 = (0.2126, 0.7152, 0.0722)  # ITU-R BT.709-6, item 3.2
STRIP_ROWS = 64  # of a picture worked on at a time, so that they stay in the processor's cache


def srgb_eotf(code: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Code value 0..1 -> display linear light 0..1 (IEC 61966-2-1, 5.2). Negative light mirrors."""
    v = np.asarray(code, np.float64)
    a = np.abs(v)
    return np.sign(v) * np.where(a <= 0.04045, a / 12.92, ((a + 0.055) / 1.055) ** 2.4)


def srgb_oetf(light: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Linear light 0..1 -> code value 0..1 (IEC 61966-2-1, 5.2, inverse). Negative light mirrors."""
    x = np.asarray(light, np.float64)
    a = np.abs(x)
    return np.sign(x) * np.where(a <= 0.0031308, a * 12.92, 1.055 * a ** (1 / 2.4) - 0.055)


def srgb_codes(light: npt.ArrayLike) -> npt.NDArray[np.uint8]:
    """Linear light, 1 is SDR white -> the nearest sRGB code values of 8 bits; light above white is cut off."""
    return np.rint(255 * srgb_oetf(np.clip(light, 0, 1))).astype(np.uint8)


def to_8_bit(codes: npt.NDArray[np.unsignedinteger[Any]]) -> npt.NDArray[np.uint8]:
    """Code values of 16 bits -> the nearest of 8: round(v / 257). Those of 8 bits are returned as they are."""
    if codes.dtype == np.uint8:
        return np.asarray(codes, np.uint8)
    # v // 257 is (v - v // 256) // 256 here; a table takes several times as long
    rounded = np.minimum(codes, 65535 - 128) + np.uint16(128)
    rounded -= rounded >> 8
    rounded >>= 8
    return np.asarray(rounded, np.uint8)


def to_16_bit(codes: npt.NDArray[np.unsignedinteger[Any]]) -> npt.NDArray[np.uint16]:
    """8-bit code values -> the same at 16 bits; 16-bit ones are returned as they are."""
    return codes if codes.dtype == np.uint16 else codes.astype(np.uint16) * np.uint16(257)


def srgb_codes_16(light: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """Linear light 0..1 -> 16-bit code values, within one of `srgb_oetf` but ten times as fast."""
    return np.asarray(by_root(light, codes_of_roots()))


def by_root(light: npt.NDArray[np.float32], table: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Look up linear light 0..1 in a table by its fourth root, which spreads the dark, steep end of tone curves."""
    place = np.sqrt(np.sqrt(light)) * np.float32(len(table) - 1) + np.float32(0.5)
    return np.asarray(table[place.astype(np.int32)])


_ROOTS = 1 << 18  # entries: where the curve is steepest, neighbours differ by less than half a code


@cache
def codes_of_roots() -> npt.NDArray[np.uint16]:
    """16-bit code values by the fourth root of linear light 0..1, in equal steps."""
    return np.rint(srgb_oetf(light_of_roots()) * 65535).astype(np.uint16)


def light_of_roots() -> npt.NDArray[np.float64]:
    """The light of each entry of a table for `by_root`."""
    return np.asarray((np.arange(_ROOTS + 1) / _ROOTS) ** 4)


def pq_code(nits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Display light in cd/m2 -> PQ code value 0..1 (ITU-R BT.2100-2, table 4, inverse EOTF); clipped at 10000."""
    y = np.clip(nits / np.float32(10000), 0, 1) ** np.float32(2610 / 16384)
    ratio = (np.float32(3424 / 4096) + np.float32(2413 / 128) * y) / (1 + np.float32(2392 / 128) * y)
    return np.asarray(ratio ** np.float32(2523 / 32), np.float32)


def pq_nits(code: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """PQ code value 0..1 -> display light in cd/m2 (ITU-R BT.2100-2, table 4, EOTF)."""
    e = np.clip(code, 0, 1) ** np.float32(32 / 2523)
    ratio = np.maximum(e - np.float32(3424 / 4096), 0) / (np.float32(2413 / 128) - np.float32(2392 / 128) * e)
    return np.asarray(10000 * ratio ** np.float32(16384 / 2610), np.float32)


def luminance(rgb: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Linear RGB (..., 3) with BT.709 primaries -> relative luminance (...)."""
    return np.asarray(np.asarray(rgb, np.float64) @ np.array(LUMINANCE_709))


def planckian_xy(kelvin: float) -> tuple[float, float]:
    """CIE 1931 chromaticity of a black body, 1667..25000 K (Kim et al., US patent 7,024,034, cubic fit)."""
    if not 1667 <= kelvin <= 25000:
        raise ValueError(f"colour temperature {kelvin} K is outside 1667..25000 K")
    t = 1000.0 / kelvin
    if kelvin <= 4000:
        x = -0.2661239 * t**3 - 0.2343589 * t**2 + 0.8776956 * t + 0.179910
    else:
        x = -3.0258469 * t**3 + 2.1070379 * t**2 + 0.2226347 * t + 0.240390
    if kelvin <= 2222:
        y = -1.1063814 * x**3 - 1.34811020 * x**2 + 2.18555832 * x - 0.20219683
    elif kelvin <= 4000:
        y = -0.9549476 * x**3 - 1.37418593 * x**2 + 2.09137015 * x - 0.16748867
    else:
        y = 3.0817580 * x**3 - 5.87338670 * x**2 + 3.75112997 * x - 0.37001483
    return x, y


XYZ_TO_RGB = np.array(  # IEC 61966-2-1, 5.3
    [[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]]
)

BT709 = np.array([[0.640, 0.330], [0.300, 0.600], [0.150, 0.060]])  # ITU-R BT.709-6, item 1.3
BT2020 = np.array([[0.708, 0.292], [0.170, 0.797], [0.131, 0.046]])  # xy of R, G, B: ITU-R BT.2020-2, table 3
P3 = np.array([[0.680, 0.320], [0.265, 0.690], [0.150, 0.060]])  # SMPTE RP 431-2, table A.1
_XY_D65 = np.array([0.3127, 0.3290])


def primaries_to_xyz(primaries_xy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Chromaticities (3, 2) of R, G and B -> the matrix of their linear light to XYZ, white D65 (SMPTE RP 177)."""

    def xyz(xy: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.array([xy[0] / xy[1], 1, (1 - xy[0] - xy[1]) / xy[1]])

    columns = np.stack([xyz(xy) for xy in primaries_xy], 1)
    return np.asarray(columns * np.linalg.solve(columns, xyz(_XY_D65)))


XYZ_TO_2020 = np.linalg.inv(primaries_to_xyz(BT2020))


def temperature_gains(temperature: float) -> npt.NDArray[np.float64]:
    """Gains (3,) of linear RGB for light `temperature` hundreds of mired warmer than 6500 K, luminance kept."""

    def white(mired: float) -> npt.NDArray[np.float64]:
        x, y = planckian_xy(1e6 / mired)
        return np.asarray(XYZ_TO_RGB @ np.array([x / y, 1.0, (1 - x - y) / y]))

    neutral = 1e6 / 6500
    gains = white(float(np.clip(neutral + 100 * temperature, 45, 590))) / white(neutral)
    return np.asarray(gains / luminance(gains))
