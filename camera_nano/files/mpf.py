"""Several JPEG pictures in one file: where each of them lies, and the index of them (Multi-Picture Format).

Clauses are those of CIPA DC-007-2021, and markers those of ITU-T T.81, annex B.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

APP0, APP1, APP2 = 0xE0, 0xE1, 0xE2
_SOI, _EOI, _SOS = 0xD8, 0xD9, 0xDA
_APPS = range(0xE0, 0xF0)
_MARKER_IN_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # not a stuffed byte, restart marker or fill byte
_MOST_IMAGES = 16

MPF_HEADER = b"MPF\0"
_VERSION, _NUMBER, _ENTRY = 0xB000, 0xB001, 0xB002  # 5.2.3
_PRIMARY = 0x030000  # a baseline primary picture (5.2.3.3.1); a gain map has 0, since there is no number for it
_ENTRY_BYTES = 16


@dataclass(frozen=True, slots=True)
class Segment:
    """A marker with its payload: `data[start:end]` is all of it, `data[start + 4:end]` the payload."""

    marker: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Entry:
    """What the index says about one picture: where it starts in the file, and its length."""

    at: int  # where the 16 bytes of this entry lie in the file
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Index:
    """The index as it is in a file."""

    base: int  # where its byte order mark lies, from which offsets count (5.2.3.3.3)
    order: Literal["<", ">"]
    entries: tuple[Entry, ...]


def segments(data: bytes, at: int = 0) -> Iterator[Segment]:
    """The segments of the picture that starts at `at`, up to and including the header of its first scan.

    Raises:
        ValueError: there is no JPEG, or it is cut short.
    """
    if data[at : at + 2] != b"\xff\xd8":
        raise ValueError(f"no JPEG starts at byte {at}")
    at += 2
    while True:
        while data[at : at + 2] == b"\xff\xff":  # fill bytes
            at += 1
        if len(data) < at + 4 or data[at] != 0xFF or data[at + 1] in (0, _SOI, _EOI):
            raise ValueError(f"JPEG broken or cut short at byte {at}")
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4])
        if end < at + 4 or end > len(data):
            raise ValueError(f"JPEG segment cut short at byte {at}")
        yield Segment(data[at + 1], at, end)
        if data[at + 1] == _SOS:
            return
        at = end


def end_of_image(data: bytes, at: int = 0) -> int:
    """Where the picture that starts at `at` ends, after its EOI. Raises ValueError as `segments` does."""
    *_, last = segments(data, at)
    at = last.end
    while found := _MARKER_IN_SCAN.search(data, at):
        at, marker = found.start(), data[found.start() + 1]
        if marker == _EOI:
            return at + 2
        at += 2 + int.from_bytes(
            data[at + 2 : at + 4]
        )  # tables, or the header of the next scan of a progressive picture
    raise ValueError("JPEG without an end")


def images(data: bytes) -> list[tuple[int, int]]:
    """Start and end of every complete picture in the file, in order; the index is not used.

    Raises:
        ValueError: the first is not complete.
    """
    found = [(0, end_of_image(data))]
    while len(found) < _MOST_IMAGES and (at := data.find(b"\xff\xd8\xff", found[-1][1])) >= 0:
        try:
            found.append((at, end_of_image(data, at)))
        except ValueError:
            break
    return found


def payload(data: bytes, marker: int, header: bytes, at: int = 0) -> tuple[int, int] | None:
    """Start and end of what follows `header` in the first such segment of the picture at `at`; None without one."""
    for s in segments(data, at):
        if s.marker == marker and data.startswith(header, s.start + 4, s.end):
            return s.start + 4 + len(header), s.end
    return None


def after_apps(data: bytes) -> int:
    """Where the application segments at the start of the first picture end, and another may be inserted."""
    return next(s.start for s in segments(data) if s.marker not in _APPS)


def segment(marker: int, content: bytes) -> bytes:
    """The bytes of a segment. Raises ValueError if it is too long for one."""
    if len(content) > 0xFFFF - 2:
        raise ValueError(f"{len(content)} bytes do not fit into one JPEG segment")
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def blank_index(n_images: int) -> bytes:
    """An index segment for `n_images` pictures, with zeros that `write_index` will replace (5.2, big-endian)."""
    tags = struct.pack(">HHI4sHHIIHHII", _VERSION, 7, 4, b"0100", _NUMBER, 4, 1, n_images, _ENTRY, 7, 16 * n_images, 50)
    head = MPF_HEADER + b"MM\0*" + struct.pack(">IH", 8, 3) + tags + bytes(4)
    return segment(APP2, head + bytes(_ENTRY_BYTES * n_images))


def read_index(data: bytes) -> Index | None:
    """What the file's index says; None without one.

    Raises:
        ValueError: the index, or the JPEG, cannot be read.
    """
    place = payload(data, APP2, MPF_HEADER)
    if place is None:
        return None
    base, end = place
    if data[base : base + 2] not in (b"II", b"MM"):
        raise ValueError("MPF without a byte order")
    order: Literal["<", ">"] = "<" if data[base : base + 2] == b"II" else ">"
    try:
        (ifd,) = struct.unpack_from(order + "I", data, base + 4)
        (n_tags,) = struct.unpack_from(order + "H", data, base + ifd)
        for at in range(base + ifd + 2, base + ifd + 2 + 12 * n_tags, 12):
            tag, _, n_bytes, offset = struct.unpack_from(order + "HHII", data, at)
            if tag == _ENTRY:
                break
        else:
            raise ValueError("MPF without entries")
        if n_bytes > _ENTRY_BYTES * _MOST_IMAGES or base + offset + n_bytes > end:
            raise ValueError("MPF entries lie outside their segment")
        entries = []
        for at in range(base + offset, base + offset + n_bytes - _ENTRY_BYTES + 1, _ENTRY_BYTES):
            _, length, start = struct.unpack_from(order + "III", data, at)
            entries.append(Entry(at, base + start if start else 0, length))
    except struct.error as error:
        raise ValueError("MPF cut short") from error
    return Index(base, order, tuple(entries))


def write_index(data: bytes, places: list[tuple[int, int]]) -> bytes:
    """The file with its index filled in: `places` are start and end of its pictures. All other bytes stay.

    Raises:
        ValueError: there is no index, or it is for another number of pictures.
    """
    index = read_index(data)
    if index is None or len(index.entries) != len(places):
        found = "no index" if index is None else f"an index of {len(index.entries)} pictures"
        raise ValueError(f"this JPEG has {found} and holds {len(places)}: write it anew")
    out = bytearray(data)
    for entry, (start, end) in zip(index.entries, places, strict=True):
        (kind,) = struct.unpack_from(index.order + "I", data, entry.at)
        offset = start - index.base if start else 0
        struct.pack_into(index.order + "III", out, entry.at, kind if start else kind or _PRIMARY, end - start, offset)
    return bytes(out)
