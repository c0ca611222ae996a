"""Captures of a real photo's light: what merging them gains, and that it never costs anything."""

import cv2
import numpy as np
import pytest

from camera_nano.color import srgb_eotf, srgb_oetf
from camera_nano.merge import Capture, align, average, expose, fill, merge
from camera_nano.merge.kernel import kernel
from camera_nano.sources.demo import DemoCamera

N = 8
NO_KERNEL = "no compiled kernel, and no compiler to make one"


@pytest.fixture(params=["compiled", pytest.param("numpy", marks=pytest.mark.slow)])
def loop(request, monkeypatch):
    """Every promise holds with the compiled loops and without them."""
    if request.param == "numpy":
        for name in ("align", "average", "filling"):
            monkeypatch.setattr(f"camera_nano.merge.{name}.kernel", lambda: None)
    elif kernel() is None:
        pytest.skip(NO_KERNEL)
    return request.param


@pytest.fixture
def compiled():
    """Only where there are compiled loops."""
    if kernel() is None:
        pytest.skip(NO_KERNEL)


@pytest.fixture(scope="module")
def scene(photo):
    """True light of a photo, (256, 320, 3), 1 = white; a little blurred, so that it is no finer than pixels."""
    light = cv2.GaussianBlur(srgb_eotf(photo / 255).astype(np.float32), (0, 0), 1.0)
    return cv2.resize(light, (400, 400), interpolation=cv2.INTER_AREA)[60:316, 40:360] * np.float32(0.6)


def take(light, rng, ev=0.0, sigma=0.03, dtype=np.uint8, tones=srgb_oetf):
    """A capture with shot noise: of the same size everywhere in the root of light."""
    root = np.sqrt(light * 2.0**ev) + rng.normal(0, sigma, light.shape)
    linear = np.clip(root, 0, 1) ** 2
    if dtype == np.float32:
        return Capture(linear.astype(np.float32), ev)
    limit = np.iinfo(dtype).max
    return Capture(np.rint(limit * tones(linear)).astype(dtype), ev)


def light_of(capture):
    return srgb_eotf(capture.pixels / np.iinfo(capture.pixels.dtype).max) * 2.0**-capture.ev


def gain_db(made, one, truth, where=...):
    error = [np.square(x - truth)[where].mean() for x in (made, one)]
    return 10 * np.log10(error[1] / error[0])


def shaken(light, shift, turn_deg):
    height, width = light.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), turn_deg, 1)
    matrix[:, 2] += shift
    return np.maximum(
        cv2.warpAffine(light, matrix, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT), 0
    )


def thing_at(light, step):
    made = light.copy()
    left = 40 + 32 * step
    made[100:150, left : left + 40] = (0.5, 0.1, 0.05)
    return made


def test_eight_still_captures_gain_seven_of_nine_db(scene, rng, loop):
    captures = [take(scene, rng) for _ in range(N)]
    merged = merge(captures, 3)
    assert gain_db(merged.light, light_of(captures[3]), scene) >= 7
    assert merged.is_merged and merged.n_used == merged.n_captures == N
    assert merged.merged_share > 0.9 and merged.moved_px < 0.5 and merged.range_ev < 0.1


def test_a_shaking_hand_is_followed(scene, rng, loop):
    shakes = [((0, 0), 0), ((9.3, -4.6), 0.6), ((-5.2, 7.7), -0.8), ((2.5, 3.5), 0.3), ((-12.4, -2.1), 1.0)]
    captures = [take(shaken(scene, *shake), rng) for shake in shakes]
    merged = merge(captures)
    assert merged.n_used == len(shakes) and 5 < merged.moved_px < 14
    inner = (slice(24, -24), slice(24, -24))
    assert gain_db(merged.light[inner], light_of(captures[0])[inner], scene[inner]) > 3.5  # of 7 with no shake
    mean = np.mean([light_of(capture) for capture in captures], axis=0)
    assert gain_db(mean[inner], light_of(captures[0])[inner], scene[inner]) < 0  # it was not for nothing


def test_what_moves_leaves_no_ghost(scene, rng, loop):
    lights = [thing_at(scene, step) for step in (3, 0, 1, 2, 4, 5, 6)]
    captures = [take(light, rng) for light in lights]
    merged, one = merge(captures), light_of(captures[0])
    swept = np.any([light != lights[0] for light in lights], axis=(0, 3))
    made, single, truth, mean = (
        cv2.blur(np.asarray(x, np.float32), (9, 9))
        for x in (merged.light, one, lights[0], np.mean([light_of(c) for c in captures], axis=0))
    )
    assert (
        gain_db(made, single, truth, swept) > -0.3
    )  # wide errors are ghosts: as few as one capture has, which has none
    assert gain_db(mean, single, truth, swept) < -6
    assert gain_db(merged.light, one, lights[0], swept) > 2  # and where others agree, they count
    assert gain_db(merged.light, one, lights[0], ~swept) > 6


