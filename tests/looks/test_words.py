import re

import numpy as np
import pytest

import camera_nano as cn
from camera_nano.cli import main
from camera_nano.looks import choose, load_looks
from camera_nano.looks.vocabulary import RANGES
from camera_nano.looks.words import known_phrases, parse
from camera_nano.paths import pipeline_dir
from camera_nano.values import CONTROLS

LOOKS = load_looks(pipeline_dir())


def controls(text):
    return dict(zip(CONTROLS, parse(text, LOOKS).look.controls().round(3).tolist(), strict=True))


def changed(text):
    return {name: value for name, value in controls(text).items() if value}


@pytest.mark.parametrize("name", LOOKS)
def test_a_name_is_that_look(name):
    assert parse(name, LOOKS).look is LOOKS[name]
    assert np.array_equal(parse(name.replace("-", " ").upper(), LOOKS).look.controls(), LOOKS[name].controls())


@pytest.mark.parametrize("phrase", known_phrases(LOOKS))
def test_every_phrase_is_understood_alone_and_within_range(phrase):
    understood = parse(phrase, LOOKS)
    assert understood.parts
    for name, (low, high, _) in RANGES.items():
        assert low <= getattr(understood.look, name) <= high
    assert re.fullmatch(r"[a-z0-9][a-z0-9.-]*", understood.look.name)
    assert parse(phrase, LOOKS) == understood


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("warmer", {"temperature": 0.5}),
        ("slightly darker with open shadows", {"ev": -0.25, "shadows": 0.8}),
        ("+0.5 EV, saturation -20%", {"ev": 0.5, "saturation": -0.2}),
        ("warmer by 30 mired", {"temperature": 0.3}),
        ("darker by 1 stop", {"ev": -1.0}),
        ("shadows +1 EV highlights -1 EV", {"shadows": 1.0, "highlights": -1.0}),
        ("+1 EV shadows, -1 EV highlights", {"shadows": 1.0, "highlights": -1.0}),
        ("contrast +20%", {"contrast": 0.263}),
        ("less contrast", {"contrast": -0.2}),
        ("more colour", {"saturation": 0.25}),
        ("hdr 40%", {"hdr": 0.4}),
        ("half hdr", {"hdr": 0.5}),
        ("between natural and hdr", {"hdr": 0.5}),
    ],
)
def test_numbers_degrees_and_mixtures(text, wanted):
    assert changed(text) == pytest.approx(wanted)


def test_parts_add_up():
    both = controls("golden, slightly cooler")
    golden, cooler = controls("golden"), controls("slightly cooler")
    assert both == pytest.approx({name: golden[name] + cooler[name] for name in CONTROLS})


@pytest.mark.parametrize(("word", "control"), [("warm", "temperature"), ("vivid", "saturation"), ("brighter", "ev")])
def test_degrees_are_monotone(word, control):
    amounts = [controls(f"{degree} {word}")[control] for degree in ("slightly", "", "very")]
    assert 0 < amounts[0] < amounts[1] < amounts[2]


def test_more_than_the_model_does_is_held_and_told():
    understood = parse("extremely warm evening light", LOOKS)
    assert understood.look.temperature == RANGES["temperature"][1]
    assert "as far as the model goes" in str(understood)


def test_direction_is_kept_but_told_to_be_left_out():
    understood = parse("warm evening light from the left", LOOKS)
    assert understood.look.light_azimuth_deg == -90
    assert understood.look.light_strength == 0
    assert "from the left -> left out" in str(understood)
    assert np.array_equal(understood.look.controls(), parse("warm evening light", LOOKS).look.controls())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sunsett", "did you mean sunset"),
        ("warm zebra", "'zebra'"),
        ("warm and cool", "contradict"),
        ("backlit", "not where it comes from"),
        ("5000 K", "mired"),
        ("+3 EV", "-2 to +1.5 EV"),
        ("20%", "of what"),
        ("very", "what?"),
        ("between warm and cool", "which two"),
        ("less golden", "half golden"),
        ("", "says nothing"),
        ("the light", "says nothing"),
        ("warm 🌅", "🌅"),
        ("warm; rm -rf /", "'rm'"),
    ],
)
def test_what_is_not_understood_is_refused_in_one_line(text, words):
    with pytest.raises(ValueError, match=re.escape(words)) as error:
        parse(text, LOOKS)
    assert "\n" not in str(error.value)


def test_choose_takes_names_and_words_and_refuses_two_of_one_name():
    assert [look.name for look in choose(LOOKS, ["golden", "very warm", "golden"])] == ["golden", "very-warm"]
    assert choose(LOOKS, None) == list(LOOKS.values())
    long = "slightly warm and slightly darker with open shadows, saturation"
    with pytest.raises(ValueError, match="both be called"):
        choose(LOOKS, [f"{long} +20%", f"{long} +10%"])


@pytest.mark.slow
def test_words_reach_the_picture(dark_photo):
    """A warmer wish gives a warmer picture, and a text is as good as a name in the library."""
    warm, cool = (next(iter(cn.enhance(dark_photo, [text]))) for text in ("very warm", "very cool"))
    assert warm.look.name == "very-warm"
    balance = [a.image[..., 0].mean() / a.image[..., 2].mean() for a in (warm, cool)]
    assert balance[0] > 1.2 * balance[1]


@pytest.mark.slow
def test_commands_say_what_they_understood(tmp_path, dark_photo, capsys):
    from PIL import Image

    Image.fromarray(dark_photo).save(tmp_path / "in.png")
    argv = [str(tmp_path / "in.png"), str(tmp_path / "out.png"), "--look", "warm and slightly darker"]
    assert main(["enhance", *argv]) == 0
    assert "slightly darker -> ev -0.25" in capsys.readouterr().err
    assert main(["batch", argv[0], "--out", str(tmp_path / "o"), "--looks", "natural,warm evening light"]) == 0
    assert {path.name for path in (tmp_path / "o").glob("*.png")} == {"in_natural.png", "in_warm-evening-light.png"}
    assert main(["looks", "warm evening light"]) == 0
    assert "temperature" in capsys.readouterr().out
    assert main(["looks", "warm zebra"]) == 2
    assert "zebra" in capsys.readouterr().err
