import cv2
import numpy as np
import pytest

from camera_nano.color import srgb_eotf, srgb_oetf
from camera_nano.light.denoise import denoise
from camera_nano.light.render import render
from camera_nano.values import GRID_HWD, EditField


def lift(ev):
    return EditField(np.full((*GRID_HWD, 4), ev, np.float32))


def captured(photo, ev, rng=None, dtype=np.uint8):
    """The photo `ev` under, with the noise of a small sensor if `rng` is given."""
    light = srgb_eotf(photo / 255) * 2.0**ev
    if rng is not None:
        light = light + rng.normal(size=light.shape) * np.sqrt(1e-4 * light + 4e-6)
    limit = np.iinfo(dtype).max
    return np.rint(srgb_oetf(np.clip(light, 0, 1)) * limit).astype(dtype)


def chroma_error(made, truth):
    colour = [cv2.cvtColor((x / np.iinfo(x.dtype).max).astype(np.float32), cv2.COLOR_RGB2YCrCb) for x in (made, truth)]
    return float(np.abs(colour[0] - colour[1])[..., 1:].mean())


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_lifted_noise_is_calmed_and_edges_stay(photo, rng, dtype):
    noisy, field = captured(photo, -4, rng, dtype), lift(4)
    truth = render(captured(photo, -4, dtype=np.uint16), field)
    before = render(noisy, field)
    after = denoise(before, noisy, field)
    assert after.dtype == dtype
    assert chroma_error(after, truth) < 0.5 * chroma_error(before, truth)
    scale = np.iinfo(dtype).max

    def luma_noise(made):
        error = made.mean(2) / scale - truth.mean(2) / 65535
        return float((error - cv2.GaussianBlur(error, (0, 0), 3)).std())

    def contrast_at_edges(made):
        grey = cv2.GaussianBlur((made.mean(2) / np.iinfo(made.dtype).max).astype(np.float32), (0, 0), 1.5)
        slope = np.hypot(cv2.Sobel(grey, -1, 1, 0), cv2.Sobel(grey, -1, 0, 1))
        return slope[edges].mean()

    smooth = cv2.GaussianBlur((truth.mean(2) / 65535).astype(np.float32), (0, 0), 1.5)
    steep = np.hypot(cv2.Sobel(smooth, -1, 1, 0), cv2.Sobel(smooth, -1, 0, 1))
    edges = steep > np.quantile(steep, 0.97)
    assert luma_noise(after) < 0.85 * luma_noise(before)
    assert contrast_at_edges(after) > 0.95 * contrast_at_edges(truth)


def test_what_is_not_lifted_stays_bit_for_bit(photo, rng):
    noisy = captured(photo, 0, rng)
    for field in (EditField.identity(), lift(-2), lift(0.3)):
        made = render(noisy, field)
        assert denoise(made, noisy, field) is made
    half = np.zeros((*GRID_HWD, 4), np.float32)
    half[:, GRID_HWD[1] // 2 + 1 :] = 4  # only the right side is lifted
    dark = captured(photo, -4, rng)
    made = render(dark, EditField(half))
    after = denoise(made, dark, EditField(half))
    left, right = slice(0, photo.shape[1] // 4), slice(-photo.shape[1] // 4, None)
    assert np.array_equal(after[:, left], made[:, left])
    assert not np.array_equal(after[:, right], made[:, right])


def test_a_clean_picture_is_not_touched_however_far_it_is_lifted(photo):
    clean = captured(photo, -2, dtype=np.uint16)
    made = render(clean, lift(2))
    assert np.abs(denoise(made, clean, lift(2)).astype(int) - made).mean() < 65535 * 0.002


@pytest.mark.parametrize("hw", [(1, 1), (3, 200), (200, 3), (301, 517)])
def test_any_size(rng, hw):
    pixels = rng.integers(0, 12, (*hw, 3)).astype(np.uint8)
    made = render(pixels, lift(4))
    assert denoise(made, pixels, lift(4)).shape == pixels.shape


def test_strips_do_not_show(photo, rng, monkeypatch):
    """A picture of several strips is treated as the same picture in one."""
    tall = np.tile(captured(photo, -4, rng), (3, 1, 1))[: 256 + 200]
    made = render(tall, lift(4))
    in_strips = denoise(made, tall, lift(4))
    monkeypatch.setattr("camera_nano.light.denoise._STRIP_ROWS", 10_000)
    assert np.abs(denoise(made, tall, lift(4)).astype(int) - in_strips).max() <= 1


def as_jpeg(pixels, quality):
    return cv2.imdecode(cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR)


def blockiness(made):
    """How much stronger steps are at the lines of JPEG's grid than between them; 1 is not at all."""
    steps = np.abs(np.diff(made.astype(float).mean(2), axis=1)).mean(0)
    at_line = np.arange(len(steps)) % 8 == 7
    return steps[at_line].mean() / steps[~at_line].mean()


def test_blocks_of_a_lifted_jpeg_do_not_show_and_edges_stay(photo):
    dark = as_jpeg(captured(photo, -4), 85)
    before = render(dark, lift(4))
    after = denoise(before, dark, lift(4))
    assert blockiness(before) > 1.3 and blockiness(after) < 1.1
    grey = cv2.GaussianBlur(photo.mean(2).astype(np.float32), (0, 0), 1.5)
    steep = np.hypot(cv2.Sobel(grey, -1, 1, 0), cv2.Sobel(grey, -1, 0, 1))
    edges = steep > np.quantile(steep, 0.97)
    found = [np.hypot(*np.gradient(cv2.GaussianBlur(x.astype(float).mean(2), (0, 0), 1.5))) for x in (before, after)]
    assert found[1][edges].mean() > 0.9 * found[0][edges].mean()


@pytest.mark.parametrize("shift", [0, 3])
def test_the_grid_is_found_where_it_is_and_nowhere_else(photo, monkeypatch, shift):
    """A cropped JPEG has its grid elsewhere; a picture without one is made the same with its search as without."""
    dark = as_jpeg(captured(photo, -4), 85)[:, shift:]
    after = denoise(render(dark, lift(4)), dark, lift(4))
    plain = captured(photo, -4)
    of_plain = denoise(render(plain, lift(4)), plain, lift(4))
    monkeypatch.setattr("camera_nano.light.denoise._grid_line", lambda *_: None)
    assert not np.array_equal(denoise(render(dark, lift(4)), dark, lift(4)), after)
    assert np.array_equal(denoise(render(plain, lift(4)), plain, lift(4)), of_plain)
    assert blockiness(np.pad(after, ((0, 0), (shift, 0), (0, 0)), "edge")) < 1.15


def test_steps_of_a_smooth_sky_below_white_are_spread_where_the_edit_is_steep():
    sky = np.rint(np.tile(np.linspace(235, 250, 512)[None, :, None], (256, 1, 3))).astype(np.uint8)
    grid = np.zeros((*GRID_HWD, 4), np.float32)
    grid[..., -2:, :] = -2  # white stays white, so what is just below it is spread over more codes
    made = render(sky, EditField(grid))
    after = denoise(made, sky, EditField(grid))

    def largest_step(picture):
        return np.abs(np.diff(picture[8:-8, 8:-8].astype(int), axis=1)).max()

    assert largest_step(made) >= 8
    assert largest_step(after) <= 0.5 * largest_step(made)
    assert np.abs(after.astype(int) - made).max() <= largest_step(made)
