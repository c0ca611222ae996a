"""What a look's file says of itself, and what it must not say."""

import json
import re
import struct
from datetime import datetime, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from camera_nano.cli import main
from camera_nano.decode import open_image
from camera_nano.encode import save
from camera_nano.gainmap import GainMap
from camera_nano.inspect_file import inspect
from camera_nano.metadata import Metadata, of_frame, without_location
from camera_nano.recipe import CAPTURE, Recipe, marked, marked_capture, read_recipe
from camera_nano.ultrahdr import check
from camera_nano.values import Exposure, Frame, Look
from camera_nano.xmp import get, parse_xmp, with_properties

RECIPE = Recipe(Look("golden", ev=0.1, temperature=0.7), 0.8, 2, "auto", "onnx:abc", 3)
PACKET = b"""<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF
 xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""
 xmlns:mine="http://example.org/mine/" xmlns:xmp="http://ns.adobe.com/xap/1.0/"
 xmlns:exif="http://ns.adobe.com/exif/1.0/" xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/"
 xmp:CreatorTool="another" xmp:Rating="4" mine:note="&lt;script&gt;" exif:GPSLatitude="48,8.5N"
 photoshop:City="Munich"><mine:list><rdf:Bag><rdf:li>one</rdf:li></rdf:Bag></mine:list></rdf:Description></rdf:RDF>
</x:xmpmeta><?xpacket end="w"?>"""


@pytest.mark.parametrize("format", ["jpeg", "png", "tiff", "webp", "ultrahdr", "avif", "heic"])
def test_every_kind_of_file_carries_its_recipe(tmp_path, photo, format):
    path = tmp_path / {"jpeg": "a.jpg", "ultrahdr": "a.jpg", "tiff": "a.tif"}.get(format, f"a.{format}")
    gain = GainMap(np.full((32, 32), 255, np.uint8), (1.0,), 1.0) if format == "ultrahdr" else None
    save(path, photo[:64, :64], format=format, metadata=marked(Metadata(xmp=PACKET), RECIPE, "IMG_1.jpg"), gain=gain)
    kept = open_image(path).metadata
    assert read_recipe(kept) == RECIPE
    tree = parse_xmp(kept.xmp)
    assert get(tree, "Iptc4xmpExt:DigitalSourceType").endswith("/compositeWithTrainedAlgorithmicMedia")
    assert get(tree, "xmp:Rating") == "4" and get(tree, "xmp:CreatorTool").startswith("camera_nano")
    assert b"mine:note" in kept.xmp and b"<script>" not in kept.xmp
    report = inspect(path)
    assert report.source_type == "compositeWithTrainedAlgorithmicMedia" and not report.problems
    assert report.history[-1]["parameters"] == "look golden, strength 0.8, seed 3, of IMG_1.jpg"
    assert format != "ultrahdr" or (check(path.read_bytes()) == [] and report.gain_map is not None)


def test_what_was_not_changed_is_not_called_changed():
    untouched = marked(Metadata(xmp=PACKET), Recipe(RECIPE.look, 0.0, 2, "auto", "m"), "a.jpg")
    assert get(parse_xmp(untouched.xmp), "Iptc4xmpExt:DigitalSourceType") is None
    capture = marked_capture(Metadata())
    assert get(parse_xmp(capture.xmp), "Iptc4xmpExt:DigitalSourceType") == CAPTURE
    twice = marked(marked(Metadata(), RECIPE, "a.jpg"), RECIPE, "b.jpg").xmp
    assert twice.count(b"stEvt:action") == 4 and twice.count(b"cameraNano:recipe=") == 1  # two events, one recipe


def test_a_file_can_be_made_again(tmp_path, dark_photo, capsys):
    Image.fromarray(dark_photo).save(tmp_path / "photo.png")
    look, again = tmp_path / "look.png", tmp_path / "again.png"
    words = ["--look", "warm evening light", "--strength", "0.6", "--seed", "2"]
    assert main(["enhance", str(tmp_path / "photo.png"), str(look), *words]) == 0
    assert main(["recipe", str(look), "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (told["strength"], told["seed"], told["look"]["name"]) == (0.6, 2, "warm-evening-light")
    assert main(["recipe", str(look), "--redo", str(tmp_path / "photo.png"), str(again)]) == 0
    assert again.read_bytes() == look.read_bytes()
    assert main(["recipe", str(tmp_path / "photo.png")]) == 2
    assert "carries no recipe" in capsys.readouterr().err


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
    whole = Metadata(exif=exif, xmp=PACKET, iptc=iptc)
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
    if format == "jpeg":
        assert b"title" in data


def test_a_frame_tells_when_it_was_exposed(photo):
    at = datetime(2026, 11, 23, 14, 5, 6, 789_000, timezone(timedelta(hours=-3, minutes=-30)))
    told = of_frame(Frame(photo, exposure=Exposure(time_ms=8.0, iso=320)), at, "picamera2:0")
    tags = Image.Exif()
    tags.load(told.exif)
    exposure = tags.get_ifd(0x8769)
    assert (tags[0x0110], tags[0x0112]) == ("picamera2:0", 1)
    assert (exposure[0x9003], exposure[0x9291], exposure[0x9011]) == ("2026:11:23 14:05:06", "789", "-03:30")
    assert (float(exposure[0x829A]), exposure[0x8827], exposure[0xA002]) == (0.008, 320, 512)


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300), st.text(max_size=40))
def test_whatever_came_with_a_photo_does_no_harm(block, name):
    whole = Metadata(exif=b"II*\0" + block, xmp=block, iptc=block)
    told = without_location(marked(whole, RECIPE, re.sub(r"[^\x20-\ud7ff]", "?", name)))
    assert read_recipe(told) == RECIPE


def test_a_broken_or_huge_packet_gives_way():
    for packet in (b"<broken", b"<!DOCTYPE x [<!ENTITY a 'a'>]><x/>", PACKET.replace(b"one", b"x" * 60_000)):
        assert len(with_properties(packet, {"xmp:Rating": "1"}, {})) < 51_000
