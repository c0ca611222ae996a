"""The keys: how bright frames should become by the plain facts of their exposure. Fitted last, in closed form."""

from __future__ import annotations

import torch
from examples import as_float
from torch import Tensor

from camera_nano.nn.exposure import PLAIN_LOOKS, held_share, key_ev, plain_facts
from camera_nano.nn.light import eotf
from camera_nano.nn.net import RelightNet
from camera_nano.nn.simulate import Scenes, capture, develop

BATCH = 128
RIDGE = 0.003  # of the facts' variance, since some of them go together


@torch.no_grad()
def look_at(scenes: Scenes, rng: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """The facts of `BATCH` new captures, the keys of their `natural` and `hdr` (BATCH, 2), and how much each counts.

    Finished photos do not count, since `natural` leaves them as they are; frames of which little is held count little.
    """
    batch = as_float(scenes[torch.randint(len(scenes.is_photo), (BATCH,), generator=rng, device=rng.device)])
    image, intact = capture(batch, rng)
    held = held_share(image)
    wanted = [develop(batch, look.expand(BATCH, -1), intact)[0] for look in PLAIN_LOOKS.to(image)]
    keys = [key_ev(eotf(picture), held) for picture in wanted]
    counts = (4 * held.mean((1, 2, 3))).clamp_max(1) * ~intact
    return plain_facts(image), torch.stack(keys, 1), counts


def fit_keys(net: RelightNet, scenes: Scenes, rng: torch.Generator, n_captures: int) -> None:
    """Set `net.wanted_keys` to the ridge regression of keys on facts (Hoerl and Kennard 1970)."""
    seen = [look_at(scenes, rng) for _ in range(max(1, n_captures // BATCH))]
    facts, keys, counts = (torch.cat(part) for part in zip(*seen, strict=True))
    unit = torch.cat([facts.new_ones(1), facts[:, 1:].std(0) + 1e-3])
    scaled, weight = facts / unit, counts[:, None]
    middle = (weight * scaled).sum(0) / weight.sum()
    middle[0] = 0  # the first fact is 1
    centred = scaled - middle
    gram = (weight * centred).T @ centred + RIDGE * len(facts) * torch.eye(len(unit), device=facts.device)
    found = torch.linalg.solve(gram, (weight * centred).T @ keys)
    error = (weight * (centred @ found - keys).square()).sum(0) / weight.sum()
    found[0] -= middle @ found
    net.wanted_keys.copy_((found / unit[:, None]).T)
    print(f"keys: {error[0].sqrt():.2f} and {error[1].sqrt():.2f} EV off in natural and hdr", flush=True)
