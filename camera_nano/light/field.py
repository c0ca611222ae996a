"""The edit field on numpy: guide, the float64 reference slice, averaging and bytes.

A bilateral grid (Chen, Paris, Durand 2007) of log2 gains, sampled with the half-pixel rules of HDRnet
(Gharbi et al. 2017): pixel i of n sits at (i + 0.5) * cells / n - 0.5, clamped to the outer cell centres.
`render.py` is the fast way; tests compare it with this file.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from camera_nano.color import luminance, srgb_eotf, srgb_oetf
from camera_nano.values import (
    CLIPPED_HIGH,
    CLIPPED_LOW,
    CUT_OFF_GUIDE,
    CUT_OFF_LIGHT,
    F32,
    GAIN_LIMIT_EV,
    GUIDE_RANGE_EV,
    OWN_LIGHT_GUIDE,
    OWN_LIGHT_SHARE,
    EditField,
    Pixels,
)

_HEADER = struct.Struct("<4s4H3f")
_MAGIC = b"CNF2"

F64 = npt.NDArray[np.float64]


def guide(light: npt.ArrayLike) -> F64:
    """Linear RGB (..., 3) -> guide (...) in 0..1: `bent` luminance."""
    return bent(luminance(light))


def bent(light: npt.ArrayLike) -> F64:
    """Light -> 0..1 of the same shape: log2(1 + Y (2^10 - 1)) / 10, the mu-law curve of ITU-T G.711."""
    return np.asarray(np.log2(1 + np.clip(light, 0, 1) * (2**GUIDE_RANGE_EV - 1)) / GUIDE_RANGE_EV)


def _corners(position: F64, n_cells: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], F64]:
    position = np.clip(position, 0, n_cells - 1)
    low = np.minimum(position.astype(np.intp), max(n_cells - 2, 0))
    return low, np.minimum(low + 1, n_cells - 1), position - low


def slice_field(field: EditField, guide_hw: F64, *, first_row: int = 0, height: int | None = None) -> F64:
    """Field and guide (H, W) in 0..1 -> (H, W, 4) in EV, trilinear, float64.

    `first_row` and `height` say that these rows are part of a taller picture.
    """
    return _sliced(field.grid.astype(np.float64), guide_hw * field.grid.shape[2] - 0.5, first_row, height)


def _sliced(grid: F64, place: F64, first_row: int, height: int | None) -> F64:
    """Grid (gh, gw, gd, n) at range bins (H, W) -> (H, W, n)."""
    gh, gw, gd, n = grid.shape
    h, w = place.shape
    y0, y1, fy = _corners((first_row + np.arange(h) + 0.5) * gh / (height or h) - 0.5, gh)
    x0, x1, fx = _corners((np.arange(w) + 0.5) * gw / w - 0.5, gw)
    z0, z1, fz = _corners(place, gd)
    out = np.zeros((h, w, n))
    for y, wy in ((y0, 1 - fy), (y1, fy)):
        for x, wx in ((x0, 1 - fx), (x1, fx)):
            for z, wz in ((z0, 1 - fz), (z1, fz)):
                weight = wy[:, None] * wx[None, :] * wz
                out += grid[y[:, None], x[None, :], z] * weight[..., None]
    return out


def own_gains(grid: F32) -> F64:
    """A grid (gh, gw, gd, 4) -> the gains that each channel has by its own light (gh, gw, gd + 1, 4), in EV.

    They are the sum of `OWN_LIGHT_SHARE` of what gains rise from bin to bin; falling ones would take colour away. The
    bin beyond the last goes on with the slope before it, since light goes on half a bin beyond the last centre. The
    fourth channel, headroom, gets none.
    """
    gd = grid.shape[2]
    start, end = OWN_LIGHT_GUIDE
    share = OWN_LIGHT_SHARE * np.clip((np.arange(1, gd) / gd - start) / (end - start), 0, 1)
    rises = np.maximum(np.diff(grid.astype(np.float64), axis=2), 0) * np.outer(share, (1, 1, 1, 0))
    none = np.zeros_like(grid[:, :, :1], np.float64)
    return np.concatenate([none, rises, rises[:, :, -1:] if gd > 1 else none], 2).cumsum(2)


def own_guide(light: npt.ArrayLike) -> F64:
    """Linear RGB (..., 3) -> where each channel lies on the guide by its own light; above 1 where it was cut off."""
    start, end = CUT_OFF_LIGHT
    return bent(light) + np.clip((np.asarray(light, np.float64) - start) / (end - start), 0, 1) * CUT_OFF_GUIDE


def own_light(field: EditField, light: F64, *, first_row: int = 0, height: int | None = None) -> F64:
    """What the channels of linear RGB (H, W, 3) get by being brighter or darker than their pixel, in EV; 0 of a grey.

    A channel's gain is less that of the pixel's luminance by `own_gains`, and more that of its own light. So where a
    tone curve is steep, it takes bright channels apart as it takes bright pixels apart. Those of a grey
    come apart only where they are cut off, which `clipped_share` makes white. `first_row` and `height` as in
    `slice_field`.
    """
    own, gd = own_gains(field.grid), field.grid.shape[2]
    place = own_guide(light) * gd - 0.5
    channels = [_sliced(own[..., [channel]], place[..., channel], first_row, height) for channel in range(3)]
    return np.concatenate(channels, -1) - _sliced(own[..., :3], guide(light) * gd - 0.5, first_row, height)


def clipped_share(code: npt.ArrayLike) -> F64:
    """Code values (..., 3) in 0..1 -> how far each pixel counts as clipped (...): 0 is not at all, 1 is fully."""
    code = np.asarray(code, np.float64)
    high, low = (
        np.clip((value - start) / (end - start), 0, 1)
        for value, (start, end) in ((code.max(-1), CLIPPED_HIGH), (code.min(-1), CLIPPED_LOW))
    )
    return np.asarray(high * high * (3 - 2 * high) * low * low * (3 - 2 * low))


def render_reference(pixels: Pixels, field: EditField, *, first_row: int = 0, height: int | None = None) -> Pixels:
    """Pixels (H, W, 3) sRGB-encoded, field -> the same kind of pixels. In float64 and slow: others are measured by it.

    Gains are those of the grid and of `own_light`; as a pixel nears clipping they rise to those of the field's white,
    and nothing becomes brighter than that.

    `first_row` and `height` as in `slice_field`.
    """
    limit = np.iinfo(pixels.dtype).max
    light = srgb_eotf(pixels / limit)
    gain_ev = slice_field(field, guide(light), first_row=first_row, height=height)[..., :3]
    gain_ev += own_light(field, light, first_row=first_row, height=height)
    gain_ev += clipped_share(pixels / limit)[..., None] * np.maximum(np.array(field.white_ev) - gain_ev, 0)
    code = srgb_oetf(np.clip(light * np.exp2(gain_ev), 0, np.exp2(field.white_ev)))
    return np.asarray(np.rint(code * limit).astype(pixels.dtype))


def mix(fields: Sequence[EditField], weights: Sequence[float] | None = None) -> EditField:
    """Weighted mean of fields in EV; equal weights unless given. Weights need not sum to 1."""
    grid = np.average(np.stack([f.grid for f in fields]), axis=0, weights=weights)
    others = np.average(np.array([[*f.white_ev, f.settled] for f in fields]), axis=0, weights=weights)
    red, green, blue = np.clip(others[:3], -GAIN_LIMIT_EV, 0).tolist()
    grid = np.clip(grid, -GAIN_LIMIT_EV, GAIN_LIMIT_EV).astype(np.float32)
    return EditField(grid, (red, green, blue), float(others[3]))


def to_bytes(field: EditField) -> bytes:
    """Field -> 32 KiB: the mark `CNF2`, shape, white and grid, in little-endian float32."""
    return _HEADER.pack(_MAGIC, *field.grid.shape, *field.white_ev) + field.grid.astype("<f4").tobytes()


def from_bytes(data: bytes) -> EditField:
    """The inverse of `to_bytes`.

    Raises:
        ValueError: the bytes are not a field, or are cut short.
    """
    if len(data) < _HEADER.size or data[:4] != _MAGIC:
        raise ValueError("not an edit field: wrong magic")
    _, *shape, red, green, blue = _HEADER.unpack_from(data)
    if len(data) != _HEADER.size + 4 * int(np.prod(shape)):
        raise ValueError(f"edit field of shape {shape} has the wrong length: {len(data)} bytes")
    grid: F32 = np.frombuffer(data, "<f4", offset=_HEADER.size).reshape(shape).astype(np.float32)
    return EditField(grid, (red, green, blue))
