"""Frame x EditField -> pixels: the fused kernel. One pass over memory, no intermediate pictures.

Gains are added to log2 light, and a table turns the sum back into a code value, so the pixel loop holds no power and
no exponential. The loop is `_render.c`, compiled at installation; without it the same steps run in numpy, slower.
`field.render_reference` is the exact answer in float64: both differ from it by at most one code value, and the identity
field returns the input bit for bit, at 8 and at 16 bits.
"""

from __future__ import annotations

import ctypes
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from camera_nano.color import LUMINANCE_709, Floats, srgb_eotf, srgb_oetf
from camera_nano.compiled import compiled
from camera_nano.light.field import bent, guide, own_gains, own_guide, render_reference, slice_field
from camera_nano.values import (
    CLIPPED_HIGH,
    CLIPPED_LOW,
    F32,
    GAIN_LIMIT_EV,
    OWN_LIGHT_GUIDE,
    EditField,
    Pixels,
)

# log2 steps per EV of the code table: fine enough that the nearest entry is within 0.3 of a code; and an EV below the
# first code. The table goes on, all 0, below that and, all white, above 0 EV, so that the loop need not clamp.
_STEPS_PER_EV = {255: 1 << 10, 65535: 1 << 15}
_FLOOR_EV = {255: -13, 65535: -21}
_GUIDE_STEPS = 1 << 12
_STRIP_ROWS = 64
_KERNEL = 6  # the version that a compiled library must return from `camera_nano_kernel`
_MAX_ROW, _MAX_BINS = 4096, 16


_TABLES = ("grid", "own", "white", "clipping", "log_light", "luminance", "bin", "own_bin", "light", "bend")
_SIZES = ("gh", "gw", "gd", "bends", "guide_steps", "stride")


class _Recipe(ctypes.Structure):
    _fields_ = (*((name, ctypes.c_void_p) for name in _TABLES), *((name, ctypes.c_int32) for name in _SIZES))


@cache
def _tables(limit: int, n_bins: int) -> dict[str, np.ndarray[Any, Any]]:
    """What the loop looks things up in, by the name it has in `_render.c`; `code` is by step of log2 light."""
    floor_ev, steps = _FLOOR_EV[limit], _STEPS_PER_EV[limit]
    margin_ev = _margin_ev(n_bins)
    start_ev = floor_ev - 2 * margin_ev
    light = srgb_eotf(np.arange(limit + 1) / limit)
    log_light = np.full(limit + 1, floor_ev - margin_ev, float)  # code 0: no gain lifts it above the floor
    log_light[1:] = np.log2(light[1:])
    code = np.rint(srgb_oetf(np.exp2(np.arange(floor_ev * steps, 1) / steps)) * limit)
    code[0] = 0
    code = np.pad(code, (2 * margin_ev * steps, margin_ev * steps), "edge")

    def position(place: Floats, first: int = 0) -> Floats:
        return np.asarray(np.clip(place * n_bins - 0.5, first, n_bins) - first)

    seen = (np.concatenate([np.arange(4096), np.arange(4096, 65536, 16) + 7.5]) + 0.5) / 65536
    return {
        "log_light": ((log_light - start_ev) * steps + 0.5).astype(np.float32),
        "code": code.astype(np.uint8 if limit == 255 else np.uint16),
        "luminance": np.floor(np.outer(LUMINANCE_709, light) * 65535 * 65536).astype(np.uint32),
        "bin": np.rint(position(bent(seen)) * 4096).astype(np.uint16),
        "own_bin": position(own_guide(np.repeat(light[:, None], 3, 1)).T, _first_bend(n_bins)).astype(np.float32, "C"),
        "light": light.astype(np.float32),
        # by the root of luminance: denser towards black, where the guide is steep
        "bend": bent(np.square(np.arange(_GUIDE_STEPS + 2) / _GUIDE_STEPS)).astype(np.float32),
    }


@cache
def _clipping(limit: int) -> F32:
    """For `_render.c`: how far a pixel counts as clipped by its largest channel, and by its smallest."""
    ends = np.array([CLIPPED_HIGH, CLIPPED_LOW]) * limit
    start, rate = ends[:, :1], 1 / (ends[:, 1:] - ends[:, :1])
    if limit > 255:
        return np.hstack([start, rate]).astype(np.float32)
    share = np.clip((np.arange(limit + 1) - start) * rate, 0, 1)
    return np.asarray(share * share * (3 - 2 * share), np.float32)


def _margin_ev(n_bins: int) -> int:
    """More than any gain: that of a field that swings from limit to limit, up to its last bin, and its own light's."""
    swings = -GAIN_LIMIT_EV * (-1) ** np.arange(n_bins, 0, -1, dtype=np.float32)
    most = own_gains(np.broadcast_to(swings[:, None], (1, 1, n_bins, 4))).max()
    return int(GAIN_LIMIT_EV + most) + 2


def _first_bend(n_bins: int) -> int:
    """The last range bin whose channels get nothing by their own light."""
    return int(OWN_LIGHT_GUIDE[0] * n_bins)


@cache
def kernel() -> ctypes.CDLL | None:
    """The compiled loop; None where it was not built for this platform, or for another version of this file."""
    return compiled(Path(__file__).with_name("_render.c"), "camera_nano_kernel", _KERNEL)


