"""What a picture file says beside its pixels: EXIF, XMP, IPTC and the ICC profile, carried from input to output.

exiv2 writes the blocks; libvips writes the profile, and the resolution for print where a format has a field for it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from typing import TypeVar

import exiv2
import numpy as np
import pyvips
from PIL import Image

from camera_nano import blocks
from camera_nano.values import Frame, Pixels
from camera_nano.version import __version__

SOFTWARE = f"camera_nano {__version__}"
_MM_PER_INCH = 25.4
_UNKNOWN_PIXELS_PER_MM = 72 / _MM_PER_INCH  # what EXIF asks for where the resolution is unknown
_THUMBNAIL_PX, _SAMPLES_PER_PX = 160, 4
_EXIF_2_32 = "48 50 51 50"  # the bytes of "0232"
_NEW_SUBFILE_TYPE, _DNG_VERSION = 0x00FE, 0xC612
_LARGEST_XMP_IN_JPEG = 0xFFFF - 2 - 29  # a segment, less its length and the name of what it holds
_LARGEST_EXIF_IN_JPEG = 0xFFFF - 2 - 6
_PNG_SIGNATURE_BYTES, _IEND = 8, b"\0\0\0\0IEND\xaeB\x60\x82"
_NOT_XML = re.compile(r"[^\t\n\r -\uD7FF\uE000-\uFFFD\U00010000-\U0010FFFF]")
_JPEG = ("jpeg", "ultrahdr")
_NO_IPTC = ("webp", "avif", "heic")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Metadata:
    """The blocks of a file, None where it has none.

    `exif` starts with its byte order mark. `iptc` is bare IIM records. `icc` is the profile of the frame's RGB code
    values; without one they are sRGB. `problems` has a line for each thing that was left out.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    icc: bytes | None = None
    pixels_per_mm: float = _UNKNOWN_PIXELS_PER_MM  # for print
    problems: tuple[str, ...] = ()


def read_metadata(image: pyvips.Image, data: bytes) -> Metadata:
    """The metadata of a loaded picture whose pixels are about to be turned upright; `data` is the file itself."""

    def block(name: str) -> bytes | None:
        return bytes(image.get(name)) if image.get_typeof(name) else None

    return replace(
        read_blocks(data, block("xmp-data")),
        icc=rgb_profile(block("icc-profile-data")),
        pixels_per_mm=image.xres if image.xres != 1 else _UNKNOWN_PIXELS_PER_MM,  # 1 is libvips' "not known"
    )


def rgb_profile(icc: bytes | None) -> bytes | None:
    """The profile, if it is one of RGB (ICC.1:2022, 7.2.6: colour space of the data)."""
    return bytes(icc) if icc and icc[16:20] == b"RGB " else None


def read_blocks(data: bytes, xmp: bytes | None = None) -> Metadata:
    """EXIF, XMP and IPTC of a file of any kind exiv2 knows, HEIC, AVIF and camera RAW among them, made true again.

    The orientation becomes 1. What speaks of storage, of old thumbnails, gain maps or videos is left out. `xmp` is
    what another reader found, for a file whose EXIF is so broken that exiv2 reads nothing.
    """
    problems: list[str] = []
    with blocks.exclusive():
        try:
            image = blocks.open_file(data)
        except blocks.ERRORS as error:
            problems.append(f"EXIF and IPTC cannot be read, and are left out ({blocks.why(error)})")
            found = _attempt("XMP", lambda: blocks.true_xmp((xmp or b"").decode(), problems), problems)
            return Metadata(xmp=found, problems=tuple(problems))
        exif = _attempt("EXIF", lambda: blocks.describing_exif(image, problems), problems)
        packet = _attempt("XMP", lambda: blocks.true_xmp(image.xmpPacket(), problems), problems)
        iptc = _attempt("IPTC", lambda: blocks.iptc_records(image.iptcData()), problems)
    return Metadata(exif, packet, iptc, problems=tuple(problems))


def _attempt(name: str, read: Callable[[], T], problems: list[str]) -> T | None:
    try:
        return read()
    except blocks.ERRORS as error:
        problems.append(f"the {name} is broken, and is left out ({blocks.why(error)})")
        return None


