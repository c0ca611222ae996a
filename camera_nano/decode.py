"""Picture files -> frames, strictly: a file that lost pixels is refused, never handed on half empty."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pyvips

from camera_nano.decode_wide import (
    MissingDecoder,
    Wide,
    decode_exr,
    decode_heic,
    decode_jxl,
    decode_radiance,
    decode_raw,
    of_coded_points,
    unread_maps,
)
from camera_nano.gainmap import headroom_ev
from camera_nano.metadata import Metadata, is_reduced_tiff, read_metadata
from camera_nano.profile import WIDE, is_near_srgb, profile_name, to_wide
from camera_nano.sizes import TooLarge, check_size
from camera_nano.ultrahdr import read_gainmap
from camera_nano.values import F32, Frame, Pixels

Format = Literal["jpeg", "png", "tiff", "webp", "avif", "heic", "jxl", "raw", "exr", "radiance"]

LIMIT_BYTES = 2 << 30  # 200 megapixels of 16-bit RGBA, uncompressed, and room for the rest
_HEAD_BYTES = 16
_LOADERS = {"avif": "heif"}
_WIDE = {"heic": decode_heic, "jxl": decode_jxl, "raw": decode_raw, "exr": decode_exr, "radiance": decode_radiance}
_PIXELS_LOST = ("premature end", "bad Huffman code", "inconsistent", "out of memory")  # in libjpeg's words
_CLAIMS_MAP = re.compile(rb"urn:iso:std:iso:ts:21496:-1\0|hdrgm:Version|HDRGainMap")  # of a JPEG, in its first segments
_CLAIM_BYTES = 1 << 16

pyvips.block_untrusted_set(True)  # loaders that libvips does not fuzz
pyvips.cache_set_max(0)  # no picture is opened twice; a cache would only keep pixels alive


class UnreadableImage(ValueError):
    """A file that is no picture, or not a whole one. One line: the file, the cause, the way out."""


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A decoded file: an upright RGB frame in the file's own depth and code values, and what came with it.

    `headroom_ev`, (H, W) float32, is there where the file knows light above SDR white (a gain map, PQ, linear light):
    true light is that of the frame times 2 to its power. `notes` are what people should know, a line each.
    """

    frame: Frame
    alpha: Pixels | None  # (H, W), same depth as the frame
    format: Format
    metadata: Metadata
    headroom_ev: F32 | None = None
    notes: tuple[str, ...] = ()


def open_image(path: str | os.PathLike[str]) -> Picture:
    """Decode a picture file, told by content; of several pages the first.

    JPEG, PNG, TIFF, WebP and AVIF; with the extra `hdr` also HEIC, JPEG XL, OpenEXR and Radiance, with `raw` the raw
    files of cameras.

    RGB keeps its code values, and its ICC profile travels in the metadata; where the profile's tones are far from
    sRGB's, it becomes 16 bits of `profile.WIDE`. Grey becomes RGB of the same depth; CMYK and Lab, and grey with a
    profile, become sRGB.

    Raises:
        UnreadableImage: not such a picture, damaged, cut short, over 200 megapixels, or no regular file.
        OSError: the file cannot be opened.
    """
    path = Path(path)
    check_regular(path)
    return decode(path.read_bytes(), str(path))


def decode(data: bytes, name: str) -> Picture:
    """The bytes of a picture file -> its picture; `name` is for messages. Errors as in `open_image`."""
    kind = _sniff(data[:_HEAD_BYTES], name)
    if kind == "tiff" and is_reduced_tiff(data):
        kind = "raw"
    if kind in _WIDE:
        return _decode_wide(data, name, kind)
    try:
        try:
            return _decode(data, name, kind, "warning" if kind == "jpeg" else "error")
        except pyvips.Error as error:
            # libjpeg only warns of lost pixels, as it does of harmless oddities; libpng and libtiff fail for lost ones
            if kind != "jpeg" or any(words in str(error) for words in _PIXELS_LOST):
                raise
            return _decode(data, name, kind, "error")
    except TooLarge as error:
        raise UnreadableImage(f"{name} {error}") from error
    except pyvips.Error as error:
        raise _damaged(name, error) from error


