"""EXIF blocks: the directories of a TIFF file without pixels (TIFF 6.0, section 2; CIPA DC-008-2023, 4.5 and 4.6).

A block is edited in place: what stays keeps its bytes and its offset, and what grows is appended. Maker notes need
that: many hold offsets that count from the start of the block, in forms that only the maker knows.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np

# The directories, by the tag that points to them
IMAGE, PHOTO, GPS, INTEROP = 0, 0x8769, 0x8825, 0xA005
THUMBNAIL = -1
ORIENTATION, MAKER_NOTE = 0x0112, 0x927C
ASCII, SHORT, LONG, RATIONAL, UNDEFINED = 2, 3, 4, 5, 7

PARENTS = {PHOTO: IMAGE, GPS: IMAGE, INTEROP: PHOTO}
_NUMBERS = {1: 1, 2: 1, 3: 2, 4: 4, 5: 4, 6: 1, 7: 1, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4, 129: 1}  # bytes, by type
_BIG_NUMBERS = _NUMBERS | {16: 8, 17: 8, 18: 8}
_RATIONALS = (RATIONAL, 10)  # of two numbers
_MAGIC = (42, 0x4F52, 0x5352, 0x0055)  # TIFF's, and those of Olympus's and Panasonic's raw files
_BIG_MAGIC = 43
_MOST_ENTRIES = 1000
JPEG_AT, JPEG_LENGTH = 0x0201, 0x0202  # of a thumbnail, CIPA DC-008, 4.5.5
_PICTURES = ((JPEG_AT, JPEG_LENGTH), (0x0111, 0x0117))  # tags that say where, and how long: of a JPEG, of strips

Order = Literal["<", ">"]
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Entry:
    """The value of a tag, in the byte order of its block."""

    kind: int  # a type of TIFF 6.0
    value: bytes
    at: int | None = field(default=None, compare=False)  # where it lies in the block, if it is too long for a directory


Tags = Mapping[int, Entry]


@dataclass(frozen=True, slots=True)
class Exif:
    """A block. An edit makes another one, by `with_tags` and `replace`; without `source`, all is laid anew."""

    order: Order
    tags: Mapping[int, Tags]  # by directory
    thumbnail: bytes = b""  # a JPEG, to be written: that of a block that is read is left out
    source: bytes = b""  # the block that was read
    spans: tuple[
        Span, ...
    ] = ()  # the parts of the source that were understood: all that is not written again is zeroed
    tables: Mapping[int, Span] = field(default_factory=dict)  # where the directories lie in the source
    problems: tuple[str, ...] = ()

    def get(self, directory: int, tag: int) -> bytes:
        """The value of a tag; no bytes without it."""
        found = self.tags.get(directory, {}).get(tag)
        return found.value if found else b""


def fresh(order: Order = ">") -> Exif:
    """A block without tags."""
    return Exif(order, {IMAGE: {}})


def with_tags(exif: Exif, directory: int, tags: Tags) -> Exif:
    """The block with these tags set."""
    return replace(exif, tags={**exif.tags, directory: {**exif.tags.get(directory, {}), **tags}})


def anew(exif: Exif) -> Exif:
    """The block to be laid anew: no byte of its source but the values of its tags remains, nor do their places."""
    return replace(exif, source=b"", spans=(), tables={})


def text(value: str) -> Entry:
    """A text, as UTF-8: what cameras and programs write, though the standard says ASCII."""
    return Entry(ASCII, value.encode(errors="replace") + b"\0")


def number(exif: Exif, kind: int, *values: int) -> Entry:
    """Numbers of a kind; a rational is two of them."""
    return Entry(kind, struct.pack(f"{exif.order}{len(values)}{'H' if kind == SHORT else 'I'}", *values))


def read(block: bytes) -> Exif:
    """A block, or a TIFF or BigTIFF file. Broken values are left out.

    Raises:
        ValueError: there is no directory that can be read.
    """
    walker = _Walker(block)
    tags, following = walker.directory(IMAGE, walker.first)
    found: dict[int, Tags] = {IMAGE: tags}
    problems = []
    for directory, parent in PARENTS.items():
        try:
            if pointer := found.get(parent, {}).get(directory):
                found[directory], _ = walker.directory(directory, numbers(walker.order, pointer)[0])
        except (ValueError, IndexError):
            problems.append("a directory of the EXIF is broken, and is left out")
    walker.pass_thumbnail(following)
    kept = {
        name: {tag: entry for tag, entry in tags.items() if tag not in PARENTS and entry.kind in _NUMBERS}
        for name, tags in found.items()
    }
    return Exif(walker.order, kept, b"", block, tuple(walker.spans), walker.tables, tuple(problems))


def pages(data: bytes) -> Iterator[tuple[Order, Tags]]:
    """The directories of the pages of a TIFF or BigTIFF file, in their order. Raises ValueError where one is broken."""
    walker = _Walker(data)
    at, name = walker.first, THUMBNAIL
    while at:
        tags, at = walker.directory(name := name - 1, at)
        yield walker.order, tags


def numbers(order: Order, entry: Entry) -> list[int]:
    """The value of an entry of integers."""
    n_bytes = _BIG_NUMBERS[entry.kind]
    return [int(n) for n in np.frombuffer(entry.value, f"{order}u{n_bytes}")]


def item_bytes(kind: int) -> int:
    """How many bytes a value of this type takes; 0 for an unknown one."""
    return _BIG_NUMBERS.get(kind, 0) * (1 + (kind in _RATIONALS))


def swapped(tags: Tags) -> Tags:
    """The tags for a block of the other byte order."""

    def turned(entry: Entry) -> Entry:
        value = np.frombuffer(entry.value, f"u{_NUMBERS[entry.kind]}").byteswap().tobytes()
        return replace(entry, value=value)

    return {tag: turned(entry) for tag, entry in tags.items()}


class _Walker:
    """What is gathered on the way through a block."""

    def __init__(self, block: bytes) -> None:
        self.order: Order = "<" if block[:2] == b"II" else ">"
        if block[:2] not in (b"II", b"MM") or len(block) < 8:
            raise ValueError("it has no byte order")
        (magic,) = struct.unpack_from(self.order + "H", block, 2)
        if magic not in (*_MAGIC, _BIG_MAGIC):
            raise ValueError("it does not begin as TIFF does")
        self._block, self._is_big = block, (is_big := magic == _BIG_MAGIC)
        order = self.order
        self._count, self._place = (struct.Struct(order + code) for code in ("QQ" if is_big else "HI"))
        self._entry = struct.Struct(order + ("HHQ" if is_big else "HHI"))
        self._left = 2 * len(block)  # values may share bytes, but not without limit
        self.spans: list[Span] = [(0, 16 if is_big else 8)]
        self.tables: dict[int, Span] = {}
        self.first = self.offset(8 if is_big else 4)

    def offset(self, at: int) -> int:
        if at + self._place.size > len(self._block):
            raise ValueError("it is cut short")
        return int(self._place.unpack_from(self._block, at)[0])

    def directory(self, name: int, at: int) -> tuple[Tags, int]:
        """The entries, pointers among them, and where the next directory lies: 0 for nowhere. Raises ValueError."""
        first = at + self._count.size
        if not 8 <= at <= len(self._block) - self._count.size or at in (start for start, _ in self.tables.values()):
            raise ValueError("a directory lies nowhere")
        (n_entries,) = self._count.unpack_from(self._block, at)
        step = self._entry.size + self._place.size
        end = first + n_entries * step
        if n_entries > _MOST_ENTRIES or end > len(self._block):
            raise ValueError("a directory is cut short")
        whole = end + self._place.size <= len(self._block)
        self.tables[name] = at, end + self._place.size if whole else end
        self.spans.append(self.tables[name])
        tags: dict[int, Entry] = {}
        for k in range(first, end, step):
            tag, kind, count = self._entry.unpack_from(self._block, k)
            if entry := self._value(kind, count, k + self._entry.size):
                tags.setdefault(tag, entry)
        return tags, self.offset(end) if whole else 0

    def _value(self, kind: int, count: int, at: int) -> Entry | None:
        n_bytes = count * item_bytes(kind) if self._is_big or kind in _NUMBERS else 0
        if is_far := n_bytes > self._place.size:
            at = self.offset(at)
        if not n_bytes or at + n_bytes > len(self._block) or n_bytes > self._left:
            return None
        self._left -= n_bytes
        if is_far:
            self.spans.append((at, at + n_bytes))
        return Entry(kind, bytes(self._block[at : at + n_bytes]), at if is_far else None)

    def pass_thumbnail(self, at: int) -> None:
        """Note where the second directory and its picture lie."""
        with suppress(ValueError):
            tags, _ = self.directory(THUMBNAIL, at)
            for place, length in _PICTURES:
                if place in tags and length in tags:
                    pairs = zip(numbers(self.order, tags[place]), numbers(self.order, tags[length]), strict=False)
                    self.spans += [(start, start + n_bytes) for start, n_bytes in pairs]
