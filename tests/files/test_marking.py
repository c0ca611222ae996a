"""What a look's file says of itself, read by exiftool too; and the same picture once more from its recipe."""

import json
import os
import struct
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from test_metadata import FORMATS, exiftool, rdf, written

from camera_nano.cli import main
from camera_nano.files import marking as r
from camera_nano.files.decode import decode, open_image
from camera_nano.files.encode import encode, save
from camera_nano.files.inspect import inspect
from camera_nano.files.marking import marked, marked_capture, read_recipe
from camera_nano.files.metadata import SOFTWARE, Metadata, edit_xmp, of_frame, read_blocks, without_location, xmp_texts
from camera_nano.files.ultrahdr import check
from camera_nano.live.album import Album
from camera_nano.live.timing import StageTimes
from camera_nano.recipe import CAPTURED, COMPOSITE, ENHANCED, Merging, Recipe
from camera_nano.values import CONTROLS, EditField, Frame, GainMap, Look

LOOK = Look('warm "<b>&', ev=0.1, hdr=1 / 3, temperature=-0.7)
RECIPE = Recipe(LOOK, 0.8, 2, "auto", "onnx:abc", 3)
AT = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
PIXELS = np.full((32, 48, 3), 90, np.uint8)
FOREIGN = rdf(
    "<own:list><rdf:Bag><rdf:li>one</rdf:li></rdf:Bag></own:list>",
    'xmp:CreatorTool="another" xmp:Rating="4" own:note="&lt;script&gt;" exif:GPSLatitude="48,8.5N"'
    ' photoshop:City="Munich"',
)


@pytest.fixture
def jpeg(tmp_path, dark_photo):
    path = tmp_path / "dark.jpg"
    Image.fromarray(dark_photo).save(path, quality=95)
    return path


@pytest.mark.parametrize("format", [*FORMATS, "ultrahdr"])
def test_every_kind_of_file_carries_its_marking_and_recipe(tmp_path, format):
    gain = GainMap(np.full((32, 32), 255, np.uint8), (1.0,), 1.0) if format == "ultrahdr" else None
    told = marked(Metadata(xmp=FOREIGN), RECIPE, "IMG_1.jpg", PIXELS)
    path = tmp_path / "a"
    path.write_bytes(encode(PIXELS, format=format, metadata=told, gain=gain) if gain else written(format, PIXELS, told))
    assert read_recipe(read_blocks(path.read_bytes())) == read_recipe(open_image(path).metadata) == RECIPE
    tags = exiftool(path.read_bytes(), tmp_path, "-struct")
    assert tags["XMP-iptcExt:DigitalSourceType"] == r.SOURCE_TYPES + COMPOSITE
    assert tags["XMP-xmp:CreatorTool"] == SOFTWARE and tags["XMP-xmp:Rating"] == 4
    assert tags["XMP-own:Note"] == "<script>" and tags["XMP-own:List"] == ["one"]
    assert tags["XMP-xmpMM:DerivedFrom"] == {"FilePath": "IMG_1.jpg"}
    [event] = tags["XMP-xmpMM:History"]
    assert (event["Action"], event["SoftwareAgent"]) == ("edited", SOFTWARE)
    assert event["Parameters"] == 'look warm "<b>&, strength 0.8, seed 3, 2 steps, model onnx:abc, of IMG_1.jpg'
    report = inspect(path)
    assert report.source_type == COMPOSITE and not report.problems
    assert report.history[-1]["parameters"] == event["Parameters"]
    assert gain is None or (check(path.read_bytes()) == [] and report.gain_map is not None)


