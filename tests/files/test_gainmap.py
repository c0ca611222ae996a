import numpy as np
import pytest
from hdr import hdr_light

from camera_nano.color import srgb_eotf, srgb_oetf
from camera_nano.files.gainmap import apply, from_headroom, headroom_ev
from camera_nano.light import render as rendering
from camera_nano.light.enhance import enhance_frame
from camera_nano.light.field import guide, slice_field
from camera_nano.light.headroom import draw_gain_map
from camera_nano.values import GRID_HWD, EditField, Frame, GainMap


def with_headroom(headroom):
    grid = np.zeros((*GRID_HWD, 4), np.float32)
    grid[..., 3] = headroom
    return EditField(grid)


def meaning(gain):
    return gain.codes / 255 * gain.max_ev[0]


@pytest.mark.parametrize("loop", ["compiled", "numpy"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_the_map_is_the_headroom_of_the_field_at_half_size(photo, loop, dtype, rng, monkeypatch):
    if loop == "numpy":
        monkeypatch.setattr(rendering, "kernel", lambda: None)
    field = with_headroom(rng.uniform(-1, 3, GRID_HWD))
    large = np.tile(photo, (3, 2, 1))[:1300, :902]
    gain = draw_gain_map(large if dtype == np.uint8 else large.astype(np.uint16) * 257, field)
    assert gain.codes.shape == (650, 451) and gain.codes.dtype == np.uint8
    even = large.reshape(650, 2, 451, 2, 3).mean((1, 3))
    wanted = np.maximum(slice_field(field, guide(srgb_eotf(np.rint(even) / 255)))[..., 3], 0)
    error = np.abs(meaning(gain) - wanted)
    assert np.percentile(error, 99) < 0.1 and error.mean() < 0.02
    assert gain.headroom_ev == pytest.approx(wanted.max(), rel=0.05)  # measured, and no more than that


def test_headroom_that_the_picture_does_not_show_is_not_declared():
    grid = np.zeros((*GRID_HWD, 4), np.float32)
    grid[:, :, -1, 3], grid[:, :, 3, 3] = 6, 0.5  # six stops, but of bright pixels, and there are none
    middle = round(255 * float(srgb_oetf(2 ** ((3.5 / 8) * 10) / 1023)))
    gain = draw_gain_map(np.full((64, 64, 3), middle, np.uint8), EditField(grid))
    assert gain.headroom_ev == pytest.approx(0.5, abs=0.05) and gain.codes.min() == 255


def test_odd_sizes_are_rounded_up(photo):
    assert draw_gain_map(np.tile(photo, (3, 2, 1))[:1301, :901], with_headroom(1)).codes.shape == (651, 451)


def test_a_small_picture_has_a_map_of_its_own_size(photo):
    assert draw_gain_map(photo[:301, :1], with_headroom(1)).codes.shape == (301, 1)


@pytest.mark.parametrize("headroom", [0, -2, 0.2])
def test_without_headroom_there_is_no_map(photo, headroom):
    assert draw_gain_map(photo, with_headroom(headroom)) is None
    assert from_headroom(np.full((8, 8), headroom, np.float32)) is None


def test_strength_scales_the_headroom_too(photo):
    field = with_headroom(2)
    assert draw_gain_map(photo, field * 0.5).headroom_ev == pytest.approx(1, abs=0.01)
    assert draw_gain_map(photo, field * 0) is None


def test_threads_draw_the_same_map(photo, wild_field):
    assert np.array_equal(draw_gain_map(photo, wild_field).codes, draw_gain_map(photo, wild_field, threads=3).codes)


def test_light_comes_back_with_its_hue_and_black_stays_black():
    y, x = np.mgrid[:200, :300]
    ev = np.clip(3 - np.hypot(y - 100, x - 150) / 40, 0, 3).astype(np.float32)
    pixels = np.stack([200 + 0 * x, x % 180, 0 * x], -1).astype(np.uint16) * 257
    truth = srgb_eotf(pixels / 65535) * np.exp2(ev)[..., None]
    light = hdr_light(pixels, from_headroom(ev))
    error = np.abs(light - truth).max(-1) / truth.max(-1)
    assert np.percentile(error, 99) < 0.01
    assert (light[..., 2] == 0).all()
    hue = light[..., 1] / light[..., 0] - truth[..., 1] / truth[..., 0]
    assert np.abs(hue).max() < 1e-6
    assert np.abs(headroom_ev(pixels, from_headroom(ev)) - ev).mean() < 0.01


def test_a_look_and_its_map_make_the_light_that_the_model_says(editor, dark_photo):
    """As `tools/judging/judge.py` measures it: the SDR picture times two to the headroom, sliced at full size."""
    [look] = enhance_frame(Frame(dark_photo), editor, [editor.looks["hdr"]])
    grid = look.field.grid.copy()
    grid[..., 3] += 1  # a whole photo of lamps
    field = EditField(grid)
    light = hdr_light(look.image, draw_gain_map(dark_photo, field))
    truth = srgb_eotf(look.image / 255) * np.exp2(
        np.maximum(slice_field(field, guide(srgb_eotf(dark_photo / 255)))[..., 3:], 0)
    )
    error = np.abs(light - truth).max(-1) / np.maximum(truth.max(-1), 1e-3)
    assert np.percentile(error, 99) < 0.02


def test_the_formula_of_the_standard_for_three_channels():
    codes = np.full((1, 1, 3), (0, 128, 255), np.uint8)
    gain = GainMap(codes, (1.0, 2.0, 3.0), 3, (-1.0, 0.0, 0.5), (1.0, 2.0, 1.0), (0.01,), (0.02,))
    light = apply(np.full((2, 2, 3), 0.25, np.float32), gain)
    for k, ev in enumerate((-1, 2 * (128 / 255) ** 0.5, 3)):
        assert light[..., k] == pytest.approx(0.26 * 2**ev - 0.02, rel=1e-5)


def test_strips_join_without_a_seam(rng):
    light = rng.random((90, 40, 3)).astype(np.float32)
    gain = GainMap(rng.integers(0, 256, (45, 20)).astype(np.uint8), (2.0,), 2)
    strips = [apply(light[at : at + 32], gain, first_row=at, height=90) for at in range(0, 90, 32)]
    assert np.allclose(np.concatenate(strips), apply(light, gain), atol=1e-5)


def test_a_base_that_is_the_hdr_picture_is_its_own_light():
    pixels = np.full((2, 2, 3), 255, np.uint8)
    gain = GainMap(np.zeros((1, 1), np.uint8), (2.0,), 0, (-2.0,), base_headroom_ev=2)
    assert (hdr_light(pixels, gain) == 1).all()


@pytest.mark.parametrize(
    "numbers",
    [{"max_ev": (np.nan,)}, {"max_ev": (-1.0,)}, {"gamma": (0.0,)}, {"headroom_ev": 1e9}, {"min_ev": (0.0, 0.0)}],
)
def test_senseless_numbers_are_refused(numbers):
    with pytest.raises(ValueError, match="gain map"):
        GainMap(**({"codes": np.zeros((1, 1), np.uint8), "max_ev": (1.0,), "headroom_ev": 1.0} | numbers))
