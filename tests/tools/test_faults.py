"""Each measure of a fault reacts to that fault, painted into a real photo, and is still where there is none."""

import importlib
import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from camera_nano.color import srgb_codes, srgb_eotf

JUDGING = Path(__file__).parents[2] / "tools" / "judging"


@pytest.fixture
def faults(monkeypatch):
    monkeypatch.syspath_prepend(str(JUDGING))
    return importlib.import_module("flaws")


@pytest.fixture(scope="module")
def scene(photo):
    """A photo (256, 256, 3) under a clipped sky."""
    image = np.ascontiguousarray(photo[::2, ::2])
    image[:100] = 255
    return image


def exposed(picture, ev):
    return srgb_codes(srgb_eotf(picture / 255) * 2.0**ev)


def as_jpeg(picture, quality):
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "jpeg", quality=quality)
    return np.asarray(Image.open(file).convert("RGB"))


def fog(scene, rng):
    """Grey clouds in the clipped sky."""
    clouds = gaussian_filter(rng.normal(0, 1, scene.shape[:2]), 6)
    grey = 180 + 60 * clouds / np.abs(clouds).max()
    out = scene.copy()
    out[:100] = grey[:100, :, None].astype(np.uint8)
    return out


def test_fog_in_a_clipped_sky(faults, scene, rng):
    foggy, even = fog(scene, rng), scene.copy()
    even[:100] = 180
    assert faults.clean_white(scene, scene) == pytest.approx((0, 255), abs=0.1)
    std_ev, code = faults.clean_white(scene, foggy)
    assert std_ev > 0.1 and code < 200
    assert faults.clean_white(scene, even) == pytest.approx((0, 180), abs=0.5)  # an even grey is still no white
    assert faults.clean_white(scene // 2, foggy) is None  # nothing is clipped
    assert faults.smudge(scene, scene) == faults.smudge(scene, even) == 0
    assert faults.smudge(scene, foggy) > 0.1
    assert faults.psnr_held(scene, foggy, scene) == faults.psnr_held(scene, scene, scene) == 100  # not of the sky


def test_a_teal_sky_where_blue_was_clipped(faults):
    sky, teal = (np.tile(np.uint8(colour), (64, 96, 1)) for colour in ((110, 160, 235), (110, 190, 200)))
    capture = exposed(sky, 1)
    assert capture[0, 0, 2] == 255 > capture[0, 0, 0]
    assert faults.tint(capture, sky, sky) == 0
    assert faults.tint(capture, exposed(sky, -0.3), sky) < 0.3 * faults.tint(capture, teal, sky)  # darker is no tint
    assert faults.tint(sky, teal, sky) is None  # nothing is clipped
    assert faults.tint(np.full_like(sky, 255), teal, sky) is None  # all is


def test_light_that_is_known_counts(faults, scene):
    darker = exposed(scene, -1)
    assert faults.psnr_held(scene, darker, scene) < 25
    assert faults.psnr_held(np.full_like(scene, 255), darker, scene) is None


def test_a_blue_sky_is_not_flat_because_blue_is_clipped(faults):
    ramp = np.linspace(40, 220, 256).astype(np.uint8)
    sky = np.dstack([np.tile(ramp, (64, 1)), np.tile(ramp, (64, 1)), np.full((64, 256), 255, np.uint8)])
    assert faults.smudge(sky, sky) is None


def test_edges_that_change_their_order(faults):
    step = np.full((128, 256, 3), 60, np.uint8)
    step[:, 128:] = 180
    assert faults.reversals(step, step) == faults.reversals(step, exposed(step, 1)) == 0
    assert faults.reversals(step, step[:, ::-1].copy()) > 0.9
    assert faults.reversals(step, np.full_like(step, 120)) > 0.9  # flattened
    assert faults.reversals(np.full_like(step, 60), step) is None  # the input has no edge
    assert faults.reversals(exposed(step, -8), step) is None  # only noise


def test_a_dark_photo_left_as_it_is(faults, photo, dark_photo):
    photo, dark_photo = photo[::2, ::2], dark_photo[::2, ::2]
    assert faults.way(dark_photo, dark_photo, photo) == 0
    assert faults.way(dark_photo, exposed(dark_photo, 0.7), photo) < 0.5
    assert faults.way(dark_photo, exposed(dark_photo, 3), photo) > 0.9
    assert faults.way(photo, dark_photo, photo) is None
    assert faults.way_held(dark_photo, dark_photo, photo) == 0
    assert faults.gain_db(dark_photo, photo, photo) > 0
    assert faults.gain_db(dark_photo, dark_photo // 4, photo) < 0
    assert faults.gain_db(photo, dark_photo, photo) is None
    rows = [faults.figures(dark_photo, made, photo) for made in (dark_photo, photo, dark_photo // 4)]
    counts = faults.summary(rows)["counts"]
    assert (counts["left_alone"], counts["worse_than_input"], counts["low"]) == (2, 1, 2)
    assert counts["left_alone_held"] == 2


def test_clipped_white_does_not_count_as_left_alone_where_only_held_light_is_judged(faults, photo):
    bright = exposed(photo, 2)
    wanted = np.where(faults.held(bright)[..., None], photo, photo // 2)  # the sky could only be guessed
    made = np.where(faults.held(bright)[..., None], photo, bright)
    assert faults.way(bright, made, wanted) < 0.6 and faults.way_held(bright, made, wanted) == 1
    assert faults.way_held(np.full_like(photo, 255), made, wanted) is None


def test_green_shadows(faults, photo):
    photo = photo[::2, ::2]
    dark = exposed(photo, -6)
    green = np.clip(photo + np.array([-12, 12, -12]), 0, 255).astype(np.uint8)
    assert faults.green(dark, photo, photo) == 0
    assert faults.green(dark, green, photo) < 10 * faults.GREEN_A
    bright = np.maximum(photo, 40)
    assert faults.green(bright, green, photo) is None  # nothing was lifted
    rows = [faults.figures(dark, made, photo) for made in (photo, green)]
    assert faults.counts(rows)["green"] == faults.counts(rows)["green_or_blocky"] == 1


def test_blocks_in_lifted_shadows(faults, photo):
    dark = exposed(photo, -6)
    assert faults.blockiness(dark, photo, photo) == 1
    blocky = faults.blockiness(dark, as_jpeg(photo, 8), photo)
    assert blocky > faults.BLOCKY
    shifted = np.roll(as_jpeg(photo, 8), (4, 4), (0, 1))  # blocks that are not of this file's grid
    assert faults.blockiness(dark, shifted, photo) < 1.1
    assert faults.blockiness(np.maximum(photo, 40), as_jpeg(photo, 8), photo) is None
    rows, columns = faults.most_lifted(dark, photo, 96)
    assert rows.stop - rows.start == columns.stop - columns.start == 96


def test_whites(faults, photo):
    assert faults.whites(photo) > 250 > 200 > faults.whites(exposed(photo, -1))


def test_squared_error_goes_to_the_edit_that_takes_it_away(faults, photo, rng):
    small = np.ascontiguousarray(photo[::2, ::2])
    unclipped = (small * 0.7 + 20).astype(np.uint8)
    curve = np.clip(128 + 1.5 * (np.arange(256) - 128.0), 0, 255).astype(np.uint8)
    wave = np.sin(np.linspace(-np.pi, np.pi, 256))
    uneven = 50 * np.outer(wave, wave)[..., None]
    wrong = {
        "exposure": exposed(unclipped, -1.5),
        "tone": curve[unclipped],
        "local": np.clip(unclipped + uneven, 0, 255).astype(np.uint8),
        "fine": np.clip(unclipped + 30 * rng.choice([-1, 1], (256, 256, 1)), 0, 255).astype(np.uint8),
        "chroma": np.clip(unclipped + np.array([30, -30, 0]), 0, 255).astype(np.uint8),
    }
    for part, made in wrong.items():
        errors = faults.decomposed(made, unclipped)
        total = np.square(made.astype(float) - unclipped).mean()
        assert sum(errors.values()) == pytest.approx(total, rel=0.02)
        assert errors[part] == max(errors.values()) and errors[part] > 0.4 * total, (part, errors)
    assert faults.decomposed(small, small) == dict.fromkeys(faults.PARTS, 0)


def test_a_summary_tells_how_many_pictures_it_is_of(faults, photo, dark_photo):
    summary = faults.summary([faults.figures(dark_photo, photo, photo), faults.figures(photo, photo, photo)])
    assert summary["n"] == 2 and summary["applies_to"]["psnr"] == 2 and summary["applies_to"]["way"] == 1
    assert summary["means"]["psnr"] == 100 and sum(summary["error_shares"].values()) == 0
    json.dumps(summary)


@pytest.mark.slow
@pytest.mark.parametrize("as_json", [True, False])
def test_bars_of_two_models_side_by_side_and_sheets(photo, dark_photo, tmp_path, as_json):
    for folder in ("input", "reference"):
        (tmp_path / folder).mkdir()
        for name, picture in {"00_under": dark_photo, "00_over": exposed(photo, 3)}.items():
            shown = picture if folder == "input" else photo
            Image.fromarray(np.ascontiguousarray(shown[::3, ::3])).save(tmp_path / folder / f"{name}.png")
    shipped, sheets = JUDGING.parents[1] / "pipelines" / "relight", tmp_path / "sheets"
    argv = [sys.executable, JUDGING / "bars.py", "--brackets", tmp_path, "--seeds", "2", "--sheets", sheets]
    argv += ["--pipeline", f"one={shipped}", "--pipeline", f"two={shipped}"]
    argv += ["--json"] if as_json else []
    out = subprocess.run(list(map(str, argv)), capture_output=True, text=True, check=True).stdout
    with Image.open(sheets / "one" / "over_hdr_white_std_ev.jpg") as sheet:
        assert sheet.format == "JPEG" and sheet.size[0] >= 2 * 3 * 240
    if as_json:
        one, two = json.loads(out)
        assert one["bars"] == two["bars"] and set(one["sets"]) >= {"under natural", "over hdr"}
        assert all(line["met"] in (True, False) for line in one["bars"])
    else:
        assert "MISSED" in out and "one" in out.splitlines()[0] and "two" in out.splitlines()[0]