def test_nothing_in_common_is_the_reference_alone(scene, photo, rng, loop):
    own, foreign = take(scene, rng), take(np.ascontiguousarray(scene[::-1, ::-1, ::-1]), rng)
    merged = merge([own, foreign])
    assert not merged.is_merged
    assert gain_db(merged.light, light_of(own), scene) > -0.1
    assert np.isclose(merged.light, light_of(own), atol=1e-4).mean() > 0.9


def test_a_bracket_holds_what_the_reference_clips(scene, rng, loop):
    bright = scene * 6  # up to 1.8 stops above white
    captures = [take(bright, rng, ev, 0.01) for ev in (0, -2, -4)]
    merged = merge(captures)
    clipped = bright.max(2) > 1
    assert 0.1 < clipped.mean() < 0.9
    assert merged.range_ev == pytest.approx(np.log2(bright.max()), abs=0.3)
    assert gain_db(merged.light, light_of(captures[0]), bright, clipped) > 20
    assert gain_db(merged.light, light_of(captures[0]), bright, ~clipped) > -0.1


def test_a_bright_sky_reaches_the_edges_that_a_shaking_hand_cut_off(scene, rng, loop):
    bright = scene * 2
    bright[:60] = 1.6 + bright[:60] / 6  # all clipped, with some clouds
    captures = [take(bright, rng, 0, 0.005), take(shaken(bright, (5, -7), 0), rng, -2, 0.005)]
    merged = merge(captures)
    apart_ev = np.abs(np.log2(merged.light[:40] / bright[:40]))
    assert apart_ev.max() < 0.4 and apart_ev[:12].mean() < 0.1  # white would be 0.7 stops too dark


@pytest.mark.parametrize("numbers", [(100, 97), (300, 210)])
def test_no_specks_of_white_stay_in_brighter_light(numbers, loop):
    camera = DemoCamera("backlit", (640, 360), pace=False)
    now, earlier = camera.frame(numbers[0]), camera.frame(numbers[1], bracket_ev=-2)
    merged = merge([Capture(frame.pixels, frame.exposure.bracket_ev) for frame in (now, earlier)])
    bright = camera.radiance(numbers[0]).max(2) > 1.5  # the window, the sun on floor and wall, to the frame's edge
    assert bright.mean() > 0.1
    assert (merged.light.max(2)[bright] < 1.05).mean() < 0.005


@pytest.mark.parametrize("numbers", [(60, 50), (118, 100)])
def test_bricks_in_the_sun_are_aligned_with_the_wall(numbers):
    camera = DemoCamera("backlit", pace=False)
    now, earlier = camera.frame(numbers[0]), camera.frame(numbers[1], bracket_ev=-2)
    merged = merge([Capture(frame.pixels, frame.exposure.bracket_ev) for frame in (now, earlier)])
    sun = np.s_[380:470, 740:860]  # two channels are clipped there, and rows of bricks are like each other
    bright = camera.radiance(numbers[0])[sun].max(2) > 1.3
    assert bright.mean() > 0.5 and (merged.light[sun].max(2)[bright] > 1.05).all()


def test_a_brighter_capture_cleans_the_shadows_and_its_clipped_parts_do_not_count(scene, rng, loop):
    captures = [take(scene, rng), take(scene, rng, 2)]
    merged, one = merge(captures), light_of(captures[0])
    dark = scene.max(2) < 0.1
    assert gain_db(merged.light, one, scene, dark) > 4  # four times the light: 7 at most
    assert gain_db(merged.light, one, scene, scene.max(2) > 0.4) > -0.1


def camera_tones(n, s):
    """A camera's curve (Eilertsen et al. 2017)."""
    return lambda light: (1 + s) * light**n / (light**n + s)


def contrast(light):
    """An S-curve on sRGB's codes."""
    code = srgb_oetf(light)
    return code + 0.5 * (code * code * (3 - 2 * code) - code)


