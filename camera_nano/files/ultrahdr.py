"""Gain maps in JPEG files (Ultra HDR): written for old and new readers, read, checked, and repaired after an edit.

The file is the JPEG of the base picture, followed by that of the map. Three labels say so, since readers differ in
which they know: the index of `mpf`; the XMP of Google and Adobe ("Ultra HDR Image Format 1.1"; Adobe "Gain map" 1.0);
and the binary block of ISO 21496-1:2025, annex C, of which the base has the version number only.
"""

from __future__ import annotations

import re
import struct
from typing import Any

import numpy as np
import pyvips

from camera_nano.files import gainmap_apple as apple
from camera_nano.files import mpf
from camera_nano.files.metadata import xmp_texts
from camera_nano.values import GainMap

_ISO = b"urn:iso:std:iso:ts:21496:-1\0"
_EXIF = b"Exif\0\0"
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_MULTICHANNEL, _BASE_COLOURS, _COMMON_DENOMINATOR = 0x80, 0x40, 0x08  # the last occurs only in files of early writers
_ONE = 1 << 20  # denominator of the fractions that are written: a millionth of a stop
_HDRGM = "http://ns.adobe.com/hdr-gain-map/1.0/"
_LARGEST_MAP_PX = 1 << 26

_RDF = b'<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">%s</rdf:RDF>'
_PACKET = (
    b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/">%s</x:xmpmeta><?xpacket end="w"?>'
)
_DIRECTORY = (
    b'<rdf:Description xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" rdf:about="" xmlns:hdrgm="%s"'
    b' xmlns:Container="http://ns.google.com/photos/1.0/container/"'
    b' xmlns:Item="http://ns.google.com/photos/1.0/container/item/" hdrgm:Version="1.0">'
    b'<Container:Directory><rdf:Seq><rdf:li rdf:parseType="Resource">'
    b'<Container:Item Item:Semantic="Primary" Item:Mime="image/jpeg"/></rdf:li><rdf:li rdf:parseType="Resource">'
    b'<Container:Item Item:Semantic="GainMap" Item:Mime="image/jpeg" Item:Length="%d"/></rdf:li></rdf:Seq>'
    b"</Container:Directory></rdf:Description>"
)
_END_OF_RDF = re.compile(rb"</[\w.-]+:RDF\s*>")
_END_OF_ITEM = b"</rdf:li>"
_IS_MAP = re.compile(rb"Item:Semantic(?:\s*=\s*[\"']|>)GainMap\b")  # an attribute, or an element
_LENGTH = re.compile(rb"(Item:Length(?:\s*=\s*[\"']|>))(\d+)")


def pack(base: bytes, gain: GainMap) -> bytes:
    """A JPEG file and its gain map -> an Ultra HDR file, whose base has the same pixels and metadata as before.

    Raises:
        ValueError: `base` is not a JPEG file.
    """
    image = pyvips.Image.new_from_array(gain.codes, interpretation="b-w" if gain.codes.ndim == 2 else "srgb")
    # in a map of little range, small errors of gain are many codes: lower quality will do
    quality = int(np.clip(65 + 10 * max(gain.max_ev), 70, 95))
    plain = bytes(image.jpegsave_buffer(Q=quality, keep="none"))
    labels = mpf.segment(mpf.APP1, _XMP + _PACKET % (_RDF % _hdrgm(gain))) + mpf.segment(mpf.APP2, _ISO + iso(gain))
    at = mpf.after_apps(plain)
    map_jpeg = plain[:at] + labels + plain[at:]
    base = _with_directory(base[: mpf.end_of_image(base)], len(map_jpeg))
    at = mpf.after_apps(base)
    version = mpf.segment(mpf.APP2, _ISO + bytes(4))  # minimum and writer version, both 0
    base = base[:at] + version + mpf.blank_index(2) + base[at:]
    return mpf.write_index(base + map_jpeg, [(0, len(base)), (len(base), len(base) + len(map_jpeg))])


def iso(gain: GainMap) -> bytes:
    """The metadata of a gain map by ISO 21496-1, annex C.2: versions, flags, headrooms, then numbers by channel."""
    n_channels = max(map(len, (gain.max_ev, gain.min_ev, gain.gamma, gain.base_offset, gain.alternate_offset)))
    block = struct.pack(">HHB", 0, 0, _BASE_COLOURS | (_MULTICHANNEL if n_channels > 1 else 0))
    block += _fraction(gain.base_headroom_ev) + _fraction(gain.headroom_ev)
    for k in range(n_channels):
        for values in (gain.min_ev, gain.max_ev, gain.gamma, gain.base_offset, gain.alternate_offset):
            block += _fraction(values[k % len(values)])
    return block


