"""What a picture file holds beside its pixels: EXIF, XMP, IPTC and the ICC profile, carried from input to output."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction

import pyvips

from camera_nano.files import blocks, exif_tags, iptc
from camera_nano.files.exif import (
    IMAGE,
    ORIENTATION,
    PHOTO,
    RATIONAL,
    SHORT,
    UNDEFINED,
    Entry,
    fresh,
    number,
    read,
    text,
    with_tags,
)
from camera_nano.files.exif_writer import write
from camera_nano.files.icc import repaired
from camera_nano.files.texts import Texts, read_texts
from camera_nano.files.xmp import Properties, plain
from camera_nano.formats import FORMATS
from camera_nano.values import Frame
from camera_nano.version import __version__

SOFTWARE = f"camera_nano {__version__}"
UNKNOWN_PIXELS_PER_MM = 72 / 25.4  # 72 dpi: what EXIF says for an unknown resolution
_BROKEN_PROFILE = "the colour profile is broken, and is left out: the colours are taken for sRGB's"
_HEAD_BYTES = 1 << 16
_LONGEST_NAMES, _LONGEST_CAUSE = 100, 200
_MODEL, _SOFTWARE, _DATE, _VERSION, _EXPOSURE_TIME, _ISO = 0x0110, 0x0131, 0x0132, 0x9000, 0x829A, 0x8827
_MOMENTS = ((0x9003, 0x9291, 0x9011), (0x9004, 0x9292, 0x9012))  # time, parts of its second, zone: original, digitized
# No longer true of an edited picture in a new file: gain map, video, pictures inside XMP, sizes, further XMP packets
_STALE = re.compile(
    r"Xmp\.(hdrgm\.|G?Container\.|HDRGainMap\.|apdi\.|GCamera\.(MotionPhoto|MicroVideo)|xmp\.Thumbnails"
    r"|tiff\.Image(Width|Length)|exif\.Pixel[XY]Dimension|xmpNote\.HasExtendedXMP)"
)
_PLACE = re.compile(
    r"gps|location|latitude|longitude|altitude"
    r"|\b(City|State|Country|CountryCode|CountryName|ProvinceState|WorldRegion)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Metadata:
    """The metadata blocks of a file, None for those that it lacks.

    `exif` starts with its byte order mark. `iptc` is bare IIM records. `icc` is the profile of the frame's RGB code
    values, which are sRGB without one. `problems` has a line for each thing that was left out.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    icc: bytes | None = None
    pixels_per_mm: float = UNKNOWN_PIXELS_PER_MM  # for print
    texts: Texts = ()  # beside the blocks
    problems: tuple[str, ...] = ()


def read_metadata(image: pyvips.Image, data: bytes) -> Metadata:
    """The metadata of a picture that libvips has loaded from the file `data`. The caller turns its pixels upright."""
    found = read_blocks(data)
    if found.xmp and data[4:8] != b"ftyp" and image.get_typeof("orientation") and image.get("orientation") > 1:
        found = _with_turned_regions(found, image.get("orientation"))
    resolution = image.xres if image.xres != 1 else UNKNOWN_PIXELS_PER_MM  # 1 is libvips' "not known"
    icc = bytes(image.get("icc-profile-data")) if image.get_typeof("icc-profile-data") else None
    if icc is None and data.startswith(b"\x89PNG") and b"iCCP" in data[:_HEAD_BYTES]:  # libpng has left it out
        found = replace(found, problems=(*found.problems, _BROKEN_PROFILE))
    return replace(with_profile(found, icc), pixels_per_mm=resolution, texts=read_texts(data))


def _with_turned_regions(metadata: Metadata, orientation: int) -> Metadata:
    try:
        return replace(metadata, xmp=edit_xmp(metadata.xmp, lambda found: turn_regions(found, orientation)))
    except ValueError:
        problem = "the regions of faces in the XMP cannot be read, and do not turn with the picture"
        return replace(metadata, problems=(*metadata.problems, problem))


