"""RelightNet: an encoder run once per frame, and a small denoiser of edit fields run per look and step."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from camera_nano.nn import light
from camera_nano.nn.grid import CHANNELS, guide
from camera_nano.values import CONTROLS

N_PRIORS = 11


def priors(thumbnail: Tensor) -> Tensor:
    """Code values (B, 3, h, w) in 0..1 -> analytic priors (B, 11, h, w), about unit scale.

    RGB; log luminance, absolute and exposed for its own mean; max and min channel; soft masks of the crushed and
    the clipped; signal to noise (Xu et al. 2022, Eq. 2: blurred over residual); rank of a pixel's light in the frame.
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


N_SUMMARY = 20


class Block(nn.Module):
    """Residual pair of 3x3 convolutions; `shift` (B, 2c) scales and shifts between them (FiLM, Perez et al. 2018)."""

    def __init__(self, c: int, n_shift: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(8, c), nn.GroupNorm(8, c)
        self.conv1, self.conv2 = nn.Conv2d(c, c, 3, 1, 1), nn.Conv2d(c, c, 3, 1, 1)
        self.film = nn.Linear(n_shift, 2 * c)
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor, shift: Tensor) -> Tensor:
        """(B, c, h, w), (B, n_shift) -> (B, c, h, w)."""
        scale, bias = self.film(shift)[:, :, None, None].chunk(2, 1)
        h = self.conv1(F.silu(self.norm1(x)))
        h = self.norm2(h) * (1 + scale) + bias
        return x + self.conv2(F.silu(h))  # type: ignore[no-any-return]


class Attention(nn.Module):
    """Self-attention over all positions, 4 heads."""

    def __init__(self, c: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(8, c)
        self.qkv, self.out = nn.Conv2d(c, 3 * c, 1), nn.Conv2d(c, c, 1)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, c, h, w) -> (B, c, h, w)."""
        b, c, h, w = x.shape
        q, k, v = self.qkv(self.norm(x)).reshape(b, 3, 4, c // 4, h * w).transpose(-1, -2).unbind(1)
        attention = torch.softmax(q @ k.transpose(-1, -2) * (c // 4) ** -0.5, -1)
        return x + self.out((attention @ v).transpose(-1, -2).reshape(b, c, h, w))  # type: ignore[no-any-return]


class Encoder(nn.Module):
    """Thumbnail (B, 3, 64, 64) -> features (B, c, 16, 16) and a whole-frame vector (B, n_shift)."""

    def __init__(self, c: int, n_shift: int) -> None:
        super().__init__()
        self.vector = nn.Sequential(nn.Linear(N_SUMMARY, n_shift), nn.SiLU(), nn.Linear(n_shift, n_shift))
        self.stem = nn.Conv2d(N_PRIORS * 16, c, 3, 1, 1)  # at 16 x 16, the resolution of the grid
        self.fine = Block(c, n_shift)
        self.down = nn.Conv2d(c, c, 3, 2, 1)  # 8 x 8
        self.coarse = Block(c, n_shift)
        self.attention = Attention(c)
        self.join = nn.Conv2d(2 * c, c, 3, 1, 1)
        self.last = Block(c, n_shift)
        self.pool = nn.Linear(c, n_shift)

    def forward(self, thumbnail: Tensor) -> tuple[Tensor, Tensor]:
        """Code values 0..1 -> features, vector."""
        vector = self.vector(summary(thumbnail))
        fine = self.fine(self.stem(F.pixel_unshuffle(priors(thumbnail), 4)), vector)
        coarse = self.attention(self.coarse(self.down(fine), vector))
        up = F.interpolate(coarse, scale_factor=2.0, mode="nearest")
        vector = vector + self.pool(coarse.mean((2, 3)))
        return self.last(self.join(torch.cat([fine, up], 1)), vector), vector


class Denoiser(nn.Module):
    """Noisy whitened field (B, 32, 16, 16) at time t, features, vector and controls -> clean whitened field."""

    def __init__(self, c: int, n_shift: int) -> None:
        super().__init__()
        self.told = nn.Sequential(nn.Linear(len(CONTROLS) + 9, n_shift), nn.SiLU(), nn.Linear(n_shift, n_shift))
        self.stem = nn.Conv2d(CHANNELS + c, c, 3, 1, 1)  # 16 x 16
        self.fine = Block(c, n_shift)
        self.down = nn.Conv2d(c, 2 * c, 3, 2, 1)  # 8 x 8
        self.coarse = nn.ModuleList([Block(2 * c, n_shift), Block(2 * c, n_shift)])
        self.attention = Attention(2 * c)
        self.join = nn.Conv2d(3 * c, c, 3, 1, 1)
        self.last = Block(c, n_shift)
        self.norm = nn.GroupNorm(8, c)
        self.out = nn.Conv2d(c, CHANNELS, 3, 1, 1)
        nn.init.zeros_(self.out.weight)

    def forward(self, x: Tensor, t: Tensor, controls: Tensor, features: Tensor, vector: Tensor) -> Tensor:
        """x (B, 32, 16, 16), t (B,), controls (B, 5), features (B, c, 16, 16), vector (B, n) -> (B, 32, 16, 16)."""
        phase = t[:, None] * torch.pi * torch.tensor([1.0, 2.0, 4.0, 8.0], device=t.device)
        shift = vector + self.told(torch.cat([controls, t[:, None], phase.sin(), phase.cos()], 1))
        fine = self.fine(self.stem(torch.cat([x, features], 1)), shift)
        coarse = self.down(fine)
        for block in self.coarse:
            coarse = block(coarse, shift)
        up = F.interpolate(self.attention(coarse), scale_factor=2.0, mode="nearest")
        h = self.last(self.join(torch.cat([fine, up], 1)), shift)
        return self.out(F.silu(self.norm(h)))  # type: ignore[no-any-return]


class RelightNet(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """The model. Fields are whitened by `mean` and `std`, measured on the training set and kept with the weights."""

    mean: Tensor
    std: Tensor

    @register_to_config
    def __init__(self, channels: int = 64, n_shift: int = 128) -> None:
        super().__init__()
        self.encoder = Encoder(channels, n_shift)
        self.denoiser = Denoiser(channels, n_shift)
        self.register_buffer("mean", torch.zeros(1, CHANNELS, 1, 1))
        self.register_buffer("std", torch.ones(1, CHANNELS, 1, 1))

    def forward(self, x: Tensor, t: Tensor, controls: Tensor, features: Tensor, vector: Tensor) -> Tensor:
        """Predict the clean whitened field; see `Denoiser`."""
        return self.denoiser(x, t, controls, features, vector)  # type: ignore[no-any-return]

    def whiten(self, field: Tensor) -> Tensor:
        """Field in EV -> about unit variance per channel."""
        return (field - self.mean) / self.std

    def unwhiten(self, x: Tensor) -> Tensor:
        """The inverse of `whiten`; bounded by whoever makes an `EditField` of it."""
        return x * self.std + self.mean
