"""EXIF, XMP and IPTC blocks as exiv2 reads and builds them; its objects live and die inside `exclusive`.

An EXIF block is a TIFF file without pixels (CIPA DC-008, 4.5), and is edited as one.
"""

from __future__ import annotations

import re
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import exiv2

RECIPE = "Xmp.cameraNano.recipe"
_NAMESPACES = {  # beyond those that exiv2 knows; a file may call them otherwise, and is read by these names
    "cameraNano": "urn:camera-nano:look:1.0/",
    "hdrgm": "http://ns.adobe.com/hdr-gain-map/1.0/",
    "Container": "http://ns.google.com/photos/1.0/container/",
    "GCamera": "http://ns.google.com/photos/1.0/camera/",
    "HDRGainMap": "http://ns.apple.com/HDRGainMap/1.0/",
}
_LONGEST_CAUSE = 200
_lock = threading.Lock()
# what its binding raises on foreign bytes; metadata is no reason to lose a photo
ERRORS = (exiv2.Exiv2Error, ArithmeticError, LookupError, RuntimeError, TypeError, ValueError)
exiv2.LogMsg.setLevel(exiv2.LogMsg.Level.mute)  # it would write on stderr

_ORIENTATION, _IPTC = 0x0112, 0x83BB
_BLOCKS_IN_TAGS = ("XMLPacket", "ImageResources")
# What an edit or a new file makes untrue: gain map, video, other pictures inside XMP, sizes, and a further packet.
_STALE = re.compile(
    r"Xmp\.(hdrgm\.|G?Container\.|HDRGainMap\.|apdi\.|GCamera\.(MotionPhoto|MicroVideo)|xmp\.Thumbnails"
    r"|tiff\.Image(Width|Length)|exif\.Pixel[XY]Dimension|xmpNote\.HasExtendedXMP)"
)
_XMP_PLACE = re.compile(
    r"gps|location|latitude|longitude|altitude"
    r"|\b(City|State|Country|CountryCode|CountryName|ProvinceState|WorldRegion)\b",
    re.IGNORECASE,
)
_IPTC_PLACE = (26, 27, 90, 92, 95, 100, 101)  # IIM 4.2, record 2: content location, city .. country


@contextmanager
def exclusive() -> Iterator[None]:
    """exiv2 for one thread, with its XMP toolkit as new: that keeps one table of namespaces for the process.

    Without this, the prefixes of one broken file would spoil the XMP of those after it.
    """
    with _lock:
        exiv2.XmpParser.terminate()
        exiv2.XmpProperties.unregisterNs()
        exiv2.XmpParser.initialize()
        for prefix, uri in _NAMESPACES.items():
            exiv2.XmpProperties.registerNs(uri, prefix)
        yield


def why(error: Exception) -> str:
    """The cause, in exiv2's words, as one line."""
    return " ".join(str(error.args[-1] if error.args else type(error).__name__).split())[:_LONGEST_CAUSE]


def open_file(data: bytes) -> exiv2.Image:
    """A file of any kind exiv2 knows, or an EXIF block, with its metadata read. Raises ValueError for a broken one."""
    try:
        image = exiv2.ImageFactory.open(data)
        image.readMetadata()
        return image
    except exiv2.Exiv2Error as error:
        raise ValueError(why(error)) from error


def tiny_tiff(tag: int = _ORIENTATION, kind: int = 3, value: bytes = b"\1\0", order: str = "II") -> bytes:
    """A TIFF file of one tag of bytes or one short (TIFF 6.0, section 2): exiv2 makes none from nothing."""
    numbers = "<" if order == "II" else ">"
    head = order.encode() + struct.pack(numbers + "HIHHHI", 42, 8, 1, tag, kind, 1 if kind == 3 else len(value))
    if len(value) <= 4:
        return head + value.ljust(4, b"\0") + bytes(4)
    return head + struct.pack(numbers + "II", 26, 0) + value


def exif_block(tags: exiv2.ExifData, order: str) -> bytes | None:
    """Tags -> a block that has nothing else, and says upright; None for no tags. `order` is "II" or "MM"."""
    if not len(tags):
        return None
    image = open_file(tiny_tiff(order=order))
    tags["Exif.Image.Orientation"] = exiv2.UShortValue([1])
    image.setExifData(tags)
    image.writeMetadata()
    return bytes(image.data())