def test_history_and_ancestors_grow_and_the_recipe_is_replaced(tmp_path):
    first = marked(marked_capture(Metadata(), AT), RECIPE, "a.png")
    second = marked(first, replace(RECIPE, look=Look("night"), model="torch:cd"), "b.jpg")
    assert read_recipe(second).look == Look("night")
    tags = exiftool(encode(PIXELS, format="jpeg", metadata=second), tmp_path, "-struct")
    assert [event["Action"] for event in tags["XMP-xmpMM:History"]] == ["created", "edited", "edited"]
    assert tags["XMP-xmpMM:History"][0]["When"] == "2026:03:04 05:06:07.000+00:00"
    before = xmp_texts(first.xmp)
    assert tags["XMP-xmpMM:DerivedFrom"]["DocumentID"] == before["Xmp.xmpMM.DocumentID"] != tags["XMP-xmpMM:DocumentID"]
    assert tags["XMP-xmpMM:OriginalDocumentID"] == before["Xmp.xmpMM.OriginalDocumentID"]


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        ("", {"strength": 0.0}, None),  # what was not changed is not called changed
        ("digitalCapture", {"strength": 0.0}, CAPTURED),
        ("digitalCapture", {}, COMPOSITE),
        ("digitalCapture", {"model": ""}, ENHANCED),  # curves that no model has drawn
        (COMPOSITE, {"model": ""}, COMPOSITE),
        (COMPOSITE, {"strength": 0.0}, COMPOSITE),
        ("trainedAlgorithmicMedia", {}, "trainedAlgorithmicMedia"),
        ("<script>", {}, COMPOSITE),
    ],
)
def test_an_edit_never_makes_a_mark_lighter(before, change, after, tmp_path):
    xmp = rdf("", f'ext:DigitalSourceType="{r.SOURCE_TYPES + before.replace("<", "&lt;")}"') if before else None
    path = tmp_path / "a.png"
    save(path, PIXELS, format="png", metadata=marked(Metadata(xmp=xmp), replace(RECIPE, **change), "a.jpg"))
    assert inspect(path).source_type == after


def test_every_file_has_a_name_of_its_own_and_the_same_file_the_same(photo):
    def name(*arguments):
        return xmp_texts(marked(*arguments).xmp)["Xmp.xmpMM.InstanceID"]

    mine = Metadata(), RECIPE, "a.jpg", photo
    assert name(*mine) == name(*mine)
    others = [
        (Metadata(), RECIPE, "a.jpg", photo[::-1]),
        (Metadata(), RECIPE, "b.jpg", photo),
        (Metadata(), replace(RECIPE, seed=4), "a.jpg", photo),
        (marked(*mine), RECIPE, "a.jpg", photo),
    ]
    assert len({name(*mine), *(name(*other) for other in others)}) == 5


