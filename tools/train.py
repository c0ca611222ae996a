"""Train RelightNet on prepared scenes: rectified flow on the field, the loss through the slice on the picture.

One loop for a laptop's CPU and for a GPU: scenes live on the device, captures are simulated there. Stops at
--steps or --minutes, whichever comes first, and goes on from the last checkpoint when started again.

    python tools/train.py --preset release --data DATA     the shipped weights from scratch: scenes, training,
                                                           distillation, export into pipelines/relight
"""

from __future__ import annotations

import argparse
import csv
import json
import time
from pathlib import Path

import numpy as np
import torch
from examples import Examples, as_float, batch_of, draw_controls, draw_examples, load_scenes, true_field
from gate import fit_gate
from PIL import Image
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, smooth_l1_loss

from camera_nano.nn import light
from camera_nano.nn.flow import noised, sample_euler, sample_times, times
from camera_nano.nn.grid import CHANNELS, GH, GW, guide, range_weights, relight, slice_field
from camera_nano.nn.guess import cells_of, first_guess
from camera_nano.nn.losses import headroom_loss, picture_loss
from camera_nano.nn.net import RelightNet, scales
from camera_nano.nn.simulate import Scenes, capture, develop
from camera_nano.values import CONTROLS, GAIN_LIMIT_EV


