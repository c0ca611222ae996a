"""Pixels -> the bytes of a picture file, or a file that is whole or not there."""

from __future__ import annotations

import os

import numpy as np
import pyvips

from camera_nano.atomic import write_atomically
from camera_nano.color import to_8_bit
from camera_nano.files.attach import attach_metadata, attach_texts, fitted
from camera_nano.files.encode_heif import encode_heif
from camera_nano.files.metadata import Metadata
from camera_nano.files.ultrahdr import pack
from camera_nano.formats import FORMATS, WRITTEN, Format, format_of
from camera_nano.values import GainMap, Pixels

_FULL_CHROMA_QUALITY = 90


def encode(
    pixels: Pixels,
    *,
    format: str,
    quality: int = 92,
    metadata: Metadata | None = None,
    alpha: Pixels | None = None,
    gain: GainMap | None = None,
) -> bytes:
    """Pixels (H, W, 3) RGB uint8 or uint16, alpha (H, W) of the same depth -> the bytes of a file.

    PNG and TIFF keep the depth and every code value. The other formats are lossy: `quality` is theirs, 1..100, and from
    90 on they keep full chroma, WebP aside. JPEG and WebP have 8 bits. JPEG has no transparency: the picture is laid
    on white.

    `gain` is the light above SDR white. "ultrahdr" appends it to the JPEG that "jpeg" would give; without a gain map,
    the two are the same file. "avif" and "heic" store the brighter picture itself, see `encode_heif`. The other formats
    cannot hold it and leave it out.

    This parses the metadata in this process, so it has to be our own; `Decoder.encode` and `save` take foreign.

    Raises:
        ValueError: an unknown format, a quality out of range, a picture larger than the format can hold, an encoder
            that is not installed, or metadata that cannot be written.
    """
    if format not in WRITTEN:
        raise ValueError(f"no format {format!r}; there are {', '.join(WRITTEN)}")
    if not 1 <= quality <= 100:
        raise ValueError(f"quality is 1 to 100, not {quality}")
    if max(pixels.shape[:2]) > (limit := FORMATS[format].longest_side_px):
        raise ValueError(f"{format} holds at most {limit} pixels a side, not {max(pixels.shape[:2])}: use tiff")
    if pixels.shape[0] * pixels.shape[1] > (most := FORMATS[format].most_px):
        raise ValueError(f"{format} holds at most {most / 1e6:.0f} megapixels: use tiff")
    if FORMATS[format].container == "heif":
        metadata = metadata and fitted(metadata, pixels)
        return encode_heif(pixels, format=format, quality=quality, metadata=metadata, alpha=alpha, gain=gain)
    data = _encode_sdr(pixels, FORMATS[format], quality, metadata, alpha)
    return pack(data, gain) if format == "ultrahdr" and gain is not None else data


def _encode_sdr(pixels: Pixels, format: Format, quality: int, metadata: Metadata | None, alpha: Pixels | None) -> bytes:
    if alpha is not None:
        pixels = np.dstack([pixels, alpha])
    if not format.keeps_16_bits:
        pixels = to_8_bit(pixels)
    deep = pixels.dtype == np.uint16
    image = pyvips.Image.new_from_array(np.ascontiguousarray(pixels), interpretation="rgb16" if deep else "srgb")
    if metadata is None:
        return bytes(_write(image, format.container, quality))
    image = image.copy(xres=metadata.pixels_per_mm, yres=metadata.pixels_per_mm)
    if metadata.icc:
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", metadata.icc)
    data = attach_metadata(bytes(_write(image, format.container, quality, "icc")), metadata, pixels, format)
    return attach_texts(data, metadata, format)


def _write(image: pyvips.Image, container: str, quality: int, keep: str = "none") -> bytes:
    if container == "jpeg":
        chroma = "off" if quality >= _FULL_CHROMA_QUALITY else "on"
        return image.jpegsave_buffer(Q=quality, subsample_mode=chroma, background=[255], keep=keep)  # type: ignore[no-any-return]
    if container == "png":
        # for photos, this is smaller than the default, and faster
        return image.pngsave_buffer(compression=3, filter="sub", keep=keep)  # type: ignore[no-any-return]
    if container == "tiff":
        return image.tiffsave_buffer(compression="deflate", predictor="horizontal", keep=keep)  # type: ignore[no-any-return]
    return image.webpsave_buffer(Q=quality, keep=keep)  # type: ignore[no-any-return]


def save(
    path: str | os.PathLike[str],
    pixels: Pixels,
    *,
    format: str = "auto",
    quality: int = 92,
    metadata: Metadata | None = None,
    alpha: Pixels | None = None,
    gain: GainMap | None = None,
) -> None:
    """As `foreign.save`, for metadata of our own: it is parsed in this process. Raises ValueError and OSError."""
    format = named_format(path, format)
    data = encode(pixels, format=format, quality=quality, metadata=metadata, alpha=alpha, gain=gain)
    write_atomically(path, data)


def named_format(path: str | os.PathLike[str], format: str) -> str:
    """The format to write; with "auto" that of the name. Raises ValueError as `format_of`."""
    if format != "auto":
        return format
    format = format_of(path)
    return "ultrahdr" if format == "jpeg" else format  # the same file where there is no gain map
