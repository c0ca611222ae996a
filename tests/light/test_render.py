import resource

import numpy as np
import pytest

from camera_nano.color import srgb_oetf
from camera_nano.light import render as rendering
from camera_nano.light.field import mix, render_reference
from camera_nano.light.render import kernel, render
from camera_nano.values import GAIN_LIMIT_EV, GRID_HWD, EditField

DEPTHS = pytest.mark.parametrize("dtype", [np.uint8, np.uint16])


@pytest.fixture(params=["compiled", "numpy"], autouse=True)
def loop(request, monkeypatch):
    """Every promise holds with the compiled loop and without it."""
    if request.param == "numpy":
        monkeypatch.setattr(rendering, "kernel", lambda: None)
    elif kernel() is None:
        pytest.skip("no compiled kernel, and no compiler to make one")
    return request.param


def test_strided_pictures_and_places_are_welcome(photo, wild_field):
    wanted = render(photo[::2, ::3], wild_field)
    assert np.abs(wanted.astype(int) - render_reference(np.ascontiguousarray(photo[::2, ::3]), wild_field)).max() <= 1
    out = np.zeros((*wanted.shape[:2], 6), np.uint8)[..., :3]
    assert np.abs(render(photo[::2, ::3], wild_field, out=out).astype(int) - wanted).max() <= 1


def every_code(dtype):
    codes = np.arange(np.iinfo(dtype).max + 1).astype(dtype)
    return np.stack([codes, np.roll(codes, 7), codes[::-1]], -1).reshape(-1, 64, 3)


def nearly_identity():
    """Not zero, so that the kernel itself runs, but far below what moves a code value."""
    return EditField(np.full((*GRID_HWD, 4), 1e-12, np.float32))


@DEPTHS
def test_identity_is_bit_exact_for_every_code(dtype):
    pixels = every_code(dtype)
    assert np.array_equal(render(pixels, EditField.identity()), pixels)
    assert np.array_equal(render(pixels, nearly_identity()), pixels)


@DEPTHS
@pytest.mark.parametrize("hw", [(1, 1), (1, 17), (17, 1), (61, 103), (128, 96)])
def test_within_one_code_of_the_reference(dtype, hw, rng, wild_field):
    pixels = rng.integers(0, np.iinfo(dtype).max + 1, (*hw, 3)).astype(dtype)
    pixels[: hw[0] // 2] //= 50  # shadows too, where the guide is steep
    difference = np.abs(render(pixels, wild_field).astype(int) - render_reference(pixels, wild_field))
    assert difference.max() <= 1


@DEPTHS
def test_gains_beyond_a_fields_limit_by_a_channels_own_light_stay_in_the_table(dtype, rng):
    pixels = rng.integers(0, np.iinfo(dtype).max + 1, (90, 120, 3)).astype(dtype)
    field = EditField(rng.uniform(-GAIN_LIMIT_EV, GAIN_LIMIT_EV, (*GRID_HWD, 4)).astype(np.float32))
    assert np.abs(render(pixels, field).astype(int) - render_reference(pixels, field)).max() <= 1


@pytest.mark.slow
def test_a_real_photo_through_a_wild_field(photo, wild_field):
    made, wanted = render(photo, wild_field), render_reference(photo, wild_field)
    assert np.abs(made.astype(int) - wanted).max() <= 1
    assert np.abs(made.astype(int) - photo).mean() > 20  # the field really does something


def test_one_stop_doubles_linear_light():
    grid = np.zeros((*GRID_HWD, 4), np.float32)
    grid[..., 0] = 1
    out = render(np.full((4, 4, 3), 100, np.uint8), EditField(grid))
    assert out[0, 0].tolist() == [138, 100, 100]  # sRGB code 100 is 12.7% light, code 138 is 25.4%


def test_the_grid_spans_the_frame_upright():
    grid = np.zeros((*GRID_HWD, 4), np.float32)
    grid[:8, :8, :, :3] = -2  # upper left quarter
    out = render(np.full((40, 80, 3), 128, np.uint8), EditField(grid)).astype(int)
    assert out[5, 5, 0] < 90 and (out[5, -5] == 128).all() and (out[-5, 5] == 128).all()


def test_strength_walks_from_the_original_to_the_look(photo, wild_field):
    distance = [np.abs(render(photo, wild_field * s).astype(int) - photo).mean() for s in (0, 0.25, 0.5, 1)]
    assert distance[0] == 0
    assert distance == sorted(distance)


def test_average_of_an_edit_and_its_inverse_changes_nothing(photo, wild_field):
    assert np.array_equal(render(photo, mix([wild_field, wild_field * -1])), photo)


def test_threads_and_out_give_the_same_bytes(photo, wild_field):
    out = np.empty_like(photo)
    assert render(photo, wild_field, threads=3, out=out) is out
    assert np.array_equal(out, render(photo, wild_field))


def test_input_is_not_modified(photo, wild_field):
    kept = photo.copy()
    render(photo, wild_field)
    assert np.array_equal(photo, kept)


@pytest.mark.slow
def test_one_hundred_megapixels_in_bounded_memory(wild_field, loop):
    if loop == "numpy":
        pytest.skip("a minute of work for the same strips")
    pixels = np.full((8000, 12500, 3), 90, np.uint8)
    out = np.empty_like(pixels)
    out[:] = 0  # touch every page now
    render(pixels[:64], wild_field)
    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    render(pixels, wild_field, threads=2, out=out)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib < 16 * 1024
    assert np.ptp(out) > 100


WHITES = pytest.mark.parametrize("white_ev", [(0.0, 0.0, 0.0), (-0.1, -0.4, -1.2)])


@DEPTHS
@WHITES
def test_clipped_light_is_one_white_whatever_its_cell_says(dtype, white_ev, wild_field):
    limit = np.iinfo(dtype).max
    made = render(np.full((90, 120, 3), limit, dtype), EditField(wild_field.grid, white_ev))
    white = np.rint(srgb_oetf(np.exp2(white_ev)) * limit)
    assert (made == made[0, 0]).all() and np.abs(made[0, 0] - white).max() <= 1


@DEPTHS
@WHITES
def test_near_white_too_the_loop_is_within_one_code_of_the_reference(dtype, white_ev, rng, wild_field):
    limit = np.iinfo(dtype).max
    pixels = rng.integers(int(0.75 * limit), limit + 1, (70, 110, 3)).astype(dtype)
    pixels[::2] = pixels[::2, :, :1]
    field = EditField(wild_field.grid, white_ev)
    difference = np.abs(render(pixels, field).astype(int) - render_reference(pixels, field))
    assert difference.max() <= 1


def test_a_lamp_of_one_colour_keeps_its_hue_where_its_neighbours_darken():
    field = EditField(np.full((*GRID_HWD, 4), -1, np.float32))
    red, white = render(np.array([[[255, 40, 20], [255, 255, 255]]], np.uint8), field)[0].astype(int)
    assert white.tolist() == [255, 255, 255]
    assert red[0] == 188 and red[1] < 30 and red[2] < 20  # a stop darker, and as red as it was


@DEPTHS
def test_strength_0_of_a_look_with_its_own_white_is_the_picture(dtype, wild_field):
    pixels = every_code(dtype)
    assert np.array_equal(render(pixels, EditField(wild_field.grid, (-1.0, -1.5, -2.0)) * 0), pixels)
    only_white = EditField(np.zeros((*GRID_HWD, 4), np.float32), (-1.0, -1.0, -1.0))
    assert render(pixels, only_white).max() == np.rint(srgb_oetf(0.5) * np.iinfo(dtype).max)
