"""How bright and contrasty frames should become by the plain facts of their exposure. Fitted last, in closed form."""

from __future__ import annotations

import torch
from examples import as_float
from torch import Tensor

from camera_nano.nn.exposure import PLAIN_LOOKS, held_share, key_ev, plain_facts, spread_ev
from camera_nano.nn.light import eotf
from camera_nano.nn.net import RelightNet
from camera_nano.nn.simulate import Scenes, capture, develop

BATCH = 128
RIDGE = 0.003  # of the facts' variance, since some of them go together


@torch.no_grad()
def look_at(scenes: Scenes, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """The facts of `BATCH` new captures, what is wanted of them (BATCH, 4), and how much each counts.

    Wanted are the key and log2 of the spread, first of `natural`, then of `hdr`. Finished photos do not count, since
    `natural` leaves them as they are; frames of which little is held count little.
    """
    batch = as_float(scenes[torch.randint(len(scenes.is_photo), (BATCH,), generator=rng, device=rng.device)])
    image, intact = capture(batch, rng)
    held, wanted = held_share(image), []
    for look in PLAIN_LOOKS.to(image):
        linear = eotf(develop(batch, look.expand(BATCH, -1), intact)[0])
        wanted += [key_ev(linear, held), torch.log2(spread_ev(linear, held))]
    counts = (4 * held.mean((1, 2, 3))).clamp_max(1) * ~intact
    return plain_facts(image), torch.stack(wanted, 1), counts


def fit_keys(net: RelightNet, scenes: Scenes, rng: torch.Generator, n_captures: int) -> None:
    """Set `net.wanted_tone` to the ridge regressions on facts (Hoerl and Kennard 1970)."""
    seen = [look_at(scenes, rng) for _ in range(max(1, n_captures // BATCH))]
    facts, wanted, counts = (torch.cat(part) for part in zip(*seen, strict=True))
    unit = torch.cat([facts.new_ones(1), facts[:, 1:].std(0) + 1e-3])
    scaled, weight = facts / unit, counts[:, None]
    middle = (weight * scaled).sum(0) / weight.sum()
    middle[0] = 0  # the first fact is 1
    centred = scaled - middle
    gram = (weight * centred).T @ centred + RIDGE * len(facts) * torch.eye(len(unit), device=facts.device)
    found = torch.linalg.solve(gram, (weight * centred).T @ wanted)
    error = (weight * (centred @ found - wanted).square()).sum(0) / weight.sum()
    found[0] -= middle @ found
    net.wanted_tone.copy_((found / unit[:, None]).T.view(2, 2, -1))
    off = ", ".join(f"{one:.2f}" for one in error.sqrt())
    print(f"keys and log2 spreads of natural and hdr, off by: {off}", flush=True)
