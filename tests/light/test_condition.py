import numpy as np
import pytest

from camera_nano.light.condition import condition
from camera_nano.values import Frame


def test_the_whole_frame_whatever_its_shape(photo):
    for pixels in (photo, photo[:, :100], photo[:30], photo[:5, :7]):
        seen = condition(Frame(pixels)).thumbnail
        assert seen.shape == (64, 64, 3) and seen.dtype == np.float32
        assert seen.mean() == pytest.approx(pixels.mean() / 255, abs=0.02)


def test_depths_agree(photo):
    deep = photo.astype(np.uint16) * 257
    assert np.abs(condition(Frame(photo)).thumbnail - condition(Frame(deep)).thumbnail).max() < 0.005


def test_dark_pixels_keep_fractions_of_a_code(rng):
    dark = (rng.random((2048, 2048, 1)) < 0.3).astype(np.uint8).repeat(3, 2)  # mean 0.3 of one code
    seen = condition(Frame(dark)).thumbnail * 255
    assert seen.mean() == pytest.approx(0.3, abs=0.15) and 0 < seen.mean() < 1


def test_upright_and_not_mirrored():
    pixels = np.zeros((90, 160, 3), np.uint8)
    pixels[:45, :80] = (255, 128, 0)
    seen = condition(Frame(pixels, id=4, t_ns=5))
    assert seen.thumbnail[5, 5] == pytest.approx([1, 128 / 255, 0], abs=0.01)
    assert not seen.thumbnail[5, 60].any() and not seen.thumbnail[60, 5].any()
    assert (seen.frame_id, seen.t_ns) == (4, 5)
