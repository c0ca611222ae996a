"""The parts of a training step: losses, the average of the weights, judging, the log."""

from __future__ import annotations

import csv
from pathlib import Path

import torch
from examples import Examples, as_float, true_field, whitened
from PIL import Image
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, smooth_l1_loss

from camera_nano.nn import light
from camera_nano.nn.flow import noised, sample_euler, sample_times, times
from camera_nano.nn.grid import (
    CHANNELS,
    GH,
    GW,
    clipped_share,
    guide,
    on_gains,
    ordered,
    own_light,
    range_weights,
    relight,
    slice_field,
)
from camera_nano.nn.losses import headroom_loss, picture_loss, tone_loss
from camera_nano.nn.net import N_DRAWN, RelightNet, draw
from camera_nano.nn.simulate import Scenes, capture, develop
from camera_nano.nn.tone import white_of
from camera_nano.values import CONTROLS


def tone_wanted(difference: Tensor, shown: Examples) -> tuple[Tensor, Tensor]:
    """What a field (B, 32, 16, 16) holds for the whole frame: mean gain by bin (B, 8), and each bin's share (B, 8).

    Bins that the picture does not fill take the mean of the frame.
    """
    gain = slice_field(difference, shown.weights)[:, :3].mean(1, keepdim=True)
    seen = shown.weights * (1 - shown.clipped)
    mass, total = seen.mean((2, 3)), (seen * gain).mean((2, 3))
    mean = total.sum(1, keepdim=True) / mass.sum(1, keepdim=True).clamp_min(1e-3)
    return (total + 0.01 * mean) / (mass + 0.01), mass + 1e-4


def psnr(made: Tensor, wanted: Tensor) -> Tensor:
    """(B, 3, h, w) code values -> (B,) dB."""
    return -10 * torch.log10((made - wanted).square().mean((1, 2, 3)).clamp_min(1e-6))


# what `judge` tries: steps, and the exposure drawn, in deviations; 0 is no noise, and of those with 2 steps the default
_TRIES = ((1, 0.0), (2, 0.0), (2, 1.0), (2, -1.0), (2, 2.0))


def tried(
    net: RelightNet, encoded: tuple[Tensor, ...], image: Tensor, controls: Tensor, rng: torch.Generator
) -> list[Tensor]:
    """Code values (B, 3, h, w), what the encoder found in them, controls (B, 7) -> a picture for each of `_TRIES`."""
    features, vector, cells, tones = encoded
    weights, clipped, white_ev = range_weights(guide(light.eotf(image))), clipped_share(image), white_of(controls)
    made = []
    for n_steps, exposure in _TRIES:
        noise = torch.randn(len(image), CHANNELS, GH, GW, generator=rng, device=image.device) * (exposure != 0)
        drawn = torch.nn.functional.pad(draw(noise), (0, N_DRAWN - 3))
        drawn[:, 1] = exposure
        guess, known = net.guess(vector, cells, tones, controls, drawn)
        x = sample_euler(
            lambda x, t: net(x, t, controls, features, vector, guess, known),  # noqa: B023
            net.shaped(noise), times(n_steps),
        )  # fmt: skip
        field, linear = ordered(net.field(x, guess), white_ev), light.eotf(image)
        gain = slice_field(field, weights)[:, :3] + own_light(field, linear)
        made.append(light.oetf(relight(linear, gain, clipped, white_ev).clamp(0, 1)))
    return made


@torch.no_grad()
def judge(net: RelightNet, scenes: Scenes, looks: dict[str, dict[str, float]], sheet: Path | None) -> dict[str, float]:
    """PSNR in dB on fixed captures of unseen panoramas, and on unseen unchanged photos; a sheet of pictures if asked.

    `best4` is the best of four samples, the default among them.
    """
    rng = torch.Generator(net.std.device).manual_seed(7)
    picked = as_float(scenes)
    captured, intact = capture(picked, rng)
    scores: dict[str, float] = {}
    for kind, rows in (("", torch.nonzero(~picked.is_photo)), ("intact_", torch.nonzero(intact))):
        some, image = picked[rows[:, 0]], captured[rows[:, 0]]
        if not len(image):
            continue
        encoded, shown = net.encoder(image), [image]
        for name in ("natural", "hdr", "golden") if not kind else ("natural",):
            controls = image.new_tensor([[looks[name].get(c, 0.0) for c in CONTROLS]]).expand(len(image), -1)
            target, headroom = develop(some, controls, intact[rows[:, 0]])
            target, _ = whitened(target, headroom, clipped_share(image), white_of(controls))
            made = tried(net, encoded, image, controls, rng)
            shown += [*made[1:4], target]
            first, *four = (psnr(picture, target) for picture in made)
            found = {"_1step": first, "": four[0], "_sample": four[1], "_best4": torch.stack(four).amax(0)}
            found["_input"] = psnr(image, target)
            scores |= {f"{kind}{name}{what}": value.mean().item() for what, value in found.items()}
        if sheet and not kind:
            save_sheet(shown, sheet)
    return scores