@pytest.mark.parametrize("tones", [camera_tones(0.9, 0.6), camera_tones(0.8, 0.5), contrast])
def test_a_cameras_own_tones_leave_no_seam_and_no_other_hue(tones, scene, rng, loop):
    bright = scene * 6
    own, darker = (take(bright, rng, ev, 0.01, tones=tones) for ev in (0, -2))
    merged = merge([own, darker])
    join = (bright.max(2) > 0.7) & (bright.max(2) < 2.5)
    assert np.abs(np.log2(merged.light.max(2)[join] / bright.max(2)[join])).mean() < 0.2
    shares = [light[join] / light[join].sum(1, keepdims=True) for light in (merged.light, bright)]
    assert np.abs(shares[0] - shares[1]).mean() < 0.01
    # what did not clip is drawn as the camera drew it
    exposed, filled = srgb_eotf(expose(merged, 0).pixels / 65535), srgb_eotf(fill(own, darker).expose(0) / 65535)
    for shown in (exposed, filled):
        assert np.abs(shown - light_of(own))[bright.max(2) < 0.7].mean() < 0.01
    apart = np.abs(fill(own, darker).expose(-1.5).astype(int) - expose(merged, -1.5).pixels) / 257
    assert apart.mean() < 3


def test_srgb_is_taken_for_srgb(scene, rng):
    assert merge([take(scene * 6, rng, ev, 0.01) for ev in (0, -2)]).curve is None
    assert merge([take(scene, rng, ev, 0.03) for ev in (0, 0)]).curve is None


@pytest.mark.parametrize("told", [-2.5, -1.6])
def test_an_exposure_told_wrong_is_measured(told, scene, rng):
    dark = take(scene * 4, rng, -2, 0.01)
    right, wrong = (
        merge([take(scene * 4, np.random.default_rng(1), 0, 0.01), Capture(dark.pixels, ev)]) for ev in (-2, told)
    )
    assert wrong.merged_share == pytest.approx(right.merged_share, abs=0.05)
    assert np.abs(np.log2((wrong.light + 0.01) / (right.light + 0.01))).mean() < 0.03


def test_where_all_clip_the_darkest_says_how_bright_it_is_at_least(scene, rng, loop):
    lamp = scene.copy()
    lamp[100:140, 100:140] = 50
    merged = merge([take(lamp, rng, ev, 0.01) for ev in (0, -2)])
    assert merged.light[110:130, 110:130].min() > 3


def test_kinds_of_pixels_give_the_same_light(scene, loop):
    lights = [
        merge([take(scene, np.random.default_rng(i), dtype=dtype) for i in range(3)]).light
        for dtype in (np.uint8, np.uint16, np.float32)
    ]
    assert np.abs(lights[1] - lights[2]).mean() < 1e-3
    assert np.abs(lights[0] - lights[1]).mean() < 2e-3


@pytest.mark.parametrize("hw", [(1, 1), (5, 3), (61, 103), (130, 67), (256, 320)])
def test_compiled_and_numpy_agree(hw, scene, rng, monkeypatch, compiled):
    light = scene[: hw[0], : hw[1]] * 3
    moved = np.roll(light, (2, -3), (0, 1))
    captures = [
        take(light, rng),
        take(moved, rng),
        take(moved, rng, -2, dtype=np.uint16),
        take(light, rng, 1, dtype=np.float32),
    ]
    quick = merge(captures)
    for module in (align, average):
        monkeypatch.setattr(module, "kernel", lambda: None)
    plain = merge(captures)
    apart = np.abs(quick.light - plain.light)
    # tiles whose two best shifts are equally good may differ, and with them a few pixels
    assert np.percentile(apart, 99) < 2e-3
    assert quick.merged_share == pytest.approx(plain.merged_share, abs=0.02)


@pytest.mark.parametrize("hw", [(1, 1), (5, 3), (61, 103), (256, 320)])
def test_filled_and_merged_show_the_same_light(hw, scene, rng, loop):
    bright = scene[: hw[0], : hw[1]] * 6  # up to 1.8 stops above white
    own, darker = take(bright, rng, 0, 0.01), take(np.roll(bright, (2, -3), (0, 1)), rng, -2, 0.01)
    codes = fill(own, darker).expose(-1.8)
    merged = expose(merge([own, darker]), -1.8).pixels
    assert codes.shape == merged.shape and codes.dtype == np.uint16
    apart = np.abs(codes.astype(int) - merged) / 257
    assert apart.mean() < 3  # of 255; a merge has less noise
    if hw[0] == 256:
        light, one = srgb_eotf(codes / 65535) * 2**1.8, light_of(own)
        assert gain_db(light, one, bright, bright.max(2) > 1) > 12
        inside = np.s_[8:-8, 8:-8]
        assert np.abs(light - one)[inside][bright[inside].max(2) < 0.8].max() < 1e-3  # the rest is the frame's own


