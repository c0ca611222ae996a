"""Metadata is judged by other readers: Pillow, and exiftool where it is installed."""

import contextlib
import io
import json
import shutil
import struct
import subprocess
from datetime import datetime, timedelta, timezone
from xml.parsers import expat

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms, PngImagePlugin
from test_encode import camera_exif, opened, p3_profile

from camera_nano.errors import UnreadableImage
from camera_nano.files import metadata as m
from camera_nano.files.decode import decode
from camera_nano.files.encode import encode
from camera_nano.files.metadata import Metadata
from camera_nano.values import Exposure, Frame

FORMATS = ["jpeg", "png", "tiff", "webp", "avif", "heic"]
IPTC = b"\x1c\x02\x78\x00\x05hello\x1c\x02\x5a\x00\x03Ulm"
PLACES = (b"48.123", b"Ulm", b"Bavaria", b"DEU")


def rdf(inside, attributes=""):
    return (
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        '<rdf:Description rdf:about="" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:dc="http://purl.org/dc/elements/1.1/"'
        ' xmlns:tiff="http://ns.adobe.com/tiff/1.0/" xmlns:exif="http://ns.adobe.com/exif/1.0/"'
        ' xmlns:photoshop="http://ns.adobe.com/photoshop/1.0/" xmlns:hdrgm="http://ns.adobe.com/hdr-gain-map/1.0/"'
        ' xmlns:ext="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" xmlns:core="http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/"'
        ' xmlns:GCamera="http://ns.google.com/photos/1.0/camera/" xmlns:own="urn:own:"'
        ' xmlns:Container="http://ns.google.com/photos/1.0/container/"'
        f" {attributes}>{inside}</rdf:Description></rdf:RDF></x:xmpmeta>"
    ).encode()


def jpeg(pixels, **options):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", **options)
    return file.getvalue()


def exiftool(data, tmp_path, *options):
    """Every tag by group and name, as another program reads it."""
    if shutil.which("exiftool") is None:
        pytest.skip("no exiftool")
    path = tmp_path / "x"
    path.write_bytes(data)
    done = subprocess.run(["exiftool", "-j", "-G1", "-n", *options, path], capture_output=True, check=True)
    return json.loads(done.stdout)[0]


def written(format, pixels, metadata):
    pytest.importorskip("imagecodecs")
    pytest.importorskip("pillow_heif")
    return encode(pixels, format=format, metadata=metadata)


@pytest.fixture(scope="module")
def small(photo):
    return np.ascontiguousarray(photo[::2, ::3])  # (256, 171, 3)


def canon_exif():
    """A maker note whose values lie elsewhere, by their place in the whole block, as Canon's do; big-endian."""
    owner = b"A photographer with a long name\0"
    base = 8 + 2 + 2 * 12 + 4
    exif_at = base + 6
    note_at = exif_at + 2 + 12 + 4
    note = struct.pack(">HHHII", 1, 9, 2, len(owner), note_at + 2 + 12 + 4) + bytes(4) + owner
    ifd0 = struct.pack(">HHHII", 2, 0x010F, 2, 6, base) + struct.pack(">HHII", 0x8769, 4, 1, exif_at) + bytes(4)
    return (
        b"MM\0*\0\0\0\x08"
        + ifd0
        + b"Canon\0"
        + struct.pack(">HHHII", 1, 0x927C, 7, len(note), note_at)
        + bytes(4)
        + note
    )


