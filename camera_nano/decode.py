"""Picture files -> frames, strictly: a file that lost pixels is refused, never handed on half empty."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import pyvips

from camera_nano.metadata import Metadata, is_reduced_tiff, read_metadata
from camera_nano.values import Frame, Pixels

Format = Literal["jpeg", "png", "tiff", "webp"]

LIMIT_MEGAPIXELS = 200
LIMIT_BYTES = 2 << 30  # 200 megapixels of 16-bit RGBA, uncompressed, and room for the rest
_HEAD_BYTES = 16
_PIXELS_LOST = ("premature end", "bad Huffman code", "inconsistent", "out of memory")  # in libjpeg's words

pyvips.block_untrusted_set(True)  # loaders that libvips does not fuzz
pyvips.cache_set_max(0)  # no picture is opened twice; a cache would only keep pixels alive


class UnreadableImage(ValueError):
    """A file that is no picture, or not a whole one. One line: the file, the cause, the way out."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A decoded file: an upright RGB frame in the file's own depth and code values, and what came with it."""

    frame: Frame
    alpha: Pixels | None  # (H, W), same depth as the frame
    format: Format
    metadata: Metadata


def open_image(path: str | os.PathLike[str]) -> Picture:
    """Decode a JPEG, PNG, TIFF or WebP, told by content; of several pages the first.

    RGB keeps its code values, and its ICC profile travels in the metadata. Grey becomes RGB of the same depth;
    CMYK and Lab, and grey with a profile, become sRGB.

    Raises:
        UnreadableImage: not such a picture, damaged, cut short, over 200 megapixels, or no regular file.
        OSError: the file cannot be opened.
    """
    path = Path(path)
    _check_regular(path)
    return decode(path.read_bytes(), str(path))


def decode(data: bytes, name: str) -> Picture:
    """The bytes of a picture file -> its picture; `name` is for messages. Errors as in `open_image`."""
    kind = _sniff(data[:_HEAD_BYTES], name)
    try:
        try:
            return _decode(data, name, kind, "warning" if kind == "jpeg" else "error")
        except pyvips.Error as error:
            # libjpeg only warns of lost pixels, as it does of harmless oddities; libpng and libtiff fail for lost ones
            if kind != "jpeg" or any(words in str(error) for words in _PIXELS_LOST):
                raise
            return _decode(data, name, kind, "error")
    except pyvips.Error as error:
        raise _damaged(name, error) from error


def _decode(data: bytes, name: str, kind: Format, fail_on: str) -> Picture:
    image = getattr(pyvips.Image, f"{kind}load_buffer")(data, access="sequential", fail_on=fail_on)
    _check_size(image, name)
    if kind == "tiff" and is_reduced_tiff(data):
        raise UnreadableImage(f"{name} is a camera's raw file: develop it to JPEG or TIFF first")
    metadata = read_metadata(image, data)
    pixels: Pixels = _upright(_to_rgb(image, name)).numpy()
    alpha = np.ascontiguousarray(pixels[:, :, 3]) if pixels.shape[2] > 3 else None
    return Picture(Frame(np.ascontiguousarray(pixels[:, :, :3])), alpha, kind, metadata)


def size_wh(path: str | os.PathLike[str]) -> tuple[int, int]:
    """Width and height of the upright picture, from the header alone. Errors as in `open_image`."""
    path = Path(path)
    _check_regular(path)
    with path.open("rb") as file:
        kind = _sniff(file.read(_HEAD_BYTES), str(path))
    try:
        image = getattr(pyvips.Image, f"{kind}load")(os.fsencode(path))
        turned = image.get_typeof("orientation") and image.get("orientation") >= 5
        return (image.height, image.width) if turned else (image.width, image.height)
    except pyvips.Error as error:
        raise _damaged(str(path), error) from error


def is_whole(path: Path) -> bool:
    """Whether a file written by `encode` still has its end. A TIFF shows it in its header, which points there."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - 12))
        tail = file.read()
    if head.startswith(b"\xff\xd8"):
        return tail.endswith(b"\xff\xd9")
    if head.startswith(b"\x89PNG"):
        return tail[4:8] == b"IEND"
    if head.startswith(b"RIFF"):
        return size == int.from_bytes(head[4:8], "little") + 8
    return size > 0


def _check_regular(path: Path) -> None:
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):  # opening a pipe would wait for ever
        raise UnreadableImage(f"{path} is a folder, pipe or device, not a picture: give a picture file")
    if found.st_size > LIMIT_BYTES:
        raise UnreadableImage(
            f"{path} is too large ({found.st_size >> 20} MiB, {LIMIT_BYTES >> 20} at most): reduce it"
        )


def _sniff(head: bytes, name: str) -> Format:
    if not head:
        raise UnreadableImage(f"{name} is empty (zero bytes): copy it again")
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):  # the latter two are BigTIFF
        return "tiff"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    raise UnreadableImage(f"{name} is not a picture camera_nano reads (JPEG, PNG, TIFF, WebP)")


def _check_size(image: pyvips.Image, name: str) -> None:
    megapixels = image.width * image.height / 1e6
    if megapixels > LIMIT_MEGAPIXELS:
        size = f"{image.width}x{image.height}, {megapixels:.0f} megapixels"
        raise UnreadableImage(f"{name} is too large ({size}, {LIMIT_MEGAPIXELS} at most): reduce it")


def _to_rgb(image: pyvips.Image, name: str) -> pyvips.Image:
    """Any colour space -> RGB, or RGB and alpha, of 8 or 16 bits."""
    space, deep = image.interpretation, image.format in ("ushort", "short")
    if space in ("lab", "labs"):
        return image.colourspace("rgb16" if deep else "srgb")
    if image.format not in ("uchar", "ushort"):
        raise UnreadableImage(f"{name} has {image.format} samples: save it with 8 or 16 bits first")
    is_grey = image.bands < 3 and space in ("b-w", "grey16", "multiband")
    if space == "cmyk" or (is_grey and _has_grey_profile(image)):
        return image.icc_transform(
            "srgb", embedded=True, input_profile="cmyk" if space == "cmyk" else "none",
            black_point_compensation=True, depth=16 if deep else 8,
        )  # fmt: skip
    if is_grey:
        return image[0].bandjoin([image[0], *image.bandsplit()])
    if image.bands < 3 or space not in ("srgb", "rgb", "rgb16"):
        raise UnreadableImage(f"{name} has {image.bands} bands of {space}: save it as RGB first")
    return image


def _has_grey_profile(image: pyvips.Image) -> bool:
    return bool(image.get_typeof("icc-profile-data")) and image.get("icc-profile-data")[16:20] == b"GRAY"


def _upright(image: pyvips.Image) -> pyvips.Image:
    if not image.get_typeof("orientation") or image.get("orientation") == 1:
        return image
    return image.copy_memory().autorot()  # turning reads the rows out of order


def _damaged(name: str, error: pyvips.Error) -> UnreadableImage:
    lines = (error.detail or str(error)).strip().splitlines() or ["no reason given"]
    return UnreadableImage(f"{name} is damaged, cut short or of a rare kind ({lines[-1].strip()}): export it again")
