"""Texts that belong to no block of metadata: comments in JPEG files, and the text chunks of PNG files."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from contextlib import suppress

from camera_nano.files import mpf

Texts = tuple[tuple[str, str], ...]  # names and texts

COMMENT = "Comment"  # PNG 3rd edition, 11.3.3.1: the name for what JPEG files have no name for
_COM = 0xFE  # ITU-T T.81, B.2.4.5
_LONGEST = 60_000  # bytes that fit into a JPEG segment with their name
_BLOCKS = ("XML:com.adobe.xmp", "Raw profile type")  # names of metadata that is read elsewhere
_SIGNATURE_BYTES, _LONGEST_COMPRESSED, _MOST_TEXT = 8, 8 << 20, 64 << 20  # bytes, and characters


def read_texts(data: bytes) -> Texts:
    """The texts of a JPEG or PNG file, but for those too long to be texts."""
    found: list[tuple[str, str]] = []
    with suppress(ValueError):
        if data.startswith(b"\xff\xd8"):
            found = [(COMMENT, _decoded(data[s.start + 4 : s.end])) for s in mpf.segments(data) if s.marker == _COM]
        elif data.startswith(b"\x89PNG"):
            found = [(name, text) for name, text in png_texts(data)[0].items() if not name.startswith(_BLOCKS)]
    return tuple((name, text) for name, text in found if text.strip() and len(text.encode()) < _LONGEST)


def png_texts(data: bytes) -> tuple[dict[str, str], bytes]:
    """The texts of a PNG file by name, and its EXIF (PNG 3rd edition, 11.3.3), without what is broken or very long."""
    found, exif, at, room = {}, b"", _SIGNATURE_BYTES, _MOST_TEXT
    while at + 12 <= len(data) and room > 0:
        end = at + 12 + int.from_bytes(data[at : at + 4])  # length, name, content, checksum (5.3)
        kind = data[at + 4 : at + 8]
        if kind in _TEXTS and end - at < _LONGEST_COMPRESSED:
            name, _, content = data[at + 8 : end - 4].partition(b"\0")
            with suppress(ValueError, zlib.error):
                found[name.decode("latin-1")] = text = _TEXTS[kind](content)
                room -= len(text)
        elif kind == b"eXIf":
            exif = data[at + 8 : end - 4]
        at = end
    return found, exif


def _inflated(content: bytes) -> bytes:
    made = zlib.decompressobj()
    text = made.decompress(content, _LONGEST_COMPRESSED)
    if made.unconsumed_tail:
        raise ValueError("it is very long")
    return text


def _international(content: bytes) -> str:
    _, _, text = content[2:].split(b"\0", 2)  # behind whether it is compressed, and how: language, translated name
    return (_inflated(text) if content[0] else text).decode()


_TEXTS: dict[bytes, Callable[[bytes], str]] = {
    b"tEXt": lambda content: content.decode("latin-1"),
    b"zTXt": lambda content: _inflated(content[1:]).decode("latin-1"),
    b"iTXt": _international,
}


def add_texts(data: bytes, texts: Texts, *, png_pixels_at: int | None) -> bytes:
    """A JPEG file, or a PNG file whose pixels begin there -> the same file with the texts."""
    if png_pixels_at is not None:
        added = b"".join(
            png_chunk(b"iTXt", name.encode("latin-1", "replace") + bytes(5) + text.encode()) for name, text in texts
        )  # not compressed, in no language (PNG 3rd edition, 11.3.3.4)
        return data[:png_pixels_at] + added + data[png_pixels_at:]
    at = mpf.after_apps(data)
    named = [text if name == COMMENT else f"{name}: {text}" for name, text in texts]
    return data[:at] + b"".join(mpf.segment(_COM, text.encode()) for text in named) + data[at:]


def _decoded(text: bytes) -> str:
    text = text.rstrip(b"\0")
    try:
        return text.decode()
    except UnicodeDecodeError:
        return text.decode("latin-1")


def png_chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk (PNG 3rd edition, 5.3)."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
