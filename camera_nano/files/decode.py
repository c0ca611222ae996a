"""Picture files -> frames. A file with lost pixels is refused, never returned partly empty."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pyvips

from camera_nano.color import to_16_bit
from camera_nano.errors import MissingDecoder, TooLarge, UnreadableImage
from camera_nano.files.bmff import lacks_pixels
from camera_nano.files.damage import doubt_about_jpeg, said, tidy_jpeg
from camera_nano.files.decode_hdr import (
    Decoded,
    apply_cicp,
    decode_exr,
    decode_heic,
    decode_jxl,
    decode_radiance,
    decode_raw,
    read_cicp,
    unread_maps,
)
from camera_nano.files.gainmap import headroom_ev
from camera_nano.files.icc import WIDE_GAMUT, is_near_srgb, lab_of_8_bits, profile_name, to_wide_gamut
from camera_nano.files.left_out import left_out
from camera_nano.files.metadata import Metadata, is_reduced_tiff, read_metadata
from camera_nano.files.sizes import check_size
from camera_nano.files.taken import taken_from
from camera_nano.files.ultrahdr import read_gainmap
from camera_nano.formats import FORMATS
from camera_nano.values import F32, Frame, Pixels

LIMIT_BYTES = 2 << 30  # 200 megapixels of 16-bit RGBA, uncompressed, and room for the rest
_HEAD_BYTES = 64
_OWN_DECODERS = {  # of what libvips does not read
    "heic": decode_heic,
    "jxl": decode_jxl,
    "exr": decode_exr,
    "radiance": decode_radiance,
}
_LEFT_OVER = "extraneous bytes before marker 0xd9"  # what libjpeg says of bytes after the last pixel
_UNREAD_KIND = re.compile("not (configured|supported|implemented|a whole number of bytes)")  # what libtiff says of such
_CODE = re.compile(r"\s*\([\d.]*\)$")
_INNER = ("/proc/", "in method '", "references")  # of libraries' words, what people cannot use
_CLAIMS_MAP = re.compile(rb"urn:iso:std:iso:ts:21496:-1\0|hdrgm:Version|HDRGainMap")  # in the first segments of a JPEG
_CLAIM_BYTES = 1 << 16

pyvips.block_untrusted_set(True)  # loaders that the makers of libvips do not test against hostile files
pyvips.cache_set_max(0)  # no picture is opened twice, so a cache would only hold memory


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A decoded file: an upright RGB frame in the file's own depth and code values, and what came with it.

    `headroom_ev`, (H, W) float32, is set where the file has light above SDR white (a gain map, PQ, linear light): the
    light of the scene is that of the frame times 2^`headroom_ev`. `notes` has a line for each thing to tell the user.
    """

    frame: Frame
    alpha: Pixels | None  # (H, W), same depth as the frame
    format: str  # a name in `FORMATS`
    metadata: Metadata
    headroom_ev: F32 | None = None
    notes: tuple[str, ...] = ()
    white_balance: tuple[float, ...] = ()  # of a raw file, for the others of its scene: what `decode` takes
    off_meter_ev: float = 0.0  # as `Taken` has it


def open_image(path: str | os.PathLike[str]) -> Picture:
    """As `foreign.open_image`, in this process: for files of our own making, and to measure the decoders alone."""
    path = Path(path)
    check_regular(path)
    return decode(path.read_bytes(), str(path))


def decode(data: bytes, name: str, *, is_capture: bool = False, white_balance: tuple[float, ...] = ()) -> Picture:
    """The bytes of a picture file -> its picture; `name` is for messages. Raises UnreadableImage.

    Where `is_capture`, it is one of several that are merged, and a raw file is read as `decode_raw` does that.
    """
    format = _sniff(data[:_HEAD_BYTES], name)
    if format == "tiff" and is_reduced_tiff(data):
        format = "raw"
    if format == "jpeg":
        data = tidy_jpeg(data)
    if FORMATS[format].container == "heif" and lacks_pixels(data):
        raise UnreadableImage(f"{name} is damaged or cut short (pixels are missing): export it again")
    if format == "raw":
        raw = partial(decode_raw, is_capture=is_capture, white_balance=white_balance)
        picture = _decode_by_library(data, name, format, raw)
    elif format in _OWN_DECODERS:
        picture = _decode_by_library(data, name, format, _OWN_DECODERS[format])
    else:
        picture = _decode_in_words(data, name, format)
    has_gain_map = picture.headroom_ev is not None or any("gain map" in note for note in picture.notes)
    return replace(picture, notes=(*picture.notes, *left_out(data, format, has_gain_map=has_gain_map)))


