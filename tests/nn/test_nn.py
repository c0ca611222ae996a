from dataclasses import replace

import numpy as np
import pytest
import torch

from camera_nano.color import srgb_eotf, srgb_oetf, temperature_gains
from camera_nano.engines.weights import seeded_noise
from camera_nano.light import field as fields
from camera_nano.light.field import render_reference
from camera_nano.nn import light
from camera_nano.nn.flow import noised, sample_euler, times
from camera_nano.nn.grid import (
    CHANNELS,
    GD,
    GH,
    GW,
    clipped_share,
    eased,
    fit_field,
    guide,
    guide_luminance,
    ordered,
    own_light,
    range_weights,
    slice_field,
)
from camera_nano.nn.guess import cells_of, first_guess
from camera_nano.nn.losses import headroom_loss, picture_loss, tone_loss
from camera_nano.nn.net import RelightNet, ToneHead, draw, scales
from camera_nano.nn.pipeline import as_grids
from camera_nano.nn.simulate import Scenes, capture, develop
from camera_nano.nn.tone import HDR_RANGE_EV, MIDDLE_EV, RANGE_EV, hold_range, shoulder, white_gains, white_of
from camera_nano.values import CONTROLS, EditField

pytestmark = pytest.mark.training


def scenes_of(image, is_photo, n=1):
    linear = torch.from_numpy(srgb_eotf(image / 255)).float().permute(2, 0, 1)[None]
    base = torch.log2(light.luminance(linear) + 2.0**-14)
    ends = torch.quantile(base.flatten(), torch.tensor([0.05, 0.5, 0.97]))[None]
    scenes = Scenes(linear, base, light.oetf(linear), ends, torch.tensor([is_photo]), torch.zeros(1))
    return scenes[torch.zeros(n, dtype=torch.long)]


@pytest.fixture
def small(photo):
    return photo[::8, ::8]


def test_tensor_and_numpy_agree_on_guide_and_slice(rng):
    code = rng.random((33, 47, 3)).astype(np.float32)
    grid = rng.uniform(-4, 4, (GH, GW, GD, 4)).astype(np.float32)
    linear = light.eotf(torch.from_numpy(code).permute(2, 0, 1)[None])
    tensor = torch.from_numpy(grid).permute(2, 3, 0, 1).reshape(1, CHANNELS, GH, GW)
    there = slice_field(tensor, range_weights(guide(linear)))[0].permute(1, 2, 0).numpy()
    here = fields.slice_field(EditField(grid), fields.guide(srgb_eotf(code)))
    assert np.abs(there - here).max() < 1e-4  # float32 against float64, over +-4 EV
    assert np.array_equal(as_grids(tensor)[0].numpy(), grid)


def test_tensor_and_numpy_agree_on_what_channels_get_by_their_own_light(rng):
    linear = srgb_eotf(rng.random((24, 20, 3)))
    grid = rng.uniform(-3, 3, (GH, GW, GD, 4)).astype(np.float32)
    tensor = torch.from_numpy(grid).permute(2, 3, 0, 1).reshape(1, CHANNELS, GH, GW)
    light = torch.from_numpy(linear).float().permute(2, 0, 1)[None]
    there = own_light(tensor, light)
    here = fields.own_light(EditField(grid), linear)
    assert np.abs(here).max() > 0.5
    assert np.abs(there[0].permute(1, 2, 0).numpy() - here).max() < 1e-5
    assert torch.allclose(own_light(tensor, light[..., 1::2, 0::2], (2, 1, 0)), there[..., 1::2, 0::2], atol=1e-6)


