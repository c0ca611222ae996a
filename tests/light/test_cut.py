import numpy as np
import pytest

from camera_nano.light.cut import cut, cut_look
from camera_nano.values import GainMap


@pytest.mark.parametrize(
    ("hw", "aspect", "expected"),
    [
        ((720, 1280), "1:1", (720, 720)),
        ((720, 1280), "4:3", (720, 960)),
        ((1280, 720), "4:3", (960, 720)),  # upright
        ((600, 800), "16:9", (450, 800)),
        ((720, 1280), "16:9", (720, 1280)),
        ((7, 5), "", (7, 5)),
    ],
)
def test_the_middle_of_the_picture(hw, aspect, expected):
    rows, columns = np.indices(hw, np.uint16)
    pixels = np.stack([rows, columns, rows], axis=2)
    made = cut(pixels, aspect)
    assert made.shape == (*expected, 3)
    top, left = made[0, 0, :2]
    assert abs(2 * top + expected[0] - hw[0]) <= 1 and abs(2 * left + expected[1] - hw[1]) <= 1


def test_a_gain_map_is_cut_as_its_picture():
    gain = GainMap(np.zeros((45, 80), np.uint8), (1.0,), 1.0)
    image, small = cut_look(np.zeros((90, 160, 3), np.uint8), gain, "1:1")
    assert image.shape[:2] == (90, 90) and small.codes.shape == (45, 45)
    assert cut_look(image, None, "1:1")[1] is None
