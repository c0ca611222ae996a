import math

import pytest
import torch

from camera_nano.nn import light
from camera_nano.nn.exposure import N_FACTS, cut_share, doubts, held_share, key_ev, plain_facts, shifts_ev, spread_ev
from camera_nano.nn.grid import CHANNELS, GH, GW, on_gains
from camera_nano.nn.net import N_DRAWN, RelightNet

pytestmark = pytest.mark.training

NOTHING, WHITE_EV = torch.zeros(1, CHANNELS, GH, GW), torch.zeros(1, 3)


def frame_of(linear):
    """A thumbnail of even grey light with a gradient of a stop."""
    ramp = torch.linspace(-0.5, 0.5, 64).exp2()
    return light.oetf((linear * ramp).clamp(0, 1)).expand(1, 3, 64, 64)


def wanting(key, spread_ev=99.0):
    """The regressions that want this key and spread of every frame; by default more spread than any has."""
    wanted = torch.zeros(2, N_FACTS)
    wanted[:, 0] = torch.tensor([key, math.log2(spread_ev)])
    return wanted


def shifts(frame, field, wanted):
    """Exposure and contrast, as floats."""
    return shifts_ev(frame, plain_facts(frame), field, WHITE_EV, wanted)[0].tolist()


def test_a_key_follows_the_light_and_sees_only_what_is_held():
    frame = frame_of(0.1)
    held, linear = held_share(frame), light.eotf(frame)
    assert key_ev(linear, held).item() == pytest.approx(-3.3, abs=0.1)
    assert (key_ev(4 * linear, held) - key_ev(linear, held)).item() == pytest.approx(2, abs=0.02)
    half_clipped = frame.clone()
    half_clipped[..., :32, :] = 1
    assert held_share(half_clipped)[..., :32, :].max() == 0
    assert key_ev(light.eotf(half_clipped), held_share(half_clipped)).item() == pytest.approx(-3.3, abs=0.15)


def test_facts_tell_over_from_under_exposed():
    facts = plain_facts(torch.cat([frame_of(0.001), frame_of(0.1), frame_of(0.95)]))
    clipped, _, crushed, bright, key = facts[:, 1:6].unbind(1)
    assert (facts[:, 0] == 1).all() and facts.shape == (3, N_FACTS)
    assert clipped[0] == clipped[1] == 0 < clipped[2] and crushed[0] > 0 == crushed[2] and bright[2] > 0.8
    assert key[0] < key[1] < key[2]


def test_what_speaks_against_a_finished_picture():
    """A picture with a little white in it, the same a stop darker, and a stop brighter with colours cut off."""
    finished = frame_of(0.3) * torch.tensor([1.0, 0.9, 0.8]).view(1, 3, 1, 1)
    finished[..., :4, :4] = 0.95
    dark, bright = (light.oetf((light.eotf(finished) * 2.0**ev).clamp(0, 1)) for ev in (-1, 2))
    told = [doubts(frame, plain_facts(frame))[0].tolist() for frame in (finished, dark, bright)]
    assert told[0] == [0, 0]
    assert told[1][0] > 1 and told[1][1] == 0
    assert told[2][0] == 0 and told[2][1] > 1


def test_highlights_that_were_cut_off_are_told_from_pressed_ones():
    """The same bright light, once pressed below white by a camera's curve and once cut off at white."""
    light_ev = torch.linspace(-3, 1.5, 64).view(1, 1, 64, 1).expand(1, 3, 64, 64)
    true = torch.exp2(light_ev)
    pressed, cut = (cut_share(plain_facts(light.oetf(seen))).item() for seen in (true / (true**2 + 1).sqrt(), true))
    assert pressed < 0.2 and cut > 0.7
    assert cut_share(plain_facts(frame_of(0.1))).item() == 0


def test_the_shift_goes_most_of_the_way_and_counts_what_the_field_does_already():
    frame = frame_of(0.02)
    own = key_ev(light.eotf(frame), held_share(frame)).item()
    up, _ = shifts(frame, NOTHING, wanting(own + 1))
    assert 0.5 < up < 1
    lifted = on_gains(torch.full((1, 8), 1.0)).expand_as(NOTHING)
    assert shifts(frame, lifted, wanting(own + 1))[0] == pytest.approx(0, abs=0.03)
    assert shifts(frame, lifted, wanting(own))[0] == pytest.approx(-up, abs=0.03)
    assert shifts(frame, NOTHING, wanting(own + 9))[0] <= 1.5


def test_contrast_is_taken_from_bright_frames_alone_and_never_added():
    for linear, share, less in ((0.6, 0.8, 0.2), (0.6, 1.5, 0), (0.02, 0.8, 0)):
        frame = frame_of(linear)
        own = spread_ev(light.eotf(frame), held_share(frame)).item()
        assert shifts(frame, NOTHING, wanting(0.0, share * own))[1] == pytest.approx(-4.375 * less, abs=0.02)


@pytest.mark.parametrize("linear", [0.0, 2.0])
def test_a_frame_that_holds_nothing_is_not_shifted(linear):
    assert shifts(frame_of(linear), NOTHING, wanting(-2.0, 0.01)) == [0, 0]


def test_a_finished_picture_is_not_shifted_and_a_captured_one_is():
    torch.manual_seed(0)
    net, frame = RelightNet(channels=16).eval(), frame_of(0.02)
    net.wanted_tone[:, 0, 0] = torch.tensor([-2.0, -1.0])
    with torch.no_grad():
        _, vector, cells, tones = net.encoder(frame)
        drawn = net.decide(NOTHING, frame, vector, cells, tones)
        natural, _, hdr, _ = drawn[0, 3:].tolist()
        assert not drawn[0, :3].any() and hdr > natural and abs(natural) > 0.1
        for logit, shift in ((-20.0, natural), (20.0, 0.0)):
            tones[:, 3] = logit
            moved, still = (
                net.guess(vector, cells, tones, torch.zeros(1, 7), seen)[0] for seen in (drawn, torch.zeros(1, N_DRAWN))
            )
            assert (moved - still)[0, :3].mean().item() == pytest.approx(shift, abs=1e-4)