def _fraction(value: float) -> bytes:
    return struct.pack(">iI", round(value * _ONE), _ONE)


def _hdrgm(gain: GainMap) -> bytes:
    """The metadata of a gain map in Adobe's XMP, of the first channel: maps that are written have only one."""

    def number(values: tuple[float, ...]) -> str:
        return f"{values[0]:.6f}"

    return (
        f'<rdf:Description rdf:about="" xmlns:hdrgm="{_HDRGM}" hdrgm:Version="1.0"'
        f' hdrgm:GainMapMin="{number(gain.min_ev)}" hdrgm:GainMapMax="{number(gain.max_ev)}"'
        f' hdrgm:Gamma="{number(gain.gamma)}" hdrgm:OffsetSDR="{number(gain.base_offset)}"'
        f' hdrgm:OffsetHDR="{number(gain.alternate_offset)}" hdrgm:HDRCapacityMin="{gain.base_headroom_ev:.6f}"'
        f' hdrgm:HDRCapacityMax="{gain.headroom_ev:.6f}" hdrgm:BaseRenditionIsHDR="False"/>'
    ).encode()


def _with_directory(base: bytes, map_bytes: int) -> bytes:
    """The base with XMP that announces the map.

    XMP that is not RDF, or would become too long, stays as it is: readers then use ISO's label or the index.
    """
    directory = _DIRECTORY % (_HDRGM.encode(), map_bytes)
    place = mpf.payload(base, mpf.APP1, _XMP)
    if place is None:
        fresh = mpf.segment(mpf.APP1, _XMP + _PACKET % (_RDF % directory))
        others = (s for s in mpf.segments(base) if s.marker != mpf.APP0 and not _is_exif(base, s))
        at = next(others).start
        return base[:at] + fresh + base[at:]
    packet = base[slice(*place)]
    ends = list(_END_OF_RDF.finditer(packet))
    if not ends:
        return base
    at = ends[-1].start()
    return _replace_xmp(base, place, packet[:at] + directory + packet[at:]) or base


def _is_exif(data: bytes, s: mpf.Segment) -> bool:
    return s.marker == mpf.APP1 and data.startswith(_EXIF, s.start + 4)


def _replace_xmp(data: bytes, place: tuple[int, int], packet: bytes) -> bytes | None:
    """The file with another XMP packet; None if that does not fit into a segment."""
    start, end = place[0] - len(_XMP) - 4, place[1]
    try:
        return data[:start] + mpf.segment(mpf.APP1, _XMP + packet) + data[end:]
    except ValueError:
        return None


def fix_mpf(data: bytes) -> bytes:
    """A JPEG file whose metadata was edited -> the file with the right lengths and places of its pictures.

    Other files, and JPEG files without an index, are returned as they are. A second run changes nothing.

    Raises:
        ValueError: a picture in the file is broken or missing.
    """
    if not data.startswith(b"\xff\xd8") or (index := mpf.read_index(data)) is None:
        return data
    places = mpf.images(data)[: len(index.entries)]
    if len(places) > 1 and (place := mpf.payload(data, mpf.APP1, _XMP)):
        length = rb"\g<1>%d" % (places[1][1] - places[1][0])
        packet = data[slice(*place)]
        items = (_LENGTH.sub(length, i) if _IS_MAP.search(i) else i for i in packet.split(_END_OF_ITEM))
        fixed = _END_OF_ITEM.join(items)
        if fixed != packet and (renewed := _replace_xmp(data, place, fixed)):
            data, places = renewed, mpf.images(renewed)[: len(index.entries)]
    return mpf.write_index(data, places)


def read_gainmap(data: bytes) -> GainMap | None:
    """The gain map in a JPEG file or an iPhone's HEIC file; None if there is none.

    ISO's label is read, or else the XMP. The pictures in a JPEG file are found without its index, which may be wrong.

    Raises:
        ValueError: there is a gain map, but it cannot be read.
    """
    if data[4:8] == b"ftyp":
        return apple.read_heic(data)
    try:
        further = mpf.images(data)[1:]
    except ValueError:  # the first picture has no end, so none follows it
        return None
    for start, end in further:
        part = data[start:end]
        meaning: dict[str, Any] | None = None
        if place := mpf.payload(part, mpf.APP2, _ISO):
            meaning = read_iso(part[slice(*place)])
        elif place := mpf.payload(part, mpf.APP1, _XMP):
            packet = part[slice(*place)]
            if apple.is_map(packet):
                exif = mpf.payload(data, mpf.APP1, _EXIF)
                return apple.gain_map(_codes(part), packet, data[slice(*exif)] if exif else b"")
            meaning = _read_hdrgm(packet)
        if meaning is not None:
            return GainMap(_codes(part), **meaning)
    return None


