"""Another reader, exiv2, finds in outputs what it found in the photo; maker notes keep their bytes and their place."""

import io
import struct
import zlib

import exiv2
import numpy as np
import pytest
from PIL import Image
from test_encode import camera_exif
from test_metadata import IPTC, REGION, canon_exif, jpeg, rdf, written

from camera_nano.files import metadata as m
from camera_nano.files.decode import decode
from camera_nano.files.encode import encode
from camera_nano.files.exif import GPS, IMAGE, MAKER_NOTE, PHOTO, read
from camera_nano.files.metadata import Metadata

exiv2.LogMsg.setLevel(exiv2.LogMsg.Level.mute)
FORMATS = ["jpeg", "png", "tiff", "webp", "avif", "heic"]
# what is written anew, or says where something lies
CHANGED = ("Orientation", "Resolution", "PixelXDimension", "PixelYDimension", "Thumbnail", "Tag", "Offset", "XMLPacket")
RICH = rdf(
    '<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Kätzchen &lt;b&gt;</rdf:li><rdf:li xml:lang="fr">chat</rdf:li>'
    "</rdf:Alt></dc:title><dc:subject><rdf:Bag><rdf:li>one</rdf:li><rdf:li>two</rdf:li></rdf:Bag></dc:subject>" + REGION
    + '<own:qualified rdf:parseType="Resource"><rdf:value>7</rdf:value><own:unit>m</own:unit></own:qualified>',
    'xmp:Rating="4" own:note="kept &quot;&#10;as it is"',
)  # fmt: skip


def seen(data, exclude=CHANGED):
    """All fields but those excluded, as exiv2 reads them."""
    image = exiv2.ImageFactory.open(data)
    image.readMetadata()
    fields = [f for block in (image.exifData(), image.iptcData(), image.xmpData()) for f in block]
    return {
        f.key(): f.toString() for f in fields if not any(word in f.key() for word in exclude) and "Strip" not in f.key()
    }


def whole_jpeg(pixels, exif):
    return encode(pixels, format="jpeg", metadata=Metadata(exif, RICH, IPTC))


@pytest.fixture(scope="module")
def small(photo):
    return np.ascontiguousarray(photo[::4, ::4])


@pytest.mark.parametrize("exif", [camera_exif().tobytes()[6:], canon_exif()], ids=["Pillow's", "Canon's"])
@pytest.mark.parametrize("format", FORMATS)
def test_every_field_is_read_as_it_was(small, format, exif):
    source = whole_jpeg(small, exif)
    metadata = decode(source, "x").metadata
    assert metadata.problems == ()
    before, after = seen(source), seen(written(format, small, metadata))
    assert len(before) > 25
    if m.unkept(metadata, format):
        before = {key: text for key, text in before.items() if not key.startswith("Iptc")}
    structure = {key for key in after if key.startswith("Exif.Image") and key not in before}
    assert format == "tiff" or not structure
    assert {key: text for key, text in after.items() if key not in structure} == before


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_maker_note_keeps_bytes_and_offset(small, format, order, dtype):
    """One that nobody can parse, with further bytes of it behind the block's last directory."""
    note = bytes(range(1, 200)) * 3
    at = 8 + 2 + 12 * 2 + 4 + 6
    rows = struct.pack(order + "HHII", 0x010F, 2, 6, at - 6) + struct.pack(order + "HHII", 0x8769, 4, 1, at)
    photo = struct.pack(order + "HHHII", 1, MAKER_NOTE, 7, len(note), at + 18) + bytes(4)
    exif = (
        {"<": b"II*\0", ">": b"MM\0*"}[order] + struct.pack(order + "IH", 8, 2) + rows + bytes(4) + b"Maker\0" + photo
    )
    exif += note + b"more of the note"
    metadata = decode(jpeg(small, exif=b"Exif\0\0" + exif), "x").metadata
    assert metadata.problems == () and metadata.exif[at + 18 :].startswith(note + b"more of the note")
    pixels = small.astype(dtype) * (257 if dtype == np.uint16 else 1)
    data = written(format, pixels, metadata)
    found = read(data if format == "tiff" else m.blocks.find(data).exif)
    assert found.tags[PHOTO][MAKER_NOTE].at == at + 18 and found.get(PHOTO, MAKER_NOTE) == note
    assert found.source[at + 18 :].startswith(note + b"more of the note")
    if format in ("png", "tiff"):
        assert np.array_equal(decode(data, "x").frame.pixels, pixels)
        assert np.array_equal(
            np.asarray(Image.open(io.BytesIO(encode(small, format=format, metadata=metadata)))), small
        )


