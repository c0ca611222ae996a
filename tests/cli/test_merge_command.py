"""`camera-nano merge` as people run it: what it writes, and what it says where it cannot."""

import json

import numpy as np
import pytest
from brackets import scene, shoot
from PIL import Image

from camera_nano.cli import main
from camera_nano.files import inspect, open_image

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def light(photo):
    return scene(photo)


@pytest.fixture
def photos(tmp_path, light):
    return [str(path) for path in shoot(tmp_path / "in", light)]


def test_linear_light_of_16_bits_or_floats(photos, light, tmp_path, capsys):
    assert main(["merge", *photos, "-o", str(tmp_path / "a.tif"), "--json"]) == 0
    out, err = capsys.readouterr()
    said = json.loads(out)
    assert said["reference"] == photos[0] and said["n_used"] == 3 and said["outputs"] == [str(tmp_path / "a.tif")]
    assert said["measured_ev"] == pytest.approx(2, abs=0.3) and "2 EV darker than IMG_0001.jpg" in err
    with Image.open(tmp_path / "a.tif") as image:
        assert image.mode == "RGB" and image.tag_v2[258] == (16, 16, 16)
    # read back by its profile, as any program would
    seen = open_image(tmp_path / "a.tif")
    assert seen.frame.pixels.dtype == np.uint16
    report = inspect(tmp_path / "a.tif").as_dict()
    assert report["profile"] == "Linear sRGB" and report["source_type"] == "computationalCapture"

    assert main(["merge", *photos, "-o", str(tmp_path / "a.exr")]) == 0
    picture = open_image(tmp_path / "a.exr")
    lamp = np.s_[60:120, 300:360]
    truth = np.log2(light[lamp].max(2))
    assert np.median(np.abs(picture.headroom_ev[lamp] - truth.clip(0, 2))) < 0.1 and truth.max() > 1
    assert "EXR files keep no metadata" in capsys.readouterr().err


def test_looks_and_the_recipe_that_makes_them_again(photos, tmp_path, capsys):
    out = tmp_path / "a.jpg"
    assert main(["merge", *photos, "-o", str(out), "--looks", "natural,hdr"]) == 0
    made = [tmp_path / "a_natural.jpg", tmp_path / "a_hdr.jpg"]
    assert all(inspect(path).as_dict()["format"] == "ultrahdr" for path in made)
    with Image.open(made[0]) as image:
        assert image.getexif()[272] == "Model 1"
    capsys.readouterr()
    assert main(["recipe", str(made[1]), "--json"]) == 0
    recipe = json.loads(capsys.readouterr().out)
    assert [name for name, _ in recipe["merging"]["photos"]] == ["IMG_0001.jpg", "IMG_0002.jpg", "IMG_0003.jpg"]
    for given in ([photos[2]], photos[::-1]):  # the others lie beside it, or are named
        again = tmp_path / "again.jpg"
        assert main(["recipe", str(made[1]), "--redo", *given, str(again)]) == 0
        assert again.read_bytes() == made[1].read_bytes()
    (tmp_path / "in" / "IMG_0002.jpg").rename(tmp_path / "elsewhere.jpg")
    assert main(["recipe", str(made[1]), "--redo", photos[0], str(again)]) == 2
    assert "was merged from IMG_0001.jpg, IMG_0002.jpg, IMG_0003.jpg: give them all" in capsys.readouterr().err


def of_another_size(folder, light):
    return shoot(folder, light[:200], [1.0], first=8), 2, "is 512x200, and"


def of_another_camera(folder, light):
    return shoot(folder, light, [1.0], first=8, t272="Model 2"), 2, "Maker Model 1 and Maker Model 2"


def a_movie(folder, light):
    path = folder / "movie.mp4"
    path.write_bytes(b"\0\0\0\x18ftypmp42" + bytes(999))
    return [path], 1, "movie.mp4"


def gone(folder, light):
    return [folder / "gone.jpg"], 1, "there is no such file"


def twice(folder, light):
    return [folder / "IMG_0001.jpg"], 2, "is given twice"


@pytest.mark.parametrize("more", [of_another_size, of_another_camera, a_movie, gone, twice])
def test_photos_that_do_not_belong_together(photos, light, tmp_path, capsys, more):
    others, code, text = more(tmp_path / "in", light)
    assert main(["merge", *photos, *map(str, others), "-o", str(tmp_path / "a.jpg")]) == code
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.startswith("camera-nano: ") and text in told and not (tmp_path / "a.jpg").exists()


def test_what_cannot_be_merged_is_said(photos, light, tmp_path, capsys):
    out = str(tmp_path / "a.jpg")
    assert main(["merge", photos[0], "-o", out]) == 2 and "is one photo" in capsys.readouterr().err
    assert main(["merge", *photos, "-o", photos[1]]) == 2 and "never overwritten" in capsys.readouterr().err
    assert main(["merge", *photos, "-o", str(tmp_path / "no" / "a.jpg")]) == 1
    assert main(["merge", *photos, "-o", str(tmp_path / "a.exr"), "--looks", "hdr"]) == 2
    assert main(["merge", *photos, "-o", str(tmp_path / "a.gif")]) == 2
    [other] = shoot(tmp_path / "in", light[::-1, ::-1] * 0.3, [0.0], first=8)
    capsys.readouterr()
    assert main(["merge", photos[0], str(other), "-o", out]) == 1
    assert "nothing in them fits" in capsys.readouterr().err and not (tmp_path / "a.jpg").exists()
