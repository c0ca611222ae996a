"""The edit field as a tensor: guide, slice, and the fit of a field to a pair of pictures.

A field tensor is (B, gd * 4, gh, gw): range bin major, then R, G, B gain and headroom, in EV. `camera_nano.light.field`
holds the same guide and slice for numpy (Chen, Paris, Durand 2007; half-pixel rules as in HDRnet, Gharbi 2017).
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from camera_nano.nn.light import luminance
from camera_nano.values import (
    CLIPPED_HIGH,
    CLIPPED_LOW,
    CUT_OFF_GUIDE,
    CUT_OFF_LIGHT,
    GAIN_LIMIT_EV,
    GRID_HWD,
    GUIDE_RANGE_EV,
    OWN_LIGHT_GUIDE,
    OWN_LIGHT_SHARE,
)

GH, GW, GD = GRID_HWD
CHANNELS = GD * 4
FLATTEST = 0.2  # EV of output light for one of input light


def guide(light: Tensor) -> Tensor:
    """Linear RGB (B, 3, h, w) -> guide (B, 1, h, w) in 0..1, logarithmic above 2^-10."""
    return bent(luminance(light))


def bent(light: Tensor) -> Tensor:
    """Light -> 0..1, logarithmic above 2^-10: the curve of `guide`."""
    return torch.log2(1 + light.clamp(0, 1) * (2**GUIDE_RANGE_EV - 1)) / GUIDE_RANGE_EV


def range_weights(g: Tensor) -> Tensor:
    """Guide (B, 1, h, w) -> share of each range bin (B, gd, h, w); only two neighbours have one, and they sum to 1."""
    position = (g * GD - 0.5).clamp(0, GD - 1)
    bins = torch.arange(GD, device=g.device, dtype=g.dtype).view(1, GD, 1, 1)
    return (1 - (position - bins).abs()).clamp_min(0)


@cache
def _tents(n_px: int, n_cells: int, device: torch.device) -> Tensor:
    """Share of each cell in each pixel, (n_px, n_cells): linear interpolation with half-pixel centres, as a matrix."""
    position = ((torch.arange(n_px, device=device) + 0.5) * n_cells / n_px - 0.5).clamp(0, n_cells - 1)
    distance: Tensor = (position[:, None] - torch.arange(n_cells, device=device)).abs()
    return torch.clamp_min(1 - distance, 0)


def slice_field(field: Tensor, weights: Tensor, every: tuple[int, int, int] = (1, 0, 0)) -> Tensor:
    """Field (B, gd * 4, gh, gw) at pixels with `range_weights` (B, gd, h, w) -> (B, 4, h, w) in EV.

    `every` (n, top, left): the pixels are every n-th row and column of a larger picture, beginning at (top, left).
    """
    cells = _spread(field.reshape(-1, GD, 4, GH, GW), weights.shape[-2:], every)
    return (cells * weights.unsqueeze(2)).sum(1)


def _spread(grid: Tensor, hw: torch.Size, every: tuple[int, int, int]) -> Tensor:
    """Values by cell (..., gh, gw) -> by pixel (..., h, w), every one as in `slice_field`."""
    (h, w), (n, top, left) = hw, every
    return _tents(n * h, GH, grid.device)[top::n] @ grid @ _tents(n * w, GW, grid.device)[left::n].T


def own_guide(light: Tensor) -> Tensor:
    """Linear RGB (B, 3, h, w) -> where each channel lies on the guide by its own light; `field.own_guide`."""
    return bent(light) + ramp(light, CUT_OFF_LIGHT) * light.new_tensor(CUT_OFF_GUIDE).view(3, 1, 1)


def own_light(field: Tensor, light: Tensor, every: tuple[int, int, int] = (1, 0, 0)) -> Tensor:
    """What channels of `light` (B, 3, h, w) get by being brighter or darker than their pixel, in EV; `field.own_light`.

    `every` as in `slice_field`.
    """
    gains = field.reshape(-1, GD, 4, GH, GW)[:, :, :3]
    share = OWN_LIGHT_SHARE * ramp(torch.arange(1, GD, device=field.device) / GD, OWN_LIGHT_GUIDE)
    rises = gains.diff(dim=1).clamp_min(0) * share.view(1, -1, 1, 1, 1)
    own = torch.cat([torch.zeros_like(gains[:, :1]), rises.cumsum(1)], 1)
    places = torch.stack([own_guide(light), guide(light).expand_as(light)], 1).flatten(0, 1)  # (2 B, 3, h, w)
    weights = range_weights(places.flatten(0, 1)[:, None])
    beyond = (places.flatten(0, 1) * GD - GD + 0.5).clamp_min(0)  # on with the slope of the last two bins
    weights = torch.cat([weights[:, :-2], weights[:, -2:] + torch.stack([-beyond, beyond], 1)], 1)
    channel, pixel = weights.view(-1, 2, 3, GD, *light.shape[-2:]).transpose(2, 3).unbind(1)
    return (_spread(own, light.shape[-2:], every) * (channel - pixel)).sum(1)


def ramp(x: Tensor, ends: tuple[float, float]) -> Tensor:
    """0 up to the first end, 1 from the second on, linear between them."""
    start, end = ends
    return ((x - start) / (end - start)).clamp(0, 1)


def smoothstep(x: Tensor) -> Tensor:
    """0 below 0, 1 above 1, smooth between (3x^2 - 2x^3)."""
    x = x.clamp(0, 1)
    return x * x * (3 - 2 * x)


def clipped_share(code: Tensor) -> Tensor:
    """Code values (B, 3, h, w) -> how far each pixel counts as clipped, (B, 1, h, w); `field.clipped_share`."""
    ends = ((code.amax(1, keepdim=True), CLIPPED_HIGH), (code.amin(1, keepdim=True), CLIPPED_LOW))
    high, low = (smoothstep((value - start) / (end - start)) for value, (start, end) in ends)
    return high * low


def relight(light: Tensor, gain_ev: Tensor, clipped: Tensor, white_ev: Tensor) -> Tensor:
    """Linear RGB and sliced gains, (B, 3, h, w) each -> relit linear RGB.

    The more a pixel is clipped (B, 1, h, w), the nearer its gain comes to that of the white (B, 3). Light above white
    is kept, so that the loss sees it.
    """
    short = (white_ev[:, :, None, None] - gain_ev).clamp_min(0)
    return light * torch.exp2(gain_ev + clipped * short)


@cache
def _axis(device: torch.device) -> Tensor:
    """Log2 light of the range bins, (gd, 1, 1, 1), for `ordered`: exact for the brightest bin, rising slowly up to it.

    Between two bins gains are linear in the guide, but log2 light is concave in it: it rises least at the upper end.
    So this axis rises by the slope at the upper end; what is in order on it is in order between the bins too.
    """
    guides = (torch.arange(GD, device=device) + 0.5) / GD
    rises = GUIDE_RANGE_EV / GD / (1 - torch.exp2(-guides * GUIDE_RANGE_EV))
    below = rises[1:].flip(0).cumsum(0).flip(0)
    top = torch.log2(guide_luminance().to(device)[-1])
    return (top - torch.cat([below, below.new_zeros(1)])).view(GD, 1, 1, 1)


def ordered(field: Tensor, white_ev: Tensor) -> Tensor:
    """The field (B, gd * 4, gh, gw), changed so that in every cell more light gives at least `FLATTEST` more.

    Over the bins, log2 output light less that slope becomes the mean of its running maximum from below and its running
    minimum from above, which never falls, and the brightest bin stays below the white (B, 3). An average of such fields
    has the same order, and so has a field that is sliced between cells, scaled down or mixed.
    """
    gain, headroom = field.reshape(-1, GD, 4, GH, GW).split((3, 1), 2)
    axis = _axis(field.device)
    slope = FLATTEST * (axis - axis[-1])
    shown = torch.minimum(gain + axis - slope, white_ev[:, None, :, None, None])
    rising = falling = shown
    for step in (1, 2, 4):
        rising = torch.cat([rising[:, :step], torch.maximum(rising[:, step:], rising[:, :-step])], 1)
        falling = torch.cat([torch.minimum(falling[:, :-step], falling[:, step:]), falling[:, -step:]], 1)
    return torch.cat([0.5 * (rising + falling) + slope - axis, headroom], 2).flatten(1, 2)


def eased(field: Tensor, white_ev: Tensor, share: Tensor, steepest: Tensor) -> Tensor:
    """The field (B, gd * 4, gh, gw) whose way up to the white (B, 3) is nowhere steeper than `steepest` (B, 1).

    That is in EV of output light for one of input light.

    What was clipped stays white. Where the light just below it is made much darker, white areas look cut out with
    scissors. By `share` (B, 1), 0..1: in a picture without white there is nothing to be cut out.
    """
    gain, headroom = field.reshape(-1, GD, 4, GH, GW).split((3, 1), 2)
    share, steepest = (x.view(-1, 1, 1, 1, 1) for x in (share, steepest))
    least = white_ev[:, None, :, None, None] + (steepest - 1) * _axis(field.device)
    gain = torch.lerp(gain, torch.maximum(gain, least), share)
    return torch.cat([gain, headroom], 2).flatten(1, 2)


def on_gains(tone_ev: Tensor) -> Tensor:
    """A tone curve (B, gd) of gains in EV by range bin -> the field (B, gd * 4, 1, 1) that applies it in every cell."""
    gains = tone_ev[:, :, None].expand(-1, -1, 3)
    return torch.cat([gains, torch.zeros_like(gains[:, :, :1])], 2).flatten(1)[:, :, None, None]


def splat(values: Tensor, weights: Tensor) -> Tensor:
    """Pixels (B, C, h, w) and their range weights -> sums per cell (B, gd, C, gh, gw): the transpose of the slice."""
    h, w = weights.shape[-2:]
    spread = values.unsqueeze(1) * weights.unsqueeze(2)
    summed = _tents(h, GH, values.device).T @ spread @ _tents(w, GW, values.device)
    return summed * (GH * GW / (h * w))


def guide_luminance() -> Tensor:
    """Relative luminance at the centre of each range bin, (gd,): the inverse of `guide`."""
    centres = (torch.arange(GD) + 0.5) / GD
    return (torch.exp2(centres * GUIDE_RANGE_EV) - 1) / (2**GUIDE_RANGE_EV - 1)  # type: ignore[no-any-return]


@cache
def _gauss(n: int, sigma: float, device: torch.device) -> Tensor:
    i = torch.arange(n, device=device, dtype=torch.float32)
    return torch.exp(-0.5 * ((i[:, None] - i) / sigma) ** 2)


def blur(grid: Tensor, sigma: float) -> Tensor:
    """Unnormalised Gaussian of `sigma` cells over columns, rows and bins of (B, gd, C, gh, gw)."""
    device = grid.device
    spread = _gauss(GH, sigma, device) @ grid @ _gauss(GW, sigma, device)
    return torch.einsum("bzcij,zk->bkcij", spread, _gauss(GD, sigma / 2, device))


@torch.no_grad()
def fit_field(target_ev: Tensor, mask: Tensor, weights: Tensor, n_iterations: int = 2) -> Tensor:
    """Wanted values in EV (B, 4, h, w) and a mask of the same shape -> the field whose slice comes near to them.

    First a normalised splat; cells without pixels take their value from ever wider neighbourhoods. Then `n_iterations`
    rounds that splat what is still missing (Landweber iterations).
    """
    total = splat(mask, weights)
    wanted = splat(target_ev * mask, weights)
    top, bottom = wanted, total
    for sigma, share in ((0.7, 1e-1), (2.0, 1e-3), (6.0, 1e-5)):
        top, bottom = top + share * blur(wanted, sigma), bottom + share * blur(total, sigma)
    field = top / bottom.clamp_min(1e-12)
    for _ in range(n_iterations):
        residual = (target_ev - slice_field(field.flatten(1, 2), weights)) * mask
        field = field + splat(residual, weights) / (total + 0.02)
    return field.flatten(1, 2).clamp(-GAIN_LIMIT_EV, GAIN_LIMIT_EV)
