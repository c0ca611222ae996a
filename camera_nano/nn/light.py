"""Colour formulas for tensors (B, 3, h, w); the numpy side and the sources are in `camera_nano.color`."""

from __future__ import annotations

import torch
from torch import Tensor

from camera_nano.color import LUMINANCE_709


def eotf(code: Tensor) -> Tensor:
    """sRGB code values 0..1 -> linear light (IEC 61966-2-1)."""
    return torch.where(code <= 0.04045, code / 12.92, ((code.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4)


def oetf(light: Tensor) -> Tensor:
    """Linear light >= 0 -> sRGB code values; above 1 the curve goes on, so that too bright light has a gradient."""
    return torch.where(light <= 0.0031308, light * 12.92, 1.055 * light.clamp_min(0.0031308) ** (1 / 2.4) - 0.055)


def luminance(light: Tensor) -> Tensor:
    """Linear RGB (B, 3, h, w) -> relative luminance (B, 1, h, w)."""
    r, g, b = LUMINANCE_709
    return r * light[:, 0:1] + g * light[:, 1:2] + b * light[:, 2:3]
