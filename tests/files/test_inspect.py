import json

import numpy as np
import pytest
from PIL import Image
from test_encode import camera_exif, p3_profile
from test_ultrahdr import edited, scene, signed, xmp_of

from camera_nano.cli import main
from camera_nano.files import mpf
from camera_nano.files.encode import encode
from camera_nano.files.gainmap import from_headroom
from camera_nano.files.inspect import inspect
from camera_nano.files.metadata import Metadata

STORY = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:xmpMM="http://ns.adobe.com/xap/1.0/mm/"'
    b' xmlns:stEvt="http://ns.adobe.com/xap/1.0/sType/ResourceEvent#"'
    b' xmlns:ext="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
    b' ext:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"><xmpMM:History><rdf:Seq>'
    b'<rdf:li stEvt:action="created" stEvt:softwareAgent="Cam\x1b[31m"/>'
    b'<rdf:li rdf:parseType="Resource"><stEvt:action>edited</stEvt:action></rdf:li>'
    b"</rdf:Seq></xmpMM:History></rdf:Description></rdf:RDF></x:xmpmeta>"
).replace(b"\x1b", b"\xc2\x9b")  # the terminal's command byte that XML may hold


@pytest.fixture
def write(tmp_path):
    def write(data, name="a.jpg"):
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return write


def full(format="ultrahdr"):
    base, ev = scene()
    exif = camera_exif().tobytes().removeprefix(b"Exif\0\0")
    metadata = Metadata(exif=exif, xmp=STORY, icc=p3_profile())
    return encode(base, format=format, metadata=metadata, gain=from_headroom(ev))


def test_all_that_a_file_holds(write):
    data = full()
    report = inspect(write(data))
    assert (report.format, report.size_wh, report.depth_bits, report.orientation) == ("ultrahdr", (900, 600), 8, 1)
    assert report.profile == "sP3C" and report.source_type == "digitalCapture" and not report.c2pa
    assert report.gain_map.kind == "iso" and report.gain_map.size_wh == (450, 300)
    assert report.gain_map.headroom_ev == pytest.approx(4, abs=0.05)
    (_, end), (start, stop) = mpf.images(data)
    assert report.mpf == ((0, end), (start, stop - start))
    assert [event["action"] for event in report.history] == ["created", "edited"]
    assert report.problems == ()


@pytest.mark.slow
@pytest.mark.parametrize("format", ["avif", "heic"])
def test_avif_and_heic(write, format):
    pytest.importorskip("imagecodecs")
    pytest.importorskip("pillow_heif")
    data = full(format)
    report = inspect(write(data))
    assert (report.format, report.size_wh, report.depth_bits, report.nclx) == (format, (900, 600), 10, (9, 16, 9))
    assert report.source_type == "digitalCapture" and report.problems == () and report.gain_map is None
    assert inspect(write(data[:-200] + bytes(200) if format == "heic" else data[:-4000])).problems


@pytest.mark.parametrize(("format", "depth"), [("png", 16), ("tiff", 16), ("webp", 8), ("jpeg", 8)])
def test_plain_files(write, photo, format, depth):
    report = inspect(write(encode(photo.astype(np.uint16) * 257, format=format)))
    assert (report.format, report.size_wh, report.depth_bits) == (format, (512, 512), depth)
    assert (report.gain_map, report.mpf, report.profile, report.problems) == (None, (), None, ())


@pytest.mark.slow
@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (signed, "MPF entry 2 says bytes"),
        (lambda d: edited(d, xmp_of(d).replace(b'Length="', b'Length="1')), "length in the XMP directory is wrong"),
        (lambda d: d[: mpf.end_of_image(d)], "the XMP announces a gain map, and there is none"),
        (lambda d: d[: mpf.end_of_image(d) - 2000], "without an end"),
        (lambda d: edited(d, b"<x>"), "XMP is broken"),
        (lambda d: edited(d, b"<!DOCTYPE x><x/>"), "XMP is broken"),
        (lambda d: b"hello", "not a picture"),
        (lambda d: b"", "not a picture"),
    ],
)
def test_what_is_wrong_is_named_and_exits_1(write, harm, words, capsys):
    path = write(harm(full()))
    assert main(["inspect", str(path)]) == 1
    assert words in capsys.readouterr().out
    assert main(["inspect", str(path), "--json"]) == 1
    assert any(words in text for text in json.loads(capsys.readouterr().out)["problems"])


def test_text_and_json_of_a_good_file(write, capsys):
    path = write(full())
    assert main(["inspect", str(path)]) == 0
    text = capsys.readouterr().out
    assert "gain map     iso, 450 x 300, 3.9" in text and "action edited" in text and "\x9b" not in text
    assert main(["inspect", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["source_type"] == "digitalCapture"
    assert main(["inspect", str(path.with_name("none.jpg"))]) == 1
    assert "none.jpg" in capsys.readouterr().err


def test_a_manifest_is_seen(write):
    """The start of a manifest store as ISO 19566-5 lays it out, in the segment that JPEG has for it."""
    box = b"\0\0\0\x40jumb\0\0\0\x26jumd" + bytes(16) + b"\x03c2pa\0" + bytes(26)
    data = full()
    assert inspect(write(data[:2] + mpf.segment(0xEB, b"JP\0\x01\0\0\0\x01" + box) + data[2:])).c2pa


@pytest.mark.slow
@pytest.mark.parametrize("extension", ["jpg", "avif", "heic"])
def test_enhance_writes_the_light_of_a_scene(dark_photo, tmp_path, extension, capsys):
    pytest.importorskip("imagecodecs")
    pytest.importorskip("pillow_heif")
    photo, out, plain = (tmp_path / name for name in ("in.png", f"out.{extension}", f"plain.{extension}"))
    Image.fromarray(dark_photo).save(photo)
    asked = ["--format", "ultrahdr"] if extension == "jpg" else []
    assert main(["enhance", str(photo), str(out), *asked]) == 0
    report = inspect(out)
    assert report.problems == ()
    if "plain SDR" not in capsys.readouterr().err:
        assert report.gain_map or report.nclx == (9, 16, 9)
    assert main(["enhance", str(photo), str(plain), *asked, "--strength", "0"]) == 0  # nothing is added, no headroom
    assert "plain SDR" in capsys.readouterr().err
    assert inspect(plain).gain_map is None and inspect(plain).nclx in (None, (1, 13, 1), (1, 13, 6))


def test_a_format_and_a_name_that_disagree(dark_photo, tmp_path, capsys):
    Image.fromarray(dark_photo).save(tmp_path / "in.png")
    assert main(["enhance", str(tmp_path / "in.png"), str(tmp_path / "out.png"), "--format", "ultrahdr"]) == 2
    assert "out.png is the name of a png file: give it the extension .jpg" in capsys.readouterr().err
