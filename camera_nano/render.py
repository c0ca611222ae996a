"""Frame x EditField -> pixels: the fused kernel. One pass over memory, no intermediate pictures.

Gains are added to log2 light, and a table turns the sum back into a code value, so the pixel loop holds no power and
no exponential. `field.render_reference` is the float64 yardstick: the two differ by at most one code value, and the
identity field returns the input bit for bit, at 8 and at 16 bits.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np

from camera_nano.color import srgb_eotf, srgb_oetf
from camera_nano.field import GUIDE_RANGE_EV
from camera_nano.values import F32, EditField, Pixels

# log2 steps per EV of the code table: fine enough that the nearest entry is within 0.3 of a code, small enough for
# the first-level cache at 8 bits; and the EV of the lowest entry, below the first code
_STEPS_PER_EV = {255: 1 << 10, 65535: 1 << 15}
_FLOOR_EV = {255: -13, 65535: -21}
_BLACK_EV = -64.0  # log2 of code 0: no gain lifts it above the floor
_GUIDE_STEPS = 1 << 12
_STRIP_ROWS = 64


@cache
def _tables(limit: int) -> tuple[F32, F32, Pixels, F32]:
    """For codes 0..limit: linear light and its log2; then code by log2 light, and guide by root of luminance."""
    f32 = np.float32
    light = srgb_eotf(np.arange(limit + 1) / limit)
    log_light = np.full(limit + 1, _BLACK_EV)
    log_light[1:] = np.log2(light[1:])
    floor_ev, steps = _FLOOR_EV[limit], _STEPS_PER_EV[limit]
    stops = floor_ev + np.arange(-floor_ev * steps + 1) / steps
    code = np.rint(srgb_oetf(np.exp2(stops)) * limit)
    code[0] = 0
    # by the root of luminance: denser towards black, where the guide is steep
    y = np.square(np.arange(_GUIDE_STEPS + 2) / _GUIDE_STEPS)
    bend = np.log2(1 + np.minimum(y, 1) * (2**GUIDE_RANGE_EV - 1)) / GUIDE_RANGE_EV
    return (
        light.astype(f32),
        log_light.astype(f32),
        code.astype(np.uint8 if limit == 255 else np.uint16),
        bend.astype(f32),
    )


def _render_rows(pixels, grid, light, log_light, code, bend, floor_ev, steps, first, last, out):  # type: ignore[no-untyped-def]
    """Rows first..last of `pixels` through `grid` (gh, gw, gd, 3) into `out`. Half-pixel rules as in `field`.

    Indices are unsigned so that no code is made for negative ones.
    """
    f, u = np.float32, np.uintp
    height, width, _ = pixels.shape
    gh, gw, gd, _ = grid.shape
    top = f(code.shape[0] - 1)
    row = np.empty((gw, gd, 3), f)  # the grid interpolated down to this row
    for i in range(first, last):
        y = min(max((i + 0.5) * gh / height - 0.5, 0.0), gh - 1.0)
        y0 = min(int(y), max(gh - 2, 0))
        y1 = min(y0 + 1, gh - 1)
        fy = f(y - y0)
        for k in range(gw):
            for m in range(gd):
                for c in range(3):
                    row[k, m, c] = grid[y0, k, m, c] + fy * (grid[y1, k, m, c] - grid[y0, k, m, c])
        for j in range(width):
            x = min(max((f(j) + f(0.5)) * f(gw) / f(width) - f(0.5), f(0)), f(gw - 1))
            x0 = u(min(int(x), max(gw - 2, 0)))
            x1 = u(min(x0 + u(1), u(gw - 1)))
            fx = x - f(x0)
            r, g, b = u(pixels[i, j, 0]), u(pixels[i, j, 1]), u(pixels[i, j, 2])
            luminance = f(0.2126) * light[r] + f(0.7152) * light[g] + f(0.0722) * light[b]
            at = np.sqrt(luminance) * f(_GUIDE_STEPS)
            n = u(at)
            guide = bend[n] + (at - f(n)) * (bend[n + u(1)] - bend[n])
            z = min(max(guide * f(gd) - f(0.5), f(0)), f(gd - 1))
            z0 = u(min(int(z), max(gd - 2, 0)))
            z1 = u(min(z0 + u(1), u(gd - 1)))
            fz = z - f(z0)
            w11 = fx * fz
            w10, w01 = fx - w11, fz - w11
            w00 = f(1) - fx - w01
            for c in range(3):
                gain = w00 * row[x0, z0, c] + w10 * row[x1, z0, c] + w01 * row[x0, z1, c] + w11 * row[x1, z1, c]
                step = (log_light[u(pixels[i, j, c])] + gain - floor_ev) * steps + f(0.5)
                out[i, j, c] = code[u(min(max(step, f(0)), top))]


@cache
def _kernel() -> Callable[..., None]:
    """`_render_rows` compiled; from numba's file cache but for the very first time on a machine."""
    import numba  # a second to import: spent on the thread that renders first, not before the first view

    return numba.njit(nogil=True, cache=True, fastmath=True)(_render_rows)


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
    scale = np.float32(_FLOOR_EV[limit]), np.float32(_STEPS_PER_EV[limit])
    grid = np.ascontiguousarray(field.gain_ev)
    height = pixels.shape[0]
    kernel = _kernel()
    starts = range(0, height, _STRIP_ROWS)

    def strip(first: int) -> None:
        kernel(pixels, grid, *tables, *scale, first, min(first + _STRIP_ROWS, height), out)

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
