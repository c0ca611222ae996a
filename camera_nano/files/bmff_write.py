"""The boxes of HEIF and AVIF files, written: grids of tiles, their alpha, EXIF, XMP and a colour profile.

Boxes are those of ISO/IEC 14496-12 and, for items, ISO/IEC 23008-12 (HEIF). These are our own, as libavif and libheif
write them: item numbers have 16 bits, places 32 bits, counted from the start of the file.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from camera_nano.files.bmff import ALPHA, ALPHA_OF_HEVC, FULL, boxes, contents_of, items_of, links_of, properties_of

_HIDDEN = 1  # a flag of item entries: not for display
_PLACE = struct.Struct(">HHHII")  # item, file, number of extents, offset, length
_NO_PLACES = bytes(FULL) + b"\x44\0\0\0"  # the box `iloc` of version 0: offsets and lengths of 32 bits, of no item


def placed_simply(heic: bytes) -> bytes:
    """A HEIC file written by libheif -> the same items, each told by one place in the file (`iloc` of version 0).

    libheif tells the places of a grid by version 1, with base offsets, and signers of C2PA misread these.
    """
    top = list(boxes(heic))
    meta = dict(boxes(top[1][1][FULL:]))
    if meta[b"iloc"][0] == 0:  # one picture, no grid
        return heic
    items = contents_of(heic, meta)
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
    meta, n_tiles, grid = dict(boxes(top[1][1][FULL:])), len(tiles), len(tiles) + 1
    parts = dict(boxes(meta[b"iprp"]))
    kinds = [kind for kind, _ in boxes(parts[b"ipco"])]
    of_tile = parts[b"ipma"][FULL + 4 + 3 :]  # after the number of items, and the first with how many it has
    of_grid = bytes(k for k in of_tile if kinds[(k & 127) - 1] not in (b"ispe", b"av1C")) + bytes([len(kinds) + 1])
    owners = b"".join(struct.pack(">HB", k, len(of_tile)) + of_tile for k in range(1, grid))
    owners += struct.pack(">HB", grid, len(of_grid)) + of_grid
    size = _box(b"ispe", struct.pack(">4xII", width, height))
    ipma = _box(b"ipma", bytes(FULL) + struct.pack(">I", grid) + owners)
    meta[b"iprp"] = _box(b"ipco", parts[b"ipco"] + size) + ipma
    entries = [*(_entry(k, b"av01") for k in range(1, grid)), _entry(grid, b"grid", flags=0)]
    meta[b"iinf"] = bytes(FULL) + struct.pack(">H", grid) + b"".join(entries)
    meta[b"iref"] = bytes(FULL) + _link(b"dimg", grid, range(1, grid))
    meta[b"pitm"] = bytes(FULL) + struct.pack(">H", grid)
    contents = [dict(boxes(tile))[b"mdat"] for tile in tiles]
    contents.append(struct.pack(">BBBBII", 0, 1, n_tiles // n_columns - 1, n_columns - 1, width, height))
    return _placed(top, meta, dict(enumerate(contents, 1)))


def with_alpha(colours: bytes, alpha: bytes) -> bytes:
    """A grid, and one of grey, of `grid_of` or `placed_simply` -> a file of the first, with the second for its alpha.

    So it is alpha of the whole picture, not of each tile, which few readers take. The items of the second become hidden
    ones after those of the first; what it says of colour is left out.
    """
    top = list(boxes(colours))
    meta, grey = (dict(boxes(dict(boxes(file))[b"meta"][FULL:])) for file in (colours, alpha))
    ours, theirs = (dict(boxes(part[b"iprp"])) for part in (meta, grey))
    n_ours, kinds = len(list(boxes(ours[b"ipco"]))), [kind for kind, _ in boxes(theirs[b"ipco"])]
    picture, primary = (int.from_bytes(part[b"pitm"][FULL:]) for part in (grey, meta))
    items, others = contents_of(colours, meta), contents_of(alpha, grey)
    entries = {item: kind for item, kind, _ in items_of(grey[b"iinf"])}
    owners, first = b"", max(items)  # numbers of items and properties go on after ours
    for item, numbers in properties_of(theirs[b"ipma"]):
        kept = bytes(number + n_ours for number in numbers if kinds[(number & 127) - 1] != b"colr")
        kept += bytes([n_ours + len(kinds) + 1]) if item == picture else b""
        owners += struct.pack(">HB", first + item, len(kept)) + kept
    name = ALPHA if b"av01" in entries.values() else ALPHA_OF_HEVC
    ipco = ours[b"ipco"] + theirs[b"ipco"] + _box(b"auxC", bytes(FULL) + name)
    n_owners = int.from_bytes(ours[b"ipma"][FULL : FULL + 4]) + len(others)
    ipma = bytes(FULL) + struct.pack(">I", n_owners) + ours[b"ipma"][FULL + 4 :] + owners
    meta[b"iprp"] = _box(b"ipco", ipco) + _box(b"ipma", ipma)
    added = [_entry(first + item, kind) for item, kind in entries.items()]
    n_items = int.from_bytes(meta[b"iinf"][FULL : FULL + 2]) + len(added)
    meta[b"iinf"] = bytes(FULL) + struct.pack(">H", n_items) + meta[b"iinf"][FULL + 2 :] + b"".join(added)
    [tiles] = [tiles for item, tiles in links_of(grey, b"dimg") if item == picture]
    made_of = _link(b"dimg", first + picture, [first + tile for tile in tiles])
    meta[b"iref"] += made_of + _link(b"auxl", first + picture, [primary])
    return _placed(top, meta, items | {first + item: content for item, content in others.items()})


def _entry(item: int, kind: bytes, mime: bytes = b"", flags: int = _HIDDEN) -> bytes:
    """An item's entry in the list of items, without a name (ISO/IEC 14496-12, 8.11.6)."""
    return _box(b"infe", struct.pack(">BxxBHH4sx", 2, flags, item, 0, kind) + mime)