@pytest.mark.slow
@pytest.mark.parametrize("source", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("format", FORMATS)
def test_exif_survives_with_right_size_and_orientation(photo, source, format, tmp_path):
    file = io.BytesIO()
    Image.fromarray(photo[:300]).save(file, source, exif=camera_exif(orientation=6))
    picture = decode(file.getvalue(), "x")
    assert picture.frame.pixels.shape == (512, 300, 3) and picture.metadata.problems == ()
    data = written(format, picture.frame.pixels, picture.metadata)
    tags = exiftool(data, tmp_path)
    assert [tags[f"IFD0:{name}"] for name in ("Make", "Model", "Orientation", "ModifyDate")] == [
        "Maker", "Model <b>", 1, "2024:05:06 07:08:09",
    ]  # fmt: skip
    assert (tags["ExifIFD:ExifImageWidth"], tags["ExifIFD:ExifImageHeight"]) == (300, 512)
    assert tags["ExifIFD:ExposureTime"] == pytest.approx(1 / 60) and "MakerNote" not in str(picture.metadata.problems)
    assert tags["GPS:GPSLatitude"] == pytest.approx(48.209236, abs=1e-5) and tags["GPS:GPSLongitudeRef"] == "E"
    again = Image.Exif()
    again.load(m.read_blocks(data).exif)  # through our own reader once more
    assert again.get_ifd(0x8769)[0x927C] == bytes(range(99)) and again.get_ifd(0x8825)[1] == "N"


@pytest.mark.parametrize("format", FORMATS)
def test_a_maker_note_with_places_in_it_is_moved_whole(small, format, tmp_path):
    metadata = decode(jpeg(small, exif=b"Exif\0\0" + canon_exif()), "x").metadata
    assert metadata.problems == ()
    tags = exiftool(written(format, small, metadata), tmp_path)
    assert tags["Canon:OwnerName"] == "A photographer with a long name"
    assert "ExifTool:Warning" not in tags


@pytest.mark.parametrize("format", FORMATS)
def test_the_thumbnail_is_of_the_new_picture(small, format, tmp_path):
    """A camera's JPEG with a thumbnail, written by exiftool's rules: Pillow writes none."""
    old = jpeg(np.full((60, 90, 3), 250, np.uint8))
    first = camera_exif().tobytes()[6:]
    link = 10 + 12 * int.from_bytes(first[8:10], "big")
    at = len(first) + len(first) % 2
    entries = ((0x0201, at + 30), (0x0202, len(old)))
    second = b"\0\2" + b"".join(struct.pack(">HHII", tag, 4, 1, value) for tag, value in entries) + bytes(4)
    exif = (first[:link] + struct.pack(">I", at) + first[link + 4 :]).ljust(at, b"\0") + second + old
    file = jpeg(small, exif=b"Exif\0\0" + exif)
    assert opened(file).getexif().get_ifd(ExifTags.IFD.IFD1)  # negative control: it is there
    data = written(format, small, decode(file, "x").metadata)
    assert old not in data
    tags = exiftool(data, tmp_path, "-b", "-ThumbnailImage")
    if format == "tiff":
        assert "IFD1:ThumbnailImage" not in tags and Image.open(io.BytesIO(data)).n_frames == 1
        return
    import base64

    thumbnail = opened(base64.b64decode(tags["IFD1:ThumbnailImage"].removeprefix("base64:")))
    assert thumbnail.size == (107, 160)
    expected = np.asarray(Image.fromarray(small).resize(thumbnail.size, Image.Resampling.BOX)).astype(int)
    assert np.abs(np.asarray(thumbnail) - expected).mean() < 8


@pytest.mark.parametrize("format", FORMATS)
def test_xmp_iptc_profile_and_resolution_travel(small, format, tmp_path):
    title = '<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Kätzchen &lt;script&gt;</rdf:li></rdf:Alt></dc:title>'
    xmp = rdf(title, 'own:note="kept"')
    source = encode(
        small, format="jpeg", metadata=Metadata(xmp=xmp, iptc=IPTC, icc=p3_profile(), pixels_per_mm=300 / 25.4)
    )
    metadata = decode(source, "x").metadata
    assert metadata.iptc.rstrip(b"\0") == IPTC and metadata.icc == p3_profile()
    data = written(format, small, metadata)
    tags = exiftool(data, tmp_path)
    assert tags["XMP-dc:Title"] == "Kätzchen <script>" and tags["XMP-own:Note"] == "kept"
    assert tags["ICC_Profile:ProfileDescription"] == "sP3C"
    lost = m.unkept(metadata, format)
    assert ("IPTC:Caption-Abstract" in tags) == (not lost) == (format in ("jpeg", "png", "tiff"))
    assert not lost or lost == (f"IPTC has no place in {format}, and is left out",)
    if format in ("jpeg", "png", "tiff"):
        assert tags["IPTC:Caption-Abstract"] == "hello"
        assert opened(data).info["dpi"][0] == pytest.approx(300, abs=0.1)
    if format == "webp":
        assert tags["IFD0:XResolution"] == pytest.approx(300, abs=0.1)


@pytest.mark.parametrize("form", ['tiff:Orientation="6"', ""])
def test_xmp_no_longer_says_what_the_edit_made_untrue(small, form, tmp_path):
    stale = 'hdrgm:Version="1.0" GCamera:MotionPhoto="1" tiff:ImageWidth="9" xmp:CreatorTool="kept" '
    inside = '<Container:Directory rdf:parseType="Resource"><own:a>1</own:a></Container:Directory>'
    element = "" if form else "<tiff:Orientation>6</tiff:Orientation>"
    metadata = decode(jpeg(small, xmp=rdf(inside + element, stale + form)), "x").metadata
    tags = exiftool(encode(small, format="png", metadata=metadata), tmp_path)
    assert {k for k in tags if k.startswith("XMP-") and "XMPToolkit" not in k} == {
        "XMP-xmp:CreatorTool",
        "XMP-tiff:Orientation",
    }
    assert tags["XMP-tiff:Orientation"] == 1


@pytest.mark.parametrize("format", FORMATS)
def test_no_coordinate_survives_anywhere_in_the_bytes(small, format, tmp_path):
    places = (
        'exif:GPSLatitude="48.123N" photoshop:City="Ulm" photoshop:State="Bavaria" core:CountryCode="DEU"'
        ' own:GpsLongitude="48.123" xmp:CreatorTool="kept"'
    )
    inside = '<ext:LocationCreated><rdf:Bag><rdf:li ext:City="Ulm"/></rdf:Bag></ext:LocationCreated>'
    exif = camera_exif()
    exif.get_ifd(0x8825)[0x1B] = b"48.123"
    exif.get_ifd(0x8769)[0x927C] = b"note of 48.123"
    metadata = decode(
        encode(small, format="jpeg", metadata=Metadata(exif.tobytes()[6:], rdf(inside, places), IPTC)), "x"
    ).metadata
    latitude = struct.pack(">II", 25, 2)  # 12.5 minutes, as the source has it
    given = written(format, small, metadata)
    assert b"48.123" in given and "GPS:GPSLatitude" in exiftool(given, tmp_path)  # negative control
    stripped = m.without_location(metadata)
    assert "maker note" in stripped.problems[-1]
    data = written(format, small, stripped)
    assert not any(place in data for place in PLACES) and latitude not in data and latitude[::-1] not in data
    tags = exiftool(data, tmp_path)
    assert not any(word in key for key in tags for word in ("GPS", "City", "Country", "Location"))
    assert tags["IFD0:Make"] == "Maker" and tags["XMP-xmp:CreatorTool"] == "kept"
    assert format not in ("jpeg", "png", "tiff") or tags["IPTC:Caption-Abstract"] == "hello"


def test_a_fresh_picture_says_when_it_was_exposed_and_how(small, tmp_path):
    at = datetime(2026, 3, 4, 5, 6, 7, 89_000, timezone(-timedelta(hours=3, minutes=30)))
    frame = Frame(small, exposure=Exposure(time_ms=1000 / 60, iso=437.6))
    metadata = m.of_frame(frame, at, 'Camera <script>"')
    for format in FORMATS:
        tags = exiftool(written(format, small, metadata), tmp_path)
        assert tags["ExifIFD:DateTimeOriginal"] == tags["ExifIFD:CreateDate"] == "2026:03:04 05:06:07"
        assert (tags["ExifIFD:SubSecTimeOriginal"], tags["ExifIFD:OffsetTimeOriginal"]) == ("089", "-03:30")
        assert tags["ExifIFD:ExposureTime"] == pytest.approx(1 / 60, rel=1e-3) and tags["ExifIFD:ISO"] == 438
        assert tags["IFD0:Model"] == 'Camera <script>"' and tags["IFD0:Software"] == m.SOFTWARE
    bare = exiftool(encode(small, format="jpeg", metadata=m.of_frame(Frame(small), at, "c")), tmp_path)
    assert "ExifIFD:ISO" not in bare and "ExifIFD:ExposureTime" not in bare


def test_what_is_broken_is_named_and_costs_no_photo(small):
    for block, name in ((b"II*\0\x08\0\0\0\xff\xff", "EXIF"), (b"MM\0*\0\0\xff\xff", "EXIF"), (bytes(40), "EXIF")):
        metadata = decode(jpeg(small, exif=b"Exif\0\0" + block, xmp=rdf("", 'own:a="1"')), "x").metadata
        assert metadata.exif is None and metadata.xmp, name
    metadata = decode(jpeg(small, xmp=b"<x>", exif=camera_exif()), "x").metadata
    assert metadata.xmp is None and metadata.exif and "XMP is broken" in metadata.problems[0]
    for format in FORMATS:
        written(format, small, metadata)


@pytest.mark.parametrize("format", ["jpeg", "png", "tiff", "webp"])
def test_too_much_for_a_jpeg_segment(small, format):
    metadata = Metadata(xmp=rdf("", f'own:a="{"x" * 70_000}"'))
    data = encode(small, format=format, metadata=metadata)
    assert (m.read_blocks(data).xmp is None) == bool(m.unkept(metadata, format)) == (format == "jpeg")


def test_a_full_exif_loses_its_longest_part_not_the_photo(small):
    exif = camera_exif()
    exif.get_ifd(0x8769)[0x9286] = b"ASCII\0\0\0" + b"x" * 64_000  # a user comment
    metadata = m.read_blocks(jpeg(small, exif=exif.tobytes()[:65_000]))
    for format in FORMATS:
        written(format, small, metadata)


def test_without_metadata_nothing_is_added(small):
    for format in FORMATS:
        found = m.read_blocks(written(format, small, None))
        assert found.exif is found.xmp is found.iptc is None


def mutated(*blocks):
    """Any bytes, or a real block with some bytes changed and its end cut off."""
    changes = st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=6)

    def change(parts):
        block, places, share = bytearray(parts[0]), parts[1], parts[2]
        for at, value in places:
            block[at % len(block)] = value
        return bytes(block[: round(len(block) * share)])

    real = st.tuples(st.sampled_from(blocks), changes, st.just(1) | st.floats(0, 1)).map(change)
    return st.none() | st.binary(max_size=300) | real


