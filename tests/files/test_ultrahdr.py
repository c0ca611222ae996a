"""Files are judged by other people's readers: Pillow, libvips, libultrahdr and, where it is installed, exiftool."""

import contextlib
import io
import json
import re
import shutil
import struct
import subprocess

import numpy as np
import pytest
import pyvips
from hdr import hdr_light
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from PIL.MpoImagePlugin import MpoImageFile

from camera_nano.color import luminance, srgb_eotf
from camera_nano.files import mpf
from camera_nano.files.encode import encode
from camera_nano.files.gainmap import from_headroom
from camera_nano.files.metadata import Metadata
from camera_nano.files.ultrahdr import check, fix_mpf, iso, pack, read_gainmap, read_iso
from camera_nano.values import GainMap

XMP = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:CreatorTool="Tool"/>'
    b"</rdf:RDF></x:xmpmeta>"
)


LABEL = b"http://ns.adobe.com/xap/1.0/\0"


def scene(height=600, width=900):
    """A hue-kept base and the true light of it, known by construction: a lamp four stops above white."""
    y, x = np.mgrid[:height, :width]
    ev = np.clip(4 - np.hypot(y - height / 2, x - width / 2) / 80, 0, 4).astype(np.float32)
    base = np.stack([220 + 0 * x, 120 + x / width * 100, 60 + y / height * 150], -1).astype(np.uint8)
    return base, ev


@pytest.fixture(scope="module")
def file():
    base, ev = scene()
    return pack(encode(base, format="jpeg", quality=95, metadata=Metadata(xmp=XMP)), from_headroom(ev))


def primary(data):
    return data[: mpf.end_of_image(data)]


def xmp_of(data):
    return data[slice(*mpf.payload(data, mpf.APP1, LABEL))]


def second(data):
    return slice(*mpf.images(data)[1])


def test_the_base_is_the_plain_jpeg_pixel_for_pixel(file):
    plain = encode(scene()[0], format="jpeg", quality=95)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(file))), np.asarray(Image.open(io.BytesIO(plain))))


def light_by_vips(data):
    return pyvips.Image.uhdrload_buffer(data).uhdr2scRGB().numpy()


def light_by_libultrahdr(data):
    return pytest.importorskip("imagecodecs").ultrahdr_decode(data)[..., :3].astype(np.float32)


def light_by_us(data):
    return hdr_light(np.asarray(Image.open(io.BytesIO(data))), read_gainmap(data))


@pytest.mark.parametrize("reader", [light_by_vips, light_by_libultrahdr, light_by_us])
def test_every_reader_gets_the_light_back(reader):
    base, ev = scene()
    light = reader(pack(encode(base, format="jpeg", quality=100), from_headroom(ev)))
    truth = srgb_eotf(base / 255) * np.exp2(ev)[..., None]
    assert np.percentile(np.abs(luminance(light) / luminance(truth) - 1), 99) < 0.02
    assert light.max() == pytest.approx(truth.max(), rel=0.05)


def test_libvips_reads_the_measured_headroom(file):
    image = pyvips.Image.uhdrload_buffer(file)
    most = 2 ** from_headroom(scene()[1]).headroom_ev
    assert image.get("gainmap-hdr-capacity-max") == pytest.approx(most, rel=1e-3)
    assert image.get("gainmap-max-content-boost") == pytest.approx([most] * 3, rel=1e-3)
    assert (image.get_gainmap().width, image.get_gainmap().height) == (450, 300)


def test_old_readers_find_the_map_by_xmp_and_its_length(file):
    xmp = Image.open(io.BytesIO(file)).info["xmp"].decode()
    lengths = [int(n) for n in re.findall(r'Item:Length="(\d+)"', xmp)]
    map_jpeg = file[second(file)]
    assert lengths == [len(map_jpeg)] and file.endswith(map_jpeg)
    assert 'hdrgm:Version="1.0"' in xmp and 'xmp:CreatorTool="Tool"' in xmp
    assert "hdrgm:HDRCapacityMax" in Image.open(io.BytesIO(map_jpeg)).info["xmp"].decode()
    with MpoImageFile(io.BytesIO(file)) as image:  # Pillow goes by MPF
        assert image.n_frames == 2
        image.seek(1)
        assert image.size == (450, 300)


def test_the_map_is_read_by_xmp_where_there_is_no_iso_block(file):
    by_iso = read_gainmap(file)
    by_xmp = read_gainmap(file.replace(b"urn:iso", b"urn:ISO"))
    assert (by_iso.kind, by_xmp.kind) == ("iso", "hdrgm")
    assert by_xmp.max_ev == pytest.approx(by_iso.max_ev, abs=1e-5) and by_xmp.base_offset == (0,)
    assert np.array_equal(by_xmp.codes, by_iso.codes)


