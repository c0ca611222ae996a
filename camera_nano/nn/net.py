"""RelightNet: an encoder run once per frame, and a small denoiser of edit fields run per look and step.

What is diffused is the field less a first guess (`guess`), so the network learns only what formulas cannot know.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from camera_nano.nn import light
from camera_nano.nn.grid import CHANNELS, GH, GW, guide
from camera_nano.nn.guess import cells_of, first_guess
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
N_TONES = 3
# how sure the gate is that a picture needs nothing: from here a look is held back in part, from there in full
SETTLED, HDR_SETTLED = (0.085, 0.23), (0.72, 0.88)
HDR_WITHIN_EV = (-0.3, 1.0)  # how far `hdr` may move the light of such a picture


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
    """Thumbnail (B, 3, 64, 64) -> what every look of the frame shares; see `forward`."""

    def __init__(self, c: int, n_shift: int) -> None:
        super().__init__()
        n_told = N_SUMMARY + N_TONES
        self.vector = nn.Sequential(nn.Linear(n_told, n_shift), nn.SiLU(), nn.Linear(n_shift, n_shift))
        self.stem = nn.Conv2d(N_PRIORS * 16, c, 3, 1, 1)  # at 16 x 16, the resolution of the grid
        self.fine = Block(c, n_shift)
        self.down = nn.Conv2d(c, c, 3, 2, 1)  # 8 x 8
        self.coarse = Block(c, n_shift)
        self.attention = Attention(c)
        self.join = nn.Conv2d(2 * c, c, 3, 1, 1)
        self.last = Block(c, n_shift)
        self.pool = nn.Linear(c, n_shift)
        self.finished = nn.Linear(n_shift, 1)
        self.gate = nn.Sequential(nn.Linear(n_shift + N_TONES + 1, 64), nn.SiLU(), nn.Linear(64, 1))

    def forward(self, thumbnail: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Code values 0..1 -> features (B, c, 16, 16), vector (B, n_shift), cells (B, 32, 16, 16), tones (B, 5).

        The fourth tone is the logit of the picture being finished, developed once already; the fifth, of the gate, that
        `natural` would leave it about as it is.
        """
        cells, tones = cells_of(thumbnail)
        vector = self.vector(torch.cat([summary(thumbnail), tones / 6 + 0.5], 1))
        fine = self.fine(self.stem(F.pixel_unshuffle(priors(thumbnail), 4)), vector)
        coarse = self.attention(self.coarse(self.down(fine), vector))
        up = F.interpolate(coarse, scale_factor=2.0, mode="nearest")
        vector = vector + self.pool(coarse.mean((2, 3)))
        tones = torch.cat([tones, self.finished(F.silu(vector))], 1)
        tones = torch.cat([tones, self.gate(torch.cat([vector, tones], 1).detach())], 1)
        return self.last(self.join(torch.cat([fine, up], 1)), vector), vector, cells, tones


class Denoiser(nn.Module):
    """Noisy difference from the first guess (B, 32, 16, 16) at time t, and what is known -> the clean difference."""

    def __init__(self, c: int, n_shift: int) -> None:
        super().__init__()
        self.told = nn.Sequential(nn.Linear(len(CONTROLS) + 10, n_shift), nn.SiLU(), nn.Linear(n_shift, n_shift))
        self.stem = nn.Conv2d(2 * CHANNELS + c, c, 3, 1, 1)  # 16 x 16
        self.fine = Block(c, n_shift)
        self.down = nn.Conv2d(c, 2 * c, 3, 2, 1)  # 8 x 8
        self.coarse = nn.ModuleList([Block(2 * c, n_shift), Block(2 * c, n_shift)])
        self.attention = Attention(2 * c)
        self.join = nn.Conv2d(3 * c, c, 3, 1, 1)
        self.last = Block(c, n_shift)
        self.norm = nn.GroupNorm(8, c)
        self.out = nn.Conv2d(c, CHANNELS, 3, 1, 1)
        nn.init.zeros_(self.out.weight)

    def forward(
        self, x: Tensor, t: Tensor, controls: Tensor, features: Tensor, vector: Tensor, guess: Tensor, finished: Tensor
    ) -> Tensor:
        """x (B, 32, 16, 16), t (B,), controls (B, 7), the encoder's, guess (B, 32, 16, 16), finished (B, 1)."""
        phase = t[:, None] * torch.pi * torch.tensor([1.0, 2.0, 4.0, 8.0], device=t.device)
        told = torch.cat([controls, t[:, None], phase.sin(), phase.cos(), finished], 1)
        shift = vector + self.told(told)
        fine = self.fine(self.stem(torch.cat([x, features, guess / 2], 1)), shift)
        coarse = self.down(fine)
        for block in self.coarse:
            coarse = block(coarse, shift)
        up = F.interpolate(self.attention(coarse), scale_factor=2.0, mode="nearest")
        h = self.last(self.join(torch.cat([fine, up], 1)), shift)
        return self.out(F.silu(self.norm(h)))  # type: ignore[no-any-return]


