"""True scene light -> a camera's picture of it, and -> what each look should have been. Batches on any device.

A `Scenes` batch holds light normalised so that its geometric mean luminance is 0.18, with the statistics that
development needs; `tools/make_data.py` prepares them once, capture and development are redrawn every step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from camera_nano.nn.light import eotf, luminance, oetf
from camera_nano.nn.tone import MIDDLE_EV, dress, hold_range, shoulder

EPS = 2.0**-14


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
def capture(scenes: Scenes, rng: torch.Generator, brightest_ev: float = 2.5) -> tuple[Tensor, Tensor]:
    """Scenes -> 8-bit camera pictures (B, 3, h, w), sRGB code values 0..1, and (B,) bool: a photo passed on untouched.

    Exposure -5.5..`brightest_ev` EV (one in five near 0), white balance error, shot and read noise (Poisson-Gaussian,
    Foi et al. 2008, as a normal with signal-dependent variance), clipping, tone curve. Two photos in five pass
    untouched.
    """
    n, light = len(scenes.light), scenes.light
    photo = scenes.is_photo
    spread = _uniform(n, -5.5, brightest_ev, rng)
    near = 0.7 * torch.randn(n, generator=rng, device=rng.device)
    ev = torch.where(_uniform(n, 0, 1, rng) < 0.8, spread, near)
    intact = photo & (_uniform(n, 0, 1, rng) < 0.4)
    balance = torch.exp2(0.12 * torch.randn(n, 3, 1, 1, generator=rng, device=rng.device))
    iso = torch.exp2(_uniform(n, -3.0, 3.0, rng))  # of the thumbnail: averaging took 1 EV
    exposed = light * _column(torch.exp2(ev)) * balance
    variance = 1e-4 * _column(iso) * exposed.clamp(0, 1) + (2e-3) ** 2 * _column(iso)
    noise = torch.randn(exposed.shape, generator=rng, device=rng.device)
    code = oetf((exposed + noise * variance.sqrt()).clamp(0, 1))
    code = code ** _column(torch.exp2(_uniform(n, -0.32, 0.32, rng)))
    bend = _uniform(n, -0.6, 0.6, rng).clamp_min(0)  # half of them: towards the S of a camera's own tone curve
    code = code + _column(bend) * (code * code * (3 - 2 * code) - code)
    code = torch.where(_column(intact), oetf(light.clamp(0, 1)), code)
    return (code * 255).round() / 255, intact


@torch.no_grad()
def natural_light(scenes: Scenes) -> Tensor:
    """Scene light with its range held (`tone.hold_range`), 1 = SDR white, not yet clipped; photos pass unchanged."""
    log_y = torch.log2(luminance(scenes.light) + EPS)
    gain_ev = hold_range(log_y, scenes.base_ev, scenes.percentiles_ev)
    return torch.where(_column(scenes.is_photo), scenes.light, scenes.light * torch.exp2(gain_ev))


def _fused_light(scenes: Scenes) -> Tensor:
    """The fused bracket in linear light, its median luminance brought to middle grey by a power; white stays white."""
    light = eotf(scenes.fused)
    median = luminance(light).flatten(1).median(1).values.clamp(2.0**-8, 0.8)
    gamma = (MIDDLE_EV / torch.log2(median)).clamp(0.6, 1.8)
    return light ** _column(gamma)


@torch.no_grad()
def develop(scenes: Scenes, controls: Tensor) -> tuple[Tensor, Tensor]:
    """Scenes and controls (B, 7) -> the wanted picture (B, 3, h, w), sRGB code values 0..1, and its headroom.

    Headroom (B, 1, h, w) is the EV by which developed scene light exceeds what an SDR rendering of it shows, 0..4;
    NaN for photos, whose true light is not known.
    """
    hdr = _column(controls[:, 1])
    open_light = natural_light(scenes)
    closed = torch.where(_column(scenes.is_photo), open_light.clamp(0, 1), shoulder(open_light))
    # geometric mean of the two renderings
    rendered = ((closed + EPS) ** (1 - hdr) * (_fused_light(scenes) + EPS) ** hdr - EPS).clamp_min(0)
    above = torch.log2(luminance(open_light).clamp_min(EPS) / luminance(closed).clamp_min(EPS)).clamp(0, 4)
    above = torch.where(_column(scenes.is_photo), torch.full_like(above, torch.nan), above)
    return oetf(dress(rendered, controls)), above