def with_profile(metadata: Metadata, icc: bytes | None) -> Metadata:
    """The metadata with a profile, if it is for RGB data (ICC.1:2022, 7.2.6); a broken one is left out, and told."""
    if not icc or icc[16:20] != b"RGB ":
        return metadata
    usable = repaired(bytes(icc))
    return replace(metadata, icc=usable, problems=(*metadata.problems, *(() if usable else (_BROKEN_PROFILE,))))


def read_blocks(data: bytes) -> Metadata:
    """EXIF, XMP and IPTC of a picture file of any kind, HEIC, AVIF, JPEG XL and camera raw among them.

    They are corrected for the edited, upright picture: the orientation becomes 1, and what describes the old file (its
    structure, thumbnails, gain maps, videos) is left out. All else in a block of EXIF stays as it is.
    """
    found = blocks.find(data)
    problems = list(found.problems)
    block = packet = records = None
    if found.exif:
        try:
            exif = read(found.exif)
            block = exif_tags.describing(exif, problems, of_file=found.is_file)
            in_tags = blocks.of_tags(exif)
            found = replace(found, xmp=found.xmp or in_tags.xmp, iptc=found.iptc or in_tags.iptc)
        except ValueError as error:
            problems.append(_broken("EXIF", error))
    if found.xmp:
        try:
            packet = _true_xmp(found.xmp, problems)
        except ValueError as error:
            problems.append(_broken("XMP", error))
    if found.iptc:
        records = iptc.whole(found.iptc)
        if found.iptc[len(records) :].strip(b"\0"):
            problems.append("the IPTC is broken: what comes after the damage is left out")
    return Metadata(block, packet, records or None, problems=tuple(problems))


def _broken(name: str, error: ValueError) -> str:
    return f"the {name} is broken, and is left out ({' '.join(str(error).split())[:_LONGEST_CAUSE]})"


def _true_xmp(packet: bytes, problems: list[str]) -> bytes | None:
    """The packet without what is no longer true of the edited, upright picture."""
    found = Properties(packet)
    texts = found.texts()
    if any("HasExtendedXMP" in name for name in texts):
        problems.append("XMP beyond the first packet is left out")
    found.drop(_STALE)
    if "Xmp.tiff.Orientation" in texts:
        found["Xmp.tiff.Orientation"] = "1"
    return found.packet()


def turn_regions(found: Properties, orientation: int) -> None:
    """Turn the regions of faces and the like with a picture of this EXIF orientation that is turned upright.

    They are parts of the width and height of the picture as it was stored: by their centres ("Guidelines for Handling
    Image Metadata" 2.0, Metadata Working Group, 5.3), or by their upper left corners (Microsoft's "People Tagging").
    """
    texts = found.texts()
    for key, value in texts.items():
        if key.endswith("/MPReg:Rectangle"):
            x, y, w, h = (float(part) for part in value.split(","))
            x, y, w, h = _turned(orientation, x + w / 2, y + h / 2, w, h)
            found[key] = ", ".join(f"{value:.6g}" for value in (x - w / 2, y - h / 2, w, h))
        elif key.endswith("/mwg-rs:Area/stArea:x"):
            area = key.removesuffix("x")
            if texts.get(f"{area}unit", "normalized") == "normalized":
                values = _turned(orientation, *(float(texts.get(area + name, 0)) for name in "xywh"))
                for name, turned in zip("xywh", values, strict=True):
                    if area + name in texts:
                        found[area + name] = f"{turned:.6g}"
        elif key.endswith("/stDim:w") and orientation >= 5 and (height := f"{key[:-1]}h") in texts:
            found[key], found[height] = texts[height], value


def _turned(orientation: int, x: float, y: float, w: float, h: float) -> tuple[float, float, float, float]:
    """Centre and sides of a region after a turn of the picture (EXIF 2.32, 4.6.4 A)."""
    if orientation >= 5:
        x, y, w, h = y, x, h, w
    return 1 - x if orientation in (2, 3, 6, 7) else x, 1 - y if orientation in (3, 4, 7, 8) else y, w, h


