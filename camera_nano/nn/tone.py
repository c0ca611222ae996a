"""What a look does to light, as tensors: first the range is reduced, then each control is applied.

Training makes its targets with these functions from true light. The network makes its first guess with the same
functions from the capture, and learns the difference. All lights are linear, luminances in EV
are log2 of relative luminance with 0 at SDR white.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

from camera_nano.color import temperature_gains
from camera_nano.nn.grid import smoothstep
from camera_nano.nn.light import luminance

MIDDLE_EV = -1.94  # log2 of 0.26: what the median of a picture becomes
WHITE_EV = -0.42  # log2 of 0.75: what its 97th percentile moves towards
RANGE_EV = 4.8  # from the 5th to the 97th percentile of the base layer, in a well-lit photo
HDR_RANGE_EV = 3.8  # the same after exposure fusion, as the network's first guess has it
NATURAL_FUSED = 0.55  # share of exposure fusion in every look: it brightens shadows in scenes lit from behind
_DETAIL = 1.05
_EPS = 2.0**-14
_TEMPERATURES = 33  # knots of the table over -2..2 hundred mired


def hold_range(
    log_y: Tensor, base_ev: Tensor, percentiles_ev: Tensor, range_ev: float = RANGE_EV, mood_ev: Tensor | None = None
) -> Tensor:
    """Gain in EV that brings light into the range of a photo: base and detail (Durand and Dorsey 2002).

    The range of the base layer, from its 5th to its 97th percentile, moves towards `range_ev` (power 0.4): a wide range
    gets narrower, a narrow one a little wider. The median becomes `MIDDLE_EV`; then all light moves so that the 97th
    percentile comes six tenths of the way to `WHITE_EV`, by 1.5 EV at most.

    Args:
        log_y: log2 luminance, (B, 1, ...).
        base_ev: edge-aware base layer of it, the same shape.
        percentiles_ev: (B, 3), 5th, 50th and 97th percentile of the base layer.
        range_ev: a picture of this range keeps it.
        mood_ev: (B,), how much brighter than `MIDDLE_EV` the median of this scene should become.
    """
    shape = (-1, *[1] * (log_y.dim() - 1))
    p5, p50, p97 = (p.reshape(shape) for p in percentiles_ev.unbind(1))
    slope = ((p97 - p5).clamp_min(0.5) / range_ev).pow(-0.6).clamp(0.2, 1.35)
    middle = MIDDLE_EV if mood_ev is None else MIDDLE_EV + mood_ev.reshape(shape)
    top = (p97 - p50) * slope + middle
    lift = (0.6 * (WHITE_EV - top)).clamp(-1.5, 1.5)
    base = (base_ev - p50) * slope + middle + lift
    return base + _DETAIL * (log_y - base_ev) - log_y


def shoulder(x: Tensor) -> Tensor:
    """Film-like roll-off to 1: x / (1 + x^3)^(1/3), the p = 3 member of the family of Tumblin (1999)."""
    return x / (1 + x**3) ** (1 / 3)


def fused_share(controls: Tensor) -> Tensor:
    """Controls (B, 7) -> share of exposure fusion in the picture, (B,), from that of `natural` to 1 for `hdr`."""
    return NATURAL_FUSED + (1 - NATURAL_FUSED) * controls[:, 1]


@cache
def _temperature_table(device: torch.device) -> Tensor:
    knots = [temperature_gains(t) for t in np.linspace(-2, 2, _TEMPERATURES)]
    return torch.from_numpy(np.stack(knots)).float().to(device)


def white_gains(temperature: Tensor) -> Tensor:
    """Hundreds of mired (B,) -> gains of linear RGB (B, 3): `color.temperature_gains`, interpolated."""
    position = ((temperature.clamp(-2, 2) + 2) / 4 * (_TEMPERATURES - 1))[:, None]
    knots = torch.arange(_TEMPERATURES, device=temperature.device)
    return (1 - (position - knots).abs()).clamp_min(0) @ _temperature_table(temperature.device)


def dress(light: Tensor, controls: Tensor) -> Tensor:
    """Rendered linear light (B, 3, ...) and controls (B, 7) -> the look's linear light, 0..1; `hdr` is not used here.

    Shadows and highlights are gains of what lies below and above middle grey; contrast is a power around 0.18;
    temperature moves white along the Planckian locus; saturation scales the distance from grey.
    """
    shape = (-1, *[1] * (light.dim() - 1))
    ev, _, contrast, highlights, shadows, _, saturation = (c.reshape(shape) for c in controls.unbind(1))
    tone = torch.log2(luminance(light) + _EPS)
    gain = ev + shadows * smoothstep((MIDDLE_EV - tone) / 3) + highlights * smoothstep((tone - MIDDLE_EV) / 2)
    light = light * torch.exp2(gain) * white_gains(controls[:, 5]).reshape(-1, 3, *shape[2:])
    light = light * (luminance(light).clamp_min(_EPS) / 0.18) ** (torch.exp2(contrast) - 1)
    y = luminance(light)
    return (y + (light - y) * (1 + saturation)).clamp(0, 1)


def white_of(controls: Tensor) -> Tensor:
    """Controls (B, 7) -> what white becomes in these looks: log2 of linear R, G, B (B, 3), 0 at most."""
    white = dress(torch.ones_like(controls[:, :3])[:, :, None, None], controls)
    return torch.log2(white.flatten(1).clamp_min(2.0**-5))