def tiff_with_note(at, header=b""):
    """A TIFF file of one grey pixel, with a maker note at a place."""
    note = header + b"a note in a form of its own"
    rows = [(0x0100, 3, 1, 1), (0x0101, 3, 1, 1), (0x0102, 3, 1, 8), (0x0103, 3, 1, 1), (0x0106, 3, 1, 1)]
    rows += [(0x0111, 4, 1, 8), (0x0116, 3, 1, 1), (0x0117, 4, 1, 1), (0x8769, 4, 1, 200)]
    body = b"II*\0" + struct.pack("<I", 10) + b"\x80\0" + struct.pack("<H", len(rows))
    body += b"".join(struct.pack("<HHI", *row[:3]) + struct.pack("<I", row[3]) for row in rows) + bytes(4)
    body = body.ljust(200, b"\0") + struct.pack("<HHHIII", 1, MAKER_NOTE, 7, len(note), at, 0)
    return body.ljust(at, b"\0") + note, note


@pytest.mark.parametrize(
    ("at", "header", "is_kept"), [(5000, b"", True), (90_000, b"", False), (90_000, b"Apple iOS\0", True)]
)
def test_a_note_in_a_file_with_pixels_stays_where_it_was_or_is_told(at, header, is_kept):
    data, note = tiff_with_note(at, header)
    metadata = decode(data, "x").metadata
    assert ["cannot be moved" in problem for problem in metadata.problems] == [True] * (not is_kept)
    again = m.read_blocks(encode(np.zeros((8, 8, 3), np.uint8), format="jpeg", metadata=metadata)).exif
    entry = read(again).tags[PHOTO].get(MAKER_NOTE) if again else None
    assert (entry.value == note if is_kept else entry is None) and (header or not is_kept or entry.at == at)


def test_tags_in_the_wrong_directory_stay(small):
    """A lens and a time beside the camera's name, as some programs write them."""
    rows = struct.pack("<HHI4s", 0x010F, 2, 4, b"Own\0") + struct.pack("<HHI4s", 0xA434, 2, 4, b"Len\0")
    exif = b"II*\0" + struct.pack("<IH", 8, 2) + rows + bytes(4)
    found = read(decode(jpeg(small, exif=b"Exif\0\0" + exif), "x").metadata.exif)
    assert found.get(IMAGE, 0xA434) == b"Len\0"


def test_directories_that_lead_in_a_circle_end(small):
    rows = b"".join(struct.pack("<HHII", tag, 4, 1, 8) for tag in (PHOTO, GPS))
    exif = (
        b"II*\0"
        + struct.pack("<IH", 8, 3)
        + struct.pack("<HHI4s", 0x010F, 2, 4, b"Own\0")
        + rows
        + struct.pack("<I", 8)
    )
    metadata = decode(jpeg(small, exif=b"Exif\0\0" + exif), "x").metadata
    assert b"Own" in metadata.exif and len(metadata.problems) == 2 and "broken" in metadata.problems[0]


ATTACK = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    ("packet", "words"),
    [
        (ATTACK.encode() + rdf("<own:a>&b;</own:a>"), "document type"),
        (b'<!DOCTYPE x SYSTEM "file:///etc/passwd">' + rdf(""), "document type"),
        (rdf("<own:a>" * 10_000 + "</own:a>" * 10_000), "nested too deeply"),
        (rdf("").replace(b"?>", b"").decode().encode("utf-16"), "decode"),
    ],
)
def test_xml_that_attacks_its_reader_is_left_out_and_told(small, packet, words):
    assert len(packet) > 65_000 or decode(jpeg(small, xmp=packet), "x").metadata.xmp is None
    with pytest.raises(ValueError, match=words):
        m.xmp_texts(packet)
    assert m.without_location(Metadata(xmp=packet)).xmp is None


def test_a_place_is_found_in_every_spelling():
    spellings = (
        '<own:a rdf:parseType="Resource"><own:City>Ulm</own:City></own:a>', '<own:a own:City="Ulm"/>',
        '<own:a><rdf:Description own:City="Ulm"/></own:a>', "<own:a><own:City>Ulm</own:City></own:a>",
        '<own:a><rdf:Seq><rdf:li own:City="Ulm"/><rdf:li>b</rdf:li></rdf:Seq></own:a>', "<City>Ulm</City>",
        '</rdf:Description><rdf:Description xmlns:own="urn:own:" xmlns:photoshop="urn:x" photoshop:City="Ulm">',
        "Ulm<own:a>b</own:a>",
        "<exif:GPSLatitude>Ulm</exif:GPSLatitude><exif:GPSLatitude>Ulm</exif:GPSLatitude><!-- Ulm -->",
    )  # fmt: skip
    for spelling in spellings:
        packet = rdf(spelling + "<own:kept>yes</own:kept>")
        kept = m.without_location(Metadata(xmp=packet)).xmp
        assert b"Ulm" in packet and b"Ulm" not in kept and m.xmp_texts(kept)["Xmp.own.kept"] == "yes", spelling