def _codes(jpeg: bytes) -> Any:
    try:
        image = pyvips.Image.jpegload_buffer(jpeg, fail_on="error")
        if image.width * image.height > _LARGEST_MAP_PX or image.bands not in (1, 3):
            raise ValueError(f"no gain map is {image.width}x{image.height} with {image.bands} bands")
        codes = image.numpy()
    except pyvips.Error as error:
        raise ValueError("the gain map is damaged") from error
    return codes[..., 0] if codes.ndim == 3 and codes.shape[2] == 1 else codes


def read_iso(block: bytes) -> dict[str, Any]:
    """A block of ISO 21496-1, annex C.2 -> the fields of a `GainMap`, except its codes.

    Raises:
        ValueError: the block is cut short, divides by zero, or needs a later version of readers.
    """
    try:
        minimum, _, flags = struct.unpack_from(">HHB", block)
        if minimum != 0:
            raise ValueError(f"gain map metadata of version {minimum}; camera_nano reads version 0")
        n_channels = 3 if flags & _MULTICHANNEL else 1
        n_values = 2 + 5 * n_channels
        if flags & _COMMON_DENOMINATOR:
            denominator, *numerators = struct.unpack_from(f">I{n_values}i", block, 5)
            pairs = [(n, denominator) for n in numerators]
        else:
            flat = struct.unpack_from(">" + "iI" * n_values, block, 5)
            pairs = list(zip(flat[::2], flat[1::2], strict=True))
        values = [n / d for n, d in pairs]
    except struct.error as error:
        raise ValueError("gain map metadata cut short") from error
    except ZeroDivisionError as error:
        raise ValueError("gain map metadata divides by zero") from error
    names = ("min_ev", "max_ev", "gamma", "base_offset", "alternate_offset")
    channels: dict[str, Any] = {name: tuple(values[2 + k :: 5]) for k, name in enumerate(names)}
    return channels | {"base_headroom_ev": values[0], "headroom_ev": values[1], "kind": "iso"}


def _read_hdrgm(packet: bytes) -> dict[str, Any] | None:
    """Adobe's XMP -> the fields of a `GainMap`, except its codes; None if the XMP is not about a gain map."""
    texts = xmp_texts(packet)
    found = {key.removeprefix("Xmp.hdrgm."): text for key, text in texts.items() if key.startswith("Xmp.hdrgm.")}
    if not found:
        return None

    def numbers(name: str, default: float) -> tuple[float, ...]:
        return tuple(float(text) for text in found.get(name, str(default)).split(","))  # one, or one per channel

    high = numbers("GainMapMax", 0)  # defaults: Adobe, "Gain map", table of metadata
    ends = numbers("HDRCapacityMin", 0)[0], numbers("HDRCapacityMax", max(high))[0]
    if found.get("BaseRenditionIsHDR", "False").strip() == "True":
        ends = ends[1], ends[0]
    return {
        "min_ev": numbers("GainMapMin", 0),
        "max_ev": high,
        "gamma": numbers("Gamma", 1),
        "base_offset": numbers("OffsetSDR", 1 / 64),
        "alternate_offset": numbers("OffsetHDR", 1 / 64),
        "base_headroom_ev": ends[0],
        "headroom_ev": ends[1],
        "kind": "hdrgm",
    }


def check(data: bytes) -> list[str]:
    """What is wrong with the pictures in a JPEG file, a line each."""
    try:
        places, index, gain = mpf.images(data), mpf.read_index(data), read_gainmap(data)
    except ValueError as error:
        return [str(error)]
    wrong = []
    if gain is not None and index is None:
        wrong.append("there is a gain map, but no MPF index: many readers will not find it")
    for k, entry in enumerate(index.entries if index else ()):
        end = entry.start + entry.length
        if (entry.start, end) not in places:
            wrong.append(f"MPF entry {k + 1} says bytes {entry.start} to {end}: no picture is there")
    place = mpf.payload(data, mpf.APP1, _XMP)
    items = [i for i in data[slice(*place)].split(_END_OF_ITEM) if _IS_MAP.search(i)] if place else []
    if items and gain is None:
        wrong.append("the XMP announces a gain map, and there is none")
    for item in items if gain else ():
        length = _LENGTH.search(item)
        if length is None or int(length[2]) not in [end - start for start, end in places[1:]]:
            wrong.append("the gain map's length in the XMP directory is wrong")
    return wrong