def of_frame(frame: Frame, at: datetime, camera: str) -> Metadata:
    """EXIF for a new picture; `at` is when its exposure began, with its time zone (CIPA DC-008, 4.6.6)."""
    exif = fresh()
    zone, moment = f"{at:%z}", f"{at:%Y:%m:%d %H:%M:%S}"
    photo = {_VERSION: Entry(UNDEFINED, b"0232")}
    for time, subsecond, offset in _MOMENTS:
        photo |= {time: text(moment), subsecond: text(f"{at.microsecond // 1000:03d}")}
        photo |= {offset: text(f"{zone[:3]}:{zone[3:5]}")} if zone else {}
    if frame.exposure.time_ms:
        seconds = Fraction(frame.exposure.time_ms / 1000).limit_denominator(1_000_000)
        photo[_EXPOSURE_TIME] = number(exif, RATIONAL, seconds.numerator, seconds.denominator)
    if frame.exposure.iso:
        photo[_ISO] = number(exif, SHORT, min(round(frame.exposure.iso), 0xFFFF))
    image = {
        _MODEL: text(plain(camera)),
        ORIENTATION: number(exif, SHORT, 1),
        _SOFTWARE: text(SOFTWARE),
        _DATE: text(moment),
    }
    return Metadata(exif=write(with_tags(with_tags(exif, IMAGE, image), PHOTO, photo)))


def without_location(metadata: Metadata) -> Metadata:
    """The metadata without where the photo was taken: no GPS, no place names in XMP and IPTC, no maker notes.

    Maker notes may hold the place in an unknown form. The blocks are built anew, so that no bytes between their parts
    remain. A block that cannot be read is left out. Free text, such as a caption, stays.
    """
    problems = list(metadata.problems)
    if metadata.texts:
        problems.append("comments and texts are left out with the place: they may hold it, too")
    exif = packet = None
    if metadata.exif:
        try:
            exif = exif_tags.without_place(read(metadata.exif), problems)
        except ValueError as error:
            problems.append(_broken("EXIF", error))
    if metadata.xmp:
        try:
            found = Properties(metadata.xmp)
            found.drop(_PLACE)
            packet = found.packet()
        except ValueError as error:
            problems.append(_broken("XMP", error))
    records = iptc.without_place(metadata.iptc) if metadata.iptc else None
    return replace(metadata, exif=exif, xmp=packet, iptc=records, texts=(), problems=tuple(problems))


def edit_xmp(packet: bytes | None, edit: Callable[[Properties], None]) -> bytes | None:
    """An XMP packet after an edit; None if it is empty then. A broken packet is replaced by a new one."""
    try:
        found = Properties(packet or b"")
    except ValueError:
        found = Properties()
    edit(found)
    return found.packet()


def xmp_texts(packet: bytes) -> dict[str, str]:
    """Every property of an XMP packet as text, by its name, such as "Xmp.dc.title".

    Raises:
        ValueError: the packet is broken.
    """
    try:
        return Properties(packet).texts()
    except ValueError as error:
        raise ValueError(f"XMP is broken ({error})") from error


def unkept(metadata: Metadata, format: str) -> tuple[str, ...]:
    """What of the metadata a file of this format cannot hold, a line each."""
    lost, limits = [], FORMATS[format]
    if metadata.iptc and not limits.iptc:
        lost.append(f"IPTC has no place in {format}, and is left out")
    if metadata.texts and limits.container not in ("jpeg", "png"):
        names = ", ".join(name for name, _ in metadata.texts)
        lost.append(f"texts have no place in {format}, and are left out ({names[:_LONGEST_NAMES]})")
    if len(metadata.xmp or b"") > limits.largest_xmp_bytes:
        lost.append("the XMP does not fit into a JPEG, and is left out")
    if len(metadata.exif or b"") > limits.largest_exif_bytes:
        lost.append("the EXIF does not fit into a JPEG: its longest parts are left out")
    return tuple(lost)


def is_reduced_tiff(data: bytes) -> bool:
    """Whether the first picture of a TIFF file is only a preview, as in DNG and the raw files of most cameras."""
    with suppress(ValueError):
        exif = read(data)
        kind = exif.get(IMAGE, exif_tags.NEW_SUBFILE_TYPE)
        return bool(kind and kind[0 if exif.order == "<" else -1] & 1) or bool(exif.get(IMAGE, exif_tags.DNG_VERSION))
    return False