def test_slice_gradient_against_finite_differences():
    torch.manual_seed(0)
    weights = range_weights(torch.rand(1, 1, 6, 5))
    field = torch.randn(1, CHANNELS, GH, GW, requires_grad=True)
    (slice_field(field, weights) ** 2).sum().backward()
    for index in [(0, 5, 3, 3), (0, 14, 8, 9), (0, 20, 15, 0)]:
        up, down = field.detach().clone().double(), field.detach().clone().double()
        up[index] += 1e-3
        down[index] -= 1e-3

        def energy(f):
            return (slice_field(f.float(), weights).double() ** 2).sum()

        assert field.grad[index].item() == pytest.approx(((energy(up) - energy(down)) / 2e-3).item(), abs=2e-2)


@pytest.mark.slow
def test_optimising_a_field_reaches_a_known_edit(small):
    torch.manual_seed(0)
    image = torch.from_numpy(small / 255).float().permute(2, 0, 1)[None]
    weights = range_weights(guide(light.eotf(image)))
    wanted = torch.randn(1, CHANNELS, GH, GW) * 0.5
    target = light.oetf(light.eotf(image) * torch.exp2(slice_field(wanted, weights)[:, :3]))
    field = torch.zeros_like(wanted, requires_grad=True)
    optimiser = torch.optim.Adam([field], lr=0.05)
    first = last = None
    for _ in range(150):
        optimiser.zero_grad()
        last = picture_loss(light.eotf(image) * torch.exp2(slice_field(field, weights)[:, :3]), target)
        first = first if first is not None else last.item()
        last.backward()
        optimiser.step()
    assert last.item() < 0.05 * first


def test_fit_recovers_a_smooth_field(small):
    image = torch.from_numpy(small / 255).float().permute(2, 0, 1)[None]
    weights = range_weights(guide(light.eotf(image)))
    ramp = torch.linspace(-2, 2, GW).expand(1, CHANNELS, GH, GW)
    target = slice_field(ramp, weights)
    fitted = slice_field(fit_field(target, torch.ones_like(target), weights), weights)
    assert (fitted - target).abs().mean() < 0.05


def test_one_step_with_an_exact_denoiser_returns_the_data():
    data, noise = torch.randn(3, 4), torch.randn(3, 4)
    for n_steps in (1, 2, 5):
        assert torch.allclose(sample_euler(lambda x, t: data, noise, times(n_steps)), data)


def test_euler_converges_with_first_order():
    # x0(x, t) of a Gaussian with mean 1 and deviation s: the flow's end point is 1 + s * noise
    s, noise = 0.5, torch.linspace(-2, 2, 9)[:, None].double()

    def denoise(x, t):
        t = t[:, None].double()
        gain = (1 - t) * s**2 / ((1 - t) ** 2 * s**2 + t**2)
        return 1 + gain * (x - (1 - t))

    error = [(sample_euler(denoise, noise, times(n)) - (1 + s * noise)).abs().max().item() for n in (16, 32, 64)]
    assert 1.6 < error[0] / error[1] < 2.6 and 1.6 < error[1] / error[2] < 2.6


def test_noised_ends():
    x0, noise = torch.zeros(2, 3), torch.ones(2, 3)
    assert noised(x0, noise, torch.tensor([0.0, 1.0])).tolist() == [[0.0] * 3, [1.0] * 3]


def test_losses_are_zero_only_at_the_truth(small):
    image = torch.from_numpy(small / 255).float().permute(2, 0, 1)[None]
    nothing, lit = torch.zeros_like(image), light.eotf(image)
    assert picture_loss(lit, image) < 1e-6
    assert picture_loss(lit * 1.2, image) > 1e-3
    headroom = torch.full_like(image[:, :1], torch.nan)
    assert headroom_loss(nothing[:, :1], headroom) == 0  # unknown light teaches nothing
    assert headroom_loss(nothing[:, :1], torch.ones_like(headroom)) > 0.1


def controls_of(**values):
    return torch.tensor([[values.get(name, 0.0) for name in CONTROLS]])


