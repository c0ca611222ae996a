"""What the model is told that a photo is."""

import numpy as np
import pytest
from brackets import capture, exif
from PIL import Image

from camera_nano.batch.photo import looks_of
from camera_nano.color import srgb_eotf
from camera_nano.files import shared_decoder
from camera_nano.recipe import Recipe
from camera_nano.values import EditField, Look

NATURAL = Look("natural")


class Told:
    """An editor that changes nothing and remembers what it was told."""

    name = "told"

    def __init__(self):
        self.looks = {"natural": NATURAL}

    def propose(self, condition, looks, *, seed=0, n_steps=2, assume="auto"):
        self.assume = assume
        return [EditField.identity() for _ in looks]


@pytest.mark.parametrize(
    ("taken_ev", "bias_ev", "said", "told"),
    [
        (-2, -2, "auto", "captured"),
        (3, 2, "auto", "captured"),
        (-2, -2, "finished", "finished"),  # whoever says so is believed
        (-1, -1, "auto", "auto"),  # photographers ask for that in a photo they keep
        (0, -2, "auto", "auto"),  # since developed: nothing is too dark any more
        (0, 2, "auto", "auto"),
        (-2, 0, "auto", "auto"),
    ],
)
def test_a_photo_far_off_its_meter_is_not_taken_for_a_finished_one(tmp_path, photo, taken_ev, bias_ev, said, told):
    path = tmp_path / "one.jpg"
    Image.fromarray(capture(srgb_eotf(photo / 255), taken_ev)).save(path, exif=exif(0, bias_ev, mode=0, time_s=1 / 60))
    picture, editor = shared_decoder().open(path), Told()
    recipe = Recipe(NATURAL, 1.0, 2, "jpeg", "told:0", 0, assume=said)
    [made] = looks_of(picture, path, [("look.jpg", recipe)], editor)
    assert np.isclose(picture.off_meter_ev, bias_ev) and editor.assume == told
    assert made.data.startswith(b"\xff\xd8")
