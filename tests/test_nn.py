import numpy as np
import pytest
import torch

from camera_nano import field as fields
from camera_nano.color import srgb_eotf
from camera_nano.nn import light
from camera_nano.nn.flow import noised, sample_euler, times
from camera_nano.nn.grid import CHANNELS, GD, GH, GW, fit_field, guide, range_weights, slice_field
from camera_nano.nn.losses import headroom_loss, picture_loss
from camera_nano.nn.pipeline import as_grids
from camera_nano.nn.simulate import Scenes, capture, develop
from camera_nano.values import EditField


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
        last = picture_loss(field, image, target, weights)
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
    weights = range_weights(guide(light.eotf(image)))
    nothing = torch.zeros(1, CHANNELS, GH, GW)
    assert picture_loss(nothing, image, image, weights) < 1e-6
    assert picture_loss(nothing + 0.3, image, image, weights) > 1e-3
    headroom = torch.full((1, 1, *image.shape[2:]), torch.nan)
    assert headroom_loss(nothing, headroom, weights) == 0  # unknown light teaches nothing
    assert headroom_loss(nothing, torch.ones_like(headroom), weights) > 0.1


def test_a_photo_is_its_own_natural_look_and_looks_go_where_they_say(small):
    scenes = scenes_of(small, True)
    natural, headroom = develop(scenes, torch.zeros(1, 5))
    assert (natural - light.oetf(scenes.light)).abs().max() < 0.01 and headroom.isnan().all()
    dark, _ = develop(scenes, torch.tensor([[-1.0, 0, 0, 0, 0]]))
    warm, _ = develop(scenes, torch.tensor([[0.0, 0, 0, 0.7, 0]]))
    grey, _ = develop(scenes, torch.tensor([[0.0, 0, 0, 0, -1.0]]))
    assert dark.mean() < natural.mean()
    assert (warm - natural).mean((0, 2, 3))[0] > 0 > (warm - natural).mean((0, 2, 3))[2]
    assert grey.std(1).max() < 1e-3


def test_captures_are_8_bit_seeded_and_cover_the_exposures(small):
    scenes = scenes_of(small, False, n=256)
    shots = capture(scenes, torch.Generator().manual_seed(1))
    assert torch.equal(shots, capture(scenes, torch.Generator().manual_seed(1)))
    assert not torch.equal(shots, capture(scenes, torch.Generator().manual_seed(2)))
    assert torch.equal((shots * 255).round() / 255, shots)
    means = shots.mean((1, 2, 3))
    assert means.min() < 0.06 and means.max() > 0.6


def test_some_photos_pass_untouched(small):
    scenes = scenes_of(small, True, n=64)
    shots = capture(scenes, torch.Generator().manual_seed(1))
    same = ((shots - light.oetf(scenes.light)).abs().amax((1, 2, 3)) < 0.003).sum()
    assert 10 < same < 40
