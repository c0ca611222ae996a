"""A picture file's bytes with its metadata: what each format has room for; `metadata.unkept` says what is left out."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pyvips

from camera_nano.files import blocks, iptc
from camera_nano.files.exif import (
    IMAGE,
    LONG,
    PHOTO,
    RATIONAL,
    SHORT,
    Exif,
    fresh,
    number,
    read,
    with_tags,
)
from camera_nano.files.exif_writer import write, write_within
from camera_nano.files.metadata import UNKNOWN_PIXELS_PER_MM, Metadata
from camera_nano.files.texts import add_texts
from camera_nano.files.xmp import Properties
from camera_nano.formats import Format
from camera_nano.values import Pixels

_MM_PER_INCH, _INCH = 25.4, 2
_WIDTH, _HEIGHT, _X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT = 0xA002, 0xA003, 0x011A, 0x011B, 0x0128
_THUMBNAIL_PX, _SAMPLES_PER_PX = 160, 4


def fitted(metadata: Metadata, pixels: Pixels) -> Metadata:
    """The metadata, its EXIF (if any) with the size and a thumbnail of these pixels (H, W, bands)."""
    if metadata.exif is None:
        return metadata
    try:
        return replace(metadata, exif=write(_fitted(read(metadata.exif), pixels, with_thumbnail=True)))
    except ValueError:
        return replace(metadata, exif=None)


def attach_texts(data: bytes, metadata: Metadata, format: Format) -> bytes:
    """A JPEG or PNG file with the texts of the metadata; other files as they are, see `unkept`."""
    if not metadata.texts or format.container not in ("jpeg", "png"):
        return data
    return add_texts(
        data, metadata.texts, png_pixels_at=blocks.pixels_of_png(data) if format.container == "png" else None
    )


def attach_metadata(data: bytes, metadata: Metadata, pixels: Pixels, format: Format) -> bytes:
    """A JPEG, PNG, TIFF or WebP file without metadata -> the same file with it; `pixels` are for its thumbnail.

    `unkept` says what is left out. Broken blocks are left out, too; `read_blocks` returns none.

    Raises:
        ValueError: the metadata cannot be written.
    """
    exif = _exif(metadata, pixels, format)
    packet = metadata.xmp if len(metadata.xmp or b"") <= format.largest_xmp_bytes and _is_whole(metadata.xmp) else None
    records = iptc.whole(metadata.iptc or b"") if format.iptc else b""
    found = blocks.Blocks(exif, packet, records or None)
    if found == blocks.Blocks():
        return data
    if format.container == "jpeg":
        return blocks.into_jpeg(data, found)
    if format.container == "png":
        return blocks.into_png(data, found)
    if format.container == "tiff":
        return blocks.into_tiff(data, found, is_deep=pixels.dtype == np.uint16)
    return blocks.into_webp(data, found, (pixels.shape[1], pixels.shape[0]))


def _is_whole(packet: bytes | None) -> bool:
    try:
        Properties(packet or b"")
    except ValueError:
        return False
    return True


def _exif(metadata: Metadata, pixels: Pixels, format: Format) -> bytes | None:
    """The EXIF for a file; where there is none that can be read, a minimal one if the resolution needs it."""
    limit = format.largest_exif_bytes
    with suppress(ValueError):
        if metadata.exif:
            exif = _fitted(read(metadata.exif), pixels, with_thumbnail=format.thumbnail)
            return write_within(_with_resolution(exif, metadata.pixels_per_mm), limit)
    if not format.resolution_in_exif or metadata.pixels_per_mm == UNKNOWN_PIXELS_PER_MM:
        return None
    return write_within(_with_resolution(fresh(), metadata.pixels_per_mm), limit)


def _fitted(exif: Exif, pixels: Pixels, *, with_thumbnail: bool) -> Exif:
    height, width = pixels.shape[:2]
    exif = with_tags(exif, PHOTO, {_WIDTH: number(exif, LONG, width), _HEIGHT: number(exif, LONG, height)})
    return replace(exif, thumbnail=_thumbnail(pixels) if with_thumbnail else b"")


def _with_resolution(exif: Exif, pixels_per_mm: float) -> Exif:
    dpi = Fraction(pixels_per_mm * _MM_PER_INCH).limit_denominator(1000)
    ratio = number(exif, RATIONAL, dpi.numerator, dpi.denominator)
    tags = {_X_RESOLUTION: ratio, _Y_RESOLUTION: ratio, _RESOLUTION_UNIT: number(exif, SHORT, _INCH)}
    return with_tags(exif, IMAGE, tags)


def _thumbnail(pixels: Pixels) -> bytes:
    """A JPEG of at most 160 pixels a side (CIPA DC-008, 4.5.8), made from about four samples a pixel each way."""
    step = max(1, max(pixels.shape[:2]) // (_THUMBNAIL_PX * _SAMPLES_PER_PX))
    samples = np.ascontiguousarray(pixels[::step, ::step, :3])
    deep = samples.dtype.itemsize == 2
    image = pyvips.Image.new_from_array(samples, interpretation="rgb16" if deep else "srgb")
    small = image.thumbnail_image(_THUMBNAIL_PX, height=_THUMBNAIL_PX, size="down")
    return bytes(small.jpegsave_buffer(Q=80, keep="none"))
