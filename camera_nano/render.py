"""Frame x EditField -> pixels: the fused kernel. One pass over memory, no intermediate pictures.

Gains are added to log2 light, and a table turns the sum back into a code value, so the pixel loop holds no power and
no exponential. `field.render_reference` is the float64 yardstick: the two differ by at most one code value, and the
identity field returns the input bit for bit, at 8 and at 16 bits.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numba
import numpy as np

from camera_nano.color import srgb_eotf, srgb_oetf
from camera_nano.field import GUIDE_RANGE_EV
from camera_nano.values import F32, EditField, Pixels

_STEPS_PER_EV = 1024  # at the top one step is 0.07 of an 8-bit code; between steps the table is interpolated
_FLOOR_EV = -22  # below the first 16-bit code
_BLACK_EV = -64.0  # log2 of code 0: no gain lifts it above the floor
_GUIDE_ENTRIES = 1 << 14
_STRIP_ROWS = 64


@cache
def _tables(limit: int) -> tuple[F32, F32, F32, F32]:
    """For codes 0..limit: linear light and its log2; then unrounded code by log2 light, and guide by luminance."""
    light = srgb_eotf(np.arange(limit + 1) / limit)
    log_light = np.full(limit + 1, _BLACK_EV)
    log_light[1:] = np.log2(light[1:])
    stops = _FLOOR_EV + np.arange(-_FLOOR_EV * _STEPS_PER_EV + 2) / _STEPS_PER_EV
    code = srgb_oetf(np.minimum(np.exp2(stops), 1.0)) * limit
    # denser towards black, where the guide is steep: indexed by the square root of luminance
    y = np.square(np.arange(_GUIDE_ENTRIES + 2) / _GUIDE_ENTRIES)
    bend = np.log2(1 + np.minimum(y, 1) * (2**GUIDE_RANGE_EV - 1)) / GUIDE_RANGE_EV
    f32 = np.float32
    return light.astype(f32), log_light.astype(f32), code.astype(f32), bend.astype(f32)


@numba.njit(nogil=True, cache=True, fastmath=True, boundscheck=False)
def _render_rows(pixels, grid, light, log_light, code, bend, first, last, out):  # type: ignore[no-untyped-def]
    """Rows first..last of `pixels` through `grid` (gh, gw, gd, 3) into `out`. Half-pixel rules as in `field`."""
    height, width, _ = pixels.shape
    gh, gw, gd, _ = grid.shape
    top = np.float32(code.shape[0] - 2)
    row = np.empty((gw, gd, 3), np.float32)  # the grid interpolated down to this row
    for i in range(first, last):
        y = min(max((i + 0.5) * gh / height - 0.5, 0.0), gh - 1.0)
        y0 = min(int(y), max(gh - 2, 0))
        y1 = min(y0 + 1, gh - 1)
        fy = np.float32(y - y0)
        for a in range(gw):
            for b in range(gd):
                for c in range(3):
                    row[a, b, c] = grid[y0, a, b, c] + fy * (grid[y1, a, b, c] - grid[y0, a, b, c])
        for j in range(width):
            x = min(max((j + 0.5) * gw / width - 0.5, 0.0), gw - 1.0)
            x0 = min(int(x), max(gw - 2, 0))
            x1 = min(x0 + 1, gw - 1)
            fx = np.float32(x - x0)
            r, g, b = pixels[i, j, 0], pixels[i, j, 1], pixels[i, j, 2]
            luma = np.float32(0.2126) * light[r] + np.float32(0.7152) * light[g] + np.float32(0.0722) * light[b]
            at = np.sqrt(luma) * np.float32(_GUIDE_ENTRIES)
            n = int(at)
            guide = bend[n] + (at - np.float32(n)) * (bend[n + 1] - bend[n])
            z = min(max(guide * np.float32(gd) - np.float32(0.5), np.float32(0)), np.float32(gd - 1))
            z0 = min(int(z), max(gd - 2, 0))
            z1 = min(z0 + 1, gd - 1)
            fz = z - np.float32(z0)
            for c in range(3):
                low = row[x0, z0, c] + fx * (row[x1, z0, c] - row[x0, z0, c])
                high = row[x0, z1, c] + fx * (row[x1, z1, c] - row[x0, z1, c])
                ev = log_light[pixels[i, j, c]] + low + fz * (high - low)
                step = min(max((ev - np.float32(_FLOOR_EV)) * np.float32(_STEPS_PER_EV), np.float32(0)), top)
                m = int(step)
                value = code[m] + (step - np.float32(m)) * (code[m + 1] - code[m])
                out[i, j, c] = int(value + np.float32(0.5))


def render(pixels: Pixels, field: EditField, *, threads: int = 1, out: Pixels | None = None) -> Pixels:
    """Pixels (H, W, 3) sRGB-encoded uint8 or uint16, field -> the same kind of pixels, relit.

    Memory beyond input and output stays under a mebibyte whatever the size. `out` is written in place when given.
    """
    limit = int(np.iinfo(pixels.dtype).max)
    if out is None:
        out = np.empty_like(pixels)
    if not field.gain_ev.any():
        np.copyto(out, pixels)
        return out
    tables = _tables(limit)
    grid = np.ascontiguousarray(field.gain_ev)
    height = pixels.shape[0]
    starts = range(0, height, _STRIP_ROWS)

    def strip(first: int) -> None:
        _render_rows(pixels, grid, *tables, first, min(first + _STRIP_ROWS, height), out)

    if threads == 1:
        for first in starts:
            strip(first)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(strip, starts))
    return out


def warm_up() -> None:
    """Compile or load the kernels for both depths, so that the first picture does not wait for it."""
    pixel = np.zeros((1, 1, 3), np.uint8)
    for pixels in (pixel, pixel.astype(np.uint16)):
        render(pixels, EditField(np.full((1, 1, 1, 4), 0.5, np.float32)))