def save_sheet(shown: list[Tensor], path: Path) -> None:
    """Rows of pictures, code values (B, 3, h, w), at twice their size; 14 spread evenly over the B columns."""
    columns = torch.linspace(0, len(shown[0]) - 1, 14, device=shown[0].device).long()
    picture = torch.cat([torch.cat(list(row[columns]), 2) for row in shown], 1)
    pixels = (picture.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    Image.fromarray(pixels).resize((pixels.shape[1] * 2, pixels.shape[0] * 2)).save(path)


def picture_terms(field: Tensor, shown: Examples, rng: torch.Generator) -> Tensor:
    """Losses of the picture, on every second row and column to save time; which ones is drawn at each step."""
    top, left = torch.randint(2, (2,), generator=rng, device=rng.device).tolist()
    every = (shown.image, shown.target, shown.headroom, shown.weights, shown.clipped)
    image, target, headroom, weights, clipped = (v[..., top::2, left::2] for v in every)
    sliced, linear = slice_field(field, weights, (2, top, left)), light.eotf(image)
    made = relight(linear, sliced[:, :3] + own_light(field, linear, (2, top, left)), clipped, shown.white_ev)
    return picture_loss(made, target) + 0.1 * headroom_loss(sliced[:, 3:], headroom)


def flow_loss(net: RelightNet, shown: Examples, rng: torch.Generator, *, regressor: bool = False) -> Tensor:
    """One step's loss: of the frame's tone, of the denoised field, of the picture, of whether it is finished.

    Half of the fields are diffused around the frame's true exposure, and the network knows it, just as a sample is
    diffused around an exposure that was drawn. The others are diffused around the tone head's own prediction, so their
    pictures train the tone head too.
    """
    n, each = len(shown.image), len(shown.image) // len(shown.captured)
    features, vector, cells, tones = net.encoder(shown.captured)
    gate_loss = binary_cross_entropy_with_logits(tones[:, 3], shown.intact.float())
    features, vector, cells, tones = (e.repeat_interleave(each, 0) for e in (features, vector, cells, tones))
    tones = torch.cat([tones[:, :3], tones[:, 3:].detach()], 1)
    wanted = true_field(shown.image, shown.target, shown.headroom, shown.weights, shown.clipped)
    guess, known = net.guess(vector, cells, tones, shown.controls, shown.controls.new_zeros(n, N_DRAWN))
    curve, spread = net.tone(vector, tones, shown.controls)
    lacking, mass = tone_wanted(wanted - guess.detach(), shown)
    modes = net.tone.MODES.to(curve.device)
    frame_loss, missed = tone_loss(curve, spread, lacking + curve.detach(), mass, modes)
    told = (torch.rand(n, 1, generator=rng, device=rng.device) < 0.5) & (not regressor)
    guess = torch.where(told[..., None, None], guess.detach() + on_gains(missed @ modes), guess)
    known = torch.cat([known[:, :1], told.float()], 1)
    x0 = net.difference(wanted, guess.detach())
    t = sample_times(n, rng)
    # one in four has less noise than its time says, so that sampling may start from little noise or none
    cold = torch.rand(n, 2, generator=rng, device=rng.device)
    temperature = torch.where(cold[:, 0] < 0.25, cold[:, 1], 1.0)
    default = (t == 1) & ~told[:, 0]  # which starts from no noise at all
    temperature = torch.where(default, 0.0, temperature).view(-1, 1, 1, 1)
    if regressor:
        t, temperature = torch.ones_like(t), torch.zeros_like(temperature)
    noise = net.shaped(temperature * torch.randn(x0.shape, generator=rng, device=rng.device))
    predicted = net(noised(x0, noise, t), t, shown.controls, features, vector, guess, known)
    pictures = picture_terms(ordered(net.field(predicted, guess), shown.white_ev), shown, rng)
    return 0.1 * smooth_l1_loss(predicted, x0, beta=0.5) + pictures + 0.1 * frame_loss + 0.1 * gate_loss


def follow(average: RelightNet, net: RelightNet, step: int) -> None:
    """Update the exponential average of the weights: over about a thousand steps, fewer at the start."""
    with torch.no_grad():
        for kept, new in zip(average.parameters(), net.parameters(), strict=True):
            kept.lerp_(new, 1 - min(0.999, step / (step + 20)))


def append_row(log: Path, row: dict[str, object]) -> None:
    """One more line of a CSV, with a header if it is the first."""
    fresh = not log.exists()
    with log.open("a", newline="") as file:
        writer = csv.DictWriter(file, row.keys())
        if fresh:
            writer.writeheader()
        writer.writerow(row)
    print(" ".join(f"{key}={value}" for key, value in row.items()), flush=True)
