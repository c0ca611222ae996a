"""Foreign files are parsed in the locked-up child alone: by the library, by every command, by reports and sources."""

import json
import struct
from importlib import import_module

import numpy as np
import pytest

import camera_nano as cn
from camera_nano.cli import main
from camera_nano.files import Metadata, inspect, shared_decoder
from camera_nano.files.packing import pack, unpack
from camera_nano.recipe import Labels, Recipe
from camera_nano.sources.files import PhotoFolder
from camera_nano.values import Frame, Look


@pytest.fixture
def jpeg(photo, tmp_path):
    exif = b"MM\0*" + struct.pack(">IHHHI4sI", 8, 1, 0x010F, 2, 4, b"Own\0", 0)
    cn.save(tmp_path / "photo.jpg", photo, metadata=Metadata(exif=exif, pixels_per_mm=4))
    return tmp_path / "photo.jpg"


@pytest.fixture
def parsers_refused(monkeypatch):
    """In this process, whatever parses a picture or its metadata raises."""

    def refuse(*_, **__):
        raise AssertionError("parsed in this process")

    for module, name in (
        ("exif", "read"),
        ("xmp", "Properties"),
        ("decode", "_decode_by_libvips"),
        ("decode", "_decode_by_library"),
        ("inspect", "_load"),
        ("thumbnail", "small"),
        ("ultrahdr", "read_gainmap"),
        ("icc", "to_srgb"),
    ):
        monkeypatch.setattr(import_module(f"camera_nano.files.{module}"), name, refuse)


@pytest.mark.slow
@pytest.mark.usefixtures("parsers_refused")
def test_nothing_foreign_is_parsed_in_this_process(jpeg, tmp_path):
    picture = cn.open_image(jpeg)
    assert picture.metadata.exif and picture.frame.pixels.shape == (512, 512, 3)
    cn.save(tmp_path / "copy.png", picture.frame.pixels, metadata=picture.metadata)
    assert inspect(jpeg).size_wh == (512, 512)
    assert shared_decoder().thumbnail(jpeg, 64).shape == (64, 64, 3)
    assert main(["inspect", str(jpeg)]) == 0
    assert main(["enhance", str(jpeg), str(tmp_path / "look.jpg"), "--look", "natural"]) == 0
    assert main(["recipe", str(tmp_path / "look.jpg")]) == 0
    report = ["--report", str(tmp_path / "report.html"), "--contact-sheet", str(tmp_path / "sheet.jpg")]
    assert main(["batch", str(jpeg), "--out", str(tmp_path / "out"), "--look", "natural", *report]) == 0
    assert "<figure>" in (tmp_path / "report.html").read_text()
    folder = PhotoFolder(tmp_path, pace=False)
    assert next(folder.frames()).pixels.shape == (512, 512, 3)


@pytest.mark.slow
@pytest.mark.usefixtures("parsers_refused")
def test_the_control_parses_here(jpeg):
    from camera_nano.files.decode import open_image

    with pytest.raises(AssertionError, match="in this process"):
        open_image(jpeg)


@pytest.mark.slow
@pytest.mark.parametrize("kind", [0, 13, 99])
def test_a_tag_of_a_damaged_type_crashes_nobody(kind, tmp_path):
    rows = [(0x011A, 5, 1, 38), (0x011B, kind, 1, 38), (0xA002, kind, 1, 1)]
    body = b"".join(struct.pack("<HHII", *row) for row in rows)
    exif = b"II*\0" + struct.pack("<IH", 8, len(rows)) + body + bytes(4) + struct.pack("<II", 300, 1) + bytes(8)
    cn.save(tmp_path / "a.jpg", np.zeros((16, 16, 3), np.uint8), metadata=Metadata(exif=exif))
    assert cn.open_image(tmp_path / "a.jpg").frame.pixels.shape == (16, 16, 3)


def sent(value):
    tree, parts, n_bytes = pack(value)
    memory = bytearray(n_bytes)
    for at, array in parts:
        memory[at : at + array.nbytes] = array.tobytes()
    return unpack(json.loads(json.dumps(tree)), memory)


def test_values_come_over_as_they_were(rng):
    look = Recipe(Look("warm \udcff", ev=0.1), 0.3, 2, "auto", "onnx:ab")
    plain = (None, True, 0.1, "\udcff", (1, (2.5,)), b"bytes", {"a": b""}, look, Labels(location=False))
    assert sent(plain) == plain
    pixels = rng.integers(0, 65536, (3, 5, 3), np.uint16)
    assert np.array_equal(sent(Frame(pixels[:, ::-1])).pixels, pixels[:, ::-1])


@pytest.mark.parametrize(
    "tree",
    [
        {"kind": "Popen", "values": {"args": "id"}},
        {"kind": "Look", "values": {"nothing": 1}},
        {"array": ["|O", [1], 0]},
        {"array": ["|u1", [1 << 40], 0]},
        {"array": ["|u1", [16], 1]},
        {"array": ["|u1", [8], -1]},
        {"bytes": [0, 1 << 40]},
        {"bytes": [-8, 8]},
        {"bytes": ["0", 1]},
        {"other": 1},
    ],
)
def test_what_was_not_packed_is_refused(tree):
    with pytest.raises((ValueError, TypeError, LookupError)):
        unpack(tree, bytearray(16))


def test_only_values_of_known_kinds_are_sent():
    with pytest.raises(TypeError, match="object does not go"):
        pack((object(),))
