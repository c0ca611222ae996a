"""Where the blocks of EXIF, XMP and IPTC lie in the kinds of picture files: found in any, and put into new ones."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace

from camera_nano.files import iptc, mpf
from camera_nano.files.bmff import blocks_of_primary, boxes
from camera_nano.files.exif import (
    GPS,
    IMAGE,
    LONG,
    PHOTO,
    UNDEFINED,
    Entry,
    Exif,
    number,
    numbers,
    read,
    swapped,
    with_tags,
)
from camera_nano.files.exif_tags import IMAGE_RESOURCES, IPTC, NOTE_LEFT_OUT, XMP, without_structure
from camera_nano.files.exif_writer import write
from camera_nano.files.texts import png_chunk, png_texts

EXIF_HEADER, XMP_HEADER = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"IIRO", b"IIRS", b"IIU\0")  # with those of raw files
_UNREAD = (b"FOVb", b"HEAPCCDR")  # Sigma's X3F, Canon's CRW
_JPEG_OF_RAF = 84  # where a Fujifilm raw file tells where its JPEG lies
_CR3 = bytes.fromhex("85c0b687820f11e08111f4ce462b6a48")  # the box of Canon's metadata
_CR3_PARTS = {b"CMT1": IMAGE, b"CMT2": PHOTO, b"CMT4": GPS}
_STRIPS = 0x0111
_BYTE = 1
_PNG_SIGNATURE_BYTES = 8
_HAS_ALPHA, _HAS_EXIF, _HAS_XMP = 0x10, 0x08, 0x04  # flags of VP8X ("WebP Container Specification", extended format)


@dataclass(frozen=True, slots=True)
class Blocks:
    """What was found in a file, not yet parsed; None for what is not there."""

    exif: bytes | None = None  # begins with its byte order mark
    xmp: bytes | None = None
    iptc: bytes | None = None
    is_file: bool = False  # the EXIF is a whole file, with pixels
    problems: tuple[str, ...] = ()


def find(data: bytes) -> Blocks:
    """The blocks of a picture file of any kind, for HEIF those of its primary picture; none where it is broken."""
    with suppress(ValueError, struct.error, LookupError):
        if data.startswith(b"\xff\xd8"):
            return _of_jpeg(data)
        if data.startswith(b"\x89PNG"):
            return _of_png(data)
        if data.startswith(b"RIFF"):
            return _of_webp(data)
        if data[4:8] in (b"ftyp", b"JXL "):
            return _of_boxes(data)
        if data.startswith(b"FUJIFILM"):
            return find(data[int.from_bytes(data[_JPEG_OF_RAF : _JPEG_OF_RAF + 4]) :])
        if data.startswith(b"\0MRM"):
            return _of_mrw(data)
        if data.startswith(_TIFF):
            return Blocks(exif=data, is_file=True)
        if data.startswith(_UNREAD, 0) or data.startswith(_UNREAD, 6):
            return Blocks(problems=("the EXIF of this kind of raw file is not read, and is left out",))
    return Blocks()


def _of_mrw(data: bytes) -> Blocks:
    """A Minolta raw file, whose part TTW is a TIFF."""
    at = 8
    while data[at : at + 4] != b"\0TTW":
        at += 8 + int.from_bytes(data[at + 4 : at + 8])
        if at >= len(data):
            return Blocks()
    return Blocks(exif=data[at + 8 : at + 8 + int.from_bytes(data[at + 4 : at + 8])], is_file=True)


def of_tags(exif: Exif) -> Blocks:
    """XMP and IPTC in the tags of a TIFF file."""
    records = exif.get(IMAGE, IPTC) or iptc.of_resources(exif.get(IMAGE, IMAGE_RESOURCES))
    return Blocks(xmp=exif.get(IMAGE, XMP) or None, iptc=records or None)


def _of_jpeg(data: bytes) -> Blocks:
    found = Blocks()
    resources = b""
    with suppress(ValueError):  # what comes before the damage counts
        for s in mpf.segments(data):
            content = data[s.start + 4 : s.end]
            if s.marker == mpf.APP1 and content.startswith(EXIF_HEADER) and found.exif is None:
                found = replace(found, exif=content.removeprefix(EXIF_HEADER))
            elif s.marker == mpf.APP1 and content.startswith(XMP_HEADER) and found.xmp is None:
                found = replace(found, xmp=content.removeprefix(XMP_HEADER))
            elif s.marker == iptc.APP13 and content.startswith(iptc.PHOTOSHOP):
                resources += content.removeprefix(iptc.PHOTOSHOP)
    return replace(found, iptc=iptc.of_resources(resources) or None)


def _of_png(data: bytes) -> Blocks:
    texts, exif = png_texts(data)
    xmp = texts.get("XML:com.adobe.xmp", "").encode()
    segment = _raw_profile(texts, "APP1")
    exif = exif or _raw_profile(texts, "exif") or (b"" if segment.startswith(XMP_HEADER) else segment)
    if segment.startswith(XMP_HEADER):
        xmp = xmp or segment.removeprefix(XMP_HEADER)
    records = iptc.of_resources(_raw_profile(texts, "iptc")) or iptc.of_resources(_raw_profile(texts, "8bim"))
    return Blocks(exif.removeprefix(EXIF_HEADER) or None, xmp or None, records or None)


def _raw_profile(texts: Mapping[str, str], name: str) -> bytes:
    """A block in a text of a PNG file, as ImageMagick and others write it: a name, a length, and digits."""
    with suppress(ValueError):
        return bytes.fromhex("".join(texts.get(f"Raw profile type {name}", "").split()[2:]))
    return b""


def _of_webp(data: bytes) -> Blocks:
    chunks = dict(reversed(_chunks_of_webp(data)))
    exif = chunks.get(b"EXIF", b"").removeprefix(EXIF_HEADER)
    return Blocks(exif or None, chunks.get(b"XMP ") or None)


def _chunks_of_webp(data: bytes) -> list[tuple[bytes, bytes]]:
    at, chunks = 12, []
    while at + 8 <= len(data):
        n_bytes = int.from_bytes(data[at + 4 : at + 8], "little")
        chunks.append((data[at : at + 4], data[at + 8 : at + 8 + n_bytes]))
        at += 8 + n_bytes + n_bytes % 2
    return chunks


def _of_boxes(data: bytes) -> Blocks:
    """HEIF, AVIF, Canon's CR3, JPEG XL (ISO/IEC 18181-2, 9.6: the EXIF after 4 bytes that tell where it begins)."""
    top = dict(reversed(list(boxes(data))))
    if data[4:8] == b"JXL ":
        return Blocks(_after_offset(top.get(b"Exif", b"")), top.get(b"xml ") or None)
    if data[8:12] == b"crx ":
        return _of_cr3(top[b"moov"])
    exif, xmp = blocks_of_primary(data, top[b"meta"])
    return Blocks(_after_offset(exif), xmp or None)