def _decode_in_words(data: bytes, name: str, format: str) -> Picture:
    """By libvips, whose errors become lines for people."""
    said.clear()
    pyvips.vips_lib.vips_error_clear()  # else what a file before left there excuses this one
    try:
        try:
            return _decode_by_libvips(data, name, format, "warning" if format in ("jpeg", "tiff") else "error")
        except pyvips.Error as warning:
            return _whole_in_spite_of(warning, data, name, format)
    except TooLarge as error:
        raise UnreadableImage(f"{name} {error}") from error
    except pyvips.Error as error:
        raise _damaged(name, error) from error


def _whole_in_spite_of(warning: pyvips.Error, data: bytes, name: str, format: str) -> Picture:
    """The picture where what a library warns of is not about its pixels. Raises the warning where it is."""
    if format == "jpeg" and _LEFT_OVER in str(warning):
        return _decode_by_libvips(data, name, format, "error")
    if format != "tiff" or warning.detail.strip():
        raise warning
    said.clear()
    picture = _decode_by_libvips(data, name, format, "error")
    told = set(said)
    said.clear()
    pyvips.Image.tiffload_buffer(data)  # the header alone
    if not told <= set(said):
        raise warning
    return picture


def _decode_by_libvips(data: bytes, name: str, format: str, fail_on: str) -> Picture:
    load = getattr(pyvips.Image, f"{FORMATS[format].container}load_buffer")
    try:
        image = load(data, access="sequential", fail_on=fail_on)
    except pyvips.Error as error:
        if "labq" not in str(error):
            raise
        image = lab_of_8_bits(data)
    check_size(image.width, image.height)
    metadata = read_metadata(image, data)
    turn = image.get("orientation") if image.get_typeof("orientation") and format != "avif" else 1
    pixels: Pixels = _upright(_to_rgb(image, name)).numpy()
    alpha = np.ascontiguousarray(pixels[:, :, 3]) if pixels.shape[2] > 3 else None
    decoded = apply_cicp(Decoded(np.ascontiguousarray(pixels[:, :, :3]), metadata, alpha), *read_cicp(data))
    if format == "jpeg":
        doubt = doubt_about_jpeg(data)
        decoded = _with_gainmap(replace(decoded, notes=(doubt,) if doubt else ()), data, turn)
    elif format == "avif":
        decoded = replace(decoded, notes=unread_maps(data))
    return _picture(decoded, format)


def _decode_by_library(data: bytes, name: str, format: str, read: Callable[[bytes], Decoded]) -> Picture:
    try:
        decoded = read(data)
    except MissingDecoder as error:
        raise UnreadableImage(f"{name}: {error}") from error
    except TooLarge as error:
        raise UnreadableImage(f"{name} {error}") from error
    except MemoryError:
        raise
    except Exception as error:  # third-party decoders may raise anything for broken bytes
        cause = _plain(" ".join(str(error).split()))
        raise UnreadableImage(f"{name} is damaged, cut short or of a rare kind ({cause}): export it again") from error
    return _picture(decoded, format)


def _picture(decoded: Decoded, format: str) -> Picture:
    icc, notes = decoded.metadata.icc, decoded.notes
    if icc and not is_near_srgb(icc):
        notes += (f"its profile, {profile_name(icc)}, is far from sRGB and became {profile_name(WIDE_GAMUT)}",)
        decoded = replace(
            decoded, pixels=to_wide_gamut(decoded.pixels, icc), metadata=replace(decoded.metadata, icc=WIDE_GAMUT)
        )
    gain = decoded.gain
    if gain is not None and gain.base_headroom_ev > gain.headroom_ev:
        gain, notes = None, (*notes, "its gain map leads from an HDR picture down to SDR and is not used")
    headroom = headroom_ev(decoded.pixels, gain) if gain is not None else decoded.headroom_ev
    alpha = decoded.alpha
    if alpha is not None and alpha.dtype != decoded.pixels.dtype:
        alpha = to_16_bit(alpha)
    return Picture(
        Frame(decoded.pixels), alpha, format, decoded.metadata, headroom, notes, decoded.white_balance,
        taken_from(decoded.metadata.exif).off_meter_ev,
    )  # fmt: skip


