"""How each tile of one picture lies in another: coarse to fine, whole pixels, then parts of one.

Hasinoff et al. 2016, "Burst photography for high dynamic range and low-light imaging", section 4: tiles are matched on
a pyramid, each level beginning where the coarser one ended. Two things are added for noisy and flat tiles, which have
no shift of their own: departing from what the whole picture does costs something, and the sub-pixel step (Lucas and
Kanade 1981) is pulled there by as much as noise makes a tile unsure. When a camera turns, shifts differ by tile.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from camera_nano.merge.kernel import kernel
from camera_nano.opencv import cv2
from camera_nano.values import F32

U8 = npt.NDArray[np.uint8]
I32 = npt.NDArray[np.int32]

TILE_PX, WINDOW_PX = 16, 24  # as in `_merge.c`
_PAD_PX = 40  # of margin around a picture, so that tiles near its edge match beyond it
_COARSEST_PX = 128  # the pyramid ends where the longer side is no more
_RADIUS_PX, _CAP_PX = 2, 3.0  # of the search on each level; from where departing costs no more
_PENALTY = 12.0  # of departing by a pixel, in deviations of the noise: a tile's sum of 256 differences varies by 10
_PULL_PX = 0.7  # deviation of tiles from what the whole picture does
_FIT_STEPS = 4
_NOISE_TILES = 200  # are enough to tell the noise
# a tile further from what the whole picture does moves by itself, if it is that much more alike: where light is nearly
# clipped, noise and repeated patterns are a little more alike elsewhere, too
_FAR_PX, _CLEARLY = 1.5, 0.4


class _Pair(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("own", "other", "corner")),
        *((name, ctypes.c_int32) for name in ("stride", "pad", "width", "height", "n")),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """Where a reference's pixels lie in another picture: shifts x, y in pixels, (rows, columns, 2) float32.

    The shift of a pixel is between those of the grid's four nearest points; point i lies at pixel
    `origin_px` + i * `cell_px`, in x and in y. The grid covers the picture.
    """

    shift_px: F32
    cell_px: float
    origin_px: float

    def at(self, x: npt.NDArray[Any], y: npt.NDArray[Any]) -> F32:
        """Shifts (..., 2) of pixels."""
        gx, gy = ((np.asarray(p, np.float32) - np.float32(self.origin_px)) / np.float32(self.cell_px) for p in (x, y))
        ix, iy = gx.astype(int), gy.astype(int)
        fx, fy = (gx - ix)[..., None], (gy - iy)[..., None]
        grid = self.shift_px
        upper = grid[iy, ix] + fx * (grid[iy, ix + 1] - grid[iy, ix])
        lower = grid[iy + 1, ix] + fx * (grid[iy + 1, ix + 1] - grid[iy + 1, ix])
        return np.asarray(upper * (1 - fy) + lower * fy, np.float32)

    def enlarged(self, scale: int) -> Flow:
        """The same for pictures whose sides are `scale` times as long."""
        return Flow(scale * self.shift_px, scale * self.cell_px, scale * (self.origin_px + 0.5) - 0.5)


def align(own: U8, other: U8) -> Flow:
    """Two grey pictures (h, w) of equal exposure -> how the second must be shifted to lie on the first."""
    pairs = [(own, other)]
    while max(pairs[-1][0].shape) > _COARSEST_PX and min(pairs[-1][0].shape) >= 2 * TILE_PX:
        pairs.append((_half(pairs[-1][0]), _half(pairs[-1][1])))
    n_down, n_across = _tiles(pairs[-1][0])
    expected = np.broadcast_to(_whole_shift(*pairs[-1]), (n_down, n_across, 2)).astype(np.float32)
    shift, radius = np.rint(expected).astype(np.int32), 2 * _RADIUS_PX
    for level, (fine, fine_other) in enumerate(reversed(pairs)):
        if level:
            expected = 2 * _enlarged(expected, _tiles(fine))
            shift = np.rint(2 * _enlarged(shift.astype(np.float32), _tiles(fine))).astype(np.int32)
        pair = _Tiles(fine, fine_other)
        noise = pair.noise(np.rint(expected).astype(np.int32))
        guesses = np.stack([shift, np.rint(expected).astype(np.int32)], 2).reshape(-1, 2, 2)
        found, cost = pair.search(expected.reshape(-1, 2), guesses, radius, _PENALTY * noise)
        shift = found.reshape(expected.shape)
        expected, radius = _fit(shift.astype(np.float32), pair.texture()), _RADIUS_PX
    whole = np.rint(expected).astype(np.int32)
    _, cost_of_whole = pair.search(expected.reshape(-1, 2), whole.reshape(-1, 1, 2), 0, 0)
    is_far = np.hypot(*np.moveaxis(shift - expected, 2, 0)) > _FAR_PX
    alone = is_far & (cost < _CLEARLY * cost_of_whole).reshape(is_far.shape)
    shift = np.where((is_far & ~alone)[..., None], whole, shift)
    expected = np.where(alone[..., None], shift, expected).astype(np.float32)
    start = np.where(alone[..., None], shift, np.clip(expected, shift - 1.0, shift + 1.0)).astype(np.float32)
    refined = pair.refine(start.reshape(-1, 2), expected.reshape(-1, 2), 2 * (noise / _PULL_PX) ** 2)
    # the grid's first point is the centre of the tile before the first one
    return Flow(_with_edge(refined.reshape(expected.shape)), TILE_PX, TILE_PX / 2 - TILE_PX - 0.5)


def _half(picture: U8) -> U8:
    size_wh = (picture.shape[1] // 2, picture.shape[0] // 2)
    return np.asarray(cv2.resize(picture, size_wh, interpolation=cv2.INTER_AREA), np.uint8)


def _tiles(picture: U8) -> tuple[int, int]:
    """Tiles down and across that cover a picture."""
    return -(-picture.shape[0] // TILE_PX), -(-picture.shape[1] // TILE_PX)


def _whole_shift(own: U8, other: U8) -> F32:
    """The shift (2,) of the middle of a small picture, by normalised correlation: it may be a fifth of the side."""
    height, width = own.shape
    top, left = height // 5, width // 5
    middle = own[top : height - top, left : width - left]
    if not middle.size or middle.std() < 1 or other.std() < 1:
        return np.zeros(2, np.float32)
    score = cv2.matchTemplate(other, middle, cv2.TM_CCOEFF_NORMED)
    y, x = np.unravel_index(int(np.argmax(score)), score.shape)
    return np.array([x - left, y - top], np.float32)


def _enlarged(grid: F32, n_tiles: tuple[int, int]) -> F32:
    """Shifts of tiles twice as large -> of these, by the tile that holds their centre."""
    down, across = (np.minimum(np.arange(n) // 2, size - 1) for n, size in zip(n_tiles, grid.shape, strict=False))
    return np.asarray(grid[down][:, across], np.float32)


def _fit(shift: F32, texture: F32) -> F32:
    """What the whole picture does: the affine motion nearest to the tiles' shifts, (rows, columns, 2).

    Reweighted least squares; a tile counts by its texture, and less the further it is from the rest (Cauchy).
    """
    n_down, n_across = shift.shape[:2]
    y, x = np.mgrid[:n_down, :n_across].reshape(2, -1) - np.array([[n_down / 2], [n_across / 2]])
    basis = np.stack([np.ones_like(x), x, y], 1)
    target, trust = shift.reshape(-1, 2), texture.reshape(-1) + 1e-3
    weights, found = trust, np.broadcast_to(np.median(target, axis=0), target.shape)
    for _ in range(_FIT_STEPS):
        away = np.square(target - found).sum(1)
        weights = trust / (1 + away / np.float32(_FAR_PX**2))
        weighted = basis * weights[:, None]
        # a small pull to a plain shift, where few tiles say anything
        normal = weighted.T @ basis + np.diag([0, 1, 1]) * 1e-3 * weights.sum()
        found = basis @ np.linalg.solve(normal, weighted.T @ target)
    return found.reshape(shift.shape).astype(np.float32)


def _with_edge(grid: F32) -> F32:
    """A grid of tiles' shifts -> one ring more, going on as it ends: so that it covers the picture."""
    ring = (
        np.pad(grid, ((1, 1), (1, 1), (0, 0)), mode="reflect", reflect_type="odd") if min(grid.shape[:2]) > 1 else None
    )
    return np.ascontiguousarray(
        np.pad(grid, ((1, 1), (1, 1), (0, 0)), mode="edge") if ring is None else ring, np.float32
    )


