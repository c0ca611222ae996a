"""RelightNet: an encoder run once per frame, and a small denoiser of edit fields run per look and step.

The diffusion works on the field minus a first guess (`guess.first_guess`), so the network learns only what formulas
cannot know. Formulas are worst at the exposure and the tone curve of the whole frame. So a small network, `ToneHead`,
predicts those first, and how uncertain it is; the field is then diffused around its prediction.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from camera_nano.nn.exposure import N_FACTS, PLAIN_LOOKS, TONE_MODES, cut_share, doubts, plain_facts, shifts_ev
from camera_nano.nn.grid import CHANNELS, GD, GH, GW, eased, on_gains, ordered, ramp
from camera_nano.nn.guess import N_TONES, cells_of, first_guess
from camera_nano.nn.inputs import N_PRIORS, N_RANKS, N_SUMMARY, priors, ranks, shows_white, summary
from camera_nano.nn.tone import white_of
from camera_nano.values import CONTROLS, GAIN_LIMIT_EV

# the gate's answer, 0..1: a look is held back in part above the first, fully above the second
SETTLED = (0.45, 0.55)
# least and most gain that `hdr` may have in such a picture, by range bin: shadows only go up, whites hardly change
HDR_WITHIN_EV = ((0.0, 0.0, 0.0, 0.0, 0.0, -0.15, -0.2, -0.1), (0.7, 0.7, 0.7, 0.6, 0.5, 0.35, 0.2, 0.1))
DARKEST_EV = 3.5  # the most gain of the darkest bin (below 2 codes of 255), which holds only the steps between codes
# median light of a frame of which half is next to black, as at night, and from where on it is not; lamps in the dark do
# not ask for light, and what would come out of the dark is noise
NIGHT_EV, NIGHT_LIFT_EV = (-9.9, -9.3), 2.0
# distance to the finished training pictures, in deviations: the gate weakens from the first, is off at the second
FAR = (1.75, 2.25)
# how steep the way to white may be where the camera pressed its highlights, and where they are cut off: there the light
# just below white is not far below it, and a face would get holes
STEEPEST, CUT = (3.6, 2.0), (0.6, 0.9)
RANKS = slice(N_TONES + 2, N_TONES + 2 + N_RANKS)  # where they are among the encoder's tones
FACTS = slice(RANKS.stop, None)
N_DRAWN = 3 + 2 * len(PLAIN_LOOKS)  # numbers of the frame's tone in `RelightNet.guess`


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


class ToneHead(nn.Module):
    """The exposure and tone curve of the whole frame in one look: a gain for each range bin, and its uncertainty.

    The uncertainty is along `MODES`: one stop of exposure, and one stop of contrast.
    """

    MODES = TONE_MODES

    def __init__(self, n_shift: int) -> None:
        super().__init__()
        n_told = n_shift + N_TONES + 1 + N_RANKS + len(CONTROLS)
        last = nn.Linear(128, GD + 2)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.layers = nn.Sequential(nn.Linear(n_told, 128), nn.SiLU(), last)

    def forward(self, vector: Tensor, tones: Tensor, controls: Tensor) -> tuple[Tensor, Tensor]:
        """Vector, tones, controls (B, 7) -> EV to add to the first guess by bin (B, 8), log deviations (B, 2)."""
        known = [vector, tones[:, :N_TONES] / 6 + 0.5, torch.sigmoid(tones[:, 3:4]), tones[:, RANKS], controls]
        curve, spread = self.layers(torch.cat(known, 1)).split((GD, 2), 1)
        # of a frame that holds nothing, all white or black, it may say anything
        return curve.clamp(-GAIN_LIMIT_EV, GAIN_LIMIT_EV), (spread - 1).clamp(-3, 1)


class Encoder(nn.Module):
    """Thumbnail (B, 3, 64, 64) -> what all looks of the frame have in common; see `forward`."""

    finished_mean: Tensor
    finished_root: Tensor

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
        self.gate = nn.Sequential(nn.Linear(n_shift + N_TONES + 1 + N_RANKS, 256), nn.SiLU(), nn.Linear(256, 2))
        # of the ranks of finished pictures: the mean, and the inverse square root of the covariance
        self.register_buffer("finished_mean", torch.zeros(1, N_RANKS))
        self.register_buffer("finished_root", torch.zeros(N_RANKS, N_RANKS))

    def forward(self, thumbnail: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Code values 0..1 -> features (B, c, 16, 16), vector (B, n_shift), cells (B, 32, 16, 16), tones (B, 34).

        Tones are: the three of `cells_of`; the logit that the picture is finished, which means it was developed before;
        the gate's logit, that the picture is neither too dark nor too bright; `ranks`; and `plain_facts`.
        """
        cells, tones = cells_of(thumbnail)
        vector = self.vector(torch.cat([summary(thumbnail), tones / 6 + 0.5], 1))
        fine = self.fine(self.stem(F.pixel_unshuffle(priors(thumbnail), 4)), vector)
        coarse = self.attention(self.coarse(self.down(fine), vector))
        up = F.interpolate(coarse, scale_factor=2.0, mode="nearest")
        vector = vector + self.pool(coarse.mean((2, 3)))
        tones, ranked = torch.cat([tones, self.finished(F.silu(vector))], 1), ranks(thumbnail)
        facts = plain_facts(thumbnail)
        neither = self.gate(torch.cat([vector, tones, ranked], 1).detach())  # not too dark, not too bright
        gate = (neither - doubts(thumbnail, facts)).amin(1, keepdim=True) - self._strange(ranked)
        tones = torch.cat([tones, gate, ranked, facts], 1)
        return self.last(self.join(torch.cat([fine, up], 1)), vector), vector, cells, tones

    def _strange(self, ranked: Tensor) -> Tensor:
        """What to subtract from the gate's logit (B, 1): more where the tones are unlike those of finished pictures."""
        distance = ((ranked - self.finished_mean) @ self.finished_root).square().mean(1, keepdim=True).sqrt()
        return 20 * ramp(distance, FAR)