def test_a_finished_photo_is_its_own_natural_look_and_looks_go_where_they_say(small):
    scenes, intact = scenes_of(small, True), torch.tensor([True])

    def wanted(**values):
        return develop(scenes, controls_of(**values), intact)[0]

    natural, headroom = develop(scenes, controls_of(), intact)
    assert (natural - light.oetf(scenes.light)).abs().max() < 0.01 and headroom.isnan().all()
    opened = wanted(hdr=1.0) - natural
    assert opened[natural < 0.15].min() > -0.01  # no shadow is darker
    assert opened[natural > 0.97].min() > -0.03  # no white is grey
    assert wanted(ev=-1.0).mean() < natural.mean()
    warmer = (wanted(temperature=0.7) - natural).mean((0, 2, 3))
    assert warmer[0] > 0 > warmer[2]
    assert wanted(saturation=-1.0).std(1).max() < 1e-3
    dark = natural.amax(1, keepdim=True) < 0.25
    bright = natural.amin(1, keepdim=True) > 0.6
    lifted, held = wanted(shadows=1.0) - natural, wanted(highlights=-1.0) - natural
    assert (lifted * dark).sum() > 10 * (lifted * bright).abs().sum()
    assert -(held * bright).sum() > 10 * (held * dark).abs().sum()


def test_the_range_of_a_scene_is_held(small):
    wide = scenes_of(small, False)
    log_y = torch.log2(light.luminance(wide.light) + 2.0**-14)
    ends = torch.quantile(log_y.flatten(), torch.tensor([0.05, 0.5, 0.97]))[None]
    for stretch in (1.0, 1.8):
        held = stretch * log_y + hold_range(stretch * log_y, stretch * log_y, stretch * ends)
        p5, p50, p97 = torch.quantile(held.flatten(), torch.tensor([0.05, 0.5, 0.97]))
        assert abs(p97 - p5 - RANGE_EV * ((stretch * (ends[0, 2] - ends[0, 0])) / RANGE_EV) ** 0.4) < 0.05
        assert abs(p50 - MIDDLE_EV) < 1.5


def test_white_gains_are_those_of_color():
    for temperature in (-1.2, 0.0, 0.33, 0.7):
        made = white_gains(torch.tensor([temperature]))[0].numpy()
        assert np.abs(made - temperature_gains(temperature)).max() < 5e-3


def test_the_first_guess_develops_a_capture_that_shows_everything(small):
    """A well exposed capture of a scene holds all its light: guessing as if it were the light is nearly right."""
    scenes = scenes_of(small, False)
    brought = hold_range(scenes.base_ev, scenes.base_ev, scenes.percentiles_ev, HDR_RANGE_EV)  # as the guess fuses
    scenes = replace(scenes, fused=light.oetf(shoulder(scenes.light * torch.exp2(brought))))
    image = light.oetf(scenes.light.clamp(0, 1))
    cells, tones = cells_of(image)
    weights = range_weights(guide(light.eotf(image)))
    for values in ({}, {"ev": -0.7, "contrast": 0.4}, {"temperature": 0.7, "saturation": 0.12}):
        controls = controls_of(**values)
        target = develop(scenes, controls)[0]
        field = ordered(first_guess(cells, tones, torch.zeros(1, 1), controls), white_of(controls))
        made = light.oetf((light.eotf(image) * torch.exp2(slice_field(field, weights)[:, :3])).clamp(0, 1))
        before, after = ((x - target).square().mean().item() for x in (image, made))
        assert after < 2.5e-3 and after < 0.5 * before
    finished = first_guess(cells, tones, torch.ones(1, 1), controls_of())
    assert finished.abs().mean() < 0.02  # a finished picture is left as it is


def test_a_slice_of_every_second_pixel_is_every_second_pixel_of_the_slice(rng):
    field = torch.from_numpy(rng.standard_normal((1, CHANNELS, GH, GW), np.float32))
    weights = range_weights(torch.from_numpy(rng.random((1, 1, 64, 64), np.float32)))
    some = slice_field(field, weights[..., 1::2, 0::2], (2, 1, 0))
    assert torch.allclose(some, slice_field(field, weights)[..., 1::2, 0::2], atol=1e-6)


