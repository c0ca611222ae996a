"""One frame with the light that it clipped filled from a darker one: for views, in a fraction of the time of a merge.

The frame alone says everything else, so nothing is averaged, and one look at small copies is enough to align the two.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from camera_nano.color import STRIP_ROWS, codes_of_roots, srgb_codes_16, srgb_eotf
from camera_nano.merge.align import Flow, align
from camera_nano.merge.average import COMPARED, FILLS, clearness, fills
from camera_nano.merge.capture import Capture
from camera_nano.merge.curve import drawing
from camera_nano.merge.kernel import kernel
from camera_nano.merge.stack import by_one_curve, compared, grey, light_of, measured_gain
from camera_nano.opencv import cv2
from camera_nano.values import F32, Pixels

_MATCHED_PX = 320  # longer side of the copies that are aligned
_CODES = np.arange(256, dtype=np.uint8)

U16 = npt.NDArray[np.uint16]


class _Fill(ctypes.Structure):
    _fields_ = (
        *(
            (name, ctypes.c_void_p)
            for name in ("own", "darker", "codes", "roots", "light", "tables", "clear", "flow", "out")
        ),
        *((name, ctypes.c_int32) for name in ("width", "height", "grid_w", "grid_h")),
        *((name, ctypes.c_float) for name in ("cell_px", "origin_px", "exposure", "white", "near", "far", "n_roots")),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Filled:
    """A frame, and a darker one that was aligned to it."""

    own: Pixels  # (H, W, 3) uint8, as `darker`
    darker: Pixels
    flow: Flow
    tables: F32  # (3, 256), of the darker one's R, G and B to the light of the frame's codes

    def expose(self, ev: float, *, threads: int = 1) -> U16:
        """16-bit codes (H, W, 3) at an exposure of `ev` stops against the frame, at most 0.

        What is brighter than white keeps its hue, as `expose` of a merge has it.
        """
        out = np.empty(self.own.shape, np.uint16)
        run = _compiled(self, ev, out) or (lambda first, last: _fill_rows(self, ev, out, first, last))
        with ThreadPoolExecutor(threads) as pool:
            starts = range(0, len(out), STRIP_ROWS)
            list(pool.map(lambda first: run(first, min(first + STRIP_ROWS, len(out))), starts))
        return out


def fill(own: Capture, darker: Capture) -> Filled:
    """Align a darker capture to one of the same size, both of 8 bits, and measure its exposure.

    A clipped pixel becomes what the darker one has there, if that may be what clipped; where something moved, the
    reference's white stays.
    """
    darker = replace(darker, ev=darker.ev - own.ev)
    scale = max(1, max(own.pixels.shape[:2]) // _MATCHED_PX)
    small, small_darker = (replace(each, pixels=_smaller(each.pixels, scale)) for each in (replace(own, ev=0), darker))
    alike = compared(small, darker.ev)
    flow = align(grey(small, *alike), grey(small_darker, *alike))
    small, small_darker = by_one_curve([small, small_darker], [flow])
    gain = np.float32(2**-darker.ev) * measured_gain(small, small_darker, flow)
    light = gain[:, None] * light_of(small, _CODES)
    pixels = [np.ascontiguousarray(each.pixels, np.uint8) for each in (own, darker)]
    return Filled(pixels[0], pixels[1], flow.enlarged(scale), np.ascontiguousarray(drawing(small.curve)(light)))


def _own_light(codes: Pixels) -> F32:
    """Light of the frame's codes: of sRGB, since views are drawn so."""
    return np.asarray(srgb_eotf(np.arange(256) / 255)[codes], np.float32)


def _smaller(pixels: Pixels | F32, scale: int) -> Pixels:
    height, width = (side // scale for side in pixels.shape[:2])
    whole = pixels[: height * scale, : width * scale]
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _compiled(filled: Filled, ev: float, out: U16) -> Callable[[int, int], None] | None:
    """What fills rows of `out` from the first to before the last; None without the compiled loops."""
    library = kernel()
    if library is None:
        return None
    light, roots, (height, width) = _own_light(_CODES), codes_of_roots(), out.shape[:2]
    codes, flow = srgb_codes_16(light * np.float32(2**ev)), np.ascontiguousarray(filled.flow.shift_px)
    kept = (filled.own, filled.darker, codes, roots, light, filled.tables, clearness(light), flow, out)
    job = _Fill(
        *(array.ctypes.data for array in kept), width, height, flow.shape[1], flow.shape[0], filled.flow.cell_px,
        filled.flow.origin_px, 2**ev, COMPARED, *FILLS, len(roots) - 1,
    )  # fmt: skip

    def run(first: int, last: int, kept: tuple[npt.NDArray[np.generic], ...] = kept) -> None:
        library.camera_nano_fill(ctypes.byref(job), first, last)

    return run


def _fill_rows(filled: Filled, ev: float, out: U16, first: int, last: int) -> None:
    """The same in numpy."""
    light = _own_light(filled.own[first:last])
    clear = clearness(light.max(-1))
    y, x = np.nonzero(clear < 1)
    own, moved = light[y, x], _darker_at(filled, x, y + first)
    share = fills(np.concatenate([own, clear[y, x, None]], 1), moved, COMPARED)
    light[y, x] = own + share[:, None] * (moved - own)
    exposed = light * np.float32(2**ev)
    out[first:last] = srgb_codes_16(exposed / np.maximum(exposed.max(-1, keepdims=True), 1))


def _darker_at(filled: Filled, x: npt.NDArray[np.intp], y: npt.NDArray[np.intp]) -> F32:
    """Light (n, 3) of the darker frame, on the frame's scale, where the frame has these pixels; its edges go on."""
    height, width = filled.darker.shape[:2]
    u, v = filled.flow.at(x, y).T
    u, v = (x + u).clip(0, width - 1).astype(np.float32), (y + v).clip(0, height - 1).astype(np.float32)
    ix, iy = u.astype(int), v.astype(int)
    fx, fy = (u - ix)[:, None], (v - iy)[:, None]
    right, below = np.minimum(ix + 1, width - 1), np.minimum(iy + 1, height - 1)
    rows = []
    for row in (iy, below):
        near, far = (filled.tables[range(3), filled.darker[row, at]] for at in (ix, right))
        rows.append(near + fx * (far - near))
    return np.asarray(rows[0] + fy * (rows[1] - rows[0]), np.float32)