FRESH = m.of_frame(Frame(np.zeros((9, 9, 3), np.uint8)), datetime(2026, 1, 1).astimezone(), "c").exif
EXIF = mutated(FRESH, canon_exif(), camera_exif().tobytes()[6:])
TITLE = '<dc:title><rdf:Alt><rdf:li xml:lang="x-default">a</rdf:li></rdf:Alt></dc:title>'
XMP = mutated(rdf(TITLE, 'own:a="1" exif:GPSLatitude="1"'))
RECORDS = mutated(IPTC)
TINY = np.zeros((8, 8, 3), np.uint8)


def read_by_others(data):
    """Pillow and an XML parser read every block, and exiv2 the whole file."""
    with opened(data) as image:
        tags = image.getexif()
        with contextlib.suppress(SyntaxError, ValueError, TypeError, KeyError):  # a tag that was odd before
            tags.get_ifd(0x8769), tags.get_ifd(0x8825)
        if packet := image.info.get("xmp"):
            expat.ParserCreate().Parse(packet.strip(b"\0 \n"), True)
        image.load()
    assert m.read_blocks(data).problems == ()


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(exif=EXIF, xmp=XMP, iptc=RECORDS)
def test_any_bytes_are_read_or_left_out(exif, xmp, iptc):
    segments = b"".join(
        struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body
        for marker, body in (
            (0xE1, b"Exif\0\0" + (exif or b"")),
            (0xE1, b"http://ns.adobe.com/xap/1.0/\0" + (xmp or b"")),
            (0xED, b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(iptc or b"")) + (iptc or b"")),
        )
    )
    plain = encode(TINY, format="jpeg")
    metadata = decode(plain[:2] + segments + plain[2:], "x").metadata
    for kept in (metadata, m.without_location(metadata)):
        for format in ("jpeg", "png", "tiff", "webp"):
            read_by_others(encode(TINY, format=format, metadata=kept))


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(exif=EXIF, xmp=XMP, iptc=RECORDS)
def test_any_bytes_are_written_or_left_out(exif, xmp, iptc):
    for kept in (Metadata(exif, xmp, iptc), m.without_location(Metadata(exif, xmp, iptc))):
        for format in ("jpeg", "png", "tiff", "webp"):
            read_by_others(encode(TINY, format=format, metadata=kept))


