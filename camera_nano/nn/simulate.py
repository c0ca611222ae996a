"""True scene light -> a camera's picture of it, and -> what each look should have been. Batches on any device.

A `Scenes` batch holds light normalised so that its geometric mean luminance is 0.18, with the statistics that
development needs; `tools/make_data.py` prepares them once, capture and development are redrawn every step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from torch import Tensor

from camera_nano.color import temperature_gains
from camera_nano.nn.light import eotf, luminance, oetf

EPS = 2.0**-14
NATURAL_RANGE_EV = 5.0  # p5..p97 of the base layer are compressed to at most this


@dataclass(frozen=True, slots=True, eq=False)
class Scenes:
    """B scenes of h x w pixels, prepared for development."""

    light: Tensor  # (B, 3, h, w) linear, key 0.18 for panoramas, display light 0..1 for photos
    base_ev: Tensor  # (B, 1, h, w) edge-aware base layer of log2 luminance
    fused: Tensor  # (B, 3, h, w) exposure fusion of a true bracket, sRGB code 0..1
    percentiles_ev: Tensor  # (B, 3) 5th, 50th and 97th percentile of the base layer
    is_photo: Tensor  # (B,) bool: a finished photo, whose natural look is itself

    def __getitem__(self, rows: Tensor) -> Self:
        return type(self)(*(getattr(self, name)[rows] for name in self.__slots__))

    def flip(self) -> Self:
        """Mirrored left to right."""
        return type(self)(
            self.light.flip(-1),
            self.base_ev.flip(-1),
            self.fused.flip(-1),
            self.percentiles_ev,
            self.is_photo,
        )


def _column(x: Tensor) -> Tensor:
    return x.view(-1, 1, 1, 1)


def _uniform(n: int, low: float, high: float, rng: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(n, generator=rng, device=rng.device)


@torch.no_grad()
def capture(scenes: Scenes, rng: torch.Generator) -> Tensor:
    """Scenes -> 8-bit camera pictures (B, 3, h, w), sRGB code values 0..1.

    Exposure -5..+2 EV, white balance error, shot and read noise (Poisson-Gaussian, Foi et al. 2008, as a normal
    with signal-dependent variance), clipping, tone curve. One photo in three is passed on untouched.
    """
    n, light = len(scenes.light), scenes.light
    photo = scenes.is_photo
    spread = _uniform(n, -5.0, 2.0, rng)
    near = 0.7 * torch.randn(n, generator=rng, device=rng.device)
    ev = torch.where(_uniform(n, 0, 1, rng) < 0.8, spread, near)
    ev = torch.where(photo, ev.clamp_max(1.0), ev)
    intact = photo & (_uniform(n, 0, 1, rng) < 1 / 3)
    balance = torch.exp2(0.12 * torch.randn(n, 3, 1, 1, generator=rng, device=rng.device))
    iso = torch.exp2(_uniform(n, -3.0, 3.0, rng))  # of the thumbnail: averaging took 1 EV
    exposed = light * _column(torch.exp2(ev)) * balance
    variance = 1e-4 * _column(iso) * exposed.clamp(0, 1) + (2e-3) ** 2 * _column(iso)
    noise = torch.randn(exposed.shape, generator=rng, device=rng.device)
    code = oetf((exposed + noise * variance.sqrt()).clamp(0, 1))
    code = code ** _column(torch.exp2(_uniform(n, -0.32, 0.32, rng)))
    bend = _column(_uniform(n, 0.0, 0.6, rng))  # towards the S of a camera's own tone curve
    code = code + bend * (code * code * (3 - 2 * code) - code)
    code = torch.where(_column(intact), oetf(light.clamp(0, 1)), code)
    return (code * 255).round() / 255


def _shoulder(x: Tensor) -> Tensor:
    """Film-like roll-off to 1: x / (1 + x^3)^(1/3), the p = 3 member of the family of Tumblin (1999)."""
    return x / (1 + x**3) ** (1 / 3)


@torch.no_grad()
def natural_light(scenes: Scenes) -> Tensor:
    """Scene light with its range held (base-detail, Durand and Dorsey 2002), 1 = SDR white, not yet clipped.

    The base is compressed to `NATURAL_RANGE_EV`, its median put at 0.2, its 97th percentile pulled 60% of
    the way to 0.75; photos pass unchanged.
    """
    p5, p50, p97 = (_column(p) for p in scenes.percentiles_ev.T)
    log_y = torch.log2(luminance(scenes.light) + EPS)
    slope = (NATURAL_RANGE_EV / (p97 - p5).clamp_min(1e-3)).clamp_max(1.0)
    top = (p97 - p50) * slope + torch.log2(torch.tensor(0.2))
    lift = (0.6 * (torch.log2(torch.tensor(0.75)) - top)).clamp(-1.5, 1.5)
    base = (scenes.base_ev - p50) * slope + torch.log2(torch.tensor(0.2)) + lift
    gain = torch.exp2(base + 1.05 * (log_y - scenes.base_ev) - log_y)
    return torch.where(_column(scenes.is_photo), scenes.light, scenes.light * gain)


@torch.no_grad()
def develop(scenes: Scenes, controls: Tensor) -> tuple[Tensor, Tensor]:
    """Scenes and controls (B, 5) -> the wanted picture (B, 3, h, w), sRGB code values 0..1, and its headroom.

    Headroom (B, 1, h, w) is the EV of developed scene light above SDR white; NaN for photos, whose true light
    is not known.
    """
    ev, hdr, contrast, temperature, saturation = (_column(c) for c in controls.T)
    open_light = natural_light(scenes)
    closed = torch.where(_column(scenes.is_photo), open_light.clamp(0, 1), _shoulder(open_light))
    light = (closed + EPS) ** (1 - hdr) * (eotf(scenes.fused) + EPS) ** hdr  # geometric mean of the two renderings
    white = np.stack([temperature_gains(t) for t in temperature.flatten().tolist()])
    light = light * torch.from_numpy(white).to(light).view(-1, 3, 1, 1) * torch.exp2(ev)
    y = luminance(light).clamp_min(EPS)
    light = light * (y / 0.18) ** (torch.exp2(contrast) - 1)
    y = luminance(light)
    light = (y + (light - y) * (1 + saturation)).clamp(0, 1)
    headroom = (torch.log2(luminance(open_light).clamp_min(EPS)) + ev).clamp(0, 4)
    headroom = torch.where(_column(scenes.is_photo), torch.full_like(headroom, torch.nan), headroom)
    return oetf(light), headroom
