"""The best PSNR that any field could reach: fields of several sizes and guides, fitted to the truth without a model.

Weighted least squares in EV, solved by conjugate gradients (Hestenes and Stiefel 1952) on the normal equations of the
slice. The weight of a pixel is how much one EV of gain changes its code value: the first Gauss-Newton step towards the
best PSNR.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch
from captures import Capture, developed
from metrics import U8, psnr
from torch import Tensor

from camera_nano.nn.grid import guide
from camera_nano.nn.guess import LIGHT_FLOOR
from camera_nano.nn.light import eotf, luminance, oetf
from camera_nano.values import GAIN_LIMIT_EV, GUIDE_RANGE_EV, Look

GRIDS_HWD = ((8, 8, 8), (16, 16, 8), (16, 16, 16), (32, 32, 8))

GUIDES: dict[str, Callable[[Tensor], Tensor]] = {
    "log luminance": guide,
    "linear luminance": lambda light: luminance(light).clamp(0, 1),
    "log of largest channel": lambda light: (
        torch.log2(1 + light.amax(1, keepdim=True).clamp(0, 1) * (2**GUIDE_RANGE_EV - 1)) / GUIDE_RANGE_EV
    ),
}


def tents(position: Tensor, n: int) -> Tensor:
    """Positions (...) in cells -> (..., n) shares of the cells: linear between neighbours, clamped at the ends."""
    return (1 - (position.clamp(0, n - 1)[..., None] - torch.arange(n)).abs()).clamp_min(0)


class Slice:
    """The slice of a grid (gh, gw, gd) by a guide (1, 1, h, w) as a linear map, and its transpose."""

    def __init__(self, g: Tensor, grid_hwd: tuple[int, int, int]) -> None:
        (h, w), (gh, gw, gd) = g.shape[-2:], grid_hwd
        self.grid_hwd = grid_hwd
        self._down = tents((torch.arange(h) + 0.5) * gh / h - 0.5, gh)
        self._across = tents((torch.arange(w) + 0.5) * gw / w - 0.5, gw)
        self._bins = tents(g[0, 0] * gd - 0.5, gd).permute(2, 0, 1)  # (gd, h, w)

    def __call__(self, field: Tensor) -> Tensor:
        """Field (C, gd, gh, gw) -> (C, h, w)."""
        return ((self._down @ field @ self._across.T) * self._bins).sum(1)

    def transposed(self, values: Tensor) -> Tensor:
        """Values (C, h, w) -> (C, gd, gh, gw)."""
        return self._down.T @ (values[:, None] * self._bins) @ self._across


def fit(target_ev: Tensor, weight: Tensor, cut: Slice, n_iterations: int = 10, ridge: float = 1e-5) -> Tensor:
    """Wanted gains (C, h, w) in EV and their weights (1, h, w) -> the field (C, gd, gh, gw) that slices closest.

    `ridge`, relative to the mean cell, pulls cells that no pixel reads to 0. The preconditioner is the weight that each
    cell receives; without it, empty and full cells converge at very different rates.
    """
    gh, gw, gd = cut.grid_hwd
    damping = ridge * float(weight.sum()) / (gh * gw * gd)
    scale = 1 / (cut.transposed(weight) + damping)
    residual = cut.transposed(weight * target_ev)
    field, direction = torch.zeros_like(residual), scale * residual
    power = (residual * direction).sum()
    for _ in range(n_iterations):
        image = cut.transposed(weight * cut(direction)) + damping * direction
        step = power / (direction * image).sum().clamp_min(1e-20)
        field, residual = field + step * direction, residual - step * image
        power, before = (residual * scale * residual).sum(), power
        direction = scale * residual + power / before.clamp_min(1e-20) * direction
    return field.clamp(-GAIN_LIMIT_EV, GAIN_LIMIT_EV)


def ceiling(image: U8, reference: U8, g: Callable[[Tensor], Tensor], grid_hwd: tuple[int, int, int]) -> float:
    """PSNR in dB of an image (H, W, 3) relit by the field that fits its reference best."""
    light, wanted = (eotf(_tensor(picture)) for picture in (image, reference))
    target_ev = torch.log2((wanted + LIGHT_FLOOR) / (light + LIGHT_FLOOR)).clamp(-GAIN_LIMIT_EV, GAIN_LIMIT_EV)
    weight = oetf(wanted).square() + 1e-3  # code is close to a power of light, so d code / d EV goes with code
    cut = Slice(g(light), grid_hwd)
    made = oetf((light * torch.exp2(cut(fit(target_ev[0], weight[0], cut)))).clamp(0, 1))
    return psnr((made[0].permute(1, 2, 0) * 255).round().byte().numpy(), reference)


@torch.no_grad()
def ceilings(captures: Sequence[Capture], look: Look, every: int = 2) -> list[dict[str, Any]]:
    """Mean ceiling over every n-th capture, for each guide at the product's size and each size with its guide."""
    pairs = [developed(taken, look) for taken in captures[::every]]
    rows = []
    for name, g in GUIDES.items():
        for grid_hwd in GRIDS_HWD:
            found = [ceiling(pair.image, pair.reference, g, grid_hwd) for pair in pairs]
            mean = round(sum(found) / len(found), 3)
            rows.append({"guide": name, "grid_hwd": list(grid_hwd), "n": len(found), "psnr": mean})
            print(f"ceiling of {name}, {grid_hwd}: {mean:.2f} dB", file=sys.stderr)
    return rows


def _tensor(picture: U8) -> Tensor:
    return torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