def _after_offset(item: bytes) -> bytes | None:
    return item[4 + int.from_bytes(item[:4]) :].removeprefix(EXIF_HEADER) or None


def _of_cr3(moov: bytes) -> Blocks:
    """The directories of a CR3, each of which is a TIFF of its own, as one block; the maker note is one, too."""
    for kind, content in boxes(moov):
        if kind == b"uuid" and content.startswith(_CR3):
            parts = dict(boxes(content[len(_CR3) :]))
            found = {name: read(parts[kind]) for kind, name in _CR3_PARTS.items() if kind in parts}
            exif = Exif(found[IMAGE].order, {name: part.tags[IMAGE] for name, part in found.items()})
            return Blocks(write(exif), problems=(NOTE_LEFT_OUT,) * (b"CMT3" in parts))
    return Blocks()


def into_jpeg(data: bytes, blocks: Blocks) -> bytes:
    """A JPEG file without metadata -> the same with it, behind its header. Raises ValueError for what is too long."""
    others = (s for s in mpf.segments(data) if s.marker != mpf.APP0)
    at = next(others).start
    added = mpf.segment(mpf.APP1, EXIF_HEADER + blocks.exif) if blocks.exif else b""
    added += mpf.segment(mpf.APP1, XMP_HEADER + blocks.xmp) if blocks.xmp else b""
    added += iptc.as_segments(blocks.iptc) if blocks.iptc else b""
    return b"".join([data[:at], added, memoryview(data)[at:]])


