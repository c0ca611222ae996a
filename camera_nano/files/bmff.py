"""The boxes of HEIF and AVIF files: EXIF and XMP read and added, grids of tiles made, lost pixels found.

Boxes are those of ISO/IEC 14496-12 and, for items, ISO/IEC 23008-12 (HEIF). EXIF, XMP and a colour profile are added to
files as libavif writes them only: item numbers have 16 bits, places 32 bits, counted from the start of the file.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence

_FULL = 4  # bytes of version and flags at the start of a full box
_HIDDEN = 1  # a flag of item entries: not for display
_PLACE = struct.Struct(">HHHII")  # item, file, number of extents, offset, length
_NO_PLACES = bytes(_FULL) + b"\x44\0\0\0"  # the box `iloc` of version 0: offsets and lengths of 32 bits, of no item


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


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, kind) + content


def blocks_of_primary(data: bytes, meta: bytes) -> tuple[bytes, bytes]:
    """The items of EXIF and XMP that describe the primary picture, from a file and its box `meta`; empty without one.

    Raises ValueError, LookupError or struct.error where the boxes are broken.
    """
    parts = dict(boxes(meta[_FULL:]))
    primary = int.from_bytes(parts[b"pitm"][_FULL:])
    about = dict(_links(parts, b"cdsc"))
    found = {b"Exif": b"", b"mime": b""}
    for item, kind, mime in _items(parts[b"iinf"]):
        is_block = kind == b"Exif" or (kind == b"mime" and mime == b"application/rdf+xml")
        if is_block and not found[kind] and primary in about.get(item, [primary]):
            found[kind] = _content(data, parts, item)
    return found[b"Exif"], found[b"mime"]


def _items(iinf: bytes) -> Iterator[tuple[int, bytes, bytes]]:
    """Number, kind and MIME type of each item (ISO/IEC 14496-12, 8.11.6)."""
    for kind, entry in boxes(iinf[_FULL + (4 if iinf[0] else 2) :]):
        if kind == b"infe" and entry[0] in (2, 3):
            at = _FULL + (2 if entry[0] == 2 else 4)
            _, mime, *_ = [*entry[at + 6 :].split(b"\0"), b"", b""]
            yield int.from_bytes(entry[_FULL:at]), entry[at + 2 : at + 6], mime


def _links(parts: dict[bytes, bytes], wanted: bytes) -> Iterator[tuple[int, list[int]]]:
    """Items and those that each refers to (8.11.12): "cdsc", what it describes; "dimg", what it is made of."""
    iref = parts.get(b"iref", bytes(_FULL))
    n_bytes = 4 if iref[0] else 2
    for kind, links in boxes(iref[_FULL:]):
        if kind == wanted:
            ends = range(n_bytes + 2, len(links), n_bytes)
            yield int.from_bytes(links[:n_bytes]), [int.from_bytes(links[k : k + n_bytes]) for k in ends]


def _content(data: bytes, parts: dict[bytes, bytes], item: int) -> bytes:
    """The bytes of an item, which lie in the file, or in the box `idat`; empty without one."""
    found = next((extents for number, extents in _extents(data, parts) if number == item), [])
    return b"".join(content for content, _ in found)


def _extents(data: bytes, parts: dict[bytes, bytes]) -> Iterator[tuple[int, list[tuple[memoryview, int]]]]:
    """Each item, and its parts (8.11.3): the bytes that are there, and how many there should be."""
    iloc, at = parts[b"iloc"], _FULL + 2

    def number(n_bytes: int) -> int:
        nonlocal at
        at += n_bytes
        if at > len(iloc):
            raise ValueError("the places of items are cut short")
        return int.from_bytes(iloc[at - n_bytes : at])

    sizes = [nibble for byte in iloc[_FULL : _FULL + 2] for nibble in (byte >> 4, byte & 15)]
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
    """Whether the primary picture, or a tile of it (ISO/IEC 23008-12, 6.6.2.3), ends too early or begins with zeros.

    So it does where a file was cut or only half copied, and libheif leaves such tiles out without a word.
    """
    try:
        parts = dict(boxes(next((box for kind, box in boxes(data) if kind == b"meta"), b"")[_FULL:]))
        primary = int.from_bytes(parts[b"pitm"][_FULL:])
        tiles = dict(_links(parts, b"dimg")).get(primary, [primary])
        extents = dict(_extents(data, parts))
        may_be_zero = {item for item, kind, _ in _items(parts[b"iinf"]) if kind == b"unci"}  # black, uncompressed
    except (ValueError, LookupError, struct.error):
        return False
    return not all(
        (found := extents.get(tile))
        and all(len(there) >= n_bytes for there, n_bytes in found)
        and (any(found[0][0][:8]) or tile in may_be_zero)
        for tile in tiles
    )


def placed_simply(heic: bytes) -> bytes:
    """A HEIC file written by libheif -> the same items, each told by one place in the file (`iloc` of version 0).

    libheif tells the places of a grid by version 1, with base offsets, and signers of C2PA misread these.
    """
    top = list(boxes(heic))
    meta = dict(boxes(top[1][1][_FULL:]))
    if meta[b"iloc"][0] == 0:  # one picture, no grid
        return heic
    items = {item: b"".join(content for content, _ in extents) for item, extents in _extents(heic, meta)}
    meta.pop(b"idat", None)
    return _placed(top, meta, items)


def grid_of(tiles: Sequence[bytes], n_columns: int, width: int, height: int) -> bytes:
    """AVIF files of one size, written by libavif, row by row -> one file that shows them side by side, as a grid.

    It is cut to width and height (ISO/IEC 23008-12, 6.6.2.3). The tiles become hidden items 1, 2 and so on, which share
    the properties of the first; of these the grid has all but the size and the decoder's (av1C).

    Raises:
        ValueError: the files were not written by libavif.
    """
    top = list(boxes(tiles[0]))
    if [kind for kind, _ in top] != [b"ftyp", b"meta", b"mdat"]:
        raise ValueError("not an AVIF file as libavif writes it")
    meta, n_tiles, grid = dict(boxes(top[1][1][_FULL:])), len(tiles), len(tiles) + 1
    parts = dict(boxes(meta[b"iprp"]))
    kinds = [kind for kind, _ in boxes(parts[b"ipco"])]
    of_tile = parts[b"ipma"][_FULL + 4 + 3 :]  # after the number of items, and the first with how many it has
    of_grid = bytes(k for k in of_tile if kinds[(k & 127) - 1] not in (b"ispe", b"av1C")) + bytes([len(kinds) + 1])
    owners = b"".join(struct.pack(">HB", k, len(of_tile)) + of_tile for k in range(1, grid))
    owners += struct.pack(">HB", grid, len(of_grid)) + of_grid
    size = _box(b"ispe", struct.pack(">4xII", width, height))
    ipma = _box(b"ipma", bytes(_FULL) + struct.pack(">I", grid) + owners)
    meta[b"iprp"] = _box(b"ipco", parts[b"ipco"] + size) + ipma
    entries = [_box(b"infe", struct.pack(">BxxBHH4sx", 2, _HIDDEN, k, 0, b"av01")) for k in range(1, grid)]
    entries.append(_box(b"infe", struct.pack(">BxxBHH4sx", 2, 0, grid, 0, b"grid")))
    meta[b"iinf"] = bytes(_FULL) + struct.pack(">H", grid) + b"".join(entries)
    meta[b"iref"] = bytes(_FULL) + _box(b"dimg", struct.pack(f">HH{n_tiles}H", grid, n_tiles, *range(1, grid)))
    meta[b"pitm"] = bytes(_FULL) + struct.pack(">H", grid)
    contents = [dict(boxes(tile))[b"mdat"] for tile in tiles]
    contents.append(struct.pack(">BBBBII", 0, 1, n_tiles // n_columns - 1, n_columns - 1, width, height))
    return _placed(top, meta, dict(enumerate(contents, 1)))


def _placed(top: list[tuple[bytes, bytes]], meta: dict[bytes, bytes], items: dict[int, bytes]) -> bytes:
    """A file of these boxes, with the contents of its items one after the other."""
    meta[b"iloc"] = _NO_PLACES + bytes(_PLACE.size * len(items))  # of the final length, for `_head` to be measured
    at = len(_head(top, meta)) + 8
    meta[b"iloc"] = _places(_NO_PLACES, 0, list(items), list(map(len, items.values())), at)
    return _head(top, meta) + _box(b"mdat", b"".join(items.values()))


def add_metadata(avif: bytes, *, exif: bytes | None, xmp: bytes | None, icc: bytes | None) -> bytes:
    """An AVIF file written by libavif -> the same pictures with metadata; `exif` starts with its byte order mark.

    Raises:
        ValueError: the file was not written by libavif.
    """
    items = [(b"Exif", b"", bytes(4) + exif)] if exif else []  # 4 bytes: at which offset TIFF begins
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
        links = [
            _box(b"cdsc", struct.pack(">HH", k, 1) + primary) for k in ids
        ]  # "content describes": the item is about the picture
        meta[b"iref"] = meta.get(b"iref", bytes(_FULL)) + b"".join(links)
    old_places = meta[b"iloc"]
    meta[b"iloc"] = old_places + bytes(_PLACE.size * len(items))  # of the final length, for `_head` to be measured
    head_bytes = len(_head(top, meta))
    media = _box(b"mdat", top[2][1])
    shift = head_bytes + len(media) - len(avif)  # of the pictures' bytes
    meta[b"iloc"] = _places(
        old_places, shift, ids, [len(content) for *_, content in items], head_bytes + len(media) + 8
    )
    extra = _box(b"mdat", b"".join(content for *_, content in items)) if items else b""
    return _head(top, meta) + media + extra


def _head(top: list[tuple[bytes, bytes]], meta: dict[bytes, bytes]) -> bytes:
    inner = b"".join(_box(kind, content) for kind, content in meta.items())
    return _box(*top[0]) + _box(b"meta", top[1][1][:_FULL] + inner)


def _places(iloc: bytes, shift: int, ids: Sequence[int], lengths: list[int], at: int) -> bytes:
    """The table of where items lie: the old ones shifted, then the new ones, in sequence from `at` on."""
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
    """The properties with one added to an item. It is marked as not essential, so that no reader refuses the file."""
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
