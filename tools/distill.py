"""Trained net -> the same net, in fewer steps: two steps, or one, land where eight steps of the teacher do.

A network that predicts x_0 answers pure noise with the average of all that is plausible, whatever the noise; its
samples differ only through the later steps. Distillation teaches it where the path from this very noise ends
(regression on the teacher's own path, as in consistency mid-training: no adversary, no second derivative). Only the
denoiser learns; half of every batch stays ordinary training, so that nothing is forgotten.
"""

from __future__ import annotations

import argparse
import copy
import json
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import torch
from examples import Examples, draw_examples, load_scenes
from torch import Tensor
from torch.nn.functional import smooth_l1_loss
from train import append_row, flow_loss, follow, judge, picture_terms

from camera_nano.nn import light
from camera_nano.nn.flow import times
from camera_nano.nn.grid import relight, slice_field
from camera_nano.nn.net import RelightNet

TEACHER_STEPS = 8


def distil_loss(student: RelightNet, teacher: RelightNet, shown: Examples, rng: torch.Generator) -> Tensor:
    """From one point of the teacher's path, its start or its middle, to the path's end: field and picture."""
    n, each = len(shown.image), len(shown.image) // len(shown.captured)
    with torch.no_grad():
        features, vector, cells, tones = (e.repeat_interleave(each, 0) for e in teacher.encoder(shown.captured))
        guess, finished = teacher.guess(cells, tones, shown.controls)
        temperature = (torch.rand(n, 1, 1, 1, generator=rng, device=rng.device) < 0.8).float()
        noise = torch.randn(guess.shape, generator=rng, device=rng.device)
        x = teacher.shaped(temperature * noise)
        start = middle = x
        for t, t_next in pairwise(times(TEACHER_STEPS)):
            if t == 0.5:
                middle = x
            x0 = teacher(x, torch.full((n,), t, device=x.device), shown.controls, features, vector, guess, finished)
            x = x0 + (t_next / t) * (x - x0)
        end = teacher.field(x, guess)
        gain_ev = slice_field(end, shown.weights)[:, :3]
        wanted = light.oetf(relight(light.eotf(shown.image), gain_ev).clamp(0, 1))
    late = torch.rand(n, generator=rng, device=rng.device) < 0.35
    at = torch.where(late, 0.5, 1.0)
    begun = torch.where(late.view(-1, 1, 1, 1), middle, start)
    predicted = student(begun, at, shown.controls, features, vector, guess, finished)
    pictures = picture_terms(student.field(predicted, guess), replace(shown, target=wanted), rng)
    return 0.1 * smooth_l1_loss(predicted, x, beta=0.5) + pictures


def distil(args: argparse.Namespace, looks: dict[str, dict[str, float]]) -> None:
    """The net of a finished run -> `distilled` beside it; the log says what each number of steps is worth."""
    device = torch.device(args.device)
    rng = torch.Generator(device).manual_seed(args.seed + 1)
    scenes, dev = load_scenes(args.scenes, device), load_scenes(args.dev, device)
    teacher = RelightNet.from_pretrained(args.run / "net", local_files_only=True).to(device).requires_grad_(False)
    student, average = copy.deepcopy(teacher), copy.deepcopy(teacher)
    student.denoiser.requires_grad_(True)
    optimiser = torch.optim.AdamW(student.denoiser.parameters(), lr=args.rate / 4, weight_decay=1e-3, betas=(0.9, 0.99))
    started = time.monotonic()
    for step in range(1, args.distil_steps + 1):
        for group in optimiser.param_groups:
            group["lr"] = args.rate / 4 * min(1.0, step / 50) * min(1.0, 2.02 - 2 * step / args.distil_steps)
        half = args.batch // 2
        loss = distil_loss(student, teacher, draw_examples(scenes, looks, half, args.looks_per_frame, rng), rng)
        loss = loss + flow_loss(student, draw_examples(scenes, looks, half, args.looks_per_frame, rng), rng)
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(student.denoiser.parameters(), 1.0)
        optimiser.step()
        follow(average, student, min(step, 200))
        if step % 100 == 0 or step == args.distil_steps:
            minutes = round((time.monotonic() - started) / 60, 2)
            print(f"distillation step {step} of {args.distil_steps}, {minutes} minutes", flush=True)
    for name, net in (("before", teacher), ("after", average)):
        scores = judge(net, dev, looks, None)
        append_row(args.run / "distill.csv", {"distilled": name, **{key: round(v, 3) for key, v in scores.items()}})
    average.save_pretrained(args.run / "distilled")


def main() -> None:
    """Distil."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", type=Path, required=True, help="folder of a finished run of tools/train.py")
    parser.add_argument("--scenes", type=Path, required=True)
    parser.add_argument("--dev", type=Path, required=True)
    parser.add_argument("--looks", type=Path, default=Path("pipelines/relight/looks.json"))
    parser.add_argument("--distil-steps", type=int, default=800)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--looks-per-frame", type=int, default=2)
    parser.add_argument("--rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    distil(args, json.loads(args.looks.read_text()))


if __name__ == "__main__":
    main()