def _with_gainmap(decoded: Decoded, jpeg: bytes, orientation: int) -> Decoded:
    """Add the gain map of a JPEG, turned as the picture was. If it is damaged, it is left out, with a note."""
    try:
        gain = read_gainmap(jpeg)
    except ValueError as error:
        note = f"its gain map cannot be read ({error}): its light above white is lost"
        return replace(decoded, notes=(*decoded.notes, note))
    if gain is None and _CLAIMS_MAP.search(jpeg[:_CLAIM_BYTES]):
        note = "its gain map is missing or cut off: its light above white is lost"
        return replace(decoded, notes=(*decoded.notes, note))
    if gain is None or orientation == 1:
        return replace(decoded, gain=gain)
    codes = gain.codes.swapaxes(0, 1) if orientation >= 5 else gain.codes
    upside_down, mirrored = orientation in (3, 4, 7, 8), orientation in (2, 3, 6, 7)  # EXIF 2.32, 4.6.4 A
    codes = codes[:: -1 if upside_down else 1, :: -1 if mirrored else 1]
    return replace(decoded, gain=replace(gain, codes=np.ascontiguousarray(codes)))


def check_regular(path: Path) -> None:
    """Raises UnreadableImage for a folder, pipe or device, or a huge file; OSError if nothing is there."""
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):  # opening a pipe would block
        raise UnreadableImage(f"{path} is a folder, pipe or device, not a picture: give a picture file")
    if found.st_size > LIMIT_BYTES:
        raise UnreadableImage(
            f"{path} is too large ({found.st_size >> 20} MiB, {LIMIT_BYTES >> 20} at most): reduce it"
        )


def _sniff(head: bytes, name: str) -> str:
    if not head:
        raise UnreadableImage(f"{name} is empty (zero bytes): copy it again")
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head[4:8] == b"ftyp":
        brands = {head[8:12], *(head[k : k + 4] for k in range(16, min(int.from_bytes(head[:4]), len(head)), 4))}
        is_avif = brands & {b"avif", b"avis"} and not brands & {b"heic", b"heix", b"hevc"}
        return "avif" if is_avif else "raw" if head[8:12] == b"crx " else "heic"
    if head.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        return "jxl"
    if head.startswith(b"\x76\x2f\x31\x01"):
        return "exr"
    if head.startswith((b"#?RADIANCE", b"#?RGBE")):
        return "radiance"
    if head.startswith((b"FUJIFILM", b"IIRO", b"IIRS", b"IIU\0", b"FOVb", b"\0MRM")) or head[6:14] == b"HEAPCCDR":
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
    """A picture in any colour space -> RGB with or without alpha, 8 or 16 bits."""
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
    return image.copy_memory().autorot()  # turning needs the rows in another order


def _plain(cause: str) -> str:
    """A library's words, if people can understand them."""
    cause = _CODE.sub("", cause)
    return cause if cause and not any(text in cause for text in _INNER) else "it cannot be parsed"


def _damaged(name: str, error: pyvips.Error) -> UnreadableImage:
    if "out of memory" in str(error):
        return UnreadableImage(f"{name} needs more memory than there is: reduce it")
    lines = [line.split(": ", 1)[-1] for line in error.detail.strip().splitlines()]
    if unread := [line for line in lines if _UNREAD_KIND.search(line)]:
        return UnreadableImage(f"{name} is stored in a way that is not read ({unread[0]}): save it another way")
    cause = _plain([*said, "pixels are missing", *filter(None, lines)][-1].strip())
    return UnreadableImage(f"{name} is damaged, cut short or of a rare kind ({cause}): export it again")