def test_noise_has_the_shape_of_the_differences_at_every_scale():
    torch.manual_seed(0)
    net = RelightNet(channels=16, n_shift=16)
    spreads = (3.0, 0.5, 0.1)
    for root, spread in zip(net.shape, spreads, strict=True):
        root.copy_(spread * torch.eye(CHANNELS))
    parts = scales(net.shaped(torch.randn(400, CHANNELS, GH, GW)))
    frame, sixteenths, cells = (part.square().mean().sqrt().item() for part in parts)
    assert frame == pytest.approx(3.0, rel=0.05)
    assert sixteenths == pytest.approx(0.5 * (15 / 16) ** 0.5, rel=0.1)
    assert cells == pytest.approx(0.1, rel=0.1)
    assert not net.shaped(torch.zeros(1, CHANNELS, GH, GW)).any()


@pytest.mark.slow
def test_captures_are_seeded_and_cover_the_exposures(small):
    scenes = scenes_of(small, False, n=256)
    shots, intact = capture(scenes, torch.Generator().manual_seed(1))
    assert torch.equal(shots, capture(scenes, torch.Generator().manual_seed(1))[0])
    assert not torch.equal(shots, capture(scenes, torch.Generator().manual_seed(2))[0])
    assert shots.min() >= 0 and shots.max() <= 1 and not intact.any()
    means = shots.mean((1, 2, 3))
    assert means.min() < 0.06 and means.max() > 0.6


def test_some_photos_pass_as_they_are_and_are_said_to(small):
    scenes = scenes_of(small, True, n=128)
    shots, intact = capture(scenes, torch.Generator().manual_seed(1))
    same = (shots - light.oetf(scenes.light)).abs().amax((1, 2, 3)) < 0.02  # within the steps of a JPEG
    assert 8 < same.sum() < 35 and torch.equal(same, intact)


def test_tensor_and_numpy_agree_on_what_is_clipped(rng):
    code = rng.uniform(0.6, 1, (9, 11, 3))
    there = clipped_share(torch.from_numpy(code).permute(2, 0, 1)[None])[0, 0].numpy()
    assert np.abs(there - fields.clipped_share(code)).max() < 1e-6
    assert there.max() > 0.3 and (there == 0).any()


def test_more_light_in_gives_no_less_light_out_between_cells_and_bins_too(rng):
    torch.manual_seed(1)
    white_ev = torch.tensor([[-0.7, -0.9, -1.3]])
    grid = as_grids(ordered(3 * torch.randn(1, CHANNELS, GH, GW), white_ev))[0].numpy()
    field = EditField(grid, tuple(white_ev[0].tolist()))
    steps = np.arange(65536, dtype=np.uint16)[:, None, None]
    ramp = np.broadcast_to(steps, (65536, 24, 3)).transpose(1, 0, 2)  # 24 columns of cells, from black to white
    for strength in (1.0, 0.6):
        shown = np.stack(
            [
                render_reference(np.ascontiguousarray(ramp[:, i : i + 1].repeat(24, 1)), field * strength)
                for i in range(0, 65536, 512)
            ]
        ).astype(int)
        assert np.diff(shown, axis=0).min() >= -1
    colours = 65535 * srgb_oetf(np.linspace(0, 1, 4097)[:, None, None] * rng.uniform(0.1, 1, (1, 24, 3)))
    shown = np.concatenate([render_reference(one[None].astype(np.uint16), field) for one in colours]).astype(int)
    assert np.diff(shown, axis=0).min() >= -8  # a coloured light that grows darkens none of its channels
    again = torch.from_numpy(grid).permute(2, 3, 0, 1).reshape(1, CHANNELS, GH, GW)
    assert (ordered(again, white_ev) - again).abs().max() < 1e-5


