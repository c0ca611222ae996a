"""Files built the way iPhones build them; no one else's writer makes such."""

import contextlib
import io
import struct

import numpy as np
import pytest
from hdr import hdr_light
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from test_ultrahdr import LABEL

from camera_nano.color import srgb_eotf
from camera_nano.files import mpf
from camera_nano.files.bmff import boxes
from camera_nano.files.encode import encode
from camera_nano.files.inspect import inspect
from camera_nano.files.ultrahdr import read_gainmap

CODES = np.repeat(np.arange(0, 256, 4, np.uint8)[None], 64, 0)
BASE = np.full((128, 128, 3), 200, np.uint8)
VERSION_2 = b"<x HDRGainMap:HDRGainMapVersion='131072' HDRGainMap:HDRGainMapHeadroom='4.0'/>"
VERSION_1 = b"<x><HDRGainMap:HDRGainMapVersion>65536</HDRGainMap:HDRGainMapVersion></x>"


def exif_of(headroom, gain):
    values = [(33, headroom), (48, gain)]
    entries = [struct.pack(">HHII", tag, 10, 1, 16 + 24 + 4 + 8 * k) for k, (tag, _) in enumerate(values)]
    numbers = b"".join(struct.pack(">ii", round(v * 10000), 10000) for _, v in values)
    note = b"Apple iOS\0\0\1MM" + struct.pack(">H", 2) + b"".join(entries) + bytes(4) + numbers
    exif = Image.Exif()
    exif[0x010F] = "Apple"
    exif.get_ifd(0x8769)[0x927C] = note
    return exif


def jpeg(xmp, exif=None):
    file = io.BytesIO()
    Image.fromarray(BASE).save(file, "JPEG", quality=100, exif=exif or Image.Exif())
    small = encode(np.repeat(CODES[..., None], 3, 2), format="jpeg", quality=100)
    base = file.getvalue()
    return (
        base[:2]
        + mpf.segment(mpf.APP1, b"MPF?")
        + base[2:]
        + small[:2]
        + mpf.segment(mpf.APP1, LABEL + xmp)
        + small[2:]
    )


def box(kind, content):
    return struct.pack(">I4s", len(content) + 8, kind) + content


def heic(exif, urn=b"urn:com:apple:photo:2020:aux:hdrgainmap\0"):
    """libheif's file of two pictures, the second then declared auxiliary to the first (ISO/IEC 23008-12, 6.5.8)."""
    pillow_heif = pytest.importorskip("pillow_heif")
    file = io.BytesIO()
    images = pillow_heif.from_pillow(Image.fromarray(BASE))
    images.add_from_pillow(Image.fromarray(CODES))
    images.save(file, quality=-1, exif=exif.tobytes(), save_all=True)
    data = file.getvalue()
    top = dict(boxes(data))
    meta = dict(boxes(top[b"meta"][4:]))
    parts = dict(boxes(meta[b"iprp"]))
    n_properties = len(list(boxes(parts[b"ipco"])))
    ipma, at = parts[b"ipma"], 8
    at += 3 + ipma[at + 2]  # past the first picture; EXIF is item 2
    assert ipma[at : at + 2] == b"\0\3"
    end = at + 3 + ipma[at + 2]
    ipma = (
        ipma[: at + 2] + bytes([ipma[at + 2] + 1]) + ipma[at + 3 : end] + bytes([0x80 | n_properties + 1]) + ipma[end:]
    )
    meta[b"iprp"] = box(b"ipco", parts[b"ipco"] + box(b"auxC", bytes(4) + urn)) + box(b"ipma", ipma)
    meta[b"iref"] = meta.get(b"iref", bytes(4)) + box(b"auxl", struct.pack(">HHH", 3, 1, 1))

    def head():
        inner = b"".join(box(*item) for item in meta.items())
        return box(b"ftyp", top[b"ftyp"]) + box(b"meta", bytes(4) + inner)

    shift = len(head()) + len(top[b"mdat"]) + 8 - len(data)
    iloc = bytearray(meta[b"iloc"])
    for k in range(8 + 4, len(iloc), 18):  # the base offset of each item
        struct.pack_into(">I", iloc, k, struct.unpack_from(">I", iloc, k)[0] + shift)
    meta[b"iloc"] = bytes(iloc)
    return head() + box(b"mdat", top[b"mdat"])


def apple_light(headroom):
    v = CODES[0] / 255
    gain = np.where(v < 0.081, v / 4.5, ((v + 0.099) / 1.099) ** (1 / 0.45))
    return srgb_eotf(200 / 255) * (1 + (headroom - 1) * gain)


@pytest.mark.parametrize(
    ("data", "headroom"),
    [
        (lambda: jpeg(VERSION_2), 4.0),
        (lambda: jpeg(VERSION_1, exif_of(0.5, 0.005)), 2**1.7),
        (lambda: jpeg(VERSION_1, exif_of(0.5, 0.5)), 2 ** (1.601 - 0.0505)),
        (lambda: jpeg(VERSION_1, exif_of(1.1, 0.01)), 2**2.3),
        (lambda: jpeg(VERSION_1, exif_of(1.1, 1.0)), 4.0),
        (lambda: heic(exif_of(1.1, 1.0)), 4.0),
    ],
)
def test_the_light_of_an_iphone_photo(data, headroom, tmp_path):
    data = data()
    gain = read_gainmap(data)
    assert gain.kind == "apple" and 2**gain.headroom_ev == pytest.approx(headroom, rel=1e-3)
    light = hdr_light(BASE, gain)[64, 1:-1:2, 1]
    wanted = np.interp(np.arange(63) + 0.25, np.arange(64), apple_light(headroom))
    assert np.abs(light[:63] / wanted - 1).max() < 0.06 and np.abs(light[:63] / wanted - 1).mean() < 0.015
    (tmp_path / "photo").write_bytes(data)
    report = inspect(tmp_path / "photo")
    assert report.gain_map.kind == "apple" and report.format in ("jpeg", "heic")


@pytest.mark.parametrize("exif", [Image.Exif(), exif_of(1, 0)])
def test_a_headroom_that_is_not_said(exif):
    if exif:
        exif.get_ifd(0x8769)[0x927C] = exif.get_ifd(0x8769)[0x927C][:30]
    with pytest.raises(ValueError, match="headroom is not said"):
        read_gainmap(jpeg(VERSION_1, exif))


def test_a_damaged_headroom_stays_within_what_the_formula_gives():
    assert read_gainmap(jpeg(VERSION_1, exif_of(1, -1e4))).headroom_ev == 3


def test_another_auxiliary_picture_is_no_gain_map():
    assert read_gainmap(heic(exif_of(1, 1), b"urn:com:apple:photo:2018:aux:portraiteffectsmatte\0")) is None


PHOTO = jpeg(VERSION_1, exif_of(1.1, 1.0))


@pytest.mark.slow
@given(st.data())
@settings(max_examples=100, deadline=None)
def test_damaged_maker_notes_are_refused_in_words_or_read(data):
    whole = bytearray(PHOTO)
    at = PHOTO.index(b"Apple iOS")
    for place in data.draw(st.lists(st.integers(at - 60, at + 60), min_size=1, max_size=5)):
        whole[place] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ValueError):
        read_gainmap(bytes(whole))
