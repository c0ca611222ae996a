"""Aligned captures -> their average where they agree with the reference; compiled, or the same in numpy.

As in Wronski et al. 2019, "Handheld multi-frame super-resolution", section 5.2, agreement is told place by place: local
means may differ by noise and by what a small misalignment changes, and the least of a neighbourhood counts.
A capture counts by its inverse variance (Granados et al. 2010), and not where it clips.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from queue import SimpleQueue
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from camera_nano.color import Floats
from camera_nano.merge.align import Flow
from camera_nano.merge.kernel import kernel
from camera_nano.merge.noise import Noise
from camera_nano.opencv import cv2
from camera_nano.values import F32

CLIPPED = (0.86, 0.96)  # of a capture's own light: it counts less from the first on, and not from the second
COMPARED = 0.85  # of its white: light up to there is compared
_SURE, _REFUSED = 12.0, 24.0  # squared distances of three channels: noise alone is beyond the first once in a hundred
_EDGE = 0.02  # of the spatial variance: what a misalignment by a quarter of a pixel changes in a box
# what measured exposures and assumed curves leave, as a share of the light; half a code of 8 bits, in the dark
_STEP, _STEP_IN_THE_DARK = 0.02, 1.5e-4
# light by which a clipped pixel and a darker capture's may differ: it fills less from the first on, not from the second
FILLS = (0.1, 0.3)
_LEAST = 1e-3  # how much the darkest capture counts where all clip
_PHASES = 64  # of sub-pixel interpolation; this and the next as in `_merge.c`
_SIDE_PX, _HALO_PX, _BOX_PIXELS = 64, 4, 36

Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """A capture as it is averaged."""

    pixels: npt.NDArray[Any]
    table: F32 | None  # its own linear light by code; None where the pixels are linear
    gain: F32  # (3,), of R, G and B to the reference's scale
    white: float  # light on that scale at which it clips
    flow: Flow
    noise: Noise  # of its light on the reference's scale


@dataclass(frozen=True, slots=True, eq=False)
class Average:
    """Light (H, W, 3); in what share of the picture each layer counts, and any but the reference."""

    light: F32
    shares: Floats
    merged_share: float


@cache
def _taps() -> F32:
    """(_PHASES + 1, 4): weights of four neighbours, Catmull and Rom's cubic (Keys 1981)."""
    t = np.arange(_PHASES + 1)[:, None] / _PHASES
    powers = np.hstack([np.ones_like(t), t, t**2, t**3])
    return (powers @ (np.array([[0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]]) / 2)).astype(np.float32)


def average(layers: Sequence[Layer], threads: int) -> Average:
    """Aligned captures, the reference first, on its scale of light. Captures of one size; of any kinds."""
    library = kernel()
    if library is None:
        return _average_in_numpy(layers)
    return _average_compiled(library, layers, threads)


class _Layer(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("pixels", "table", "flow")),
        ("gain", ctypes.c_float * 4),
        ("white", ctypes.c_float),
        *((name, ctypes.c_float * 2) for name in ("box", "own")),
        *((name, ctypes.c_float) for name in ("least", "darker")),
        *((name, ctypes.c_int32) for name in ("kind", "codes")),
    )


class _Job(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("layers", "taps", "out", "counts")),
        *((name, ctypes.c_int32) for name in ("n", "width", "height", "grid_w")),
        *(
            (name, ctypes.c_float)
            for name in ("cell_px", "origin_px", "high", "low", "edge", "step", "sure", "refused", "near", "far")
        ),
    )


class _Numbers(NamedTuple):
    """What the loop asks of a layer, by the names of `_merge.c`."""

    white: float
    box: tuple[float, float]
    own: tuple[float, float]
    least: float
    darker: float


def _numbers(layer: Layer, own: Layer, brightest: float) -> _Numbers:
    share, step = own.noise.alike / _BOX_PIXELS, _STEP_IN_THE_DARK**2 * (own.white**2 + layer.white**2)
    return _Numbers(
        white=COMPARED * min(own.white, layer.white),
        box=((layer.noise.a + own.noise.a) * share, (layer.noise.b + own.noise.b) * share + step),
        own=(layer.noise.a, layer.noise.b),
        least=_LEAST * (layer.white / brightest) ** 4,
        darker=float(layer.white > 1.05 * own.white),
    )


