"""Train RelightNet on prepared scenes: rectified flow on the field, the loss through the slice on the picture.

One loop for a laptop's CPU and for a GPU: scenes live on the device, captures are simulated there. Stops at
--steps or --minutes, whichever comes first, and goes on from the last checkpoint when started again.
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from dataclasses import fields
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from camera_nano.nn import light
from camera_nano.nn.flow import noised, sample_euler, sample_times, times
from camera_nano.nn.grid import CHANNELS, GH, GW, fit_field, guide, range_weights, relight, slice_field
from camera_nano.nn.losses import headroom_loss, picture_loss
from camera_nano.nn.net import RelightNet
from camera_nano.nn.simulate import Scenes, capture, develop
from camera_nano.values import CONTROLS

LOG2_FLOOR = 2.0**-11  # light below this is not asked to be matched by gain
LOOK_SHARE = {"natural": 0.4, "hdr": 0.3, "golden": 0.15, "dramatic": 0.15}


def load_scenes(path: Path, device: torch.device) -> Scenes:
    """scenes.npz -> tensors on the device, half precision where they were stored so."""
    with np.load(path) as data:
        return Scenes(*(torch.from_numpy(data[f.name]).to(device) for f in fields(Scenes)))


def as_float(scenes: Scenes) -> Scenes:
    """Scenes as stored (half precision, 8-bit codes) -> float32."""
    light, base_ev, fused = scenes.light.float(), scenes.base_ev.float(), scenes.fused.float() / 255
    return Scenes(light, base_ev, fused, scenes.percentiles_ev, scenes.is_photo)


def batch_of(scenes: Scenes, n: int, rng: torch.Generator) -> Scenes:
    """n random scenes in float32, half of the time mirrored."""
    rows = torch.randint(len(scenes.is_photo), (n,), generator=rng, device=rng.device)
    picked = as_float(scenes[rows])
    return picked.flip() if torch.rand((), generator=rng, device=rng.device) < 0.5 else picked


def repeat(scenes: Scenes, times_each: int) -> Scenes:
    """Every scene `times_each` times, one after the other."""
    return Scenes(*(getattr(scenes, f.name).repeat_interleave(times_each, 0) for f in fields(Scenes)))


def draw_controls(looks: dict[str, dict[str, float]], n: int, rng: torch.Generator) -> Tensor:
    """Controls (n, 5): three in four a named look, the rest a point between two looks, shaken."""
    table = torch.tensor([[look.get(c, 0.0) for c in CONTROLS] for look in looks.values()], device=rng.device)
    share = torch.tensor([LOOK_SHARE[name] for name in looks], device=rng.device)
    first, second = (table[torch.multinomial(share, n, True, generator=rng)] for _ in range(2))
    between = torch.lerp(first, second, torch.rand(n, 1, generator=rng, device=rng.device))
    shake = torch.tensor([0.4, 0.15, 0.12, 0.25, 0.15], device=rng.device)
    between = between + shake * torch.randn(n, len(CONTROLS), generator=rng, device=rng.device)
    between[:, 1].clamp_(0, 1)
    mixed = torch.rand(n, 1, generator=rng, device=rng.device) < 0.25
    return torch.where(mixed, between, first)


def true_field(image: Tensor, target: Tensor, headroom: Tensor, weights: Tensor) -> Tensor:
    """The field that turns the captured picture into the wanted one, fitted."""
    gain = torch.log2((light.eotf(target) + LOG2_FLOOR) / (light.eotf(image) + LOG2_FLOOR)).clamp(-4, 4)
    known = torch.isfinite(headroom)
    mask = torch.cat([torch.ones_like(gain), known.float()], 1)
    return fit_field(torch.cat([gain, torch.where(known, headroom, 0)], 1), mask, weights)


def measure_whitening(
    net: RelightNet, scenes: Scenes, looks: dict[str, dict[str, float]], rng: torch.Generator
) -> None:
    """Set the net's mean and std from 2,048 fitted fields."""
    found = []
    for _ in range(16):
        batch = batch_of(scenes, 128, rng)
        image = capture(batch, rng)
        target, headroom = develop(batch, draw_controls(looks, 128, rng))
        found.append(true_field(image, target, headroom, range_weights(guide(light.eotf(image)))))
    stacked = torch.cat(found)
    net.mean.copy_(stacked.mean((0, 2, 3), keepdim=True))
    net.std.copy_(stacked.std((0, 2, 3), keepdim=True).clamp_min(0.25))