class Denoiser(nn.Module):
    """Noisy difference from the first guess (B, 32, 16, 16) at time t, with its conditions -> the clean difference."""

    def __init__(self, c: int, n_shift: int) -> None:
        super().__init__()
        self.told = nn.Sequential(nn.Linear(len(CONTROLS) + 11, n_shift), nn.SiLU(), nn.Linear(n_shift, n_shift))
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
        self, x: Tensor, t: Tensor, controls: Tensor, features: Tensor, vector: Tensor, guess: Tensor, known: Tensor
    ) -> Tensor:
        """x (B, 32, 16, 16), t (B,), controls (B, 7), the encoder's features and vector, both results of `guess`."""
        phase = t[:, None] * torch.pi * torch.tensor([1.0, 2.0, 4.0, 8.0], device=t.device)
        told = torch.cat([controls, t[:, None], phase.sin(), phase.cos(), known], 1)
        shift = vector + self.told(told)
        fine = self.fine(self.stem(torch.cat([x, features, guess / 2], 1)), shift)
        coarse = self.down(fine)
        for block in self.coarse:
            coarse = block(coarse, shift)
        up = F.interpolate(self.attention(coarse), scale_factor=2.0, mode="nearest")
        h = self.last(self.join(torch.cat([fine, up], 1)), shift)
        return self.out(F.silu(self.norm(h)))  # type: ignore[no-any-return]