def _decode(data: bytes, name: str, kind: Format, fail_on: str) -> Picture:
    image = getattr(pyvips.Image, f"{_LOADERS.get(kind, kind)}load_buffer")(data, access="sequential", fail_on=fail_on)
    check_size(image.width, image.height)
    metadata = read_metadata(image, data)
    turn = image.get("orientation") if image.get_typeof("orientation") and kind != "avif" else 1
    pixels: Pixels = _upright(_to_rgb(image, name)).numpy()
    alpha = np.ascontiguousarray(pixels[:, :, 3]) if pixels.shape[2] > 3 else None
    wide = of_coded_points(Wide(np.ascontiguousarray(pixels[:, :, :3]), metadata, alpha), data)
    if kind == "jpeg":
        wide = _with_gainmap(wide, data, turn)
    elif kind == "avif":
        wide = replace(wide, notes=unread_maps(data))
    return _picture(wide, kind)


def _decode_wide(data: bytes, name: str, kind: Format) -> Picture:
    try:
        wide = _WIDE[kind](data)
    except MissingDecoder as error:
        raise UnreadableImage(f"{name}: {error}") from error
    except TooLarge as error:
        raise UnreadableImage(f"{name} {error}") from error
    except MemoryError:
        raise
    except Exception as error:  # foreign decoders on foreign bytes throw whatever they like
        told = " ".join(str(error).split())
        raise UnreadableImage(f"{name} is damaged, cut short or of a rare kind ({told}): export it again") from error
    return _picture(wide, kind)


def _picture(wide: Wide, kind: Format) -> Picture:
    icc, notes = wide.metadata.icc, wide.notes
    if icc and not is_near_srgb(icc):
        notes += (f"its profile, {profile_name(icc)}, is far from sRGB and became {profile_name(WIDE)}",)
        wide = replace(wide, pixels=to_wide(wide.pixels, icc), metadata=replace(wide.metadata, icc=WIDE))
    gain = wide.gain
    if gain is not None and gain.base_headroom_ev > gain.headroom_ev:
        gain, notes = None, (*notes, "its gain map leads from an HDR picture down to SDR and is not used")
    headroom = headroom_ev(wide.pixels, gain) if gain is not None else wide.headroom_ev
    alpha = wide.alpha
    if alpha is not None and alpha.dtype != wide.pixels.dtype:
        alpha = alpha.astype(np.uint16) * np.uint16(257)
    return Picture(Frame(wide.pixels), alpha, kind, wide.metadata, headroom, notes)


def _with_gainmap(wide: Wide, jpeg: bytes, orientation: int) -> Wide:
    """With the gain map behind a JPEG, turned as the picture is; a damaged one is left out, the photo is not."""
    try:
        gain = read_gainmap(jpeg)
    except ValueError as error:
        return replace(wide, notes=(f"its gain map cannot be read ({error}): its light above white is lost",))
    if gain is None and _CLAIMS_MAP.search(jpeg[:_CLAIM_BYTES]):
        return replace(wide, notes=("its gain map is missing or cut off: its light above white is lost",))
    if gain is None or orientation == 1:
        return replace(wide, gain=gain)
    codes = gain.codes.swapaxes(0, 1) if orientation >= 5 else gain.codes
    upside_down, mirrored = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)  # EXIF 2.32, 4.6.4 A
    codes = codes[:: -1 if upside_down else 1, :: -1 if mirrored else 1]
    return replace(wide, gain=replace(gain, codes=np.ascontiguousarray(codes)))


def check_regular(path: Path) -> None:
    """Raises UnreadableImage for what is no file, or a huge one; OSError for what is not there."""
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
    if head[4:8] == b"ftyp":
        return "avif" if head[8:12] in (b"avif", b"avis") else "raw" if head[8:12] == b"crx " else "heic"
    if head.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        return "jxl"
    if head.startswith(b"\x76\x2f\x31\x01"):
        return "exr"
    if head.startswith((b"#?RADIANCE", b"#?RGBE")):
        return "radiance"
    if head.startswith((b"FUJIFILM", b"IIRO", b"IIRS", b"IIU\0", b"FOVb", b"\0MRM")):
        return "raw"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):  # the latter two are BigTIFF
        return "tiff"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    kinds = "JPEG, PNG, TIFF, WebP, AVIF, HEIC, JPEG XL, camera raw, OpenEXR, Radiance"
    raise UnreadableImage(f"{name} is not a picture camera_nano reads ({kinds})")


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
    if "out of memory" in str(error):
        return UnreadableImage(f"{name} needs more memory than there is: reduce it")
    lines = (error.detail or str(error)).strip().splitlines() or ["no reason given"]
    return UnreadableImage(f"{name} is damaged, cut short or of a rare kind ({lines[-1].strip()}): export it again")