@pytest.mark.slow
def test_a_file_can_be_made_again(jpeg, tmp_path, capsys):
    look, again = tmp_path / "look.jpg", tmp_path / "again.jpg"
    words = ["--look", "warm evening light", "--strength", "0.6", "--seed", "2", "--format", "ultrahdr"]
    assert main(["enhance", str(jpeg), str(look), *words]) == 0
    capsys.readouterr()
    assert main(["recipe", str(look), "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["strength"], told["seed"], told["look"]["name"]) == (0.6, 2, "warm-evening-light")
    assert main(["recipe", str(look)]) == 0 and "strength  0.6" in capsys.readouterr().out
    assert main(["recipe", str(look), "--redo", str(jpeg), str(again)]) == 0
    assert again.read_bytes() == look.read_bytes()
    assert not np.array_equal(np.asarray(Image.open(again)), np.asarray(Image.open(jpeg)))  # negative control
    assert main(["recipe", str(look), "--redo", str(jpeg), str(jpeg)]) == 2
    capsys.readouterr()
    assert main(["recipe", str(jpeg)]) == 2 and "carries no recipe" in capsys.readouterr().err
    assert main(["recipe", str(tmp_path / "none.jpg")]) == 1
    (tmp_path / "notes.txt").write_bytes(b"hello")
    assert main(["recipe", str(tmp_path / "notes.txt")]) == 2


@pytest.mark.slow
def test_marking_can_be_left_out_and_batch_marks_too(jpeg, tmp_path):
    argv = ["batch", str(jpeg), "--out", str(tmp_path / "o"), "--looks", "natural"]
    assert main(argv) == 0
    out = tmp_path / "o" / "dark_natural.jpg"
    assert read_recipe(open_image(out).metadata).look.name == "natural"
    assert main([*argv, "--force", "--no-marking"]) == 0
    assert open_image(out).metadata.xmp is None and inspect(out).source_type is None


@pytest.mark.parametrize(
    "name", ["Überblick\nzwei.jpg", os.fsdecode(b"\xff\xfe\x01.jpg"), "<script>&\x00", "\uffff", "", "\x1b[31m"]
)
def test_any_name_of_a_file_look_or_camera_can_be_marked(name):
    recipe = replace(RECIPE, look=replace(LOOK, name=name))
    told = marked(of_frame(Frame(PIXELS), AT, name), recipe, name)
    for format in ("jpeg", "png"):
        assert read_recipe(decode(encode(PIXELS, format=format, metadata=told), "x").metadata) == recipe


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(
    name=st.text(max_size=20),
    controls=st.lists(st.floats(-16, 16), min_size=7, max_size=7),
    strength=st.floats(0, 1),
    seed=st.integers(0, 1 << 53),
    block=st.binary(max_size=300),
)
def test_any_recipe_makes_the_round_trip_whatever_came_with_the_photo(name, controls, strength, seed, block):
    recipe = Recipe(Look(name, **dict(zip(CONTROLS, controls, strict=True))), strength, 1, "png", "torch:0", seed, True)
    foreign = Metadata(exif=b"II*\0" + block, xmp=block, iptc=block)
    for told in (without_location(marked(foreign, recipe, name)), marked(without_location(foreign), recipe, name)):
        assert read_recipe(told) == recipe
        assert read_recipe(decode(encode(PIXELS, format="png", metadata=told), "x").metadata) == recipe


@pytest.mark.parametrize(
    "xmp", [b"<broken", b"<!DOCTYPE x [<!ENTITY a 'a'>]><x/>", rdf("", f'own:a="{"x" * 60_000}"'), b"\xff"]
)
def test_a_broken_or_huge_packet_gives_way(xmp):
    told = marked(Metadata(xmp=xmp), RECIPE, "a.jpg")
    assert len(told.xmp) < 51_000 and read_recipe(told) == RECIPE
    assert len(xmp) < 1000 or f"XMP of {len(xmp)} bytes is too long" in told.problems[0]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"strength": float("nan")}, "damaged: strength is nan"),
        ({"strength": "1"}, "damaged: strength is '1'"),
        ({"strength": True}, "damaged: strength is True"),
        ({"n_steps": 10**9}, "damaged: n_steps is 1000000000"),
        ({"n_steps": 1.5}, "damaged: n_steps is 1.5"),
        ({"seed": -1}, "damaged: seed is -1"),
        ({"format": "gif\x9b"}, r"damaged: format is 'gif\x9b'"),
        ({"format": []}, "damaged: format is []"),
        ({"model": 3}, "no text"),
        ({"look": {"name": "a", "ev": 1e300}}, "damaged: ev is 1e+300"),
        ({"look": {"name": "a", "ev": None}}, "damaged: ev is None"),
        ({"look": {"name": ["a"]}}, "no text"),
        ({"look": {"name": "a", "light_strength": 1}}, "no light direction"),
        ({"look": 3}, "not a recipe"),
        ({"evil": 3}, "not a recipe"),
    ],
)
def test_a_damaged_recipe_is_refused_in_words(change, words):
    text = json.dumps(RECIPE.as_dict() | change)

    def edit(found):
        found["Xmp.cameraNano.recipe"] = text

    with pytest.raises(ValueError) as caught:
        read_recipe(Metadata(xmp=edit_xmp(None, edit)))
    assert words in str(caught.value) and str(caught.value).isprintable()


@pytest.mark.slow
@settings(max_examples=100, deadline=None)
@given(st.one_of(st.text(max_size=40), st.recursive(st.none() | st.floats(), st.lists).map(json.dumps)))
def test_any_text_is_a_recipe_or_refused(text):
    def edit(found):
        found["Xmp.cameraNano.recipe"] = "".join(c for c in text if c.isprintable())

    with pytest.raises(ValueError):
        read_recipe(Metadata(xmp=edit_xmp(None, edit)))