def test_xmp_with_lists_and_defaults(file):
    """As Adobe writes it: a number per channel in elements, what is usual left out."""
    items = b"<rdf:li>1</rdf:li><rdf:li>2</rdf:li><rdf:li>3</rdf:li>"
    text = b"<hdrgm:GainMapMax><rdf:Seq>" + items + b"</rdf:Seq></hdrgm:GainMapMax>"
    packet = (
        b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description '
        b'xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/" hdrgm:Version="1.0" hdrgm:BaseRenditionIsHDR="False">'
        + text + b"</rdf:Description></rdf:RDF>"
    )  # fmt: skip
    small = encode(np.full((8, 8, 3), 9, np.uint8), format="jpeg")
    label = mpf.segment(mpf.APP1, LABEL + packet)
    gain = read_gainmap(primary(file) + small[:2] + label + small[2:])
    assert gain.max_ev == (1, 2, 3) and gain.base_offset == (1 / 64,) and gain.headroom_ev == 3


def test_a_file_of_libvips_is_read():
    """It has the early form of the ISO block, with one denominator for all."""
    base, ev = scene()
    image = pyvips.Image.new_from_array(base, interpretation="srgb").copy()
    codes = np.rint(np.clip(ev[::2, ::2] / 4, 0, 1) * 255).astype(np.uint8)
    map_jpeg = pyvips.Image.new_from_array(codes).jpegsave_buffer(Q=95)
    image.set_type(pyvips.GValue.blob_type, "gainmap-data", map_jpeg)
    offset = [1 / 64] * 3
    boosts = {"max-content-boost": [16] * 3, "min-content-boost": [1] * 3, "gamma": [1] * 3}
    for name, value in (boosts | {"offset-sdr": offset, "offset-hdr": offset}).items():
        image.set_type(pyvips.GValue.array_double_type, f"gainmap-{name}", value)
    for name, value in (("min", 1), ("max", 16)):
        image.set_type(pyvips.GValue.gdouble_type, f"gainmap-hdr-capacity-{name}", value)
    image.set_type(pyvips.GValue.gint_type, "gainmap-use-base-cg", 1)
    data = bytes(image.uhdrsave_buffer(Q=95))
    gain = read_gainmap(data)
    assert gain.max_ev == pytest.approx([4], abs=1e-6) and gain.base_offset == pytest.approx([1 / 64])
    assert np.abs(gain.codes.astype(int) - codes).mean() < 1
    assert check(data) == [] and fix_mpf(data) == data
    ours, theirs = light_by_us(data), light_by_vips(data)
    assert np.percentile(np.abs(ours - theirs).max(-1) / theirs.max(-1), 99) < 0.03


@pytest.mark.parametrize("xmp", [XMP, XMP.ljust(65_000), b"<not-rdf/>"])
def test_foreign_xmp_is_never_lost(xmp):
    """What has no room for a line more, or is no RDF, stays as it is."""
    base, ev = scene(40, 60)
    plain = encode(base, format="jpeg")
    data = pack(plain[:2] + mpf.segment(mpf.APP1, LABEL + xmp) + plain[2:], from_headroom(ev))
    assert check(data) == [] and read_gainmap(data) is not None
    assert (b"Container:Directory" in xmp_of(data)) == (xmp == XMP)
    assert xmp_of(data) == xmp or b'CreatorTool="Tool"' in xmp_of(data)


def edited(data, packet):
    """As an editor leaves a file whose XMP it has rewritten."""
    start, end = mpf.payload(data, mpf.APP1, LABEL)
    return data[: start - 4 - len(LABEL)] + mpf.segment(mpf.APP1, LABEL + packet) + data[end:]


def signed(data):
    """As a signer does it: a segment behind the index, which then is wrong about the map too."""
    at = mpf.after_apps(data)
    return data[:at] + mpf.segment(0xEB, bytes(3001)) + data[at:]


@pytest.mark.parametrize(
    ("edit", "n_wrong"),
    [
        (lambda d: edited(d, xmp_of(d).replace(b"Tool", b"")), 1),
        (lambda d: edited(d, xmp_of(d).replace(b"Tool", b"T" * 5000)), 1),
        (lambda d: edited(d, xmp_of(d).replace(b'Length="', b'Length="9')), 2),
        (signed, 2),
    ],
)
def test_an_edit_makes_the_index_stale_and_fix_mpf_makes_it_right(file, edit, n_wrong):
    stale = edit(file)
    assert len(check(stale)) == n_wrong
    mended = fix_mpf(stale)
    assert check(mended) == [] and fix_mpf(mended) == mended and mended[second(mended)] == file[second(file)]
    assert np.array_equal(light_by_vips(mended), light_by_vips(file))