def test_compiled_and_numpy_fill_alike(scene, rng, monkeypatch, compiled):
    own, darker = take(scene * 6, rng, 0, 0.01), take(np.roll(scene * 6, 5, 1), rng, -2, 0.01)
    filled = fill(own, darker)
    quick = filled.expose(-1.3, threads=2)
    monkeypatch.setattr("camera_nano.merge.filling.kernel", lambda: None)
    assert np.abs(filled.expose(-1.3).astype(int) - quick).max() <= 1


def test_what_moved_away_fills_nothing(scene, rng, loop):
    white = scene.copy()
    white[90:170, 90:170] = 3
    own, darker = take(white, rng, 0, 0.01), take(scene, rng, -2, 0.01)  # the lamp was off
    light = srgb_eotf(fill(own, darker).expose(0) / 65535)
    assert np.abs(light - light_of(own))[95:165, 95:165].mean() < 0.01


def test_one_capture_is_its_own_merge(scene, rng, loop):
    own = take(scene, rng)
    merged = merge([own])
    assert np.allclose(merged.light, light_of(own), atol=1e-6)
    assert (merged.n_used, merged.merged_share, merged.range_ev, merged.is_merged) == (1, 0, 0, False)


def test_only_differences_of_exposures_count(scene, rng):
    captures = [take(scene, rng), take(scene, rng, -1)]
    later = [Capture(c.pixels, c.ev + 3) for c in captures]
    assert np.array_equal(merge(captures).light, merge(later).light)


def test_threads_give_the_same_bytes_and_nothing_is_written_to(scene, rng):
    captures = [take(scene, rng) for _ in range(3)]
    kept = [c.pixels.copy() for c in captures]
    assert np.array_equal(merge(captures, threads=1).light, merge(captures, threads=3).light)
    assert all(np.array_equal(c.pixels, k) for c, k in zip(captures, kept, strict=True))


def test_noise_is_measured(scene, rng):
    merged = merge([take(scene, rng, sigma=0.03)])
    a, _ = merged.noise
    assert 0.6 < a / (4 * 0.03**2) < 1.6  # variance of light is 4 * light * that of its root


def test_what_cannot_be_merged_is_refused(scene, rng):
    own = take(scene, rng)
    with pytest.raises(ValueError, match="no capture 0"):
        merge([])
    with pytest.raises(ValueError, match="no capture 2"):
        merge([own, own], 2)
    with pytest.raises(ValueError, match="one size, not 320x200, 320x256"):
        merge([own, Capture(own.pixels[:200])])
    with pytest.raises(ValueError, match="not \\(4, 4\\) uint8"):
        Capture(np.zeros((4, 4), np.uint8))


def test_a_merge_is_exposed_for_its_highlights(scene, rng):
    bright = scene * 6
    merged = merge([take(bright, rng, ev, 0.01) for ev in (0, -2)])
    exposed = expose(merged)
    assert exposed.ev == pytest.approx(-np.log2(np.percentile(bright.max(2), 99.9)), abs=0.3)
    assert (exposed.pixels.max(2) == 65535).mean() < 0.005
    light = srgb_eotf(exposed.pixels / 65535) * 2**-exposed.ev
    assert np.percentile(np.abs(light - merged.light) / (merged.light + 0.01), 99) < 0.02
    assert exposed.headroom_ev is not None and exposed.headroom_ev.min() == 0
    assert exposed.headroom_ev.max() == pytest.approx(merged.range_ev, abs=1e-3)


def test_at_the_references_exposure_its_highlights_clip_and_keep_their_hue(scene, rng):
    bright = scene * 6
    merged = merge([take(bright, rng, ev, 0.01) for ev in (0, -2)])
    exposed = expose(merged, 0)
    above = merged.light.max(2) > 1.2
    assert (exposed.pixels[above].max(1) >= 65534).all()
    shares = [x / x.sum(1, keepdims=True) for x in (srgb_eotf(exposed.pixels[above] / 65535), merged.light[above])]
    assert np.abs(shares[0] - shares[1]).max() < 0.01


def test_without_light_above_white_the_exposure_stays(scene, rng):
    exposed = expose(merge([take(scene, rng, sigma=0.005) for _ in range(2)]))
    assert exposed.ev == 0 and exposed.headroom_ev is None
