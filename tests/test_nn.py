import numpy as np
import pytest
import torch

from camera_nano import field as fields
from camera_nano.color import srgb_eotf, temperature_gains
from camera_nano.nn import light
from camera_nano.nn.flow import noised, sample_euler, times
from camera_nano.nn.grid import CHANNELS, GD, GH, GW, fit_field, guide, range_weights, slice_field
from camera_nano.nn.guess import cells_of, first_guess
from camera_nano.nn.losses import headroom_loss, picture_loss
from camera_nano.nn.net import RelightNet, scales
from camera_nano.nn.pipeline import as_grids
from camera_nano.nn.simulate import Scenes, capture, develop
from camera_nano.nn.tone import MIDDLE_EV, RANGE_EV, hold_range, white_gains
from camera_nano.values import CONTROLS, EditField


def scenes_of(image, is_photo, n=1):
    linear = torch.from_numpy(srgb_eotf(image / 255)).float().permute(2, 0, 1)[None]
    base = torch.log2(light.luminance(linear) + 2.0**-14)
    ends = torch.quantile(base.flatten(), torch.tensor([0.05, 0.5, 0.97]))[None]
    scenes = Scenes(linear, base, light.oetf(linear), ends, torch.tensor([is_photo]))
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
        last = picture_loss(slice_field(field, weights)[:, :3], image, target)
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
    nothing = torch.zeros_like(image)
    assert picture_loss(nothing, image, image) < 1e-6
    assert picture_loss(nothing + 0.3, image, image) > 1e-3
    headroom = torch.full_like(image[:, :1], torch.nan)
    assert headroom_loss(nothing[:, :1], headroom) == 0  # unknown light teaches nothing
    assert headroom_loss(nothing[:, :1], torch.ones_like(headroom)) > 0.1


def controls_of(**values):
    return torch.tensor([[values.get(name, 0.0) for name in CONTROLS]])


def test_a_photo_is_its_own_natural_look_and_looks_go_where_they_say(small):
    scenes = scenes_of(small, True)

    def wanted(**values):
        return develop(scenes, controls_of(**values))[0]

    natural, headroom = develop(scenes, controls_of())
    assert (natural - light.oetf(scenes.light)).abs().max() < 0.01 and headroom.isnan().all()
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
    image = light.oetf(scenes.light.clamp(0, 1))
    cells, tones = cells_of(image)
    weights = range_weights(guide(light.eotf(image)))
    for values in ({}, {"ev": -0.7, "contrast": 0.4}, {"temperature": 0.7, "saturation": 0.12}):
        controls = controls_of(**values)
        target = develop(scenes, controls)[0]
        field = first_guess(cells, tones, torch.zeros(1, 1), controls)
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


def test_captures_are_8_bit_seeded_and_cover_the_exposures(small):
    scenes = scenes_of(small, False, n=256)
    shots, intact = capture(scenes, torch.Generator().manual_seed(1))
    assert torch.equal(shots, capture(scenes, torch.Generator().manual_seed(1))[0])
    assert not torch.equal(shots, capture(scenes, torch.Generator().manual_seed(2))[0])
    assert torch.equal((shots * 255).round() / 255, shots) and not intact.any()
    means = shots.mean((1, 2, 3))
    assert means.min() < 0.06 and means.max() > 0.6


def test_some_photos_pass_untouched_and_are_said_to(small):
    scenes = scenes_of(small, True, n=64)
    shots, intact = capture(scenes, torch.Generator().manual_seed(1))
    same = (shots - light.oetf(scenes.light)).abs().amax((1, 2, 3)) < 0.003
    assert 10 < same.sum() < 45 and torch.equal(same, intact)