@torch.no_grad()
def judge(net: RelightNet, scenes: Scenes, looks: dict[str, dict[str, float]], sheet: Path | None) -> dict[str, float]:
    """PSNR in dB on fixed captures of unseen scenes, at the model's own size; optionally a sheet of pictures."""
    device = net.mean.device
    rng = torch.Generator(device).manual_seed(7)
    picked = as_float(scenes)
    image = capture(picked, rng)
    features, vector = net.encoder(image)
    weights = range_weights(guide(light.eotf(image)))

    def psnr(made: Tensor, wanted: Tensor) -> Tensor:
        return -10 * torch.log10((made - wanted).square().mean((1, 2, 3)).clamp_min(1e-6))

    scores: dict[str, float] = {}
    rows = [image]
    for name, look in looks.items():
        controls = torch.tensor([[look.get(c, 0.0) for c in CONTROLS]], device=device).expand(len(image), -1)
        target, _ = develop(picked, controls)
        for n_steps, n_tries in ((1, 1), (2, 4)):
            tries = []
            for _ in range(n_tries):
                noise = torch.randn(len(image), CHANNELS, GH, GW, generator=rng, device=device)
                x = sample_euler(lambda x, t: net(x, t, controls, features, vector), noise, times(n_steps))  # noqa: B023
                gain = slice_field(net.unwhiten(x).clamp(-4, 4), weights)[:, :3]
                made = light.oetf(relight(light.eotf(image), gain).clamp(0, 1))
                tries.append(psnr(made, target))
            scores[f"{name}_{n_steps}step"] = tries[0].mean().item()
        scores[f"{name}_best4"] = torch.stack(tries).amax(0).mean().item()
        scores[f"{name}_input"] = psnr(image, target).mean().item()
        rows += [made, target]
    if sheet:
        columns = torch.linspace(0, len(image) - 1, 14, device=device).long()
        picture = torch.cat([torch.cat(list(row[columns]), 2) for row in rows], 1)
        pixels = (picture.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
        Image.fromarray(pixels).resize((pixels.shape[1] * 2, pixels.shape[0] * 2)).save(sheet, quality=88)
    return scores


def main() -> None:
    """Train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--scenes", type=Path, required=True, help="train.npz of tools/make_data.py")
    parser.add_argument("--dev", type=Path, required=True, help="dev.npz of tools/make_data.py --split dev")
    parser.add_argument("--run", type=Path, required=True, help="folder of checkpoint, log.csv and sheet.jpg")
    parser.add_argument("--looks", type=Path, default=Path("pipelines/relight/looks.json"))
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--minutes", type=float, default=1e9, help="learning rate decays over whichever ends first")
    parser.add_argument("--batch", type=int, default=32, help="fields a step")
    parser.add_argument("--looks-per-frame", type=int, default=2, help="fields that share a frame and its encoding")
    parser.add_argument("--rate", type=float, default=1e-3, help="peak learning rate of AdamW")
    parser.add_argument("--channels", type=int, default=64)
    parser.add_argument("--judge-every", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()

    torch.set_num_threads(args.threads)
    device = torch.device(args.device)
    torch.manual_seed(args.seed)
    rng = torch.Generator(device).manual_seed(args.seed)
    looks = json.loads(args.looks.read_text())
    scenes, dev = load_scenes(args.scenes, device), load_scenes(args.dev, device)
    net = RelightNet(channels=args.channels).to(device)
    average = RelightNet(channels=args.channels).to(device).requires_grad_(False)
    optimiser = torch.optim.AdamW(net.parameters(), lr=args.rate, weight_decay=1e-3, betas=(0.9, 0.99))
    args.run.mkdir(parents=True, exist_ok=True)
    checkpoint, log = args.run / "checkpoint.pt", args.run / "log.csv"
    step, spent_s = 0, 0.0
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device, weights_only=True)
        net.load_state_dict(state["net"])
        average.load_state_dict(state["average"])
        optimiser.load_state_dict(state["optimiser"])
        step, spent_s = state["step"], state["spent_s"]
        rng.set_state(state["rng"].cpu())
        print(f"going on from step {step}", flush=True)
    else:
        measure_whitening(net, scenes, looks, rng)
        average.load_state_dict(net.state_dict())
        print(f"{sum(p.numel() for p in net.parameters()) / 1e6:.2f} M parameters", flush=True)

    began_at, last_beat = step, time.monotonic()
    losses: list[float] = []
    while True:
        done = max(step / args.steps, spent_s / 60 / args.minutes)
        if done >= 1 and step == began_at:
            return
        if step > began_at and (step % args.judge_every == 0 or done >= 1):
            scores = judge(average, dev, looks, args.run / "sheet.jpg")
            row = {
                "step": step,
                "minutes": round(spent_s / 60, 2),
                "loss": round(float(np.mean(losses or [0])), 5),
            }
            row |= {key: round(value, 3) for key, value in scores.items()}
            fresh = not log.exists()
            with log.open("a", newline="") as file:
                writer = csv.DictWriter(file, row.keys())
                if fresh:
                    writer.writeheader()
                writer.writerow(row)
            print(" ".join(f"{key}={value}" for key, value in row.items()), flush=True)
            losses.clear()
            state = {
                "net": net.state_dict(),
                "average": average.state_dict(),
                "optimiser": optimiser.state_dict(),
            }
            partial = checkpoint.with_suffix(".tmp")
            torch.save(state | {"step": step, "spent_s": spent_s, "rng": rng.get_state()}, partial)
            partial.replace(checkpoint)
            average.save_pretrained(args.run / "net")
            if done >= 1:
                return
        # warm up, hold, then fall to zero over the last half
        warm = min(1.0, (step + 1) / 200)
        for group in optimiser.param_groups:
            group["lr"] = args.rate * warm * min(1.0, max(0.01, 2 * (1 - done)))

        frames = batch_of(scenes, args.batch // args.looks_per_frame, rng)
        captured = capture(frames, rng)
        image = captured.repeat_interleave(args.looks_per_frame, 0)
        controls = draw_controls(looks, args.batch, rng)
        target, headroom = develop(repeat(frames, args.looks_per_frame), controls)
        weights = range_weights(guide(light.eotf(image)))
        x0 = net.whiten(true_field(image, target, headroom, weights))
        t = sample_times(args.batch, rng)
        noise = torch.randn(x0.shape, generator=rng, device=device)
        features, vector = (e.repeat_interleave(args.looks_per_frame, 0) for e in net.encoder(captured))
        predicted = net(noised(x0, noise, t), t, controls, features, vector)
        field = net.unwhiten(predicted)
        loss = (
            0.15 * torch.nn.functional.smooth_l1_loss(predicted, x0, beta=0.5)
            + picture_loss(field, image, target, weights)
            + 0.05 * headroom_loss(field, headroom, weights)
        )
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        step += 1
        with torch.no_grad():
            decay = min(0.999, step / (step + 20))
            for kept, new in zip(average.parameters(), net.parameters(), strict=True):
                kept.lerp_(new, 1 - decay)
        losses.append(loss.item())
        now = time.monotonic()
        spent_s += now - last_beat
        last_beat = now


if __name__ == "__main__":
    main()
