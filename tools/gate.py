"""The gate: which pictures `natural` should leave about as they are, learned last, from captures and their truth."""

from __future__ import annotations

import torch
from examples import batch_of
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from camera_nano.nn.net import RelightNet
from camera_nano.nn.simulate import Scenes, capture, develop
from camera_nano.values import CONTROLS

NEAR = 0.05  # mean difference of code values, 0..1, at which a picture is held to need nothing with 1/e
BATCH, STEP_BATCH, RATE = 64, 512, 3e-3


@torch.no_grad()
def look_at(net: RelightNet, scenes: Scenes, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """What the gate sees of `BATCH` fresh captures (BATCH, n), and how sure it should be that they need nothing."""
    batch = batch_of(scenes, BATCH, rng)
    image, _ = capture(batch, rng)
    target, _ = develop(batch, torch.zeros(BATCH, len(CONTROLS), device=image.device))
    _, vector, _, tones = net.encoder(image)
    difference = (image - target).abs().mean((1, 2, 3))
    return torch.cat([vector, tones[:, :4]], 1), torch.exp(-((difference / NEAR) ** 2))


def fit_gate(net: RelightNet, scenes: Scenes, rng: torch.Generator, n_captures: int) -> None:
    """Fit `net.encoder.gate` in place; the rest of the net stays. Takes minutes on a CPU core."""
    looks = [look_at(net, scenes, rng) for _ in range(n_captures // BATCH)]
    seen, wanted = torch.cat([look[0] for look in looks]), torch.cat([look[1] for look in looks])
    mean, deviation = seen.mean(0), seen.std(0) + 1e-3
    gate = net.encoder.gate.requires_grad_(True)
    optimiser = torch.optim.AdamW(gate.parameters(), lr=RATE, weight_decay=1e-2)
    n_steps = n_captures // 10
    for step in range(n_steps):
        for group in optimiser.param_groups:
            group["lr"] = RATE * (1 - step / n_steps)
        rows = torch.randint(len(seen), (STEP_BATCH,), generator=rng, device=rng.device)
        loss = binary_cross_entropy_with_logits(gate((seen[rows] - mean) / deviation)[:, 0], wanted[rows])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    gate.requires_grad_(False)
    weight, bias, *_ = gate.parameters()  # it takes what it sees as it is from here on
    weight.div_(deviation)
    bias.sub_(weight @ mean)
    print(f"gate: loss {loss.item():.3f} over {len(seen)} captures", flush=True)
