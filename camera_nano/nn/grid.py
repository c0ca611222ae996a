"""The edit field as a tensor: guide, slice, and the fit of a field to a pair of pictures.

A field tensor is (B, gd * 4, gh, gw): range bin major, then R, G, B gain and headroom, in EV. `camera_nano.field`
holds the same guide and slice for numpy (Chen, Paris, Durand 2007; half-pixel rules as in HDRnet, Gharbi 2017).
"""

from __future__ import annotations

from functools import cache

import torch
from torch import Tensor

from camera_nano.field import GUIDE_RANGE_EV
from camera_nano.nn.light import luminance
from camera_nano.values import GAIN_LIMIT_EV, GRID_HWD

GH, GW, GD = GRID_HWD
CHANNELS = GD * 4


def guide(light: Tensor) -> Tensor:
    """Linear RGB (B, 3, h, w) -> guide (B, 1, h, w) in 0..1, logarithmic above 2^-10."""
    return torch.log2(1 + luminance(light).clamp(0, 1) * (2**GUIDE_RANGE_EV - 1)) / GUIDE_RANGE_EV


def range_weights(g: Tensor) -> Tensor:
    """Guide (B, 1, h, w) -> share of each range bin (B, gd, h, w), two neighbours summing to 1."""
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

    `every` (n, top, left) says that the pixels are each n-th of a larger picture, from that corner on.
    """
    n, top, left = every
    h, w = weights.shape[-2:]
    down, across = _tents(n * h, GH, field.device)[top::n], _tents(n * w, GW, field.device)[left::n]
    cells = down @ field @ across.T
    return (cells.reshape(-1, GD, 4, h, w) * weights.unsqueeze(2)).sum(1)


def relight(light: Tensor, gain_ev: Tensor) -> Tensor:
    """Linear RGB times 2^gain. Not clipped above: the loss must see overflow."""
    return light * torch.exp2(gain_ev)


def splat(values: Tensor, weights: Tensor) -> Tensor:
    """Pixels (B, C, h, w) with range weights -> sums per cell (B, gd, C, gh, gw): the transpose of the slice."""
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
    """Wanted log2 values (B, 4, h, w) with a mask of the same shape -> field that slices to them.

    Normalised splat, empty cells filled from ever wider neighbourhoods, then a few residual (Landweber) rounds.
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
