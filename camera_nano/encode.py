"""Pixels -> picture files that are either whole or not there."""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

import numpy as np
import pyvips

from camera_nano.encode_heif import encode_heif
from camera_nano.gainmap import GainMap
from camera_nano.metadata import Metadata, attach_metadata, fitted
from camera_nano.ultrahdr import pack
from camera_nano.values import Pixels

FORMAT_OF_EXTENSION = {
    ".jpg": "jpeg",
    ".jpeg": "jpeg",
    ".png": "png",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".webp": "webp",
    ".avif": "avif",
    ".heic": "heic",
}
EXTENSION_OF_FORMAT = {
    "jpeg": ".jpg",
    "ultrahdr": ".jpg",
    "png": ".png",
    "tiff": ".tif",
    "webp": ".webp",
    "avif": ".avif",
    "heic": ".heic",
}
WITH_HEADROOM = ("ultrahdr", "avif", "heic")  # formats that take a gain map
_LONGEST_SIDE_PX = {"jpeg": 65_500, "ultrahdr": 65_500, "webp": 16_383}  # libjpeg's limit; the WebP container's
_FULL_CHROMA_QUALITY = 90
_TO_8_BIT = ((np.arange(1 << 16) + 128) // 257).astype(np.uint8)  # round(v / 257); 257 is odd, so no ties


def format_of(path: str | os.PathLike[str], asked: str = "auto") -> str:
    """The format to write to `path`: the one that is asked for, or with "auto" the one its extension names.

    Raises:
        ValueError: an extension that camera_nano does not write, or one of another format than the one asked for.
    """
    extension = Path(path).suffix.lower()
    if extension not in FORMAT_OF_EXTENSION:
        raise ValueError(f"{path} has no extension camera_nano writes: use {', '.join(FORMAT_OF_EXTENSION)}")
    named = FORMAT_OF_EXTENSION[extension]
    if asked not in ("auto", named) and (asked, named) != ("ultrahdr", "jpeg"):
        raise ValueError(f"{path} is the name of a {named} file: give it the extension {EXTENSION_OF_FORMAT[asked]}")
    return named if asked == "auto" else asked


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

    PNG and TIFF keep the depth and every code value. JPEG and WebP have 8 bits; `quality` is theirs, 1..100, and
    from 90 on a JPEG keeps full chroma. JPEG has no transparency: the picture is laid on white.

    `gain` is what the scene had above white. "ultrahdr" puts it behind the very JPEG that "jpeg" would be, and without
    it is that JPEG; "avif" and "heic" show it, see `encode_heif`. The other formats cannot hold it.

    Raises:
        ValueError: an unknown format, a quality out of range, a picture larger than the format can hold, an encoder
            that is not installed, or metadata that cannot be written.
    """
    if format not in EXTENSION_OF_FORMAT:
        raise ValueError(f"no format {format!r}; there are {', '.join(EXTENSION_OF_FORMAT)}")
    if not 1 <= quality <= 100:
        raise ValueError(f"quality is 1 to 100, not {quality}")
    if max(pixels.shape[:2]) > (limit := _LONGEST_SIDE_PX.get(format, 1 << 30)):
        raise ValueError(f"{format} holds at most {limit} pixels a side, not {max(pixels.shape[:2])}: use tiff")
    if format in ("avif", "heic"):
        metadata = metadata and fitted(metadata, pixels)
        return encode_heif(pixels, format=format, quality=quality, metadata=metadata, alpha=alpha, gain=gain)
    if format == "ultrahdr":
        base = encode(pixels, format="jpeg", quality=quality, metadata=metadata, alpha=alpha)
        return base if gain is None else pack(base, gain)
    if alpha is not None:
        pixels = np.dstack([pixels, alpha])
    if pixels.dtype == np.uint16 and format in ("jpeg", "webp"):
        pixels = _TO_8_BIT[pixels]
    deep = pixels.dtype == np.uint16
    image = pyvips.Image.new_from_array(np.ascontiguousarray(pixels), interpretation="rgb16" if deep else "srgb")
    if metadata is None:
        return bytes(_write(image, format, quality))
    image = image.copy(xres=metadata.pixels_per_mm, yres=metadata.pixels_per_mm)
    if metadata.icc:
        image.set_type(pyvips.GValue.blob_type, "icc-profile-data", metadata.icc)
    return attach_metadata(bytes(_write(image, format, quality, "icc")), metadata, pixels, format)


def _write(image: pyvips.Image, format: str, quality: int, keep: str = "none") -> bytes:
    if format == "jpeg":
        chroma = "off" if quality >= _FULL_CHROMA_QUALITY else "on"
        return image.jpegsave_buffer(Q=quality, subsample_mode=chroma, background=[255], keep=keep)  # type: ignore[no-any-return]
    if format == "png":
        # of photos: smaller than the default, and faster
        return image.pngsave_buffer(compression=3, filter="sub", keep=keep)  # type: ignore[no-any-return]
    if format == "tiff":
        return image.tiffsave_buffer(compression="deflate", predictor="horizontal", keep=keep)  # type: ignore[no-any-return]
    return image.webpsave_buffer(Q=quality, keep=keep)  # type: ignore[no-any-return]


def save(
    path: str | os.PathLike[str],
    pixels: Pixels,
    *,
    format: str,
    quality: int = 92,
    metadata: Metadata | None = None,
    alpha: Pixels | None = None,
    gain: GainMap | None = None,
) -> None:
    """`encode` to a file that appears whole or not at all.

    Raises:
        ValueError: as in `encode`.
        OSError: as in `write_atomically`.
    """
    data = encode(pixels, format=format, quality=quality, metadata=metadata, alpha=alpha, gain=gain)
    write_atomically(path, data)


def write_atomically(path: str | os.PathLike[str], data: bytes) -> None:
    """Write beside the target, flush to disk, then rename: `path` holds what it held before, or all of `data`.

    Raises:
        OSError: the folder is missing or cannot be written, or the disk is full; `filename` is `path`. Nothing of
            `data` is left then.
    """
    path = Path(path)
    temporary = path.parent / f".camera_nano-{os.getpid()}-{secrets.token_hex(4)}.tmp"
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink()
    _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    """Make the rename itself survive a power cut."""
    with contextlib.suppress(OSError):  # some network file systems cannot; the file's bytes are on disk already
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