@torch.no_grad()
def measure_differences(
    net: RelightNet, scenes: Scenes, looks: dict[str, dict[str, float]], rng: torch.Generator
) -> None:
    """Set the net's unit and the shape of its noise from 2,048 fields and their first guesses."""
    found = []
    for _ in range(32):
        batch = batch_of(scenes, 64, rng)
        image, intact = capture(batch, rng)
        controls = draw_controls(looks, 64, rng)
        target, headroom = develop(batch, controls)
        field = true_field(image, target, headroom, range_weights(guide(light.eotf(image))))
        found.append(field - first_guess(*cells_of(image), intact.float()[:, None], controls))
    differences = torch.cat(found)
    net.std.copy_(differences.square().mean((0, 2, 3), keepdim=True).sqrt().clamp_min(0.1))
    for root, part, stride in zip(net.shape, scales(differences / net.std), (GH, GH // 4, 1), strict=True):
        rows = part[:, :, ::stride, ::stride].movedim(1, -1).reshape(-1, CHANNELS)
        covariance = rows.T @ rows / len(rows) + 1e-4 * torch.eye(CHANNELS, device=rows.device)
        root.copy_(torch.linalg.cholesky(covariance))


def psnr(made: Tensor, wanted: Tensor) -> Tensor:
    """(B, 3, h, w) code values -> (B,) dB."""
    return -10 * torch.log10((made - wanted).square().mean((1, 2, 3)).clamp_min(1e-6))


@torch.no_grad()
def judge(net: RelightNet, scenes: Scenes, looks: dict[str, dict[str, float]], sheet: Path | None) -> dict[str, float]:
    """PSNR in dB on fixed captures of unseen panoramas, and on unseen photos left as they are; maybe a sheet.

    The first of the four samples of `best4` is the default one, from no noise.
    """
    device = net.std.device
    rng = torch.Generator(device).manual_seed(7)
    picked = as_float(scenes)
    captured, intact = capture(picked, rng)
    scores: dict[str, float] = {}
    for kind, rows in (("", torch.nonzero(~picked.is_photo)), ("intact_", torch.nonzero(intact))):
        some, image = picked[rows[:, 0]], captured[rows[:, 0]]
        if not len(image):
            continue
        features, vector, cells, tones = net.encoder(image)
        weights = range_weights(guide(light.eotf(image)))
        shown = [image]
        for name in ("natural", "hdr", "golden") if not kind else ("natural",):
            controls = torch.tensor([[looks[name].get(c, 0.0) for c in CONTROLS]], device=device).expand(len(image), -1)
            target, _ = develop(some, controls)
            guess, finished = net.guess(cells, tones, controls)
            tries = []
            for n_steps, temperature in ((1, 0.0), (2, 0.0), (2, 1.0), (2, 1.0), (2, 1.0)):
                noise = torch.randn(len(image), CHANNELS, GH, GW, generator=rng, device=device)
                x = sample_euler(
                    lambda x, t: net(x, t, controls, features, vector, guess, finished),  # noqa: B023
                    net.shaped(temperature * noise), times(n_steps),
                )  # fmt: skip
                field = net.field(x, guess).clamp(-GAIN_LIMIT_EV, GAIN_LIMIT_EV)
                gain = slice_field(field, weights)[:, :3]
                made = light.oetf(relight(light.eotf(image), gain).clamp(0, 1))
                tries.append(psnr(made, target))
                if len(tries) in (2, 3):
                    shown.append(made)
            shown.append(target)
            scores |= {
                f"{kind}{name}_1step": tries[0].mean().item(),
                f"{kind}{name}": tries[1].mean().item(),
                f"{kind}{name}_sample": tries[2].mean().item(),
                f"{kind}{name}_best4": torch.stack(tries[1:]).amax(0).mean().item(),
                f"{kind}{name}_input": psnr(image, target).mean().item(),
            }
        if sheet and not kind:
            columns = torch.linspace(0, len(image) - 1, 14, device=device).long()
            picture = torch.cat([torch.cat(list(row[columns]), 2) for row in shown], 1)
            pixels = (picture.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
            Image.fromarray(pixels).resize((pixels.shape[1] * 2, pixels.shape[0] * 2)).save(sheet)
    return scores


def picture_terms(field: Tensor, shown: Examples, rng: torch.Generator) -> Tensor:
    """The losses through the slice, on every second pixel from a corner that changes: it is half of a step's time."""
    top, left = torch.randint(2, (2,), generator=rng, device=rng.device).tolist()
    every = (shown.image, shown.target, shown.headroom, shown.weights)
    image, target, headroom, weights = (v[..., top::2, left::2] for v in every)
    sliced = slice_field(field, weights, (2, top, left))
    return picture_loss(sliced[:, :3], image, target) + 0.1 * headroom_loss(sliced[:, 3:], headroom)


def flow_loss(net: RelightNet, shown: Examples, rng: torch.Generator, *, regressor: bool = False) -> Tensor:
    """One step's loss: the clean difference from a noisy one, the picture it makes, and which photos are finished."""
    n, each = len(shown.image), len(shown.image) // len(shown.captured)
    features, vector, cells, tones = net.encoder(shown.captured)
    gate_loss = binary_cross_entropy_with_logits(tones[:, 3], shown.intact.float())
    features, vector, cells, tones = (e.repeat_interleave(each, 0) for e in (features, vector, cells, tones.detach()))
    guess, finished = net.guess(cells, tones, shown.controls)
    x0 = net.difference(true_field(shown.image, shown.target, shown.headroom, shown.weights), guess)
    t = sample_times(n, rng)
    # one in four colder than its time, so that a path may start from little noise or none
    cold = torch.rand(n, 2, generator=rng, device=rng.device)
    temperature = torch.where(cold[:, 0] < 0.25, cold[:, 1], 1.0).view(-1, 1, 1, 1)
    if regressor:
        t, temperature = torch.ones_like(t), torch.zeros_like(temperature)
    noise = net.shaped(temperature * torch.randn(x0.shape, generator=rng, device=rng.device))
    predicted = net(noised(x0, noise, t), t, shown.controls, features, vector, guess, finished)
    pictures = picture_terms(net.field(predicted, guess), shown, rng)
    return 0.1 * smooth_l1_loss(predicted, x0, beta=0.5) + pictures + 0.1 * gate_loss


def follow(average: RelightNet, net: RelightNet, step: int) -> None:
    """Move the exponential average of the weights; it remembers about a thousand steps, fewer at the start."""
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


def train(args: argparse.Namespace, looks: dict[str, dict[str, float]]) -> None:
    """Train until --steps or --minutes; leaves `net`, the averaged weights, in the run's folder."""
    device = torch.device(args.device)
    torch.manual_seed(args.seed)
    rng = torch.Generator(device).manual_seed(args.seed)
    scenes, dev = load_scenes(args.scenes, device), load_scenes(args.dev, device)
    net = RelightNet(channels=args.channels).to(device)
    average = RelightNet(channels=args.channels).to(device).requires_grad_(False)
    optimiser = torch.optim.AdamW(net.parameters(), lr=args.rate, weight_decay=1e-3, betas=(0.9, 0.99))
    checkpoint = args.run / "checkpoint.pt"
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
        measure_differences(net, scenes, looks, rng)
        average.load_state_dict(net.state_dict())
        print(f"{sum(p.numel() for p in net.parameters()) / 1e6:.2f} M parameters", flush=True)

    began_at, last_beat = step, time.monotonic()
    losses: list[float] = []
    while True:
        done = max(step / args.steps, spent_s / 60 / args.minutes)
        if done >= 1 and step == began_at:
            return
        if step > began_at and (step % args.judge_every == 0 or done >= 1):
            scores = judge(average, dev, looks, args.run / "sheet.png")
            told = {"step": step, "minutes": round(spent_s / 60, 2), "loss": round(float(np.mean(losses or [0])), 5)}
            append_row(args.run / "log.csv", {**told, **{key: round(value, 3) for key, value in scores.items()}})
            losses.clear()
            state = {"net": net.state_dict(), "average": average.state_dict(), "optimiser": optimiser.state_dict()}
            partial = checkpoint.with_suffix(".tmp")
            torch.save(state | {"step": step, "spent_s": spent_s, "rng": rng.get_state()}, partial)
            partial.replace(checkpoint)
            if done >= 1:
                fit_gate(average, scenes, rng, args.gate_captures)
            average.save_pretrained(args.run / "net")
            if done >= 1:
                return
        # warm up, hold, then fall to zero over the last half
        warm = min(1.0, (step + 1) / 200)
        for group in optimiser.param_groups:
            group["lr"] = args.rate * warm * min(1.0, max(0.01, 2 * (1 - done)))
        shown = draw_examples(scenes, looks, args.batch, args.looks_per_frame, rng)
        loss = flow_loss(net, shown, rng, regressor=args.regressor)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimiser.step()
        step += 1
        follow(average, net, step)
        losses.append(loss.item())
        now = time.monotonic()
        spent_s += now - last_beat
        last_beat = now


# what the shipped weights were trained with; the GPU's preset has the same schedule over far more fields
PRESETS: dict[str, dict[str, dict[str, float]]] = {
    "release": {
        "cpu": {"steps": 14700, "distil_steps": 0, "batch": 32, "looks_per_frame": 2},
        "cuda": {"steps": 30000, "distil_steps": 0, "batch": 512, "looks_per_frame": 4},
    },
    "smoke": {
        "cpu": {"steps": 40, "distil_steps": 10, "batch": 8, "views": 2, "crops": 1, "gate_captures": 640},
        "cuda": {"steps": 40, "distil_steps": 10, "batch": 8, "views": 2, "crops": 1, "gate_captures": 640},
    },
}


def main() -> None:
    """Train."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=list(PRESETS), help="settings, and every stage from pictures to pipeline")
    parser.add_argument("--data", type=Path, help="with --preset: folder with hdri/, photos/ and split.json")
    parser.add_argument("--out", type=Path, default=Path("pipelines/relight"), help="with --preset: pipeline to write")
    parser.add_argument("--scenes", type=Path, help="train.npz of tools/make_data.py")
    parser.add_argument("--dev", type=Path, help="dev.npz of tools/make_data.py --split dev")
    parser.add_argument("--run", type=Path, default=Path("runs/relight"), help="folder of scenes, checkpoint and log")
    parser.add_argument("--looks", type=Path, default=Path("pipelines/relight/looks.json"))
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--distil-steps", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=1e9, help="learning rate decays over whichever ends first")
    parser.add_argument("--batch", type=int, default=32, help="fields a step")
    parser.add_argument("--looks-per-frame", type=int, default=2, help="fields that share a frame and its encoding")
    parser.add_argument("--rate", type=float, default=1e-3, help="peak learning rate of AdamW")
    parser.add_argument("--channels", type=int, default=48)
    parser.add_argument("--views", type=int, default=160, help="crops per panorama")
    parser.add_argument("--crops", type=int, default=8, help="crops per photo")
    parser.add_argument("--regressor", action="store_true", help="for comparison: one answer, same size and losses")
    parser.add_argument("--gate-captures", type=int, default=26_000, help="to fit the gate on, after training")
    parser.add_argument("--judge-every", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    chosen = parser.parse_known_args()[0]
    if chosen.preset:
        parser.set_defaults(**PRESETS[chosen.preset][torch.device(chosen.device).type])
    args = parser.parse_args()
    if bool(args.preset) != bool(args.data) or bool(args.preset) == bool(args.scenes and args.dev):
        parser.error("give --preset and --data, or --scenes and --dev")

    torch.set_num_threads(args.threads)
    looks = json.loads(args.looks.read_text())
    args.run.mkdir(parents=True, exist_ok=True)
    if args.preset:
        from make_data import make

        args.scenes, args.dev = args.run / "train.npz", args.run / "dev.npz"
        for split, path, views, crops in (
            ("train", args.scenes, args.views, args.crops),
            ("dev", args.dev, min(args.views, 8), 1),
        ):
            if not path.exists():
                make(args.data, path, split, views, crops)
    train(args, looks)
    if args.preset:
        from distill import distil
        from export import export

        if args.distil_steps:
            distil(args, looks)
        export(args.run / ("distilled" if args.distil_steps else "net"), args.scenes, args.looks, args.out)


if __name__ == "__main__":
    main()
