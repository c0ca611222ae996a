"""EXIF, XMP and a colour profile put into an AVIF file whose encoder has no way to take them.

Boxes are those of ISO/IEC 14496-12 and, for items, ISO/IEC 23008-12 (HEIF). Only what libavif writes is understood:
16-bit item numbers, and 32-bit places that count from the start of the file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

_FULL = 4  # bytes of version and flags at the start of a full box
_HIDDEN = 1  # a flag of item entries: not for display
_PLACE = struct.Struct(">HHHII")  # item, file, number of extents, offset, length


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and content of each box. Raises ValueError where they do not fill `data`."""
    at = 0
    while at < len(data):
        if len(data) < at + 8:
            raise ValueError("a box is cut short")
        size, kind = struct.unpack_from(">I4s", data, at)
        if size < 8 or at + size > len(data):
            raise ValueError(f"box {kind!r} is cut short, or larger than 4 GiB")
        yield kind, data[at + 8 : at + size]
        at += size


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, kind) + content


def add_metadata(avif: bytes, *, exif: bytes | None, xmp: bytes | None, icc: bytes | None) -> bytes:
    """An AVIF file of libavif -> the same pictures with metadata; EXIF from its byte order mark on.

    Raises:
        ValueError: the file is built in another way.
    """
    items = [(b"Exif", b"", bytes(4) + exif)] if exif else []  # 4 bytes: where in the block TIFF begins
    items += [(b"mime", b"application/rdf+xml\0", xmp)] if xmp else []
    top = list(boxes(avif))
    if [kind for kind, _ in top] != [b"ftyp", b"meta", b"mdat"]:
        raise ValueError("not an AVIF file as libavif writes it")
    meta = dict(boxes(top[1][1][_FULL:]))
    (n_items,) = struct.unpack_from(">H", meta[b"iinf"], _FULL)
    primary, first_id = meta[b"pitm"][_FULL : _FULL + 2], n_items + 1  # libavif counts from 1
    ids = range(first_id, first_id + len(items))
    if icc:
        meta[b"iprp"] = _with_property(meta[b"iprp"], primary, _box(b"colr", b"prof" + icc))
    entries = [
        _box(b"infe", struct.pack(">BxxBHH", 2, _HIDDEN, k, 0) + kind + b"\0" + mime)
        for k, (kind, mime, _) in zip(ids, items, strict=True)
    ]
    meta[b"iinf"] = bytes(_FULL) + struct.pack(">H", n_items + len(items)) + meta[b"iinf"][6:] + b"".join(entries)
    if items:
        links = [_box(b"cdsc", struct.pack(">HH", k, 1) + primary) for k in ids]  # this describes the picture
        meta[b"iref"] = meta.get(b"iref", bytes(_FULL)) + b"".join(links)
    old_places = meta[b"iloc"]
    meta[b"iloc"] = old_places + bytes(_PLACE.size * len(items))  # as long as it will be
    head_bytes = len(_head(top, meta))
    media = _box(b"mdat", top[2][1])
    shift = head_bytes + len(media) - len(avif)  # of the media that were there
    meta[b"iloc"] = _places(
        old_places, shift, ids, [len(content) for *_, content in items], head_bytes + len(media) + 8
    )
    extra = _box(b"mdat", b"".join(content for *_, content in items)) if items else b""
    return _head(top, meta) + media + extra


def _head(top: list[tuple[bytes, bytes]], meta: dict[bytes, bytes]) -> bytes:
    inner = b"".join(_box(kind, content) for kind, content in meta.items())
    return _box(*top[0]) + _box(b"meta", top[1][1][:_FULL] + inner)


def _places(iloc: bytes, shift: int, ids: range, lengths: list[int], at: int) -> bytes:
    """The table of items' places: the old ones shifted, then the new ones, one behind the other from `at` on."""
    version, sizes, n_items = struct.unpack_from(">B3x2sH", iloc)
    if version != 0 or sizes != b"\x44\0":
        raise ValueError("items of this AVIF file are placed in another way")
    out, k = bytearray(iloc), _FULL + 4
    for _ in range(n_items):
        (n_extents,) = struct.unpack_from(">H", iloc, k + 4)
        for extent in range(k + 6, k + 6 + 8 * n_extents, 8):
            struct.pack_into(">I", out, extent, struct.unpack_from(">I", iloc, extent)[0] + shift)
        k += 6 + 8 * n_extents
    struct.pack_into(">H", out, _FULL + 2, n_items + len(ids))
    for item, length in zip(ids, lengths, strict=True):
        out += _PLACE.pack(item, 0, 1, at, length)
        at += length
    return bytes(out)


def _with_property(iprp: bytes, item: bytes, added: bytes) -> bytes:
    """Properties with one more, which is the item's; it need not be understood, so that no reader refuses the file."""
    parts = dict(boxes(iprp))
    number = sum(1 for _ in boxes(parts[b"ipco"])) + 1
    ipma, k = parts[b"ipma"], _FULL + 4
    if ipma[:_FULL] != bytes(_FULL):
        raise ValueError("properties of this AVIF file are numbered in another way")
    while ipma[k : k + 2] != item:
        k += 3 + ipma[k + 2]
    end = k + 3 + ipma[k + 2]
    ipma = ipma[: k + 2] + bytes([ipma[k + 2] + 1]) + ipma[k + 3 : end] + bytes([number]) + ipma[end:]
    return _box(b"ipco", parts[b"ipco"] + added) + _box(b"ipma", ipma)
