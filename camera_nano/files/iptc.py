"""IPTC's records (IIM 4.2), kept byte for byte; and the image resources of Photoshop that hold them in most files."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from camera_nano.files.mpf import segment

APP13, PHOTOSHOP = 0xED, b"Photoshop 3.0\0"
_RESOURCE, _IPTC = b"8BIM", 0x0404  # "Adobe Photoshop File Formats", image resource blocks
_PLACE = (26, 27, 90, 92, 95, 100, 101)  # record 2: content location, city .. country
_SEGMENT_BYTES = 60_000


@dataclass(frozen=True, slots=True)
class _Dataset:
    record: int
    number: int
    start: int
    end: int


def whole(records: bytes) -> bytes:
    """The records up to the first that is cut short or none at all."""
    *_, last = [_Dataset(0, 0, 0, 0), *_datasets(records)]
    return records[: last.end]


def without_place(records: bytes) -> bytes | None:
    """The records without those that name a place; None if none are left."""
    kept = (d for d in _datasets(records) if not (d.record == 2 and d.number in _PLACE))
    return b"".join(records[d.start : d.end] for d in kept) or None


def _datasets(records: bytes) -> Iterator[_Dataset]:
    """Each with its head: a mark, record, number, and a length of 2 bytes or, with the highest bit, a longer one."""
    at = 0
    while len(records) >= at + 5 and records[at] == 0x1C:
        record, number, n_bytes = struct.unpack_from(">BBH", records, at + 1)
        start, at = at, at + 5
        if n_bytes & 0x8000:
            n_long = n_bytes & 0x7FFF
            n_bytes, at = int.from_bytes(records[at : at + n_long]), at + n_long
        if n_bytes > len(records) - at:
            return
        at += n_bytes
        yield _Dataset(record, number, start, at)


def of_resources(block: bytes) -> bytes:
    """The records in image resources, with or without their header; no bytes if there are none."""
    block = block.removeprefix(PHOTOSHOP)
    at = 0
    while block.startswith(_RESOURCE, at) and len(block) >= at + 12:
        number, name = struct.unpack_from(">HB", block, at + 4)
        at += 6 + (name + 2) // 2 * 2
        n_bytes = int.from_bytes(block[at : at + 4])
        if number == _IPTC:
            return block[at + 4 : at + 4 + n_bytes]
        at += 4 + (n_bytes + 1) // 2 * 2
    return b"" if block.startswith(_RESOURCE) else block if block.startswith(b"\x1c") else b""


def as_resources(records: bytes) -> bytes:
    """The records as an image resource."""
    return _RESOURCE + struct.pack(">HHI", _IPTC, 0, len(records)) + records + bytes(len(records) % 2)


def as_segments(records: bytes) -> bytes:
    """The records as segments of a JPEG file: as many as they need."""
    block = as_resources(records)
    parts = (block[k : k + _SEGMENT_BYTES] for k in range(0, len(block), _SEGMENT_BYTES))
    return b"".join(segment(APP13, PHOTOSHOP + part) for part in parts)
