import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import camera_nano as cn


def test_dark_photo_is_lit_and_closer_to_the_truth(photo, dark_photo, editor):
    [natural] = cn.enhance(dark_photo, looks=["natural"], editor=editor)
    before, after = (np.abs(x.astype(int) - photo).mean() for x in (dark_photo, natural.image))
    assert after < 0.5 * before


def test_looks_differ_in_the_way_their_names_say(photo, editor):
    made = {a.look.name: a.image.astype(float) for a in cn.enhance(photo, editor=editor)}

    def warmth(image):
        return image[..., 0].mean() - image[..., 2].mean()

    assert warmth(made["golden"]) > warmth(made["natural"]) + 5
    assert warmth(made["blue-hour"]) < warmth(made["natural"]) - 5
    assert made["night"].mean() < made["dramatic"].mean() < made["natural"].mean() - 5
    assert made["bright"].mean() > made["natural"].mean() + 5
    assert made["soft"].std() < made["natural"].std() - 5


def test_a_good_photo_is_left_nearly_alone(photo, editor):
    [natural] = cn.enhance(photo, looks=["natural"], editor=editor)
    assert np.abs(natural.image.astype(int) - photo).mean() < 6


@pytest.mark.parametrize("look", ["natural", "hdr"])
def test_a_white_page_stays_white(look, editor):
    page = np.full((300, 400, 3), 245, np.uint8)
    page[40:260:12, 40:360] = 20
    [made] = cn.enhance(page, looks=[look], editor=editor)
    assert made.image[:30].mean() > 220


def test_a_covered_lens_stays_dark(rng, editor):
    """Noise is not light: what holds nothing else is not lifted, while a dark photo is."""
    noise = np.clip(np.rint(rng.normal(2, 2, (300, 400, 3))), 0, 255).astype(np.uint8)
    for picture in (np.zeros_like(noise), noise):
        [natural] = cn.enhance(picture, looks=["natural"], editor=editor)
        assert natural.image.mean() < picture.mean() + 4


@pytest.mark.parametrize("look", ["natural", "hdr"])
def test_night_stays_night(look, rng, editor):
    """Lamps in the dark do not ask for light: what would come out of the dark is noise."""
    night = np.clip(np.rint(rng.normal(0.6, 0.8, (384, 512, 3))), 0, 255).astype(np.uint8)
    night[150:190, 100:420:40] = night[230:240, 60:460] = (230, 150, 60)
    [made] = cn.enhance(night, looks=[look], editor=editor, assume="captured")
    assert np.median(made.image) < 24


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("hw", [(1, 1), (3, 200), (97, 61)])
def test_any_size_and_depth(photo, editor, dtype, hw):
    image = (photo[: hw[0], : hw[1]].astype(dtype) * (257 if dtype == np.uint16 else 1)).astype(dtype)
    for alternative in cn.enhance(image, editor=editor):
        assert alternative.image.shape == image.shape and alternative.image.dtype == dtype


def test_strength_0_is_the_original(photo, editor):
    for alternative in cn.enhance(photo, strength=0, editor=editor):
        assert np.array_equal(alternative.image, photo)


def test_a_pillow_image_and_the_default_engine(photo):
    [alternative] = cn.enhance(Image.fromarray(photo), ["natural"])
    assert alternative.image.shape == photo.shape


@pytest.mark.parametrize("bad", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((0, 4, 3), np.uint8)])
def test_what_is_no_picture_is_refused(bad, editor):
    with pytest.raises(ValueError, match="a frame is"):
        cn.enhance(bad, editor=editor)


def test_unknown_look_lists_the_known(photo, editor):
    with pytest.raises(ValueError, match=r"'zebra'.* looks are natural, .*dramatic"):
        cn.enhance(photo, ["zebra"], editor=editor)


def test_light_direction_is_refused_not_ignored():
    with pytest.raises(ValueError, match="no light direction"):
        cn.Look("side", light_strength=0.5)


def test_public_names():
    assert cn.__all__ == sorted(cn.__all__)
    assert all(getattr(cn, name) for name in cn.__all__)
    with pytest.raises(AttributeError, match="nothing"):
        cn.nothing  # noqa: B018


def test_importing_the_package_is_cheap():
    heavy = "{'torch', 'diffusers', 'cv2', 'onnxruntime', 'numba', 'starlette', 'pyvips'}"
    check = f"import sys, camera_nano, camera_nano.values; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.slow
def test_the_default_engine_needs_no_torch():
    check = (
        "import sys; sys.modules['torch'] = None; sys.modules['diffusers'] = None\n"
        "import numpy as np, camera_nano as cn\n"
        "print(len(list(cn.enhance(np.full((8, 8, 3), 30, np.uint8)))))"
    )
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert int(done.stdout) >= 4