@pytest.mark.slow
def test_a_thousand_damaged_blocks_cost_no_photo(rng):
    pixels = np.full((16, 16, 3), 90, np.uint8)
    blocks = (camera_exif().tobytes()[6:], canon_exif()), (RICH, rdf("", 'own:a="1"')), (IPTC * 3,)
    plain = decode(encode(pixels, format="jpeg"), "x").frame.pixels
    for k in range(1000):
        exif, xmp, iptc = (bytearray(kinds[k % len(kinds)]) for kinds in blocks)
        for block in (exif, xmp, iptc):
            for at in rng.integers(0, len(block), rng.integers(0, 6)):
                block[at] = rng.integers(0, 256)
            del block[int(rng.integers(1, 2 * len(block))) :]
        source = jpeg(plain, exif=b"Exif\0\0" + bytes(exif), xmp=bytes(xmp))
        metadata = decode(source, "x").metadata
        kept = (metadata, Metadata(bytes(exif), bytes(xmp), bytes(iptc)), m.without_location(metadata))[k % 3]
        again = decode(encode(pixels, format=("jpeg", "png", "tiff", "webp")[k % 4], metadata=kept), "x")
        assert again.frame.pixels.shape == pixels.shape
        assert again.metadata.problems == () or kept.exif == exif


def test_blocks_in_texts_of_a_png_are_read(small):
    """As ImageMagick writes them: the digits of a block, its records within an image resource."""
    resource = b"8BIM\x04\x04\0\0" + struct.pack(">I", len(IPTC)) + IPTC
    chunks = b""
    for name, block in (("exif", b"Exif\0\0" + canon_exif()), ("iptc", resource)):
        body = f"Raw profile type {name}\0\0".encode() + zlib.compress(
            f"\n{name}\n{len(block):8}\n{block.hex()}\n".encode()
        )
        chunks += struct.pack(">I", len(body)) + b"zTXt" + body + struct.pack(">I", zlib.crc32(b"zTXt" + body))
    data = encode(small, format="png")
    at = data.index(b"IDAT") - 4
    metadata = decode(data[:at] + chunks + data[at:], "x").metadata
    assert b"A photographer" in metadata.exif and metadata.iptc == IPTC


def test_texts_that_unpack_to_very_much_cost_no_photo(small):
    body = b"bomb\0\0" + zlib.compress(bytes(1 << 28), 9)
    bomb = struct.pack(">I", len(body)) + b"zTXt" + body + struct.pack(">I", zlib.crc32(b"zTXt" + body))
    data = encode(small, format="png", metadata=Metadata(texts=(("Comment", "a cat"),)))
    at = data.index(b"IDAT") - 4
    assert decode(data[:at] + bomb * 3 + data[at:], "x").metadata.texts == (("Comment", "a cat"),)


def test_the_exif_of_raw_files_is_found_or_told(small):
    exif = canon_exif()
    inner = jpeg(small, exif=b"Exif\0\0" + exif)
    parts = b"\0PRD" + struct.pack(">I", 3) + b"abc\0TTW" + struct.pack(">I", len(exif)) + exif
    box = struct.pack(">I4s", 8 + len(exif), b"CMT1") + exif + struct.pack(">I4s", 9, b"CMT3") + b"n"
    uuid = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48") + box
    moov = struct.pack(">I4sI4s", len(uuid) + 16, b"moov", len(uuid) + 8, b"uuid") + uuid
    kinds = {
        "RAF": b"FUJIFILMCCD-RAW ".ljust(84, b"\0") + struct.pack(">I", 100) + bytes(12) + inner,
        "MRW": b"\0MRM" + struct.pack(">I", len(parts)) + parts,
        "ORF": b"IIRO" + exif_of_a_tiff()[4:],
        "CR3": struct.pack(">I", 16) + b"ftypcrx " + bytes(4) + moov,
    }
    for kind, data in kinds.items():
        found = m.read_blocks(data)
        assert read(found.exif).get(IMAGE, 0x010F) == b"Canon\0", kind
        assert ["maker note" in problem for problem in found.problems] == [True] * (kind == "CR3"), kind
    assert "not read" in m.read_blocks(b"II\x1a\0\0\0HEAPCCDR" + bytes(99)).problems[0]


def exif_of_a_tiff():
    return b"II*\0" + struct.pack("<IHHHII", 8, 1, 0x010F, 2, 6, 26) + bytes(4) + b"Canon\0"
