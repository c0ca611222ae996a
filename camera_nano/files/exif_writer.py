"""EXIF blocks to bytes: what stays at its offset, and new parts behind it."""

from __future__ import annotations

import struct
from dataclasses import replace

from camera_nano.files.exif import (
    GPS,
    IMAGE,
    INTEROP,
    JPEG_AT,
    JPEG_LENGTH,
    LONG,
    MAKER_NOTE,
    PARENTS,
    PHOTO,
    SHORT,
    THUMBNAIL,
    Exif,
    Span,
    Tags,
    anew,
    item_bytes,
    number,
    read,
)

_TIFF = 42
_COMPRESSION, _OLD_JPEG = 0x0103, 6


def write(exif: Exif, pixels: bytes | memoryview = b"") -> bytes:
    """The bytes of a block. All that its source holds and that was not understood stays.

    `pixels` come right behind the source, for a TIFF file; the tags have to say so.

    Raises:
        ValueError: parts of the source lie on top of each other, so that not all can stay where they were.
    """
    out = _Out(exif, pixels)
    tags_of = {name: dict(tags) for name, tags in exif.tags.items()}
    following = out.thumbnail() if exif.thumbnail else 0
    for name in (INTEROP, PHOTO, GPS):
        if tags_of.get(name):
            at = out.directory(name, tags_of[name])
            tags_of.setdefault(PARENTS[name], {})[name] = number(exif, LONG, at)
    written = out.finished(out.directory(IMAGE, tags_of[IMAGE], following))
    if {k: v for k, v in read(written).tags.items() if v} != {k: v for k, v in exif.tags.items() if v}:
        raise ValueError("its parts lie on top of each other")
    return written


class _Out:
    """A block on its way: the source, all that was understood zeroed but the values that stay; then new parts."""

    def __init__(self, exif: Exif, pixels: bytes | memoryview) -> None:
        self._exif, self._pixels, self._new = exif, pixels, bytearray()
        self._old = old = bytearray(exif.source) if exif.source else bytearray(8)
        for start, end in sorted(exif.spans, key=lambda span: span[1], reverse=True):
            if end >= len(old) > 8 and not len(pixels):
                del old[max(start, 8) :]
            end = min(end, len(old))
            old[start:end] = bytes(max(0, end - start))
        self._stay: list[Span] = []
        for entry in (entry for tags in exif.tags.values() for entry in tags.values()):
            if entry.at is not None and exif.source:
                end = entry.at + len(entry.value)
                old.extend(bytes(max(0, end - len(old))))
                old[entry.at : end] = entry.value
                self._stay.append((entry.at, end))

    def _append(self, value: bytes) -> int:
        at = len(self._old) + len(self._pixels) + len(self._new)
        self._new += bytes(at % 2) + value  # on a word boundary (TIFF 6.0, section 2)
        return at + at % 2

    def directory(self, name: int, tags: Tags, following: int = 0) -> int:
        """Write a directory where it was, or at the end if there is no room; and its new values. Says where it is."""
        order, rows = self._exif.order, []
        try:
            for tag, entry in sorted(tags.items()):
                count = len(entry.value) // item_bytes(entry.kind)
                place = entry.value.ljust(4, b"\0")
                if len(entry.value) > 4:
                    stays = entry.at is not None and self._exif.source
                    place = struct.pack(order + "I", entry.at if stays else self._append(entry.value))
                rows.append(struct.pack(order + "HHI4s", tag, entry.kind, count, place))
            table = struct.pack(order + "H", len(rows)) + b"".join(rows) + struct.pack(order + "I", following)
        except struct.error as error:
            raise ValueError("it is too long for its offsets") from error
        at, end = self._exif.tables.get(name, (0, 0))
        stop = at + len(table)
        if not at or stop > min(end, len(self._old)) or any(a < stop and at < b for a, b in self._stay):
            return self._append(table)
        self._old[at:stop] = table
        return at

    def thumbnail(self) -> int:
        """Write the directory of the thumbnail."""
        at, n_bytes = self._append(self._exif.thumbnail), len(self._exif.thumbnail)
        values = {_COMPRESSION: (SHORT, _OLD_JPEG), JPEG_AT: (LONG, at), JPEG_LENGTH: (LONG, n_bytes)}
        return self.directory(THUMBNAIL, {tag: number(self._exif, *value) for tag, value in values.items()})

    def finished(self, first: int) -> bytes:
        """All of it, with the place of the first directory."""
        mark = b"II" if self._exif.order == "<" else b"MM"
        try:
            struct.pack_into(self._exif.order + "2sHI", self._old, 0, mark, _TIFF, first)
        except struct.error as error:
            raise ValueError("it is too long for its offsets") from error
        return b"".join([self._old, self._pixels, self._new])


def write_within(exif: Exif, limit: int) -> bytes:
    """As `write`, in at most so many bytes: the thumbnail is left out if it must be, then the longest values."""
    data = write(exif)
    if len(data) > limit:
        data = write(exif := replace(exif, thumbnail=b""))
    while len(data) > limit:
        name, tag = max(
            ((name, tag) for name, tags in exif.tags.items() for tag in tags), key=lambda key: len(exif.get(*key))
        )
        rest = {k: entry for k, entry in exif.tags[name].items() if k != tag}
        exif = replace(exif, tags={**exif.tags, name: rest})
        if not exif.get(PHOTO, MAKER_NOTE):  # nothing has to stay where it was
            exif = anew(exif)
        data = write(exif)
    return data
