"""The gate: which pictures `natural` should hardly change. It is fitted last, on captures whose true light is known."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from examples import as_float, batch_of, load_scenes
from keys import fit_keys
from torch import Tensor
from torch.nn import Linear
from torch.nn.functional import binary_cross_entropy_with_logits, dropout

from camera_nano.nn.guess import N_TONES
from camera_nano.nn.inputs import N_RANKS, ranks
from camera_nano.nn.light import oetf
from camera_nano.nn.net import RANKS, RelightNet
from camera_nano.nn.simulate import Scenes, capture, develop
from camera_nano.values import CONTROLS

# The gate answers two questions, for a picture may be too dark or too bright; each pair below is of these two.
NEAR = (0.08, 0.02)  # mean difference of code values 0..1 at which the probability of "needs nothing" is 1/e
TURN = 0.02  # mean difference that tells too dark from too bright
BATCH, STEP_BATCH, RATE = 64, 512, 3e-3
INTACT = 0.12  # share of photos that are not changed by the capture
INTACT_COUNTS = (0.15, 1.0)  # how much each of them counts: with more, it learns what these photos show
HIDDEN = 0.6  # dropout of the inputs, so that it does not learn the captures by heart
# the log odds of its answers at which a picture is half held back; set with good photos and real brackets in view,
# since the captures do not say which of them people bring how often
UNDECIDED = (0.28, -0.5)
RIDGE = 0.01  # added to the covariance of ranks, since neighbouring ranks are nearly equal


@torch.no_grad()
def look_at(net: RelightNet, scenes: Scenes, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """The gate's inputs for `BATCH` new captures (BATCH, n), what it should answer (BATCH, 2), how much that counts.

    It answers the probabilities of "not too dark" and "not too bright"; what is off to the other side does not count.
    """
    batch = batch_of(scenes, BATCH, rng)
    image, intact = capture(batch, rng, intact_share=INTACT)
    target, _ = develop(batch, torch.zeros(BATCH, len(CONTROLS), device=image.device), intact)
    _, vector, _, tones = net.encoder(image)
    seen = torch.cat([vector, tones[:, : N_TONES + 1], tones[:, RANKS]], 1)
    missing = target - image
    near = torch.exp(-((missing.abs().mean((1, 2, 3))[:, None] / missing.new_tensor([NEAR])) ** 2))
    dark = torch.sigmoid(missing.mean((1, 2, 3)) / TURN)
    asked = near + (1 - near) * torch.stack([dark, 1 - dark], 1)
    counts = asked * torch.where(intact[:, None], missing.new_tensor([INTACT_COUNTS]), 1.0)
    return seen, near / asked.clamp_min(1e-6), counts


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
    seen, wanted, counts = (torch.cat(part) for part in zip(*looks, strict=True))
    mean, deviation = seen.mean(0), seen.std(0) + 1e-3
    torch.manual_seed(0)  # of the first weights, which are not those of an earlier fit, and of what is hidden
    gate = net.encoder.gate.requires_grad_(True)
    for layer in gate:
        if isinstance(layer, Linear):
            layer.reset_parameters()
    optimiser = torch.optim.AdamW(gate.parameters(), lr=RATE, weight_decay=0.1)
    n_steps = n_captures // 60
    for step in range(n_steps):
        for group in optimiser.param_groups:
            group["lr"] = RATE * (1 - step / n_steps)
        rows = torch.randint(len(seen), (STEP_BATCH,), generator=rng, device=rng.device)
        shown = dropout((seen[rows] - mean) / deviation, HIDDEN)
        loss = binary_cross_entropy_with_logits(gate(shown), wanted[rows], counts[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    gate.requires_grad_(False)
    weight, bias, _, prior = gate.parameters()  # from here on its inputs are not normalised
    weight.div_(deviation)
    bias.sub_(weight @ mean)
    prior.sub_((INTACT * prior.new_tensor(INTACT_COUNTS)).log())  # finished ones become as likely as others beforehand
    prior.sub_(prior.new_tensor(UNDECIDED))
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
