"""What a look does to light, as tensors: the range held, then each control in turn.

Training makes its targets with these functions from true light; the network's own graph makes its first guess with
the same functions from what the capture shows, and learns the difference. All lights are linear, luminances in EV
are log2 of relative luminance with 0 at SDR white.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from torch import Tensor

from camera_nano.color import temperature_gains
from camera_nano.nn.light import luminance

MIDDLE_EV = -2.32  # log2 of 0.2: where the median of a picture is put
WHITE_EV = -0.42  # log2 of 0.75: where its 97th percentile is pulled
RANGE_EV = 4.8  # from the 5th to the 97th percentile of the base layer, in a well-lit photo
HDR_RANGE_EV = 3.8  # the same after exposure fusion, as the network's first guess has it
_DETAIL = 1.05
_EPS = 2.0**-14
_TEMPERATURES = 33  # knots of the table over -2..2 hundred mired


def hold_range(log_y: Tensor, base_ev: Tensor, percentiles_ev: Tensor, range_ev: float = RANGE_EV) -> Tensor:
    """Gain in EV that brings light into the range of a photo: base and detail (Durand and Dorsey 2002).

    The base layer's range from the 5th to the 97th percentile goes to `range_ev` by the power 0.4, so that a wide
    scene is compressed and a flat one opened a little; its median goes to `MIDDLE_EV` and its 97th percentile six
    tenths of the way to `WHITE_EV`.

    Args:
        log_y: log2 luminance, (B, 1, ...).
        base_ev: edge-aware base layer of it, the same shape.
        percentiles_ev: (B, 3), 5th, 50th and 97th percentile of the base layer.
        range_ev: the range of a picture that is left as wide as it is.
    """
    shape = (-1, *[1] * (log_y.dim() - 1))
    p5, p50, p97 = (p.reshape(shape) for p in percentiles_ev.unbind(1))
    slope = ((p97 - p5).clamp_min(0.5) / range_ev).pow(-0.6).clamp(0.2, 1.35)
    top = (p97 - p50) * slope + MIDDLE_EV
    lift = (0.6 * (WHITE_EV - top)).clamp(-1.5, 1.5)
    base = (base_ev - p50) * slope + MIDDLE_EV + lift
    return base + _DETAIL * (log_y - base_ev) - log_y


def shoulder(x: Tensor) -> Tensor:
    """Film-like roll-off to 1: x / (1 + x^3)^(1/3), the p = 3 member of the family of Tumblin (1999)."""
    return x / (1 + x**3) ** (1 / 3)


@cache
def _temperature_table(device: torch.device) -> Tensor:
    knots = [temperature_gains(t) for t in np.linspace(-2, 2, _TEMPERATURES)]
    return torch.from_numpy(np.stack(knots)).float().to(device)


def white_gains(temperature: Tensor) -> Tensor:
    """Hundreds of mired (B,) -> gains of linear RGB (B, 3): `color.temperature_gains`, interpolated."""
    position = ((temperature.clamp(-2, 2) + 2) / 4 * (_TEMPERATURES - 1))[:, None]
    knots = torch.arange(_TEMPERATURES, device=temperature.device)
    return (1 - (position - knots).abs()).clamp_min(0) @ _temperature_table(temperature.device)


def _smoothstep(x: Tensor) -> Tensor:
    x = x.clamp(0, 1)
    return x * x * (3 - 2 * x)


def dress(light: Tensor, controls: Tensor) -> Tensor:
    """Rendered linear light (B, 3, ...) and controls (B, 7) but for `hdr` -> the look's linear light, 0..1.

    Shadows and highlights are gains of what lies below and above middle grey; contrast is a power around 0.18;
    temperature moves white along the Planckian locus; saturation scales the distance from grey.
    """
    shape = (-1, *[1] * (light.dim() - 1))
    ev, _, contrast, highlights, shadows, _, saturation = (c.reshape(shape) for c in controls.unbind(1))
    tone = torch.log2(luminance(light) + _EPS)
    gain = ev + shadows * _smoothstep((MIDDLE_EV - tone) / 3) + highlights * _smoothstep((tone - MIDDLE_EV) / 2)
    light = light * torch.exp2(gain) * white_gains(controls[:, 5]).reshape(-1, 3, *shape[2:])
    light = light * (luminance(light).clamp_min(_EPS) / 0.18) ** (torch.exp2(contrast) - 1)
    y = luminance(light)
    return (y + (light - y) * (1 + saturation)).clamp(0, 1)
