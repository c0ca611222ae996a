"""Raw frames of a simulated sensor: merged, they have little noise, and are drawn as the camera's finished frame."""

import bayer
import cv2
import numpy as np
import pytest

from camera_nano.color import srgb_eotf
from camera_nano.merge import Capture, RawCapture, expose, merge, merge_raw

N = 6


@pytest.fixture(scope="module")
def light(photo):
    """True light, (288, 352, 3), up to white."""
    blurred = cv2.GaussianBlur(srgb_eotf(photo / 255).astype(np.float32), (0, 0), 1.5)
    return np.ascontiguousarray(blurred[60:348, 40:392])


def error(codes, wanted, size_px=1):
    """Root of the mean squared error of codes, of means of so many pixels."""
    kernel = (size_px, size_px)
    return float(np.sqrt(np.mean(np.square(cv2.blur(codes, kernel) - cv2.blur(wanted, kernel)))))


@pytest.mark.parametrize("order", bayer.ORDERS)
def test_raw_frames_lose_their_noise_and_are_drawn_as_the_finished_one(light, rng, order):
    values = [bayer.sensed(light, rng, order) for _ in range(N)]
    finished = [bayer.finished(value, order) for value in values]
    of_raw = merge_raw([RawCapture(bayer.raw(value, order)) for value in values], finished[0], threads=2)
    of_finished = merge([Capture(pixels) for pixels in finished], threads=2)
    assert of_raw.n_used == N
    wanted = bayer.tones(np.clip(light, 0, 1)).astype(np.float32)
    raw, plain, one = (
        np.asarray(codes, np.float32)
        for codes in (expose(of_raw, 0).pixels / 65535, expose(of_finished, 0).pixels / 65535, finished[0] / 255)
    )
    assert error(raw, wanted) < 1.03 * error(plain, wanted) < 0.65 * error(one, wanted)
    # colours and tones, in the corners too, are those of the finished frame
    for place in (np.s_[:], np.s_[:80, :80], np.s_[-80:, -80:]):
        assert error(raw[place], wanted[place], 25) < 0.025


def test_a_moving_hand_is_followed(light, rng):
    values = [bayer.sensed(np.roll(light, (3 * n, -5 * n), (0, 1)), rng) for n in range(4)]
    merged = merge_raw([RawCapture(bayer.raw(value)) for value in values], bayer.finished(values[0]))
    assert merged.n_used == 4 and merged.moved_px == pytest.approx(np.hypot(9, 15), abs=1)


def test_clipped_light_is_white(light, rng):
    values = bayer.sensed(light * 4, rng)
    merged = merge_raw([RawCapture(bayer.raw(values))], bayer.finished(values))
    codes = expose(merged).pixels
    clipped = (bayer.finished(values) == 255).all(2)
    assert clipped.mean() > 0.01 and np.percentile(codes[clipped], 2) > 0.95 * 65535
    assert merged.range_ev == 0 and merged.light.max() <= 1


def test_values_of_another_picture_are_refused(light, rng):
    values, other = bayer.sensed(light, rng), bayer.sensed(light[::-1, ::-1], rng)
    with pytest.raises(ValueError, match="do not match"):
        merge_raw([RawCapture(bayer.raw(values))], bayer.finished(other))
    with pytest.raises(ValueError, match="352x288 are not of 350x288"):
        merge_raw([RawCapture(bayer.raw(values))], bayer.finished(values)[:, :350])