def into_png(data: bytes, blocks: Blocks) -> bytes:
    """A PNG file without metadata -> the same with it, before its pixels."""
    added = png_chunk(b"eXIf", blocks.exif) if blocks.exif else b""
    if blocks.xmp:
        added += png_chunk(b"iTXt", b"XML:com.adobe.xmp" + bytes(5) + blocks.xmp)
    if blocks.iptc:
        block = iptc.as_resources(blocks.iptc)
        text = f"\niptc\n{len(block):8}\n{block.hex()}\n"
        added += png_chunk(b"zTXt", b"Raw profile type iptc\0\0" + zlib.compress(text.encode()))
    at = pixels_of_png(data)
    return b"".join([data[:at], added, memoryview(data)[at:]])


def pixels_of_png(data: bytes) -> int:
    """Where the pixels of a PNG file begin."""
    at = _PNG_SIGNATURE_BYTES
    while data[at + 4 : at + 8] != b"IDAT":
        at += 12 + int.from_bytes(data[at : at + 4])  # length, name, content, checksum (PNG 3rd edition, 5.3)
    return at


def into_webp(data: bytes, blocks: Blocks, size_wh: tuple[int, int]) -> bytes:
    """A WebP file without metadata -> the same with it, in the extended format."""
    chunks = _chunks_of_webp(data)
    if chunks[0][0] != b"VP8X":
        width, height = (side - 1 for side in size_wh)
        chunks.insert(0, (b"VP8X", bytes(4) + width.to_bytes(3, "little") + height.to_bytes(3, "little")))
    flags = chunks[0][1][0] | (_HAS_EXIF if blocks.exif else 0) | (_HAS_XMP if blocks.xmp else 0)
    chunks[0] = b"VP8X", bytes([flags]) + chunks[0][1][1:]
    chunks += [(b"EXIF", blocks.exif)] if blocks.exif else []
    chunks += [(b"XMP ", blocks.xmp)] if blocks.xmp else []
    parts = [kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2) for kind, body in chunks]
    return b"RIFF" + struct.pack("<I", 4 + sum(map(len, parts))) + b"WEBP" + b"".join(parts)


def into_tiff(data: bytes, blocks: Blocks, *, is_deep: bool) -> bytes:
    """A TIFF file of one page without metadata -> the same with it, behind the EXIF block: its offsets stay true.

    The file takes the byte order of the block, unless its samples have two bytes (`is_deep`): they have the file's.
    Raises ValueError if the offsets do not fit.
    """
    own = read(data)
    exif = without_structure(read(blocks.exif)) if blocks.exif else Exif(own.order, {IMAGE: {}})
    if is_deep and exif.order != own.order:
        exif = replace(exif, order=own.order, tags={k: swapped(tags) for k, tags in exif.tags.items()})
    front = blocks.exif or data[:8]
    tags = swapped(own.tags[IMAGE]) if exif.order != own.order else own.tags[IMAGE]
    starts = [start + len(front) - 8 for start in numbers(exif.order, tags[_STRIPS])]
    added = {_STRIPS: number(exif, LONG, *starts)}
    added |= {XMP: Entry(_BYTE, blocks.xmp)} if blocks.xmp else {}
    added |= {IPTC: Entry(UNDEFINED, blocks.iptc)} if blocks.iptc else {}
    whole = with_tags(exif, IMAGE, {tag: replace(entry, at=None) for tag, entry in tags.items()} | added)
    return write(replace(whole, source=front), memoryview(data)[8:])