class RelightNet(ModelMixin, ConfigMixin):  # type: ignore[misc]
    """The model. It divides differences by `std` per channel, measured on the training set and kept with the weights.

    The noise has the covariance of the differences: `shape` holds its Cholesky factor (32, 32) over channels at three
    scales: the whole frame, sixteenths of the frame, single cells. With white noise instead, all samples would have
    nearly the same exposure for the whole frame, and that is what is most uncertain.
    """

    std: Tensor
    shape: Tensor
    wanted_tone: Tensor

    @register_to_config
    def __init__(self, channels: int = 48, n_shift: int = 128) -> None:
        super().__init__()
        self.encoder = Encoder(channels, n_shift)
        self.tone = ToneHead(n_shift)
        self.denoiser = Denoiser(channels, n_shift)
        self.register_buffer("std", torch.ones(1, CHANNELS, 1, 1))
        self.register_buffer("shape", torch.zeros(3, CHANNELS, CHANNELS))
        self.register_buffer("wanted_tone", torch.zeros(2, 2, N_FACTS))  # what `shifts_ev` wants in `PLAIN_LOOKS`

    def decide(self, noise: Tensor, thumbnail: Tensor, vector: Tensor, cells: Tensor, tones: Tensor) -> Tensor:
        """Unit normal noise (n, 32, 16, 16), a frame and its encoding -> the `drawn` of `guess` (n, 7)."""
        captured = torch.cat([tones[:, :3], torch.full_like(tones[:, 3:4], -20), tones[:, 4:]], 1)
        shifts = []
        for look, wanted in zip(PLAIN_LOOKS.to(tones), self.wanted_tone, strict=True):
            controls = look.expand(len(tones), -1)
            guess, _ = self.guess(vector, cells, captured, controls, tones.new_zeros(len(tones), N_DRAWN))
            shifts.append(shifts_ev(thumbnail, tones[:, FACTS], guess, white_of(controls), wanted))
        return torch.cat([draw(noise), torch.cat(shifts, 1).expand(len(noise), -1)], 1)

    def guess(
        self, vector: Tensor, cells: Tensor, tones: Tensor, controls: Tensor, drawn: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Of the encoder, controls (B, 7), `drawn` (B, 7) -> first guess in EV (B, 32, 16, 16), `known` (B, 2).

        The guess has the tone head's prediction in it. What is drawn: 1 where the exposure is random, so that the
        denoiser keeps it; exposure and contrast in deviations; and the `shifts_ev` of `natural` and of `hdr`, for
        pictures that were not finished. `known` holds the probability that it was, and the first of what is drawn.
        """
        finished = torch.sigmoid(tones[:, 3:4])
        curve, spread = self.tone(vector, tones, controls)
        shifts_ev = (1 - finished) * torch.lerp(drawn[:, 3:5], drawn[:, 5:], controls[:, 1:2])
        curve = curve + (shifts_ev + drawn[:, 1:3] * spread.exp()) @ self.tone.MODES.to(curve.device)
        guess = first_guess(cells, tones[:, :3], finished, controls) + on_gains(curve)
        return guess, torch.cat([finished, drawn[:, :1]], 1)

    def forward(
        self, x: Tensor, t: Tensor, controls: Tensor, features: Tensor, vector: Tensor, guess: Tensor, known: Tensor
    ) -> Tensor:
        """Predict the clean difference; see `Denoiser`."""
        return self.denoiser(x, t, controls, features, vector, guess, known)  # type: ignore[no-any-return]

    def difference(self, field: Tensor, guess: Tensor) -> Tensor:
        """Field and first guess in EV -> their difference as it is diffused, with about unit variance per channel."""
        return (field - guess) / self.std

    def field(self, x: Tensor, guess: Tensor) -> Tensor:
        """The inverse of `difference`. It does not limit the gains: the code that makes an `EditField` of it does."""
        return guess + x * self.std

    def finish(self, field: Tensor, cells: Tensor, tones: Tensor, controls: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Field in EV -> the final field, its white in EV (B, 3), and how far the picture was left as it is (B,).

        A picture that needs nothing gets the look by formula alone, without the network's own correction. `hdr` is
        different, because people ask for it on good pictures too: there the correction stays, within
        `HDR_WITHIN_EV`. It lifts shadows but darkens none, and whites do not turn grey.
        """
        plain = first_guess(cells, tones[:, :3], torch.ones_like(tones[:, :1]), controls)
        settled = settled_share(tones)
        share, hdr = settled[:, :, None, None], controls[:, 1].clamp(0, 1).view(-1, 1, 1, 1)
        low, high = (on_gains(field.new_tensor([ends])) for ends in HDR_WITHIN_EV)
        headroom = on_gains(field.new_ones(1, GD)) < 0.5
        within = torch.where(headroom, field, torch.minimum(torch.maximum(field, low), high))
        field = torch.lerp(field, torch.lerp(plain, within, hdr), share)
        day = ramp(tones[:, 1:2], NIGHT_EV)
        by_day = field.new_tensor([[DARKEST_EV, *(GD - 1) * [GAIN_LIMIT_EV]]])
        most = on_gains(NIGHT_LIFT_EV + day * (by_day - NIGHT_LIFT_EV))
        field, white_ev = torch.where(headroom, field, torch.minimum(field, most)), white_of(controls)
        pressed, cut = STEEPEST
        steepest = pressed + (cut - pressed) * ramp(cut_share(tones[:, FACTS]), CUT)
        field = eased(ordered(field, white_ev), white_ev, shows_white(tones[:, RANKS]), steepest)
        return field, white_ev, settled[:, 0]

    def shaped(self, noise: Tensor) -> Tensor:
        """Unit normal noise (B, 32, 16, 16) -> noise with the covariance of the differences at three scales."""
        frame, sixteenths, cells = scales(noise)
        parts = torch.stack([16 * frame, 4 * sixteenths, cells])
        return torch.einsum("sij,sbjhw->bihw", self.shape, parts)


def settled_share(tones: Tensor) -> Tensor:
    """The encoder's tones (B, 34) -> how far a picture is left as it is (B, 1), 0..1."""
    return ramp(torch.sigmoid(tones[:, 4:5]), SETTLED)


def draw(noise: Tensor) -> Tensor:
    """Unit normal noise (B, 32, 16, 16) -> what is drawn for the whole frame (B, 3).

    That is 1 if the noise is not all zero, then exposure and contrast. These are scaled sums over the whole grid, so
    they are unit normal too, and hardly depend on any single cell.
    """
    n_bins = noise.reshape(noise.shape[0], GD, -1).sum(2)
    drawn = n_bins @ ToneHead.MODES.T.to(noise.device) / (ToneHead.MODES.square().sum(1) * 4 * GH * GW).sqrt()
    is_any = (noise.abs().amax((1, 2, 3)) > 0).to(noise.dtype)[:, None]
    return torch.cat([is_any, drawn], 1)


def scales(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """(B, C, 16, 16) -> three parts that sum to it: the frame's mean, its sixteenths' means minus that, the rest."""
    frame = x.mean((2, 3), keepdim=True).expand_as(x)
    blocks = F.interpolate(F.avg_pool2d(x, GH // 4), size=(GH, GW), mode="nearest")
    return frame, blocks - frame, x - blocks