def test_an_edge_of_the_capture_stays_an_edge():
    torch.manual_seed(2)
    white_ev = torch.tensor([[0.0, -0.3, -0.9]])
    bright = ordered(4 + torch.randn(1, CHANNELS, GH, GW), white_ev)  # every bin would become white
    shown = bright.reshape(GD, 4, GH, GW)[:, :3] + torch.log2(guide_luminance()).view(GD, 1, 1, 1)
    assert (shown[-1] - white_ev[0, :, None, None]).abs().max() < 1e-5
    steps = torch.log2(guide_luminance()).diff()[3:].view(-1, 1, 1, 1)
    assert (shown.diff(dim=0)[3:] > 0.15 * steps).all()


def test_the_white_of_a_look_is_what_its_controls_make_of_white():
    assert not white_of(controls_of()).any()
    assert not white_of(controls_of(hdr=1.0)).any()
    darker = white_of(controls_of(ev=-1.0))
    assert torch.allclose(darker, torch.full((1, 3), -1.0), atol=1e-3)
    red, green, blue = white_of(controls_of(temperature=0.7))[0].tolist()
    assert red >= green > blue


def test_the_tone_head_teaches_exposure_and_knows_how_unsure_it_is():
    modes = ToneHead.MODES
    mass = torch.full((1, GD), 1 / GD)
    wanted = 0.5 * modes[0][None] - 0.25 * modes[1][None]
    curve, spread = torch.zeros(1, GD, requires_grad=True), torch.full((1, 2), -2.0, requires_grad=True)
    loss, missed = tone_loss(curve, spread, wanted, mass, modes)
    assert missed[0].tolist() == pytest.approx([0.5, -0.25], abs=0.03)
    loss.backward()
    assert (curve.grad < 0).any() and (spread.grad < 0).all()  # brighter, and less sure
    at_truth, _ = tone_loss(wanted, spread, wanted, mass, modes)
    assert at_truth < loss


def test_a_draw_is_the_sum_of_the_noise_and_nothing_comes_of_none():
    torch.manual_seed(0)
    drawn = draw(torch.randn(500, CHANNELS, GH, GW))
    assert (drawn[:, 0] == 1).all() and not draw(torch.zeros(1, CHANNELS, GH, GW)).any()
    assert drawn[:, 1:].std(0).tolist() == pytest.approx([1, 1], abs=0.1)


def test_no_seed_draws_an_exposure_or_contrast_that_is_hardly_plausible():
    drawn = torch.cat([draw(torch.from_numpy(seeded_noise(seed))) for seed in range(1, 9)])[:, 1:]
    assert drawn.abs().max() < 2.01
    assert len({tuple(one) for one in drawn.round(decimals=2).tolist()}) == 8
    assert drawn.sum(0).tolist() == pytest.approx([0, 0], abs=1e-4)


def test_the_way_up_to_white_is_never_too_steep():
    """However dark the field makes the light just below white; and only where the picture shows white."""
    steepest = 3.0
    white_ev, bright_ev = torch.tensor([[0.0, -0.1, -0.2]]), torch.log2(guide_luminance()[-1])
    dark = ordered(torch.full((1, CHANNELS, GH, GW), -3.0), white_ev)
    easy = eased(dark, white_ev, torch.ones(1, 1), torch.full((1, 1), steepest))
    before, after = (x.reshape(GD, 4, GH, GW)[:, :3] for x in (dark, easy))
    assert after[-1] + bright_ev == pytest.approx((white_ev.view(3, 1, 1) + steepest * bright_ev).expand(3, GH, GW))
    assert torch.equal(after[0], before[0])  # shadows are far from white
    assert (ordered(easy, white_ev) - easy).abs().max() < 1e-5
    assert torch.equal(eased(dark, white_ev, torch.zeros(1, 1), torch.full((1, 1), steepest)), dark)