class _Tiles:
    """Two pictures with their margins, cut into tiles."""

    def __init__(self, own: U8, other: U8) -> None:
        n_down, n_across = _tiles(own)
        self.n_tiles = n_down, n_across
        self.size_wh = n_across * TILE_PX, n_down * TILE_PX
        more = self.size_wh[1] - own.shape[0], self.size_wh[0] - own.shape[1]
        edge = (_PAD_PX, _PAD_PX + more[0], _PAD_PX, _PAD_PX + more[1])
        self.own, self.other = (
            np.asarray(cv2.copyMakeBorder(picture, *edge, cv2.BORDER_REPLICATE), np.uint8) for picture in (own, other)
        )
        y, x = np.mgrid[:n_down, :n_across] * TILE_PX
        self.corner = np.ascontiguousarray(np.stack([x, y], 2).reshape(-1, 2), np.int32)

    def _pair(self) -> _Pair:
        pointers = [a.ctypes.data for a in (self.own, self.other, self.corner)]
        return _Pair(*pointers, self.own.shape[1], _PAD_PX, *self.size_wh, len(self.corner))

    def texture(self) -> F32:
        """How much each tile has to hold on to, (rows, columns): mean squared step to the next pixel."""
        inner = self.own[_PAD_PX : -_PAD_PX - 1, _PAD_PX : -_PAD_PX - 1]
        steps = [cv2.absdiff(inner[:-1, 1:], inner[:-1, :-1]), cv2.absdiff(inner[1:, :-1], inner[:-1, :-1])]
        squared = np.sum([step.astype(np.float32) ** 2 for step in steps], axis=0)
        return np.asarray(cv2.resize(squared, self.n_tiles[::-1], interpolation=cv2.INTER_AREA), np.float32)

    def noise(self, shift: I32) -> float:
        """Deviation of the difference of two pixels, in codes: where tiles are most alike; half a one at least."""
        some = slice(None, None, 1 + len(self.corner) // _NOISE_TILES)
        own = _patches(self.own, self.corner[some], TILE_PX)
        other = _patches(self.other, self._inside(shift.reshape(-1, 2))[some], TILE_PX)
        known = own < self.own.max()  # the rest is clipped, which has no noise
        share = known.mean((1, 2))
        apart = (cv2.absdiff(own, other) * known).mean((1, 2))[share > 0.5] / share[share > 0.5]
        return max(0.5, float(np.percentile(apart, 25)) * 1.25) if len(apart) else 0.5

    def _inside(self, shift: I32, size_px: int = TILE_PX) -> I32:
        width, height = self.size_wh
        last = np.array([width, height]) + _PAD_PX - size_px
        return np.asarray(np.clip(self.corner + shift, -_PAD_PX, last), np.int32)

    def search(self, expected: F32, guesses: I32, radius: int, penalty: float) -> tuple[I32, F32]:
        """Whole-pixel shifts (n, 2), from the best of guesses (n, k, 2) on, within `radius`; and their cost (n,)."""
        n, k = guesses.shape[:2]
        library = kernel()
        if library is not None:
            shift, cost = np.empty((n, 2), np.int32), np.empty(n, np.float32)
            arrays = [np.ascontiguousarray(expected, np.float32), np.ascontiguousarray(guesses, np.int32)]
            library.camera_nano_search(
                ctypes.byref(self._pair()),
                *(_pointer(array) for array in arrays),
                k,
                radius,
                ctypes.c_float(penalty),
                ctypes.c_float(_CAP_PX),
                _pointer(shift),
                _pointer(cost),
            )
            return shift, cost
        lowest, best = self._cheapest(np.moveaxis(guesses, 1, 0), expected, penalty, None)
        side = np.arange(-radius, radius + 1)
        around = np.stack(np.meshgrid(side, side), 2).reshape(-1, 1, 2).astype(np.int32)
        lowest, best = self._cheapest(best + around, expected, penalty, (lowest, best))
        return best, lowest

    def _cheapest(self, shifts: I32, expected: F32, penalty: float, so_far: tuple[F32, I32] | None) -> tuple[F32, I32]:
        own = _patches(self.own, self.corner, TILE_PX).astype(np.int32)
        lowest, best = so_far or (np.full(len(own), np.inf, np.float32), np.zeros_like(self.corner))
        for tried in shifts:
            corner = self._inside(tried)
            apart = own - _patches(self.other, corner, TILE_PX)
            mean = (apart.sum((1, 2), keepdims=True) + TILE_PX**2 // 2) >> 8
            cost = np.abs(apart - mean).sum((1, 2)).astype(np.float32)
            away = np.hypot(*(corner - self.corner - expected).T)
            cost += np.float32(penalty) * np.minimum(away, np.float32(_CAP_PX)).astype(np.float32)
            better = cost < lowest
            lowest, best = np.where(better, cost, lowest), np.where(better[:, None], corner - self.corner, best)
        return lowest, best

    def refine(self, shift: F32, expected: F32, pull: float, n_steps: int = 2) -> F32:
        """Sub-pixel shifts (n, 2); those that would go two pixels away stay."""
        library = kernel()
        if library is not None:
            found = np.ascontiguousarray(shift, np.float32).copy()
            expected = np.ascontiguousarray(expected, np.float32)
            pair, pull_ = ctypes.byref(self._pair()), ctypes.c_float(pull)
            library.camera_nano_refine(pair, _pointer(expected), pull_, n_steps, _pointer(found))
            return found
        corner = self.corner - (WINDOW_PX - TILE_PX) // 2
        around = _patches(self.own, corner - 1, WINDOW_PX + 2).astype(np.float32)
        seen = around[:, 1:-1, 1:-1]
        step = np.stack([around[:, 1:-1, 2:] - around[:, 1:-1, :-2], around[:, 2:, 1:-1] - around[:, :-2, 1:-1]], 3) / 2
        step -= step.mean((1, 2), keepdims=True)
        normal = np.einsum("nijk,nijl->nkl", step, step) + np.float32(pull) * np.eye(2, dtype=np.float32)
        found = shift.astype(np.float32)
        width, height = self.size_wh
        for _ in range(n_steps):
            place = np.clip(corner + found, -_PAD_PX, np.array([width, height]) + _PAD_PX - WINDOW_PX - 2)
            whole = np.floor(place).astype(np.int32)
            fx, fy = (place - whole).astype(np.float32).T[..., None, None]
            there = _patches(self.other, whole, WINDOW_PX + 1).astype(np.float32)
            rows = there[:, :, :-1] + fx * (there[:, :, 1:] - there[:, :, :-1])
            error = seen - rows[:, :-1] - fy * (rows[:, 1:] - rows[:, :-1])
            wanted = np.einsum("nijk,nij->nk", step, error) + np.float32(pull) * (expected - found)
            found = found + np.clip(np.linalg.solve(normal, wanted[..., None])[..., 0], -1, 1)
        near = np.abs(found - shift).max(1) < 2
        return np.where(near[:, None], found, shift).astype(np.float32)


def _patches(picture: U8, corner: I32, size_px: int) -> U8:
    """Squares (n, size, size) of a picture with its margin, by their corners x, y."""
    view = np.lib.stride_tricks.sliding_window_view(picture, (size_px, size_px))
    return np.asarray(view[corner[:, 1] + _PAD_PX, corner[:, 0] + _PAD_PX], np.uint8)


def _pointer(array: npt.NDArray[Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
