"""What the encoder gets beside the cells of `guess.cells_of`: values of each pixel, statistics and ranks."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from camera_nano.nn import light
from camera_nano.nn.grid import guide, ramp

N_PRIORS, N_SUMMARY, N_RANKS = 11, 20, 16
WHITE_EV = (-0.25, -0.08)  # areas from here on may be white, and surely are there


def priors(thumbnail: Tensor) -> Tensor:
    """Code values (B, 3, h, w) in 0..1 -> what formulas say of each pixel (B, 11, h, w), about unit scale.

    RGB; log luminance: absolute, less the frame's mean, and that over the frame's deviation; largest and smallest
    channel; soft masks of crushed and clipped pixels; signal to noise (Xu et al. 2022, Eq. 2: blurred over residual).
    """
    linear = light.eotf(thumbnail)
    y = light.luminance(linear)
    log_y = torch.log2(y + 2.0**-12)
    mean = log_y.mean((2, 3), keepdim=True)
    deviation = (log_y - mean).square().mean((2, 3), keepdim=True).sqrt()
    blurred = F.avg_pool2d(y, 3, 1, 1, count_include_pad=False)
    snr = torch.log2((blurred + 1e-4) / ((y - blurred).abs() + 1e-3))
    high, low = thumbnail.amax(1, keepdim=True), thumbnail.amin(1, keepdim=True)
    return torch.cat(
        [
            thumbnail * 2 - 1,
            guide(linear) * 2 - 1,
            (log_y - mean) / 3,
            (log_y - mean) / (deviation + 0.3),
            high * 2 - 1,
            low * 2 - 1,
            torch.sigmoid((0.08 - high) * 60),
            torch.sigmoid((high - 0.95) * 60),
            snr / 8,
        ],
        1,
    )


def summary(thumbnail: Tensor) -> Tensor:
    """Code values (B, 3, h, w) -> statistics of the whole frame (B, 20): a soft luma histogram, means, extremes."""
    luma = (thumbnail * thumbnail.new_tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)).sum(1, keepdim=True)
    centres = torch.linspace(0, 1, 12, device=luma.device).view(1, 12, 1, 1)
    histogram = (1 - (luma - centres).abs() * 11).clamp_min(0).mean((2, 3))
    rgb = thumbnail.mean((2, 3))
    key = torch.log2(light.luminance(light.eotf(thumbnail)) + 2.0**-12)
    ends = torch.cat([thumbnail.amax((2, 3)), luma.amin((2, 3)), key.mean((2, 3)) / 6 + 0.5], 1)
    return torch.cat([histogram * 3 - 0.25, rgb * 2 - 1, ends], 1)


def ranks(thumbnail: Tensor) -> Tensor:
    """Code values (B, 3, h, w) -> 16 quantiles of log2 luminance, darkest to brightest (B, 16), about unit scale."""
    y = light.luminance(F.avg_pool2d(light.eotf(thumbnail), 2)).flatten(1)
    ordered_y = torch.log2(y + 2.0**-12).sort(1).values
    n = ordered_y.shape[1]
    return torch.stack([ordered_y[:, round((k + 0.5) / N_RANKS * n - 0.5)] for k in range(N_RANKS)], 1) / 4 + 1


def shows_white(ranked: Tensor) -> Tensor:
    """`ranks` (B, 16) -> how surely a picture has white areas (B, 1), 0..1: by its brightest thirty-second."""
    return ramp((ranked[:, -1:] - 1) * 4, WHITE_EV)
