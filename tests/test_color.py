import numpy as np
import pytest

from camera_nano import color


def test_known_values():
    assert color.srgb_oetf(0.18) == pytest.approx(0.461356, abs=1e-6)
    assert color.srgb_eotf(0.5) == pytest.approx(0.214041, abs=1e-6)
    assert color.luminance([1.0, 1.0, 1.0]) == pytest.approx(1.0)


def test_round_trip_outside_and_inside_the_range():
    light = np.linspace(-1.5, 4, 1001).reshape(7, 11, 13)
    assert np.allclose(color.srgb_eotf(color.srgb_oetf(light)), light, atol=1e-6)


def test_scalar_and_array_agree():
    codes = np.array([0.0, 0.04045, 0.5, 1.0])
    assert [float(color.srgb_eotf(c)) for c in codes] == color.srgb_eotf(codes).tolist()


@pytest.mark.parametrize(
    ("kelvin", "x", "y"), [(2856, 0.4476, 0.4074), (6500, 0.3135, 0.3237), (10000, 0.2807, 0.2884)]
)
def test_planckian_locus_matches_the_tables(kelvin, x, y):
    assert color.planckian_xy(kelvin) == pytest.approx((x, y), abs=1e-3)  # what the cubic fit promises


def test_temperature_out_of_range_is_refused():
    with pytest.raises(ValueError, match="1000 K is outside"):
        color.planckian_xy(1000)


def test_warmer_means_more_red_less_blue_same_luminance():
    r, g, b = color.temperature_gains(0.7)
    assert r > g > b
    assert color.luminance([r, g, b]) == pytest.approx(1)
    assert color.temperature_gains(0.0) == pytest.approx([1, 1, 1])
    assert color.temperature_gains(-0.5)[2] > 1


def test_codes_of_16_bits_are_those_of_the_formula():
    light = np.concatenate([np.linspace(0, 1, 300_001), np.geomspace(1e-6, 0.01, 10_000)]).astype(np.float32)
    off = color.srgb_codes_16(light).astype(int) - np.rint(color.srgb_oetf(light) * 65535)
    assert np.abs(off).max() <= 1 and np.abs(off).mean() < 0.3
    assert color.srgb_codes_16(np.array([0, 1], np.float32)).tolist() == [0, 65535]
