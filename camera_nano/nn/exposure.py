"""How bright the whole frame should become, by the plain facts of its exposure.

A network that sees much knows simulated cameras by heart, and errs on real ones. A linear regression on a dozen plain
facts errs more on the simulated and far less on the real, so each has its say (`shift_ev`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from camera_nano.nn import light
from camera_nano.nn.grid import clipped_share, guide, ordered, own_light, ramp, range_weights, relight, slice_field
from camera_nano.values import CONTROLS

N_FACTS = 12
PLAIN_LOOKS = torch.tensor([[hdr * float(name == "hdr") for name in CONTROLS] for hdr in (0, 1)])  # `natural` and `hdr`
# code values 0..1 between which a channel goes from held to clipped, from crushed to held, and from plain to bright
_CLIPPED, _CRUSHED, _BRIGHT = (0.95, 0.99), (0.01, 0.03), (0.75, 0.9)
_EYE = 2.2  # light to the power of 1 / 2.2 is about as bright as it looks
# how far the exposure goes from what the network answers to what the facts say, and the most it moves
_SHARE, _LIMIT_EV = 0.8, 1.5
_KNOWN = (0.2, 0.5)  # the less of a frame is held, the less there is to judge by


def held_share(thumbnail: Tensor) -> Tensor:
    """Code values (B, 3, h, w) -> how surely each pixel is neither clipped nor crushed (B, 1, h, w), 0..1."""
    high, low = thumbnail.amax(1, keepdim=True), thumbnail.amin(1, keepdim=True)
    return (1 - ramp(high, _CLIPPED)) * ramp(low, _CRUSHED)


def key_ev(linear: Tensor, held: Tensor) -> Tensor:
    """Linear RGB (B, 3, h, w) and `held_share` -> the even light that would look as bright as what is held (B,), in EV.

    Light times 2^n has a key of n EV more, as long as nothing reaches white.
    """
    seen = light.luminance(linear).clamp(0, 1) ** (1 / _EYE) * held
    return _EYE * torch.log2((seen.sum((1, 2, 3)) + 0.01) / (held.sum((1, 2, 3)) + 0.1) + 1e-3)


def plain_facts(thumbnail: Tensor) -> Tensor:
    """Code values (B, 3, h, w) -> the facts (B, 12), of which the first is 1.

    How much of the frame has a clipped channel, is all clipped, crushed, bright; the key of what is held, over 4; the
    squares of these; and the first times the last of them.
    """
    high, low = thumbnail.amax(1), thumbnail.amin(1)
    shares = (ramp(high, _CLIPPED), ramp(low, _CLIPPED), 1 - ramp(low, _CRUSHED), ramp(high, _BRIGHT))
    key = key_ev(light.eotf(thumbnail), held_share(thumbnail)) / 4
    told = torch.stack([*(share.mean((1, 2)) for share in shares), key], 1)
    return torch.cat([torch.ones_like(told[:, :1]), told, told**2, told[:, :1] * told[:, 4:]], 1)


def shift_ev(thumbnail: Tensor, guess: Tensor, white_ev: Tensor, wanted: Tensor) -> Tensor:
    """How much brighter than the field `guess` makes the frame it should become (B,), in EV.

    Args:
        thumbnail: (B, 3, h, w) code values.
        guess: (B, 32, 16, 16) in EV.
        white_ev: (B, 3), the look's white.
        wanted: (12,), the regression of the key on `plain_facts`.
    """
    few = thumbnail[..., ::2, ::2]  # enough for a mean, and four times as fast
    linear, held, every, field = light.eotf(few), held_share(few), (2, 0, 0), ordered(guess, white_ev)
    gain_ev = slice_field(field, range_weights(guide(linear)), every)[:, :3] + own_light(field, linear, every)
    missing = plain_facts(thumbnail) @ wanted - key_ev(relight(linear, gain_ev, clipped_share(few), white_ev), held)
    return (_SHARE * ramp(held.mean((1, 2, 3)), _KNOWN) * missing).clamp(-_LIMIT_EV, _LIMIT_EV)
