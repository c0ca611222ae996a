"""Looks as people set them while the camera runs."""

import math

import pytest

from camera_nano.looks import load_looks
from camera_nano.palette import TONE_LIMIT_EV, Palette
from camera_nano.paths import pipeline_dir
from camera_nano.vocabulary import RANGES


@pytest.fixture
def palette():
    return Palette.of(load_looks(pipeline_dir()), ["natural", "night"])


def test_untouched_it_is_the_looks_that_were_asked_for(palette):
    assert palette.toned() == [palette.known["natural"], palette.known["night"]]


def test_tone_moves_every_look_within_what_the_model_knows(palette):
    natural, night = palette.with_tone(0.5, -0.25).toned()
    assert (natural.highlights, natural.shadows) == (0.5, -0.25)
    assert (night.name, night.highlights) == (
        "night",
        min(palette.known["night"].highlights + 0.5, RANGES["highlights"][1]),
    )
    assert palette.with_tone(1.5, 0).with_tone(0, 0).toned() == palette.toned()
    for wrong in (TONE_LIMIT_EV + 0.1, -math.inf, math.nan):
        with pytest.raises(ValueError, match="highlights and shadows go from"):
            palette.with_tone(0, wrong)


def test_words_make_a_look_that_can_be_taken_away(palette):
    more, understood = palette.with_words("warm evening light")
    assert [look.name for look in more.looks] == ["natural", "night", understood.look.name]
    assert more.texts == {understood.look.name: "warm evening light"}
    again, _ = more.with_words("warm evening light")
    assert again == more
    assert more.without(understood.look.name) == palette
    with pytest.raises(ValueError, match="only those"):
        more.without("natural")
    with pytest.raises(ValueError, match="evening"):
        palette.with_words("evenning light")


def test_words_do_not_pile_up_without_end(palette):
    with pytest.raises(ValueError, match="remove one first"):
        for percent in range(1, 20):
            palette, _ = palette.with_words(f"saturation -{percent}%")
    assert len(palette.texts) == 6