def test_the_length_is_found_in_elements_too(file):
    """exiv2 writes properties as elements where they were attributes."""
    text = b'<rdf:li rdf:parseType="Resource"><Container:Item><Item:Semantic>GainMap</Item:Semantic>'
    directory = text + b"<Item:Length>5</Item:Length></Container:Item></rdf:li>"
    mended = fix_mpf(edited(file, b"<rdf:Seq>" + directory + b"</rdf:Seq>"))
    n_bytes = second(file).stop - second(file).start
    assert b"<Item:Length>%d</Item:Length>" % n_bytes in mended and check(mended) == []


def test_other_files_pass_through_fix_mpf_untouched(photo):
    for format in ("jpeg", "png", "webp"):
        data = encode(photo, format=format)
        assert fix_mpf(data) == data and (format != "jpeg" or (check(data) == [] and read_gainmap(data) is None))


def test_damage_is_named(file):
    assert check(primary(file)) != []
    with pytest.raises(ValueError, match="an index of 2 pictures and holds 1"):
        fix_mpf(primary(file))
    with pytest.raises(ValueError, match="without an end"):
        fix_mpf(file[: second(file).start - 2])
    at = file.rindex(b"urn:iso") + 28
    for block, words in ((b"\0\1", "version 1"), (b"\0\0\0\0\0" + bytes(56), "divides by zero")):
        with pytest.raises(ValueError, match=words):
            read_gainmap(file[:at] + block + file[at + len(block) :])


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
def test_exiftool_agrees(file, tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(file)
    [tags] = json.loads(subprocess.check_output(["exiftool", "-j", "-G1", "-n", "-validate", "-all", str(path)]))
    start, end = mpf.images(file)[1]
    assert (tags["MPImage2:MPImageStart"], tags["MPImage2:MPImageLength"]) == (start, end - start)
    assert tags["XMP-Container:DirectoryItemLength"] == end - start
    n_errors, n_warnings, n_minor = tags["ExifTool:Validate"].split()
    assert n_errors == "0" and n_warnings == n_minor
    subprocess.check_call(["exiftool", "-q", "-overwrite_original", "-Artist=Somebody", str(path)])
    mended = fix_mpf(path.read_bytes())
    assert check(path.read_bytes()) != [] and check(mended) == []
    assert np.array_equal(light_by_us(mended), light_by_us(file))


@pytest.mark.slow
@given(st.data())
@settings(max_examples=150, deadline=None)
def test_damaged_bytes_are_refused_in_words_or_read(file, data):
    damaged = bytearray(file)
    places = data.draw(st.lists(st.integers(0, len(file) - 1), max_size=6))
    start = second(file).start
    places += data.draw(st.lists(st.integers(start, start + 700), max_size=6))
    for at in places:
        damaged[at] = data.draw(st.integers(0, 255))
    damaged = bytes(damaged[: data.draw(st.integers(0, len(file)) | st.just(len(file)))])
    check(damaged) if damaged.startswith(b"\xff\xd8") else None
    for function in (read_gainmap, fix_mpf):
        try:
            made = function(damaged)
        except ValueError:
            continue
        assert made is None or function is read_gainmap or fix_mpf(made) == made


@given(st.binary(max_size=200))
def test_any_iso_block_is_read_or_refused(block):
    with contextlib.suppress(ValueError):
        read_iso(block)


_number = st.floats(-8, 8).map(lambda v: round(v * 1024) / 1024)


@given(low=_number, span=st.floats(0, 8), headroom=_number, gamma=st.floats(0.1, 4), n=st.sampled_from([1, 3]))
def test_iso_metadata_makes_the_round_trip(low, span, headroom, gamma, n):
    gain = GainMap(np.zeros((1, 1), np.uint8), (low + span,) * n, headroom, (low,) * n, (gamma,) * n, (0.015625,))
    read = read_iso(iso(gain))
    assert read["headroom_ev"] == headroom and read["min_ev"] == (low,) * n
    assert read["max_ev"] == pytest.approx((low + span,) * n, abs=1e-6)
    assert len(iso(gain)) == 5 + 16 + 40 * n and struct.unpack(">HH", iso(gain)[:4]) == (0, 0)