WHOLE = [
    encode(TINY, format=format, metadata=Metadata(FRESH, rdf("", 'own:a="1"'), IPTC))
    for format in ("jpeg", "png", "tiff", "webp")
]


@pytest.mark.slow
@settings(max_examples=150, deadline=None)
@given(mutated(*WHOLE))
def test_any_file_is_read_or_refused(data):
    data = data or b""
    assert isinstance(m.read_blocks(data), Metadata)
    with contextlib.suppress(ValueError):
        assert isinstance(m.xmp_texts(data), dict)
    with contextlib.suppress(UnreadableImage):
        assert isinstance(decode(data, "x").metadata, Metadata)


def srgb_profile():
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("source", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF"])
@pytest.mark.parametrize("oddity", ["longer", "shorter", "broken"])
def test_an_odd_profile_costs_neither_exif_nor_photo(small, source, oddity):
    """Longer than its header says, as Samsung writes it; cut; or with nothing in it, which is left out, and told."""
    pytest.importorskip("pillow_heif").register_heif_opener()
    icc = srgb_profile()
    odd = {"longer": icc + b"\0\0", "shorter": icc[:-8], "broken": icc[:128] + bytes(100)}[oddity]
    file = io.BytesIO()
    Image.fromarray(small).save(file, source, exif=camera_exif(), icc_profile=odd)
    metadata = decode(file.getvalue(), "x").metadata
    assert metadata.exif and b"Model <b>" in metadata.exif
    is_left_out = oddity == "broken" or (source, oddity) == ("PNG", "shorter")  # by libpng
    assert (metadata.icc is None) == is_left_out
    assert metadata.icc is None or int.from_bytes(metadata.icc[:4]) == len(metadata.icc)
    assert [("profile is broken" in problem) for problem in metadata.problems] == [True] * is_left_out
    for format in FORMATS:
        again = m.read_blocks(written(format, small, metadata))
        assert again.exif and again.problems == (), format


def test_metadata_is_that_of_the_primary_picture(small):
    """As in bursts and spatial photos, whose pictures have each their own."""
    heif = pytest.importorskip("pillow_heif")
    file = heif.HeifFile()
    for k, name in enumerate(("first", "second", "third")):
        exif = Image.Exif()
        exif[0x0110] = name
        image = Image.fromarray(small[:64, :64])
        image.info["exif"], image.info["xmp"] = exif.tobytes(), rdf("", f'xmp:Label="{k}"')
        file.add_from_pillow(image)
    for primary, name in enumerate((b"first", b"second", b"third")):
        out = io.BytesIO()
        file.save(out, primary_index=primary)
        metadata = decode(out.getvalue(), "x").metadata
        assert name in metadata.exif and m.xmp_texts(metadata.xmp)["Xmp.xmp.Label"] == str(primary)


def test_a_bigtiff_keeps_its_metadata(small):
    file = io.BytesIO()
    Image.fromarray(small).save(file, "TIFF", big_tiff=True, tiffinfo={315: "An artist", 700: rdf("", 'own:a="1"')})
    assert file.getvalue()[:4] == b"II+\0"
    metadata = decode(file.getvalue(), "x").metadata
    assert metadata.problems == () and b"An artist" in metadata.exif and metadata.xmp


def test_a_bigtiff_keeps_the_exif_in_its_own_directory():
    """Entries of 20 bytes, and two directories: the second begins where the first's one entry points."""
    entries = (0x8769, 16, 1, 52), (0x829A, 5, 1, 1 | 60 << 32)  # exposure time: 1/60
    directories = [struct.pack("<QHHQQQ", 1, *entry, 0) for entry in entries]
    data = b"II+\0\x08\0\0\0" + struct.pack("<Q", 16) + b"".join(directories)
    tags = Image.Exif()
    tags.load(m.read_blocks(data).exif)
    assert float(tags.get_ifd(0x8769)[0x829A]) == pytest.approx(1 / 60)


REGION = (
    '<mwg-rs:Regions xmlns:mwg-rs="http://www.metadataworkinggroup.com/schemas/regions/" rdf:parseType="Resource">'
    '<mwg-rs:AppliedToDimensions xmlns:stDim="http://ns.adobe.com/xap/1.0/sType/Dimensions#" stDim:w="171"'
    ' stDim:h="256" stDim:unit="pixel"/><mwg-rs:RegionList><rdf:Bag><rdf:li rdf:parseType="Resource">'
    '<mwg-rs:Name>A</mwg-rs:Name><mwg-rs:Area xmlns:stArea="http://ns.adobe.com/xmp/sType/Area#" stArea:x="0.25"'
    ' stArea:y="0.125" stArea:w="0.5" stArea:h="0.25" stArea:unit="normalized"/></rdf:li></rdf:Bag></mwg-rs:RegionList>'
    '</mwg-rs:Regions><MP:RegionInfo xmlns:MP="http://ns.microsoft.com/photo/1.2/"'
    ' xmlns:MPRI="http://ns.microsoft.com/photo/1.2/t/RegionInfo#" xmlns:MPReg="http://ns.microsoft.com/photo/1.2/t/Region#"'
    ' rdf:parseType="Resource"><MPRI:Regions><rdf:Bag><rdf:li MPReg:Rectangle="0, 0, 0.5, 0.25"/></rdf:Bag>'
    "</MPRI:Regions></MP:RegionInfo>"
)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_regions_of_faces_turn_with_the_picture(small, orientation):
    """A region is white in a black picture: after the turn, what is white is where both kinds of region say."""
    pixels = np.zeros_like(small)
    pixels[:64, :86] = 255  # the upper left, 0.25 of the height and 0.5 of the width
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = decode(jpeg(pixels, exif=exif, xmp=rdf(REGION), quality=95), "x")
    texts = m.xmp_texts(picture.metadata.xmp)
    area = {key[-1]: float(text) for key, text in texts.items() if "stArea:" in key and not key.endswith("unit")}
    [corner] = [[float(v) for v in text.split(",")] for key, text in texts.items() if key.endswith("Rectangle")]
    assert [area["x"] - area["w"] / 2, area["y"] - area["h"] / 2, area["w"], area["h"]] == pytest.approx(corner)
    height, width = picture.frame.pixels.shape[:2]
    rows, columns = np.nonzero(picture.frame.pixels[..., 0] > 128)
    white = [columns.min() / width, rows.min() / height, np.ptp(columns) / width, np.ptp(rows) / height]
    assert corner == pytest.approx(white, abs=0.02)
    assert [int(text) for key, text in texts.items() if key.endswith(("stDim:w", "stDim:h"))] in (
        [width, height], [height, width],
    )  # fmt: skip
    assert next(int(text) for key, text in texts.items() if key.endswith("stDim:w")) == width


def test_a_maker_note_that_was_moved_is_left_out_not_falsified(small):
    """By a program that did not know of the places in it: its values are then read from elsewhere."""
    whole = canon_exif()
    at = whole.index(b"\0\1\0\x09\0\2\0\0\0")  # its one entry
    (place,) = struct.unpack_from(">I", whole, at + 10)
    moved = whole[: at + 10] + struct.pack(">I", place - 24) + whole[at + 14 :]
    length = struct.unpack_from(">I", whole, at - 12)[0]
    ended = whole[: at - 12] + struct.pack(">I", length + 8) + whole[at - 8 :] + b"MM\0*"
    for exif, is_kept in (
        (whole, True), (moved, False),
        (ended + struct.pack(">I", at), True), (ended + struct.pack(">I", at + 54), False),
    ):  # fmt: skip
        metadata = decode(jpeg(small, exif=b"Exif\0\0" + exif), "x").metadata
        assert (b"A photographer" in metadata.exif) == is_kept
        assert ["maker note was moved" in problem for problem in metadata.problems] == [True] * (not is_kept)


TEXTS = {"Comment": "für später", "prompt": "a cat", "Title": "x" * 3000}


def with_texts(pixels):
    """Texts of all three kinds, one behind the pixels."""
    chunks = PngImagePlugin.PngInfo()
    chunks.add_itxt("Comment", TEXTS["Comment"])
    chunks.add_text("Title", TEXTS["Title"], zip=True)
    chunks.add(b"tEXt", b"prompt\0a cat", after_idat=True)
    chunks.add_itxt("XML:com.adobe.xmp", rdf("", 'own:a="1"').decode())
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG", pnginfo=chunks)
    return file.getvalue()


@pytest.mark.parametrize("format", FORMATS)
def test_texts_and_comments_are_carried_or_told(small, format):
    for source, texts in ((with_texts(small), TEXTS), (jpeg(small, comment="für später"), {"Comment": "für später"})):
        metadata = decode(source, "x").metadata
        assert dict(metadata.texts) == texts and metadata.problems == ()
        data, lost = written(format, small, metadata), m.unkept(metadata, format)
        again = decode(data, "x").metadata.texts
        if format == "png":
            assert dict(again) == texts and {**opened(data).text, **texts} == {**opened(data).text}
        elif format == "jpeg":
            named = [text if name == "Comment" else f"{name}: {text}" for name, text in metadata.texts]
            assert [text for _, text in again] == named and opened(data).info["comment"]
        else:
            assert again == () and "texts have no place" in lost[0] and "Comment" in lost[0]
    assert decode(written("png", small, m.without_location(metadata)), "x").metadata.texts == ()
    assert "may hold it" in m.without_location(metadata).problems[0]


@pytest.mark.parametrize("format", ["jpeg", "png", "tiff"])
@pytest.mark.parametrize("time", [b"101112", b"101112+0000", b"101112-0330"])
def test_no_zone_is_invented_for_an_iptc_time(small, format, time):
    records = b"\x1c\x02\x3c\0" + bytes([len(time)]) + time
    source = jpeg(small)
    block = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(records)) + records + bytes(len(records) % 2)
    source = source[:2] + b"\xff\xed" + struct.pack(">H", len(block) + 2) + block + source[2:]
    metadata = decode(source, "x").metadata
    for data in (written(format, small, metadata), written(format, small, m.without_location(metadata))):
        assert m.read_blocks(data).iptc.rstrip(b"\0") == metadata.iptc.rstrip(b"\0") == records
        assert format == "png" or records in data
