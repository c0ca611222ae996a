"""What training sees: at every step scenes are drawn and captured anew, with what the looks should make of them."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from camera_nano.nn import light
from camera_nano.nn.grid import clipped_share, fit_field, guide, range_weights
from camera_nano.nn.guess import LIGHT_FLOOR
from camera_nano.nn.simulate import Scenes, capture, develop
from camera_nano.nn.tone import white_of
from camera_nano.values import CONTROLS, GAIN_LIMIT_EV

UNLIT_SHARE = 0.015  # of frames that hold only the sensor's noise, and should stay dark
LOOK_SHARE = {"natural": 6.0, "hdr": 4.0}  # the others 1
CONTROL_SHAKE = {
    "ev": 0.4,
    "hdr": 0.15,
    "contrast": 0.12,
    "highlights": 0.4,
    "shadows": 0.4,
    "temperature": 0.25,
    "saturation": 0.15,
}


def load_scenes(path: Path, device: torch.device) -> Scenes:
    """scenes.npz -> tensors on the device, half precision where they were stored so."""
    with np.load(path) as data:
        return Scenes(*(torch.from_numpy(data[f.name]).to(device) for f in fields(Scenes)))


def as_float(scenes: Scenes) -> Scenes:
    """Scenes as stored (half precision, 8-bit codes) -> float32."""
    light, base_ev, fused = scenes.light.float(), scenes.base_ev.float(), scenes.fused.float() / 255
    return Scenes(light, base_ev, fused, scenes.percentiles_ev, scenes.is_photo, scenes.mood_ev)


def batch_of(scenes: Scenes, n: int, rng: torch.Generator) -> Scenes:
    """n random scenes in float32, half of the time mirrored."""
    rows = torch.randint(len(scenes.is_photo), (n,), generator=rng, device=rng.device)
    picked = unlit(as_float(scenes[rows]), rng)
    return picked.flip() if torch.rand((), generator=rng, device=rng.device) < 0.5 else picked


def unlit(scenes: Scenes, rng: torch.Generator) -> Scenes:
    """A few scenes become what a covered lens sees, black level and read noise; they count as finished photos."""
    each = torch.rand(3, len(scenes.is_photo), 1, 1, 1, generator=rng, device=rng.device)
    noise = torch.randn(scenes.light.shape, generator=rng, device=rng.device)
    dark = (0.002 * each[1] + 0.002 * each[2] * noise).clamp_min(0)
    covered = each[0] < UNLIT_SHARE
    return replace(
        scenes,
        light=torch.where(covered, dark, scenes.light),
        fused=torch.where(covered, light.oetf(dark), scenes.fused),
        is_photo=scenes.is_photo | covered.flatten(),
        mood_ev=torch.where(covered.flatten(), -6.0, scenes.mood_ev),
    )


def repeat(scenes: Scenes, times_each: int) -> Scenes:
    """Every scene `times_each` times, one after the other."""
    return Scenes(*(getattr(scenes, f.name).repeat_interleave(times_each, 0) for f in fields(Scenes)))


def draw_controls(looks: dict[str, dict[str, float]], n: int, rng: torch.Generator) -> Tensor:
    """Controls (n, 7): three in four are a named look, the rest a random point between two looks, with noise added."""
    table = torch.tensor([[look.get(c, 0.0) for c in CONTROLS] for look in looks.values()], device=rng.device)
    share = torch.tensor([LOOK_SHARE.get(name, 1.0) for name in looks], device=rng.device)
    first, second = (table[torch.multinomial(share, n, True, generator=rng)] for _ in range(2))
    between = torch.lerp(first, second, torch.rand(n, 1, generator=rng, device=rng.device))
    shake = torch.tensor([CONTROL_SHAKE[c] for c in CONTROLS], device=rng.device)
    between = between + shake * torch.randn(n, len(CONTROLS), generator=rng, device=rng.device)
    between[:, 1].clamp_(0, 1)
    mixed = torch.rand(n, 1, generator=rng, device=rng.device) < 0.25
    return torch.where(mixed, between, first)


def whitened(target: Tensor, headroom: Tensor, clipped: Tensor, white_ev: Tensor) -> tuple[Tensor, Tensor]:
    """The target and its headroom, changed where the capture is clipped: the look's own white, and less headroom."""
    white = light.oetf(torch.exp2(white_ev))[:, :, None, None]
    closer = torch.lerp(target, white, clipped)
    raised = torch.log2(
        (light.luminance(light.eotf(closer)) + LIGHT_FLOOR) / (light.luminance(light.eotf(target)) + LIGHT_FLOOR)
    )
    return closer, (headroom - raised.clamp_min(0)).clamp_min(0)


def true_field(image: Tensor, target: Tensor, headroom: Tensor, weights: Tensor, clipped: Tensor) -> Tensor:
    """The field that turns the captured picture into the wanted one, fitted where the capture is not clipped.

    Every fourth pixel is enough, since a cell has sixteen; with all of them the fit took a fifth of a step's time.
    """
    image, target, headroom, weights, clipped = (x[..., ::2, ::2] for x in (image, target, headroom, weights, clipped))
    ratio = (light.eotf(target) + LIGHT_FLOOR) / (light.eotf(image) + LIGHT_FLOOR)
    gain = torch.log2(ratio).clamp(-GAIN_LIMIT_EV, GAIN_LIMIT_EV)
    known = torch.isfinite(headroom)
    mask = torch.cat([(1 - clipped).expand_as(gain), known.float()], 1)
    return fit_field(torch.cat([gain, torch.where(known, headroom, 0)], 1), mask, weights)


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """A batch of captures and what the looks should make of them; n fields, `each` of them of one frame."""

    captured: Tensor  # (n / each, 3, h, w) code values
    intact: Tensor  # (n / each,) bool, finished photos
    image: Tensor  # (n, 3, h, w), `captured` repeated
    controls: Tensor  # (n, 7)
    target: Tensor  # (n, 3, h, w) code values
    headroom: Tensor  # (n, 1, h, w) EV, NaN where unknown
    weights: Tensor  # (n, gd, h, w) range weights of `image`
    clipped: Tensor  # (n, 1, h, w) how far each pixel of `image` counts as clipped
    white_ev: Tensor  # (n, 3) what the look makes of white


@torch.no_grad()
def draw_examples(
    scenes: Scenes, looks: dict[str, dict[str, float]], n: int, each: int, rng: torch.Generator
) -> Examples:
    """n fields to learn from: n / each frames captured anew, each with `each` looks."""
    frames = batch_of(scenes, n // each, rng)
    captured, intact = capture(frames, rng)
    image = captured.repeat_interleave(each, 0)
    controls = draw_controls(looks, n, rng)
    weights, clipped, white_ev = range_weights(guide(light.eotf(image))), clipped_share(image), white_of(controls)
    target, headroom = develop(repeat(frames, each), controls, intact.repeat_interleave(each))
    target, headroom = whitened(target, headroom, clipped, white_ev)
    return Examples(captured, intact, image, controls, target, headroom, weights, clipped, white_ev)
