"""Looks as people set them while the camera runs."""

import math

import pytest

from camera_nano.looks import keep_words, load_looks, with_kept
from camera_nano.looks.palette import TONE_LIMIT_EV, Palette
from camera_nano.looks.vocabulary import RANGES
from camera_nano.paths import pipeline_dir


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


def test_words_are_kept_from_one_run_to_the_next(palette, tmp_path):
    path = tmp_path / "data" / "looks.txt"
    assert with_kept(palette, path) == palette == with_kept(palette, None)  # none yet
    worded, _ = palette.with_words("slightly darker, saturation -20%")
    keep_words(worded.texts, path)
    assert with_kept(palette, path) == worded
    path.write_bytes(path.read_bytes() + b"purple elephants\n\xff\xfe\n")  # not understood (any more): left
    assert with_kept(palette, path) == worded
    keep_words(worded.without(worded.looks[-1].name).texts, path)
    assert with_kept(palette, path) == palette


def test_a_seed_is_of_a_look_that_is_there(palette):
    seeded = palette.with_seed(name := palette.looks[0].name, 7)
    assert seeded.seeds == {name: 7} and seeded.with_seed(name, None) == palette
    with pytest.raises(ValueError, match="no look named"):
        palette.with_seed("none", 1)
    worded, understood = palette.with_words("slightly darker")
    assert worded.with_seed(understood.look.name, 3).without(understood.look.name).seeds == {}
