"""Which tags of an EXIF block describe the photo, and which the file that it was in; maker notes that cannot be moved.

Numbers of tags are those of TIFF 6.0, TIFF/EP (ISO 12234-2), CIPA DC-008-2023 and "Digital Negative Specification" 1.7.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace

from camera_nano.files.exif import (
    GPS,
    IMAGE,
    MAKER_NOTE,
    ORIENTATION,
    PHOTO,
    SHORT,
    Entry,
    Exif,
    anew,
    item_bytes,
    number,
    with_tags,
)
from camera_nano.files.exif_writer import write

XMP, IPTC, IMAGE_RESOURCES = 0x02BC, 0x83BB, 0x8649  # blocks in tags of a TIFF file
NEW_SUBFILE_TYPE, DNG_VERSION = 0x00FE, 0xC612
_MAKE = 0x010F
# How the pixels of the old file lie and what they mean; what a raw file needs to be developed
_STRUCTURE = (
    range(0x0001, 0x000B), range(0x000C, 0x010D), range(0x0111, 0x0131), range(0x013D, 0x0300), range(0x828D, 0x828F),
    (IPTC, IMAGE_RESOURCES, 0x8773), range(0xC5D8, 0xCD80),
)  # fmt: skip
# What is known to describe a photo: names and texts; ratings; rights; the titles of Windows; what belongs into `PHOTO`
_DESCRIPTION = (
    (0x000B, 0x4746, 0x4749, 0x8298, 0xC4A5), range(0x010D, 0x0111), range(0x0131, 0x013D), range(0x9C9B, 0x9CA0),
    range(0x829A, 0x829E), range(0x8822, 0x8825), range(0x8827, 0x8834), range(0x9000, 0x927C), range(0x9286, 0x9293),
    range(0xA401, 0xA440),
)  # fmt: skip
_FARTHEST_NOTE = 60_000  # bytes into a file: one that ends beyond would not fit into a JPEG with what is before it
_LONGEST_IN_FILE = 1 << 16  # bytes of a value that is taken from a file with pixels
# headers of maker notes whose places count from their own start (Exiv2's and ExifTool's tables)
_MOVABLE = (b"Nikon\0\x02", b"Apple iOS\0", b"OLYMPUS\0", b"OM SYSTEM\0", b"FUJIFILM", b"PENTAX \0", b"Ricoh\0\0\0")
_SPOILT = "the maker note was moved by a program that spoilt it, and is left out"
NOTE_LEFT_OUT = "the maker note cannot be moved, and is left out"


def describing(exif: Exif, problems: list[str], *, of_file: bool) -> bytes | None:
    """A block with the tags that describe the photo, upright; `of_file`: from a file with pixels, laid anew.

    None if there are no such tags. Adds a line to `problems` for each thing that is left out.
    """
    problems += exif.problems
    exif = _chosen(exif, IMAGE, _describes) if of_file else without_structure(exif)
    if _was_moved(exif):
        problems.append(_SPOILT)
        exif = _without_note(exif)
    exif = _extracted(exif, problems) if of_file else exif
    if not any(exif.tags.values()):
        return None
    exif = with_tags(exif, IMAGE, {ORIENTATION: number(exif, SHORT, 1)})
    try:
        return write(exif)
    except ValueError:
        if exif.get(PHOTO, MAKER_NOTE):
            problems.append(NOTE_LEFT_OUT)
        return write(anew(_without_note(exif)))


def without_structure(exif: Exif) -> Exif:
    """The block without the tags that say how the pixels of a file lie."""
    return _chosen(exif, IMAGE, lambda tag: not _in(tag, _STRUCTURE))


def without_place(exif: Exif, problems: list[str]) -> bytes:
    """The block, laid anew without GPS, thumbnail, maker note and what is not known to describe the photo."""
    if exif.get(PHOTO, MAKER_NOTE):
        problems.append("the maker note is left out with the place: it may hold it, too")
    exif = _chosen(exif, IMAGE, lambda tag: tag == ORIENTATION or _describes(tag))
    return write(anew(_without_note(replace(exif, tags={**exif.tags, GPS: {}}))))


def _in(tag: int, groups: tuple[range | tuple[int, ...], ...]) -> bool:
    return any(tag in group for group in groups)


def _describes(tag: int) -> bool:
    return _in(tag, _DESCRIPTION)


def _chosen(exif: Exif, directory: int, is_kept: Callable[[int], bool]) -> Exif:
    chosen = {tag: entry for tag, entry in exif.tags.get(directory, {}).items() if is_kept(tag)}
    return replace(exif, tags={**exif.tags, directory: chosen})


def _without_note(exif: Exif) -> Exif:
    return _chosen(exif, PHOTO, lambda tag: tag != MAKER_NOTE)


def _extracted(exif: Exif, problems: list[str]) -> Exif:
    """A block out of a file with pixels. A maker note with places of the whole file stays where it was, after zeros."""

    def loose(entry: Entry) -> Entry:
        return replace(entry, at=None)

    note = exif.tags.get(PHOTO, {}).get(MAKER_NOTE)
    tags = {
        name: {tag: loose(e) for tag, e in tags.items() if len(e.value) <= _LONGEST_IN_FILE}
        for name, tags in exif.tags.items()
    }
    exif = anew(replace(exif, tags=tags))
    if note is None or note.value.startswith(_MOVABLE):
        return exif
    if note.at is None or note.at + len(note.value) > _FARTHEST_NOTE:
        problems.append(NOTE_LEFT_OUT)
        return _without_note(exif)
    return replace(with_tags(exif, PHOTO, {MAKER_NOTE: note}), source=bytes(note.at + len(note.value)))


def _was_moved(exif: Exif) -> bool:
    """Whether Canon's maker note lies elsewhere than its values think, whose places count from the start of the EXIF.

    Its last 8 bytes may tell where it was; otherwise most of its values lie outside it.
    """
    entry = exif.tags.get(PHOTO, {}).get(MAKER_NOTE)
    if entry is None or entry.at is None or not exif.get(IMAGE, _MAKE).startswith(b"Canon"):
        return False
    note, at, order = entry.value, entry.at, exif.order
    if note[-8:-4] in (b"II*\0", b"MM\0*"):
        return bool(struct.unpack(order + "I", note[-4:])[0] != at)
    outside = []
    for k in range(2, min(len(note) - 12, 12 * struct.unpack_from(order + "H", note)[0] + 2), 12):
        _, kind, count, place = struct.unpack_from(order + "HHII", note, k)
        n_bytes = count * item_bytes(kind)
        if n_bytes > 4:
            outside.append(not at <= place <= at + len(note) - n_bytes)
    return 2 * sum(outside) > len(outside)