class RelightNet(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """The model. Differences are in units of `std` per channel, measured on the training set and kept with the weights.

    Noise is shaped like the differences themselves: `shape` holds, for the whole frame, for sixteenths of it and for
    single cells, the triangular root (32, 32) of their covariance over channels. White noise says almost nothing
    about a whole frame's exposure, so samples drawn from it all agree on what is most uncertain.
    """

    std: Tensor
    shape: Tensor

    @register_to_config
    def __init__(self, channels: int = 48, n_shift: int = 128) -> None:
        super().__init__()
        self.encoder = Encoder(channels, n_shift)
        self.denoiser = Denoiser(channels, n_shift)
        self.register_buffer("std", torch.ones(1, CHANNELS, 1, 1))
        self.register_buffer("shape", torch.zeros(3, CHANNELS, CHANNELS))

    def guess(self, cells: Tensor, tones: Tensor, controls: Tensor) -> tuple[Tensor, Tensor]:
        """The encoder's cells and tones, controls -> first guess in EV, and how sure it is (B, 1) of `finished`."""
        finished = torch.sigmoid(tones[:, 3:4])
        return first_guess(cells, tones[:, :3], finished, controls), finished

    def forward(
        self, x: Tensor, t: Tensor, controls: Tensor, features: Tensor, vector: Tensor, guess: Tensor, finished: Tensor
    ) -> Tensor:
        """Predict the clean difference; see `Denoiser`."""
        return self.denoiser(x, t, controls, features, vector, guess, finished)  # type: ignore[no-any-return]

    def difference(self, field: Tensor, guess: Tensor) -> Tensor:
        """Field and first guess in EV -> what is diffused, about unit variance per channel."""
        return (field - guess) / self.std

    def field(self, x: Tensor, guess: Tensor) -> Tensor:
        """The inverse of `difference`; bounded by whoever makes an `EditField` of it."""
        return guess + x * self.std

    def settled(self, field: Tensor, cells: Tensor, tones: Tensor, controls: Tensor) -> Tensor:
        """The field; for a picture that surely needs nothing, the look laid on it as it is.

        The network's own correction is withheld there, but for `hdr`, which is asked of good pictures too: it may open
        their shadows, within a stop, and not turn their whites to grey.
        """
        needless = torch.sigmoid(tones[:, 4:])
        plain = first_guess(cells, tones[:, :3], torch.ones_like(needless), controls)
        sure, very_sure = (
            ((needless - low) / (high - low)).clamp(0, 1)[:, :, None, None] for low, high in (SETTLED, HDR_SETTLED)
        )
        hdr = controls[:, 1].clamp(0, 1).view(-1, 1, 1, 1)
        field = torch.lerp(field, plain, sure * (1 - hdr))
        return torch.lerp(field, field.clamp(*HDR_WITHIN_EV), very_sure * hdr)

    def shaped(self, noise: Tensor) -> Tensor:
        """Unit normal (B, 32, 16, 16) -> noise with the covariance of the differences at three scales."""
        frame, sixteenths, cells = scales(noise)
        parts = torch.stack([16 * frame, 4 * sixteenths, cells])
        return torch.einsum("sij,sbjhw->bihw", self.shape, parts)


def scales(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(B, C, 16, 16) -> its mean over the frame, over sixteenths of it less that, and the rest; they sum to x."""
    frame = x.mean((2, 3), keepdim=True).expand_as(x)
    blocks = F.interpolate(F.avg_pool2d(x, GH // 4), size=(GH, GW), mode="nearest")
    return frame, blocks - frame, x - blocks
