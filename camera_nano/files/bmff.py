"""The boxes of HEIF and AVIF files, read: EXIF and XMP, and whether pixels were lost.

Boxes are those of ISO/IEC 14496-12 and, for items, ISO/IEC 23008-12 (HEIF).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

FULL = 4  # bytes of version and flags at the start of a full box
ALPHA = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"  # ISO/IEC 23091-2
ALPHA_OF_HEVC = b"urn:mpeg:hevc:2015:auxid:1\0"  # ISO/IEC 23008-12, B.4.3


def boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Type and content of each box. Raises ValueError where they do not fill `data`."""
    at = 0
    while at < len(data):
        if len(data) < at + 8:
            raise ValueError("a box is cut short")
        (size, kind), head = struct.unpack_from(">I4s", data, at), 8
        if size == 0:  # to the end
            size = len(data) - at
        elif size == 1:  # counted in 64 bits
            size, head = int.from_bytes(data[at + 8 : at + 16]), 16
        if size < head or at + size > len(data):
            raise ValueError(f"a box {kind.decode('ascii', 'replace')} is cut short")
        yield kind, data[at + head : at + size]
        at += size


def blocks_of_primary(data: bytes, meta: bytes) -> tuple[bytes, bytes]:
    """The items of EXIF and XMP that describe the primary picture, from a file and its box `meta`; empty without one.

    Raises ValueError, LookupError or struct.error where the boxes are broken.
    """
    parts = dict(boxes(meta[FULL:]))
    primary = int.from_bytes(parts[b"pitm"][FULL:])
    about = dict(links_of(parts, b"cdsc"))
    found = {b"Exif": b"", b"mime": b""}
    for item, kind, mime in items_of(parts[b"iinf"]):
        is_block = kind == b"Exif" or (kind == b"mime" and mime == b"application/rdf+xml")
        if is_block and not found[kind] and primary in about.get(item, [primary]):
            found[kind] = _content(data, parts, item)
    return found[b"Exif"], found[b"mime"]


def items_of(iinf: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Number, kind and MIME type of each item (ISO/IEC 14496-12, 8.11.6)."""
    for kind, entry in boxes(iinf[FULL + (4 if iinf[0] else 2) :]):
        if kind == b"infe" and entry[0] in (2, 3):
            at = FULL + (2 if entry[0] == 2 else 4)
            _, mime, *_ = [*entry[at + 6 :].split(b"\0"), b"", b""]
            yield int.from_bytes(entry[FULL:at]), entry[at + 2 : at + 6], mime


def links_of(parts: dict[bytes, bytes], wanted: bytes) -> Iterator[tuple[int, list[int]]]:
    """Items and those that each refers to (8.11.12): "cdsc", what it describes; "dimg", what it is made of."""
    iref = parts.get(b"iref", bytes(FULL))
    n_bytes = 4 if iref[0] else 2
    for kind, links in boxes(iref[FULL:]):
        if kind == wanted:
            ends = range(n_bytes + 2, len(links), n_bytes)
            yield int.from_bytes(links[:n_bytes]), [int.from_bytes(links[k : k + n_bytes]) for k in ends]


def _content(data: bytes, parts: dict[bytes, bytes], item: int) -> bytes:
    """The bytes of an item, which lie in the file, or in the box `idat`; empty without one."""
    found = next((extents for number, extents in _extents(data, parts) if number == item), [])
    return b"".join(content for content, _ in found)


def contents_of(data: bytes, parts: dict[bytes, bytes]) -> dict[int, bytes]:
    """The bytes of all items."""
    return {item: b"".join(content for content, _ in extents) for item, extents in _extents(data, parts)}


def properties_of(ipma: bytes) -> Iterator[tuple[int, list[int]]]:
    """Items and the numbers of their properties (8.11.14.3), from 1 on; the highest bit means "essential"."""
    n_bytes, wide, at = 4 if ipma[0] else 2, 2 if ipma[3] & 1 else 1, FULL + 4
    while at < len(ipma):
        first = at + n_bytes + 1
        end = first + wide * ipma[first - 1]
        yield (
            int.from_bytes(ipma[at : first - 1]),
            [int.from_bytes(ipma[k : k + wide]) for k in range(first, end, wide)],
        )
        at = end


def _alphas(parts: dict[bytes, bytes], picture: int) -> list[int]:
    """The items that are the alpha of a picture."""
    if not (found := [item for item, others in links_of(parts, b"auxl") if picture in others]):
        return []
    iprp = dict(boxes(parts[b"iprp"]))
    names = [content[FULL:] if kind == b"auxC" else b"" for kind, content in boxes(iprp[b"ipco"])]
    is_alpha = [name.startswith((ALPHA, ALPHA_OF_HEVC)) for name in names]
    mask = 0x7FFF if iprp[b"ipma"][3] & 1 else 0x7F
    owned = dict(properties_of(iprp[b"ipma"]))
    return [item for item in found if any(is_alpha[(number & mask) - 1] for number in owned.get(item, []))]


def _extents(data: bytes, parts: dict[bytes, bytes]) -> Iterator[tuple[int, list[tuple[memoryview, int]]]]:
    """Each item, and its parts (8.11.3): the bytes that are there, and how many there should be."""
    iloc, at = parts[b"iloc"], FULL + 2

    def number(n_bytes: int) -> int:
        nonlocal at
        at += n_bytes
        if at > len(iloc):
            raise ValueError("the places of items are cut short")
        return int.from_bytes(iloc[at - n_bytes : at])

    sizes = [nibble for byte in iloc[FULL : FULL + 2] for nibble in (byte >> 4, byte & 15)]
    offset, length, base, index = sizes if iloc[0] else (*sizes[:3], 0)
    for _ in range(number(4 if iloc[0] == 2 else 2)):
        item = number(4 if iloc[0] == 2 else 2)
        source = memoryview(parts.get(b"idat", b"") if iloc[0] and number(2) & 15 == 1 else data)
        number(2)  # another file
        start, found = number(base), []
        for _ in range(number(2)):
            number(index)
            first, n_bytes = start + number(offset), number(length)
            found.append((source[first : first + n_bytes] if n_bytes else source[first:], n_bytes))
        yield item, found


def lacks_pixels(data: bytes) -> bool:
    """Whether the primary picture, its alpha or a tile (ISO/IEC 23008-12, 6.6.2.3) ends too early or begins with zeros.

    So it does where a file was cut or only half copied, and libheif leaves such tiles out without a word.
    """
    try:
        parts = dict(boxes(next((box for kind, box in boxes(data) if kind == b"meta"), b"")[FULL:]))
        primary = int.from_bytes(parts[b"pitm"][FULL:])
        made_of = dict(links_of(parts, b"dimg"))
        tiles = [tile for item in (primary, *_alphas(parts, primary)) for tile in made_of.get(item, [item])]
        extents = dict(_extents(data, parts))
        may_be_zero = {item for item, kind, _ in items_of(parts[b"iinf"]) if kind == b"unci"}  # black, uncompressed
    except (ValueError, LookupError, struct.error):
        return False
    return not all(
        (found := extents.get(tile))
        and all(len(there) >= n_bytes for there, n_bytes in found)
        and (any(found[0][0][:8]) or tile in may_be_zero)
        for tile in tiles
    )