def render(pixels: Pixels, field: EditField, *, threads: int = 1, out: Pixels | None = None) -> Pixels:
    """Pixels (H, W, 3) sRGB-encoded uint8 or uint16, field -> the same kind of pixels, relit.

    Memory beyond input and output stays under a mebibyte whatever the size. `out` is written in place when given;
    it may be `pixels`.
    """
    if out is None:
        out = np.empty(pixels.shape, pixels.dtype)
    if not field.gain_ev.any() and not any(field.white_ev):
        np.copyto(out, pixels)
        return out
    _, gw, gd, _ = field.grid.shape
    library = kernel()
    if library is None or not out.flags.c_contiguous or gw * (gd + 1) > _MAX_ROW or gd >= _MAX_BINS:
        for first in range(0, len(pixels), _STRIP_ROWS):
            rows = slice(first, first + _STRIP_ROWS)
            out[rows] = render_reference(pixels[rows], field, first_row=first, height=len(pixels))
        return out
    limit = int(np.iinfo(pixels.dtype).max)
    tables, steps = _tables(limit, gd), _STEPS_PER_EV[limit]
    code = tables["code"]
    white = np.rint(np.array([*field.white_ev, 0]) * steps)  # whole steps: no rounding of the loop moves them
    if white.any():  # nothing is brighter than the look's white
        code = np.minimum(code, np.rint(srgb_oetf(np.exp2(white[:3] / steps)) * limit)[:, None].astype(code.dtype))
    own = np.rint(own_gains(field.grid) * steps)  # whole steps: what is less than one costs no time
    of_field: dict[str, np.ndarray[Any, Any]] = {
        "grid": (_with_last_bin(field.grid) * steps - own).astype(np.float32),
        "own": np.diff(np.diff(own[:, :, _first_bend(gd) :], axis=2), axis=2, prepend=0).astype(np.float32),
        "white": white.astype(np.float32),
        "clipping": _clipping(limit),
        "code": code,
    }
    _run(library, tables | of_field, pixels, out, threads)
    return out


def slice_headroom(pixels: Pixels, field: EditField, high_ev: float, *, threads: int = 1) -> Pixels:
    """Pixels (H, W, 3) uint8, field -> headroom (H, W) uint8: 0 is none, 255 is `high_ev` or more."""
    _, gw, gd, _ = field.grid.shape
    start_ev = -int(GAIN_LIMIT_EV)
    stops = start_ev + np.arange(2 * int(GAIN_LIMIT_EV) * _STEPS_PER_EV[255] + 2) / _STEPS_PER_EV[255]
    code = np.rint(np.clip(stops / high_ev, 0, 1) * 255).astype(np.uint8)
    out = np.empty(pixels.shape, np.uint8)
    library = kernel()
    if library is None or gw * (gd + 1) > _MAX_ROW or gd >= _MAX_BINS:
        for first in range(0, len(pixels), _STRIP_ROWS):
            part = guide(srgb_eotf(pixels[first : first + _STRIP_ROWS] / 255))
            ev = slice_field(field, part, first_row=first, height=len(pixels))[..., 3]
            out[first : first + len(part), :, 0] = code[np.rint((ev - start_ev) * _STEPS_PER_EV[255]).astype(int)]
        return out[..., 0]
    # the loop adds three gains to the log light of three codes: here each gain is the headroom and the light is nothing
    grid = _with_last_bin(np.repeat(field.grid[..., 3:], 4, 3)) * np.float32(_STEPS_PER_EV[255])
    nothing = np.full(256, 0.5 - start_ev * _STEPS_PER_EV[255], np.float32)
    of_field = {"grid": grid, "own": grid[:, :, :0], "log_light": nothing, "code": code}
    of_field |= {"white": np.full(4, -np.inf, np.float32), "clipping": _clipping(255)}
    _run(library, _tables(255, gd) | of_field, pixels, out, threads)
    return out[..., 0]


def _with_last_bin(grid: F32) -> F32:
    """A grid (gh, gw, gd, 4) with one bin more, beyond white, equal to the last."""
    return np.concatenate([grid, grid[:, :, -1:]], 2)


def _run(
    library: ctypes.CDLL, tables: dict[str, np.ndarray[Any, Any]], pixels: Pixels, out: Pixels, threads: int
) -> None:
    gh, gw, gd, _ = tables["grid"].shape
    places = {name: tables[name].ctypes.data for name in _TABLES}
    stride = tables["code"].shape[-1] if tables["code"].ndim > 1 else 0
    bends = tables["own"].shape[2]
    sizes = {"gh": gh, "gw": gw, "gd": gd, "bends": bends, "guide_steps": _GUIDE_STEPS, "stride": stride}
    recipe = _Recipe(**places, **sizes)
    pixels = np.ascontiguousarray(pixels)
    height, width = pixels.shape[:2]
    run = library.camera_nano_render_8 if pixels.dtype == np.uint8 else library.camera_nano_render_16
    pointers = [ctypes.c_void_p(array.ctypes.data) for array in (tables["code"], pixels, out)]

    def strip(first: int, last: int) -> None:
        run(ctypes.byref(recipe), *pointers, width, height, first, last)  # ctypes lets other threads run meanwhile

    if threads == 1:
        strip(0, height)
    else:
        starts = range(0, height, _STRIP_ROWS)
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(lambda first: strip(first, min(first + _STRIP_ROWS, height)), starts))


def warm_up() -> None:
    """Load the kernel and make the 8-bit tables, so that the first picture does not wait for them."""
    render(np.zeros((1, 1, 3), np.uint8), EditField(np.full((1, 1, 1, 4), 0.5, np.float32)))