def describing_exif(image: exiv2.Image, problems: list[str]) -> bytes | None:
    """The block of what EXIF says of the photo, without what it says of the file."""
    tags = _chosen(image.exifData(), _describes)
    has_maker_note = "Exif.Photo.MakerNote" in tags
    exif = exif_block(tags, "MM" if image.byteOrder() == exiv2.ByteOrder.bigEndian else "II")
    if exif and has_maker_note and "Exif.Photo.MakerNote" not in open_file(exif).exifData():
        problems.append("the maker note cannot be moved, and is left out")
    return exif


def _chosen(tags: exiv2.ExifData, is_kept: Callable[[exiv2.Exifdatum], bool]) -> exiv2.ExifData:
    kept = exiv2.ExifData()
    for tag in tags:
        if is_kept(tag):
            kept.add(tag)
    return kept


def _describes(tag: exiv2.Exifdatum) -> bool:
    group, name = tag.groupName(), tag.tagName()
    if group == "Image":
        is_other = exiv2.ExifTags.sectionName(exiv2.ExifKey(tag.key())) == "OtherTags"  # not the structure of the file
        return is_other and name not in _BLOCKS_IN_TAGS
    return group in ("Photo", "GPSInfo", "Iop") or bool(exiv2.ExifTags.isMakerGroup(group))


def exif_without_place(exif: bytes, problems: list[str]) -> bytes | None:
    """The block built anew without GPS, without its thumbnail, and without maker notes."""

    def is_makers(tag: exiv2.Exifdatum) -> bool:
        return tag.tagName() == "MakerNote" or bool(exiv2.ExifTags.isMakerGroup(tag.groupName()))

    tags = open_file(exif).exifData()
    if any(is_makers(tag) for tag in tags):
        problems.append("the maker note is left out with the place: it may hold it, too")
    places = ("GPSInfo", "Thumbnail")
    kept = _chosen(tags, lambda t: not is_makers(t) and t.groupName() not in places and t.tagName() != "GPSTag")
    return exif_block(kept, exif[:2].decode())


def xmp_data(packet: str) -> exiv2.XmpData:
    """The properties of a packet. Asking them for a name whose prefix exiv2 does not know ends the process."""
    image = exiv2.ImageFactory.create(exiv2.ImageType.exv)
    image.setXmpPacket(packet)
    return image.xmpData()


def xmp_texts(found: exiv2.XmpData) -> dict[str, str]:
    """Every property by exiv2's name, "Xmp.dc.title" or "Xmp.xmpMM.History[1]/stEvt:action"."""
    return {item.key(): item.toString() for item in found}


def xmp_packet(found: exiv2.XmpData) -> bytes | None:
    """Properties -> a packet; None for none."""
    if not len(found):
        return None
    _, text = exiv2.XmpParser.encode(found, exiv2.XmpParser.XmpFormatFlags.useCompactFormat)
    xmp_data(text)  # it writes characters that XML may not have, and cannot read them then
    return str(text).encode()


def true_xmp(packet: str, problems: list[str]) -> bytes | None:
    """The packet without what is not so of an edited, upright picture."""
    found = xmp_data(packet)
    names = {item.key() for item in found}
    if any("HasExtendedXMP" in name for name in names):
        problems.append("XMP beyond the first packet is left out")
    _drop(found, _STALE)
    if "Xmp.tiff.Orientation" in names:
        found["Xmp.tiff.Orientation"] = "1"
    return xmp_packet(found)


def xmp_without_place(packet: bytes) -> bytes | None:
    """The packet without properties, at any depth, that are named for a place."""
    found = xmp_data(packet.decode())
    _drop(found, _XMP_PLACE)
    return xmp_packet(found)


def _drop(found: exiv2.XmpData, names: re.Pattern[str]) -> None:
    for key in [item.key() for item in found]:
        if names.search(key):
            del found[key]


def iptc_data(records: bytes) -> exiv2.IptcData:
    """IIM records -> exiv2's datasets."""
    return open_file(tiny_tiff(_IPTC, 7, records.ljust(5, b"\0"))).iptcData()


def iptc_records(iptc: exiv2.IptcData) -> bytes | None:
    """Datasets -> IIM records, which exiv2 hands out in a TIFF file's tag alone; None for none."""
    if not len(iptc):
        return None
    image = open_file(tiny_tiff())
    image.setIptcData(iptc)
    image.writeMetadata()
    words = [*open_file(bytes(image.data())).exifData()["Exif.Image.IPTCNAA"].value()]
    return struct.pack(f"<{len(words)}I", *words)


def iptc_without_place(records: bytes) -> bytes | None:
    """The records without those for places."""
    kept = exiv2.IptcData()
    for item in iptc_data(records):
        if not (item.record() == 2 and item.tag() in _IPTC_PLACE):
            kept.add(item)
    return iptc_records(kept)
