"""The gate: which pictures `natural` should hardly change. It is fitted last, on captures whose true light is known."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch
from examples import as_float, batch_of, load_scenes
from keys import fit_keys
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, dropout

from camera_nano.nn.guess import N_TONES
from camera_nano.nn.inputs import N_RANKS, ranks
from camera_nano.nn.light import oetf
from camera_nano.nn.net import RelightNet
from camera_nano.nn.simulate import Scenes, capture, develop
from camera_nano.values import CONTROLS

NEAR = 0.05  # mean difference of code values 0..1 at which the probability of "needs nothing" is 1/e
BATCH, STEP_BATCH, RATE = 64, 512, 3e-3
INTACT = 0.06  # share of photos that are not changed by the capture: with more it learns what these photos show
HIDDEN = 0.4  # dropout of the inputs, so that it does not learn the captures by heart
RIDGE = 0.01  # added to the covariance of ranks, since neighbouring ranks are nearly equal


@torch.no_grad()
def look_at(net: RelightNet, scenes: Scenes, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """The gate's inputs for `BATCH` new captures (BATCH, n), and the probability of "needs nothing" it should give."""
    batch = batch_of(scenes, BATCH, rng)
    image, intact = capture(batch, rng, intact_share=INTACT)
    target, _ = develop(batch, torch.zeros(BATCH, len(CONTROLS), device=image.device), intact)
    _, vector, _, tones = net.encoder(image)
    difference = (image - target).abs().mean((1, 2, 3))
    seen = torch.cat([vector, tones[:, : N_TONES + 1], tones[:, N_TONES + 2 :]], 1)
    return seen, torch.exp(-((difference / NEAR) ** 2))


@torch.no_grad()
def know_finished(net: RelightNet, scenes: Scenes) -> None:
    """Give the encoder the mean and covariance of the tones of finished pictures, which are all photos."""
    photos = torch.nonzero(scenes.is_photo)[:, 0]
    if len(photos) < N_RANKS:
        return
    found = [ranks(oetf(as_float(scenes[rows]).light.clamp(0, 1))) for rows in photos.split(256)]
    ranked = torch.cat(found)
    net.encoder.finished_mean.copy_(ranked.mean(0, keepdim=True))
    covariance = torch.cov(ranked.T) + RIDGE * torch.eye(N_RANKS, device=ranked.device)
    values, vectors = torch.linalg.eigh(covariance)
    net.encoder.finished_root.copy_(vectors / values.sqrt())


def fit_gate(net: RelightNet, scenes: Scenes, rng: torch.Generator, n_captures: int) -> None:
    """Fit `net.encoder.gate` in place; the rest of the net stays. Takes minutes on a CPU core."""
    know_finished(net, scenes)
    looks = [look_at(net, scenes, rng) for _ in range(n_captures // BATCH)]
    seen, wanted = torch.cat([look[0] for look in looks]), torch.cat([look[1] for look in looks])
    mean, deviation = seen.mean(0), seen.std(0) + 1e-3
    gate = net.encoder.gate.requires_grad_(True)
    optimiser = torch.optim.AdamW(gate.parameters(), lr=RATE, weight_decay=0.1)
    n_steps = n_captures // 60
    for step in range(n_steps):
        for group in optimiser.param_groups:
            group["lr"] = RATE * (1 - step / n_steps)
        rows = torch.randint(len(seen), (STEP_BATCH,), generator=rng, device=rng.device)
        shown = dropout((seen[rows] - mean) / deviation, HIDDEN)
        loss = binary_cross_entropy_with_logits(gate(shown)[:, 0], wanted[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    gate.requires_grad_(False)
    weight, bias, _, prior = gate.parameters()  # from here on its inputs are not normalised
    weight.div_(deviation)
    bias.sub_(weight @ mean)
    prior.sub_(math.log(INTACT))  # so that finished pictures are as likely as others beforehand
    print(f"gate: loss {loss.item():.3f} over {len(seen)} captures", flush=True)


def main() -> None:
    """Fit the gate and the keys of a trained net anew."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--net", type=Path, required=True, help="net folder that tools/train.py wrote")
    parser.add_argument("--scenes", type=Path, required=True, help="scenes.npz it was trained on")
    parser.add_argument("--out", type=Path, required=True, help="net folder to write")
    parser.add_argument("--captures", type=int, default=26_000)
    args = parser.parse_args()
    torch.set_num_threads(1)
    net = RelightNet.from_pretrained(args.net, local_files_only=True, low_cpu_mem_usage=False).requires_grad_(False)
    scenes, rng = load_scenes(args.scenes, torch.device("cpu")), torch.Generator().manual_seed(0)
    fit_gate(net, scenes, rng, args.captures)
    fit_keys(net, scenes, rng, args.captures)
    net.save_pretrained(args.out)


if __name__ == "__main__":
    main()