def gps_exif(order):
    """An EXIF block with a position, in either byte order."""
    tags = Image.Exif()
    tags[0x010F] = "camera"
    tags.get_ifd(0x8825).update({1: "N", 2: (48.0, 8.0, 31.25), 3: "E", 4: (11.0, 34.0, 59.5), 29: "2026:11:23"})
    tags.endian = order
    return tags.tobytes().removeprefix(b"Exif\0\0")


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("format", ["jpeg", "png", "tiff"])
def test_no_place_survives_anywhere_in_the_bytes(tmp_path, photo, order, format):
    iptc = b"".join(
        b"\x1c\x02" + bytes([n]) + len(v).to_bytes(2, "big") + v for n, v in ((5, b"title"), (90, b"Munich"))
    )
    exif = gps_exif(order)
    numbers = [struct.pack(order + "II", *pair) for pair in ((3125, 100), (125, 4), (119, 2))]
    assert any(number in exif for number in numbers) and b"2026:11:23" in exif
    whole = Metadata(exif=exif, xmp=FOREIGN, iptc=iptc)
    path, kept = tmp_path / f"a.{format}", tmp_path / f"kept.{format}"
    save(path, photo[:64, :64], format=format, metadata=without_location(whole))
    save(kept, photo[:64, :64], format=format, metadata=whole)
    data = path.read_bytes()
    for secret in (b"Munich", b"48,8.5N", b"GPSLatitude", b"2026:11:23"):
        assert secret not in data
        assert format == "png" or secret in kept.read_bytes() or secret in whole.xmp  # the control
    assert not any(number in data for number in numbers)
    with Image.open(path) as image:
        assert not dict(image.getexif().get_ifd(0x8825)) and image.getexif()[0x010F] == "camera"
    assert b"Rating" in open_image(path).metadata.xmp
    assert b"title" in open_image(path).metadata.iptc


class Camera:
    name = "Camera 7"


class Recording(Camera):
    is_camera = False


@pytest.mark.parametrize(("source", "marking"), [(Camera(), True), (Recording(), True), (Camera(), False)])
def test_shots_say_what_they_are(source, marking, tmp_path):
    from camera_nano.recipe import Labels

    album = Album(tmp_path, StageTimes(), source, labels=Labels(marking=marking))
    shot = album.take(Frame(PIXELS), {"hdr": EditField.identity()}, {"hdr": RECIPE}).result(30)
    album.close()
    original, look = inspect(shot.original), inspect(shot.looks["hdr"])
    is_captured = marking and not isinstance(source, Recording)
    assert original.source_type == (CAPTURED if is_captured else None)
    assert look.source_type == (COMPOSITE if marking else None)
    assert len(look.history) == (2 if is_captured else 1 if marking else 0)
    tags = exiftool(shot.original.read_bytes(), tmp_path)
    assert tags["IFD0:Model"] == "Camera 7"
    moment = f"{shot.taken_at:%Y:%m:%d %H:%M:%S}", f"{shot.taken_at.microsecond // 1000:03d}"
    assert (tags["ExifIFD:DateTimeOriginal"], str(tags["ExifIFD:SubSecTimeOriginal"]).zfill(3)) == moment


def test_a_recipe_of_one_frame_says_nothing_of_merging():
    merged = replace(RECIPE, merging=Merging(8, 1.5))
    assert Recipe.from_dict(merged.as_dict()).merging == merged.merging and merged.digest() != RECIPE.digest()
    assert merged.merging.told == "merged from 8 frames, 1.5 EV above white measured"
    assert "merging" not in RECIPE.as_dict()  # digests of older journals stay true
    for wrong in ({"n_used": 8}, {"n_used": "x", "range_ev": 0, "photos": []}, 8, [8]):
        with pytest.raises(ValueError, match="damaged: it does not say what was merged"):
            Recipe.from_dict(RECIPE.as_dict() | {"merging": wrong})
