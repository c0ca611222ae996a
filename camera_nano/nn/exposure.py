"""How bright and how contrasty the whole frame should become, by the plain facts of its exposure.

A network that sees much knows simulated cameras by heart, and errs on real ones. A linear regression on a dozen plain
facts errs more on the simulated and far less on the real, so each has its say (`shifts_ev`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from camera_nano.nn import light
from camera_nano.nn.grid import GD, clipped_share, guide, ordered, own_light, ramp, range_weights, relight, slice_field
from camera_nano.values import CONTROLS, GUIDE_RANGE_EV

N_FACTS = 13
_CLIPPED_FACT, _WHITE_FACT, _BRIGHT_FACT = 1, 2, 4  # places of shares: with a clipped channel, all clipped, bright
PLAIN_LOOKS = torch.tensor([[hdr * float(name == "hdr") for name in CONTROLS] for hdr in (0, 1)])  # `natural` and `hdr`
# by range bin, a stop of exposure, and of contrast: what the brightest bin gains and the darkest loses
TONE_MODES = torch.stack([torch.ones(GD), torch.linspace(-1, 1, GD)])
# code values 0..1 between which a channel goes from held to clipped, from crushed to held, and from plain to bright
_CLIPPED, _CRUSHED, _BRIGHT = (0.95, 0.99), (0.01, 0.03), (0.75, 0.9)
_EYE = 2.2  # light to the power of 1 / 2.2 is about as bright as it looks
# how far the exposure goes from what the network answers to what the facts say, and the most it moves
_SHARE, _LIMIT_EV = 0.8, 1.5
_KNOWN = (0.2, 0.5)  # the less of a frame is held, the less there is to judge by
_MUCH_BRIGHT = (0.0, 0.15)  # bright share of the frame: where contrast begins to be taken away, and where all of it is
_LEAST_SLOPE = -0.5  # the most contrast that is taken away, in EV of output light for one of input light
# what speaks against a finished picture, at most in logits, from where to where: its brightest code; the share of its
# bright light with a channel cut off, and that with one or two of three
_NO_WHITE, _CUT, _PARTLY_CUT = (1.5, (0.85, 0.75)), (0.75, (0.5, 0.9)), (0.5, (0.1, 0.3))
_HALF_RANGE_EV = GUIDE_RANGE_EV * (GD - 1) / GD / 2  # from the middle of the range bins to the first and the last


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


def spread_ev(linear: Tensor, held: Tensor) -> Tensor:
    """Linear RGB (B, 3, h, w) and `held_share` -> the standard deviation of log2 light over what is held (B,)."""
    log_y, total = torch.log2(light.luminance(linear).clamp(0, 1) + 2.0**-8), held.sum((1, 2, 3), keepdim=True) + 0.1
    apart = log_y - (log_y * held).sum((1, 2, 3), keepdim=True) / total
    return ((apart**2 * held).sum((1, 2, 3)) / total.flatten() + 0.02).sqrt()


def plain_facts(thumbnail: Tensor) -> Tensor:
    """Code values (B, 3, h, w) -> the facts (B, 13), of which the first is 1.

    How much of the frame has a clipped channel, is all clipped, crushed, bright; the key of what is held, over 4; the
    squares of these; the first times the last of them; and log2 of `spread_ev`.
    """
    high, low, linear, held = thumbnail.amax(1), thumbnail.amin(1), light.eotf(thumbnail), held_share(thumbnail)
    shares = (ramp(high, _CLIPPED), ramp(low, _CLIPPED), 1 - ramp(low, _CRUSHED), ramp(high, _BRIGHT))
    told = torch.stack([*(share.mean((1, 2)) for share in shares), key_ev(linear, held) / 4], 1)
    spread = torch.log2(spread_ev(linear, held))[:, None]
    return torch.cat([torch.ones_like(told[:, :1]), told, told**2, told[:, :1] * told[:, 4:], spread], 1)


def cut_share(facts: Tensor) -> Tensor:
    """`plain_facts` (B, 13) -> how much of what is bright has a channel cut off at white (B, 1), 0..1.

    Cameras press highlights towards white and cut little of them; an exposure raised afterwards cuts most.
    """
    clipped, bright = (facts[:, place, None] for place in (_CLIPPED_FACT, _BRIGHT_FACT))
    return clipped / (bright + 0.01)


def doubts(thumbnail: Tensor, facts: Tensor) -> Tensor:
    """Code values (B, 3, h, w) and their `plain_facts` -> what to take from the gate's two logits (B, 2).

    They say that a picture is not too dark, and not too bright. Nearly every finished picture has something next to
    white. And hardly any has much of its bright light cut off, least of all in one or two channels alone: that comes of
    an exposure that was too long, or was raised afterwards.
    """
    clipped, white, bright = (facts[:, place] for place in (_CLIPPED_FACT, _WHITE_FACT, _BRIGHT_FACT))
    partly = (clipped - white) / (bright + 0.01)
    told = ((thumbnail.amax((1, 2, 3)), _NO_WHITE), (cut_share(facts)[:, 0], _CUT), (partly, _PARTLY_CUT))
    no_white, cut, partly_cut = (most * ramp(fact, ends) for fact, (most, ends) in told)
    return torch.stack([no_white, cut + partly_cut], 1)


def shifts_ev(thumbnail: Tensor, facts: Tensor, guess: Tensor, white_ev: Tensor, wanted: Tensor) -> Tensor:
    """What exposure and what contrast the frame should have beside what the field `guess` gives it: (B, 2), in EV.

    Both as `TONE_MODES` has them. Contrast is only ever taken away, and only where much is bright. A net believes that
    cameras press highlights as the simulated ones do; where they were pressed less, it takes them too far apart.

    Args:
        thumbnail: (B, 3, h, w) code values.
        facts: (B, 13), its `plain_facts`.
        guess: (B, 32, 16, 16) in EV.
        white_ev: (B, 3), the look's white.
        wanted: (2, 13), the regressions of the key and of log2 of `spread_ev` on the facts.
    """
    few = thumbnail[..., ::2, ::2]  # enough for a mean, and four times as fast
    linear, held, every, field = light.eotf(few), held_share(few), (2, 0, 0), ordered(guess, white_ev)
    weights = range_weights(guide(linear))
    gain_ev = slice_field(field, weights, every)[:, :3] + own_light(field, linear, every)
    made = relight(linear, gain_ev, clipped_share(few), white_ev)
    sure = ramp(held.mean((1, 2, 3)), _KNOWN)
    key, spread = (facts @ wanted.T).unbind(1)
    slope = (torch.exp2(spread) - spread_ev(made, held)) / spread_ev(linear, held)
    contrast = _HALF_RANGE_EV * sure * ramp(facts[:, _BRIGHT_FACT], _MUCH_BRIGHT) * slope.clamp(_LEAST_SLOPE, 0.0)
    tilt = (weights * TONE_MODES[1].to(few.device).view(1, GD, 1, 1)).sum(1, keepdim=True)
    flatter = made * torch.exp2(contrast.view(-1, 1, 1, 1) * tilt)
    missing = key - key_ev(flatter, held)
    return torch.stack([(_SHARE * sure * missing).clamp(-_LIMIT_EV, _LIMIT_EV), contrast], 1)