def _average_compiled(library: ctypes.CDLL, layers: Sequence[Layer], threads: int) -> Average:
    height, width = layers[0].pixels.shape[:2]
    out, n, flow = np.empty((height, width, 3), np.float32), len(layers), layers[-1].flow
    brightest = max(layer.white for layer in layers)
    kept = [
        (
            np.ascontiguousarray(x.pixels),
            None if x.table is None else np.stack([x.table, clearness(x.table)]),
            np.ascontiguousarray(x.flow.shift_px),
        )
        for x in layers
    ]
    records = (_Layer * n)()
    for record, layer, (pixels, table, shift) in zip(records, layers, kept, strict=True):
        record.pixels, record.flow = pixels.ctypes.data, shift.ctypes.data
        record.table, record.codes = (None, 0) if table is None else (table.ctypes.data, table.shape[1])
        record.gain = (*(float(g) for g in layer.gain), 1.0)
        numbers = _numbers(layer, layers[0], brightest)
        record.white, record.least, record.darker = numbers.white, numbers.least, numbers.darker
        record.box, record.own, record.kind = numbers.box, numbers.own, pixels.itemsize

    works: SimpleQueue[npt.NDArray[np.uint8]] = SimpleQueue()  # one for each thread
    for _ in range(threads):
        works.put(np.empty(library.camera_nano_work_bytes() + 64, np.uint8))

    def strip(block: int) -> Floats:
        work, counts = works.get(), np.zeros(n + 1, np.float32)
        pointers = (ctypes.addressof(records), _taps().ctypes.data, out.ctypes.data, counts.ctypes.data)
        sizes = (n, width, height, flow.shift_px.shape[1], flow.cell_px, flow.origin_px)
        job = _Job(*pointers, *sizes, CLIPPED[1], CLIPPED[0], _EDGE, _STEP**2, _SURE, _REFUSED, *FILLS)
        at = ctypes.c_void_p(-(-work.ctypes.data // 64) * 64)
        library.camera_nano_stack(ctypes.byref(job), at, block, block + 1)  # other threads run meanwhile
        works.put(work)
        return counts.astype(np.float64)

    with ThreadPoolExecutor(threads) as pool:
        shares = np.sum(list(pool.map(strip, range(-(-height // _SIDE_PX)))), axis=0) / (height * width)
    return Average(out, shares[1:n], float(shares[n]))


def _average_in_numpy(layers: Sequence[Layer]) -> Average:
    height, width = layers[0].pixels.shape[:2]
    out, counts, n_any = np.empty((height, width, 3), np.float32), np.zeros(len(layers) - 1), 0.0
    for first in range(0, height, _SIDE_PX):
        last = min(first + _SIDE_PX, height)
        out[first:last], counted = _average_rows(layers, first, last)
        counts += counted.sum((1, 2))
        n_any += float(counted.any(0).sum())
    return Average(out, counts / (height * width), n_any / (height * width))


def _average_rows(layers: Sequence[Layer], first: int, last: int) -> tuple[F32, Mask]:
    """Rows first..last of the average, and where each layer after the first counts in them."""
    height, width = layers[0].pixels.shape[:2]
    brightest = max(layer.white for layer in layers)
    # whole cells; pixels beyond the edge are those at the edge
    rows, columns = (
        np.arange(start - _HALO_PX, end + end % 2 + _HALO_PX).clip(0, side - 1)
        for start, end, side in ((first, last, height), (0, width, width))
    )
    inner = (slice(_HALO_PX, _HALO_PX + last - first), slice(_HALO_PX, _HALO_PX + width))
    own = _with_clearness(layers[0], layers[0].pixels[rows][:, columns])
    mean = _box_means(own[..., :3])
    spread = _EDGE * np.maximum(_box_means(own[..., :3] ** 2) - mean**2, 0) + _STEP**2 * mean**2
    level = _by_pixel(mean.mean(2))[inner]
    total, weights, left = np.zeros((*level.shape, 3)), np.zeros(level.shape), np.ones(level.shape)
    counted = np.zeros((len(layers) - 1, *level.shape), bool)
    for layer, counts in zip(layers[1:], counted, strict=True):
        numbers = _numbers(layer, layers[0], brightest)
        moved, is_inside = _moved(layer, rows, columns)
        apart = _box_means(np.minimum(own[..., :3], numbers.white) - np.minimum(moved[..., :3], numbers.white))
        distance = (apart**2 / (numbers.box[0] * mean + numbers.box[1] + spread)).sum(2)
        alike = np.clip((_REFUSED - distance) / (_REFUSED - _SURE), 0, 1) * _cells(is_inside).all((1, 3))
        agree = _by_pixel(cv2.erode(alike.astype(np.float32), np.ones((3, 3), np.uint8)))[inner]
        clear, moved = moved[inner][..., 3], moved[inner][..., :3]
        if numbers.darker:
            agree = np.maximum(agree, fills(own[inner], moved, numbers.white))
        weight = agree * (clear * layers[0].noise.variance(level) / layer.noise.variance(level) + numbers.least)
        total += weight[..., None] * moved
        weights += weight
        left *= 1 - agree * np.maximum(clear, numbers.darker)
        counts[:] = agree * clear > 0.5
    light, clear = own[inner][..., :3], own[inner][..., 3]
    weight = clear + (1 - clear) * left + _numbers(layers[0], layers[0], brightest).least
    return ((total + weight[..., None] * light) / (weights + weight)[..., None]).astype(np.float32), counted


def fills(own: F32, moved: F32, white: float) -> F32:
    """How far a darker capture's pixels may be what clipped there, whatever their neighbourhood says.

    A neighbourhood that disagrees, as along an edge that was aligned by a pixel wrong, would leave squares of the
    reference's white in light that is brighter. Outside the darker capture its edge goes on: a hand shakes, and there
    would be strips of white.
    """
    apart = np.abs(np.minimum(moved, white) - np.minimum(own[..., :3], white)).max(-1)
    near, far = FILLS
    return np.asarray((1 - own[..., 3]) * np.clip((far - apart) / (far - near), 0, 1), np.float32)


def clearness(light: Floats) -> F32:
    """How far the largest channel is from clipping, 0..1."""
    return np.asarray(np.clip((CLIPPED[1] - light) / (CLIPPED[1] - CLIPPED[0]), 0, 1), np.float32)


def _with_clearness(layer: Layer, pixels: npt.NDArray[Any]) -> F32:
    """Light (..., 3) on the reference's scale, and in a fourth channel how far it is from clipping, 0..1."""
    light = np.asarray(pixels if layer.table is None else layer.table[pixels], np.float32)
    return np.asarray(np.concatenate([light * layer.gain, clearness(light.max(-1, keepdims=True))], -1), np.float32)


def _cells(picture: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """(H, W, ...) -> (H / 2, 2, W / 2, 2, ...): cells of 2 x 2 pixels."""
    height, width = picture.shape[:2]
    return picture.reshape(height // 2, 2, width // 2, 2, *picture.shape[2:])


def _box_means(picture: Floats) -> F32:
    """Means of 3 x 3 cells around each cell, (H / 2, W / 2, 3)."""
    return np.asarray(cv2.blur(_cells(picture).mean((1, 3)), (3, 3)), np.float32)


def _by_pixel(cells: npt.NDArray[Any]) -> F32:
    return np.asarray(cells.repeat(2, 0).repeat(2, 1), np.float32)


def _moved(layer: Layer, rows: npt.NDArray[Any], columns: npt.NDArray[Any]) -> tuple[F32, npt.NDArray[np.bool_]]:
    """The layer where the reference has these rows and columns, and where it has anything there.

    Interpolated by cubics that do not leave the range of the four nearest pixels: no rings around lamps.
    """
    height, width = layer.pixels.shape[:2]
    x, y = np.meshgrid(columns.astype(np.float32), rows.astype(np.float32))
    flow = layer.flow.at(x, y)
    x, y = x + flow[..., 0], y + flow[..., 1]
    is_inside = (x >= -0.5) & (y >= -0.5) & (x <= width - 0.5) & (y <= height - 0.5)
    x, y = x.clip(-4, width + 4), y.clip(-4, height + 4)
    ix, iy = np.floor(x).astype(int), np.floor(y).astype(int)
    tx, ty = (_taps()[((at - whole) * _PHASES + 0.5).astype(int)] for at, whole in ((x, ix), (y, iy)))
    sums, near = 0.0, []
    for i in range(4):
        row = (iy + i - 1).clip(0, height - 1)
        four = [_with_clearness(layer, layer.pixels[row, (ix + j - 1).clip(0, width - 1)]) for j in range(4)]
        sums = sums + ty[..., i : i + 1] * sum(tx[..., j : j + 1] * four[j] for j in range(4))
        near += four[1:3] if i in (1, 2) else []
    return np.clip(sums, np.min(near, axis=0), np.max(near, axis=0)).astype(np.float32), is_inside