def of_frame(frame: Frame, at: datetime, camera: str) -> Metadata:
    """EXIF of a fresh picture: `at` is the start of its exposure, with a time zone (CIPA DC-008, 4.6.6)."""
    zone, moment = f"{at:%z}", f"{at:%Y:%m:%d %H:%M:%S}"
    texts = {
        "Image.Model": plain(camera),
        "Image.Software": SOFTWARE,
        "Image.DateTime": moment,
        "Photo.ExifVersion": _EXIF_2_32,
    }
    for name in ("Original", "Digitized"):
        texts[f"Photo.DateTime{name}"] = moment
        texts[f"Photo.SubSecTime{name}"] = f"{at.microsecond // 1000:03d}"
        if zone:
            texts[f"Photo.OffsetTime{name}"] = f"{zone[:3]}:{zone[3:5]}"
    if frame.exposure.time_ms:
        seconds = Fraction(frame.exposure.time_ms / 1000).limit_denominator(1_000_000)
        texts["Photo.ExposureTime"] = f"{seconds.numerator}/{seconds.denominator}"
    if frame.exposure.iso:
        texts["Photo.ISOSpeedRatings"] = str(min(round(frame.exposure.iso), 0xFFFF))
    with blocks.exclusive():
        tags = exiv2.ExifData()
        for name, text in texts.items():
            tags[f"Exif.{name}"] = text
        return Metadata(exif=blocks.exif_block(tags, "MM"))


def plain(text: str) -> str:
    """The text with "?" for what cannot stand in XML (XML 1.0, 2.2): names of files and cameras may hold anything."""
    return _NOT_XML.sub("?", text)


def without_location(metadata: Metadata) -> Metadata:
    """The same without the place: GPS, places in XMP and IPTC, and maker notes, which may hold it unseen.

    Blocks are built anew, so that nothing stays between their parts; what cannot be searched is left out. Free text is
    the photographer's and stays.
    """
    problems = list(metadata.problems)
    exif, xmp, iptc = metadata.exif, metadata.xmp, metadata.iptc
    with blocks.exclusive():
        return replace(
            metadata,
            exif=exif and _attempt("EXIF", lambda: blocks.exif_without_place(exif, problems), problems),
            xmp=xmp and _attempt("XMP", lambda: blocks.xmp_without_place(xmp), problems),
            iptc=iptc and _attempt("IPTC", lambda: blocks.iptc_without_place(iptc), problems),
            problems=tuple(problems),
        )


def edit_xmp(packet: bytes | None, edit: Callable[[exiv2.XmpData], None]) -> bytes | None:
    """An XMP packet after an edit; None if nothing is left in it. A broken packet gives way to a new one."""
    with blocks.exclusive():
        try:
            found = blocks.xmp_data((packet or b"").decode())
        except blocks.ERRORS:
            found = exiv2.XmpData()
        edit(found)
        return blocks.xmp_packet(found)


def xmp_texts(packet: bytes) -> dict[str, str]:
    """Every property of an XMP packet by exiv2's name, "Xmp.dc.title".

    Raises:
        ValueError: the packet is broken.
    """
    with blocks.exclusive():
        try:
            return blocks.xmp_texts(blocks.xmp_data(packet.decode()))
        except blocks.ERRORS as error:
            raise ValueError(f"XMP is broken ({blocks.why(error)})") from error


def unkept(metadata: Metadata, format: str) -> tuple[str, ...]:
    """What of the metadata a file of this format cannot hold, a line each."""
    lost = []
    if metadata.iptc and format in _NO_IPTC:
        lost.append(f"IPTC has no place in {format}, and is left out")
    if format in _JPEG and len(metadata.xmp or b"") > _LARGEST_XMP_IN_JPEG:
        lost.append("the XMP does not fit into a JPEG, and is left out")
    if format in _JPEG and len(metadata.exif or b"") > _LARGEST_EXIF_IN_JPEG:
        lost.append("the EXIF does not fit into a JPEG: its longest parts are left out")
    return tuple(lost)


def fitted(metadata: Metadata, pixels: Pixels) -> Metadata:
    """The metadata with the size and a thumbnail of these pixels (H, W, bands) in its EXIF, where it has EXIF."""
    if metadata.exif is None:
        return metadata
    with blocks.exclusive():
        try:
            image = blocks.open_file(metadata.exif)
            _fit(image.exifData(), pixels)
            image.writeMetadata()
            return replace(metadata, exif=bytes(image.data()))
        except blocks.ERRORS:
            return replace(metadata, exif=None)


