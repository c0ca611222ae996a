import itertools

import numpy as np
import pytest

from camera_nano.color import srgb_codes, srgb_eotf
from camera_nano.light import field as fields
from camera_nano.light.field import render_reference
from camera_nano.values import GAIN_LIMIT_EV, GRID_HWD, EditField


def brute_force(grid, guide):
    """Trilinear interpolation written out pixel by pixel, corner by corner."""
    gh, gw, gd, _ = grid.shape
    h, w = guide.shape
    out = np.zeros((h, w, 4))
    for i, j in itertools.product(range(h), range(w)):
        at = [(i + 0.5) * gh / h - 0.5, (j + 0.5) * gw / w - 0.5, guide[i, j] * gd - 0.5]
        at = [min(max(p, 0), n - 1) for p, n in zip(at, (gh, gw, gd), strict=True)]
        for corner in itertools.product((0, 1), repeat=3):
            index = [min(int(p) + c, n - 1) for p, c, n in zip(at, corner, (gh, gw, gd), strict=True)]
            weight = np.prod([(p - int(p)) if c else 1 - (p - int(p)) for p, c in zip(at, corner, strict=True)])
            out[i, j] += weight * grid[tuple(index)]
    return out


@pytest.mark.parametrize("hw", [(1, 1), (7, 30), (25, 30), (33, 16)])
def test_slice_equals_brute_force(hw, rng):
    field = EditField(rng.uniform(-4, 4, (5, 7, 3, 4)).astype(np.float32))
    guide = rng.random(hw)
    guide.flat[0] = 1.0
    guide.flat[-1] = 0.0
    assert np.allclose(fields.slice_field(field, guide), brute_force(field.grid.astype(float), guide), atol=1e-9)


def test_constant_grid_slices_to_the_constant(rng):
    field = EditField(np.full((*GRID_HWD, 4), 1.25, np.float32))
    assert np.allclose(fields.slice_field(field, rng.random((9, 14))), 1.25)


def test_guide_spans_black_to_white_and_follows_stops():
    assert fields.guide([[0.0] * 3, [1.0] * 3]) == pytest.approx([0, 1])
    one_stop = np.diff(fields.guide(np.array([[2.0**-4] * 3, [2.0**-3] * 3, [2.0**-2] * 3])))
    assert one_stop == pytest.approx([0.1, 0.1], abs=2e-3)


def test_bytes_round_trip_and_size(wild_field):
    data = fields.to_bytes(wild_field)
    assert len(data) < 64 * 1024
    assert np.array_equal(fields.from_bytes(data).grid, wild_field.grid)
    tinted = fields.from_bytes(fields.to_bytes(EditField(wild_field.grid, (-0.25, -0.5, -1.0))))
    assert tinted.white_ev == (-0.25, -0.5, -1.0)


@pytest.mark.parametrize("spoil", [lambda d: d[:-1], lambda d: b"XXXX" + d[4:], lambda d: b"", lambda d: d + b"\0"])
def test_spoilt_bytes_are_refused(spoil, wild_field):
    with pytest.raises(ValueError, match="edit field"):
        fields.from_bytes(spoil(fields.to_bytes(wild_field)))


def test_strength_is_linear_and_mixing_is_the_mean(wild_field):
    half = wild_field * 0.5
    assert np.allclose(half.grid * 2, wild_field.grid)
    assert np.allclose(fields.mix([wild_field, EditField.identity()]).grid, half.grid)
    assert np.allclose(fields.mix([wild_field, EditField.identity()], [3, 1]).grid, wild_field.grid * 0.75)
    assert not (wild_field * 0).grid.any()
    dim = EditField(wild_field.grid, (-1.0, -2.0, 0.0))
    assert (dim * 0.5).white_ev == (-0.5, -1.0, 0.0) and not any((dim * 0).white_ev)
    assert fields.mix([dim, EditField.identity()]).white_ev == (-0.5, -1.0, 0.0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, GAIN_LIMIT_EV + 0.001, -GAIN_LIMIT_EV - 0.001])
def test_unbounded_fields_are_refused(bad):
    grid = np.zeros((*GRID_HWD, 4), np.float32)
    grid[3, 2, 1, 0] = bad
    with pytest.raises(ValueError, match="within"):
        EditField(grid)


def test_strength_beyond_the_limit_is_clamped(wild_field):
    assert np.abs((wild_field * 3).grid).max() <= GAIN_LIMIT_EV


@pytest.mark.parametrize("bad", [(0.1, 0.0, 0.0), (0.0, np.nan, 0.0), (0.0, 0.0)])
def test_a_white_brighter_than_white_is_refused(bad):
    with pytest.raises(ValueError, match="white"):
        EditField(np.zeros((*GRID_HWD, 4), np.float32), bad)


def test_what_is_clipped_is_clipped_in_every_channel():
    codes = np.array([[1.0, 1.0, 1.0], [1.0, 0.3, 0.2], [0.85, 0.85, 0.85], [0.95, 0.95, 0.95]])
    share = fields.clipped_share(codes)
    assert share[:3].tolist() == [1, 0, 0] and 0 < share[3] < 1


@pytest.fixture
def rising_field():
    """A stop more from range bin to range bin, up to what makes light half as bright."""
    return EditField(np.broadcast_to(np.arange(-8.0, 0.0).clip(-6)[:, None], (*GRID_HWD, 4)).astype(np.float32))


def test_where_gains_rise_by_a_stop_from_bin_to_bin_channels_come_apart_by_half_of_it(rng, rising_field):
    light = rng.uniform(0.3, 0.96, (40, 50, 3))
    bins = GRID_HWD[2] * fields.bent(light)
    own = fields.own_light(rising_field, light)
    assert np.allclose(np.diff(own), 0.5 * np.diff(bins), atol=1e-9) and np.ptp(np.diff(own)) > 1
    seen = srgb_codes(light)
    ratio = [
        np.ptp(np.log2(srgb_eotf(codes / 255) + 1e-3), axis=-1).mean()
        for codes in (seen, render_reference(seen, rising_field))
    ]
    assert ratio[1] > 1.2 * ratio[0]


def test_a_grey_has_no_light_of_its_own_and_falling_gains_take_no_colour_away(rng, wild_field):
    grey = np.repeat(rng.uniform(0, 0.96, (9, 11, 1)), 3, 2)
    assert np.abs(fields.own_light(wild_field, grey)).max() < 1e-12
    falling = EditField(np.sort(wild_field.grid, axis=2)[:, :, ::-1].copy())
    assert not fields.own_light(falling, rng.random((9, 11, 3))).any()


@pytest.mark.parametrize(("cut_off", "plain"), [(2, 0), (0, 2)], ids=["sky", "sunset"])
def test_where_red_or_blue_was_cut_off_it_comes_down_less_than_green_at_the_same_code(cut_off, plain, rising_field):
    codes = np.full((8, 8, 3), 255, np.uint8)
    codes[..., plain] = 170  # sky whose blue and green are at white, or a sunset's red and green
    made = render_reference(codes, rising_field)[4, 4].astype(int)
    assert made[cut_off] > made[1] + 10 and made[1] > made[plain]


def test_a_grey_stays_grey_up_to_white_though_its_channels_are_cut_off(rising_field):
    greys = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, 2)
    assert np.ptp(render_reference(greys, rising_field).astype(int), axis=-1).max() <= 1
