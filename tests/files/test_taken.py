"""What EXIF says of how a photo was exposed."""

import math

import pytest
from PIL import Image

from camera_nano.files.taken import taken_from

TAGS = {"bias_ev": 0x9204, "mode": 0xA402, "brightness_ev": 0x9203, "flash": 0x9209}
MANUAL = 1


def block(iso=100, f_number=8.0, time_s=1 / 64, **photo):
    """An EXIF block of an exposure of 12 EV at ISO 100, so that its meter wanted a brightness of 7."""
    exif = Image.Exif()
    told = exif.get_ifd(0x8769)
    told[0x829A], told[0x829D], told[0x8827] = time_s, f_number, iso
    told.update({TAGS[name]: value for name, value in photo.items()})
    return exif.tobytes().removeprefix(b"Exif\0\0")


@pytest.mark.parametrize(
    ("exif", "off_meter_ev"),
    [
        (block(bias_ev=-2.0), -2),
        (block(bias_ev=-2.0, mode=0, brightness_ev=7.0), -2),  # a meter that was obeyed has nothing to add
        (block(mode=0, brightness_ev=5.0), 0),  # as phones write it that join several exposures
        (block(mode=MANUAL, brightness_ev=7.0), 0),
        (block(mode=MANUAL, brightness_ev=9.5), 2.5),
        (block(mode=MANUAL, brightness_ev=7.0, iso=25), -2),
        (block(mode=MANUAL, brightness_ev=7.0, time_s=1 / 16), 2),
        (block(mode=MANUAL, brightness_ev=7.0, f_number=4.0), 2),
        (block(mode=MANUAL, brightness_ev=5.0, bias_ev=-3.0), -2),  # by hand, a bias moves nothing
        (block(mode=MANUAL, brightness_ev=5.0, flash=1), 0),  # the flash was the light
        (block(mode=MANUAL, brightness_ev=0.0), 0),  # and so it was here, by a cable
        (block(mode=MANUAL), 0),
        (block(mode=MANUAL, brightness_ev=9.5, iso=65535), 0),  # too much for the tag
        (block(), 0),
        (b"II*\0damaged", 0),
        (None, 0),
    ],
)
def test_how_far_off_its_meter_a_camera_exposed(exif, off_meter_ev):
    assert taken_from(exif).off_meter_ev == pytest.approx(off_meter_ev, abs=0.02)


def test_absurd_numbers_are_numbers():
    taken = taken_from(block(mode=MANUAL, brightness_ev=9e4, time_s=1e9, f_number=1e-9, iso=1))
    assert math.isfinite(taken.ev) and math.isfinite(taken.off_meter_ev)