def _link(kind: bytes, item: int, others: Sequence[int]) -> bytes:
    return _box(kind, struct.pack(f">HH{len(others)}H", item, len(others), *others))


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
    meta = dict(boxes(top[1][1][FULL:]))
    (n_items,) = struct.unpack_from(">H", meta[b"iinf"], FULL)
    primary, first_id = meta[b"pitm"][FULL : FULL + 2], n_items + 1  # libavif counts from 1
    ids = range(first_id, first_id + len(items))
    if icc:
        meta[b"iprp"] = _with_property(meta[b"iprp"], primary, _box(b"colr", b"prof" + icc))
    entries = [_entry(k, kind, mime) for k, (kind, mime, _) in zip(ids, items, strict=True)]
    meta[b"iinf"] = bytes(FULL) + struct.pack(">H", n_items + len(items)) + meta[b"iinf"][6:] + b"".join(entries)
    if items:
        links = [_link(b"cdsc", k, [int.from_bytes(primary)]) for k in ids]  # the item is about the picture
        meta[b"iref"] = meta.get(b"iref", bytes(FULL)) + b"".join(links)
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
    return _box(*top[0]) + _box(b"meta", top[1][1][:FULL] + inner)


def _places(iloc: bytes, shift: int, ids: Sequence[int], lengths: list[int], at: int) -> bytes:
    """The table of where items lie: the old ones shifted, then the new ones, in sequence from `at` on."""
    version, sizes, n_items = struct.unpack_from(">B3x2sH", iloc)
    if version != 0 or sizes != b"\x44\0":
        raise ValueError("items of this AVIF file are placed in another way")
    out, k = bytearray(iloc), FULL + 4
    for _ in range(n_items):
        (n_extents,) = struct.unpack_from(">H", iloc, k + 4)
        for extent in range(k + 6, k + 6 + 8 * n_extents, 8):
            struct.pack_into(">I", out, extent, struct.unpack_from(">I", iloc, extent)[0] + shift)
        k += 6 + 8 * n_extents
    struct.pack_into(">H", out, FULL + 2, n_items + len(ids))
    for item, length in zip(ids, lengths, strict=True):
        out += _PLACE.pack(item, 0, 1, at, length)
        at += length
    return bytes(out)


def _with_property(iprp: bytes, item: bytes, added: bytes) -> bytes:
    """The properties with one added to an item. It is marked as not essential, so that no reader refuses the file."""
    parts = dict(boxes(iprp))
    number = sum(1 for _ in boxes(parts[b"ipco"])) + 1
    ipma, k = parts[b"ipma"], FULL + 4
    if ipma[:FULL] != bytes(FULL):
        raise ValueError("properties of this AVIF file are numbered in another way")
    while ipma[k : k + 2] != item:
        k += 3 + ipma[k + 2]
    end = k + 3 + ipma[k + 2]
    ipma = ipma[: k + 2] + bytes([ipma[k + 2] + 1]) + ipma[k + 3 : end] + bytes([number]) + ipma[end:]
    return _box(b"ipco", parts[b"ipco"] + added) + _box(b"ipma", ipma)


def _box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I4s", len(content) + 8, kind) + content