def attach_metadata(data: bytes, metadata: Metadata, pixels: Pixels, format: str) -> bytes:
    """A JPEG, PNG, TIFF or WebP file without metadata -> the same pixels with it.

    `unkept` says what is left out; so is a block that is broken, which none of a file read by us is.

    Raises:
        ValueError: the metadata cannot be written.
    """
    # in these two, EXIF alone tells the resolution
    needs_exif = format in ("jpeg", "webp") and metadata.pixels_per_mm != _UNKNOWN_PIXELS_PER_MM
    if not (metadata.exif or metadata.xmp or metadata.iptc or needs_exif):
        return data
    at = _pixels_of_png(data) if format == "png" else 0
    with blocks.exclusive():
        image = blocks.open_file(data[:at] + _IEND if at else data)
        block = None
        if metadata.exif:
            with suppress(*blocks.ERRORS):
                block = blocks.open_file(metadata.exif)
                _fit(block.exifData(), pixels, with_thumbnail=format != "tiff")  # there it would be a second page
        if block is None and needs_exif:
            block = blocks.open_file(blocks.tiny_tiff())
        if block is not None:
            image.setByteOrder(block.byteOrder())
            image.setExifData(_with_resolution(block.exifData(), metadata.pixels_per_mm))
        if metadata.iptc and format not in _NO_IPTC:
            with suppress(*blocks.ERRORS):
                image.setIptcData(blocks.iptc_data(metadata.iptc))
        if metadata.xmp and not (format == "jpeg" and len(metadata.xmp) > _LARGEST_XMP_IN_JPEG):
            with suppress(*blocks.ERRORS):
                packet = metadata.xmp.decode()
                blocks.xmp_data(packet)
                image.setXmpPacket(packet)
                image.writeXmpFromPacket(True)
        try:
            image.writeMetadata()
        except blocks.ERRORS as error:
            raise ValueError(f"the metadata cannot be written into a {format} file ({blocks.why(error)})") from error
        written = bytes(image.data())
    return b"".join([written.removesuffix(_IEND), memoryview(data)[at:]]) if at else written


def _pixels_of_png(data: bytes) -> int:
    """Where the pixels of a PNG file begin: they are kept from exiv2, which would copy each of their many chunks."""
    at = _PNG_SIGNATURE_BYTES
    while data[at + 4 : at + 8] != b"IDAT":
        at += 12 + int.from_bytes(data[at : at + 4])  # length, name, content, sum (PNG 3rd edition, 5.3)
    return at


def _fit(tags: exiv2.ExifData, pixels: Pixels, *, with_thumbnail: bool = True) -> None:
    tags["Exif.Photo.PixelXDimension"] = exiv2.ULongValue([pixels.shape[1]])
    tags["Exif.Photo.PixelYDimension"] = exiv2.ULongValue([pixels.shape[0]])
    if with_thumbnail:
        exiv2.ExifThumb(tags).setJpegThumbnail(_thumbnail(pixels))


def _with_resolution(tags: exiv2.ExifData, pixels_per_mm: float) -> exiv2.ExifData:
    dpi = Fraction(pixels_per_mm * _MM_PER_INCH).limit_denominator(1000)
    tags["Exif.Image.XResolution"] = tags["Exif.Image.YResolution"] = f"{dpi.numerator}/{dpi.denominator}"
    tags["Exif.Image.ResolutionUnit"] = exiv2.UShortValue([2])  # inch
    return tags


def _thumbnail(pixels: Pixels) -> bytes:
    """A JPEG of at most 160 pixels a side (CIPA DC-008, 4.5.8), of a few samples for each of them."""
    step = max(1, max(pixels.shape[:2]) // (_THUMBNAIL_PX * _SAMPLES_PER_PX))
    samples = np.ascontiguousarray(pixels[::step, ::step, :3])
    deep = samples.dtype.itemsize == 2
    image = pyvips.Image.new_from_array(samples, interpretation="rgb16" if deep else "srgb")
    small = image.thumbnail_image(_THUMBNAIL_PX, height=_THUMBNAIL_PX, size="down")
    return bytes(small.jpegsave_buffer(Q=80, keep="none"))


def is_reduced_tiff(data: bytes) -> bool:
    """Whether a TIFF's first picture is only a preview: so it is in the raw files of most cameras, and in DNG."""
    tags = Image.Exif()
    with suppress(Exception):  # a foreign parser on foreign bytes
        tags.load(data)
        return int(tags.get(_NEW_SUBFILE_TYPE, 0)) & 1 == 1 or _DNG_VERSION in tags
    return False
