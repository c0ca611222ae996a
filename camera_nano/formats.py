"""The kinds of picture file that camera_nano knows: their names, and what each can hold."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path

_NO_LIMIT = 1 << 30
# fmt: off
_RAW = (
    ".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".sr2", ".srf", ".orf", ".ori", ".rw2", ".raw", ".rwl",
    ".raf", ".pef", ".ptx", ".srw", ".3fr", ".fff", ".iiq", ".mos", ".mef", ".mrw", ".mdc", ".erf", ".x3f", ".gpr",
    ".dcr", ".dcs", ".kdc", ".k25", ".bay", ".ari",
)
# fmt: on
_SEGMENT_BYTES = 0xFFFF - 2  # of a JPEG: its length is counted in 16 bits, which it includes (ITU-T T.81, B.1.1.4)


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of picture file."""

    name: str
    mime: str
    container: str  # how its bytes are laid out; several formats may share one
    suffixes: tuple[str, ...] = ()  # of files that are written, the usual one first; none for what is only read
    read_suffixes: tuple[str, ...] = ()  # of files that are read, too
    keeps_16_bits: bool = False  # every code value of 16 bits a channel
    headroom: bool = False  # takes light above white
    iptc: bool = False  # has a place for IPTC's records
    thumbnail: bool = True  # takes one in its EXIF
    resolution_in_exif: bool = False  # has no other field for the resolution of a print
    largest_xmp_bytes: int = _NO_LIMIT
    largest_exif_bytes: int = _NO_LIMIT
    longest_side_px: int = _NO_LIMIT
    most_px: int = _NO_LIMIT


_JPEG = Format(
    "jpeg",
    "image/jpeg",
    "jpeg",
    (".jpg", ".jpeg"),
    (".jpe", ".jfif", ".mpo"),
    iptc=True,
    resolution_in_exif=True,
    largest_xmp_bytes=_SEGMENT_BYTES - len(b"http://ns.adobe.com/xap/1.0/\0"),
    largest_exif_bytes=_SEGMENT_BYTES - len(b"Exif\0\0"),
    longest_side_px=65_500,  # libjpeg's limit
)
FORMATS = {
    format.name: format
    for format in (
        _JPEG,
        replace(_JPEG, name="ultrahdr", headroom=True),
        Format("png", "image/png", "png", (".png",), keeps_16_bits=True, iptc=True),
        # a thumbnail would be a second page
        Format("tiff", "image/tiff", "tiff", (".tif", ".tiff"), keeps_16_bits=True, iptc=True, thumbnail=False),
        # the longest side is the container's limit
        Format("webp", "image/webp", "webp", (".webp",), resolution_in_exif=True, longest_side_px=16_383),
        Format("avif", "image/avif", "heif", (".avif",), headroom=True, longest_side_px=65_536),
        # the largest picture of the highest level of HEVC (ITU-T H.265, table A.8)
        Format("heic", "image/heic", "heif", (".heic",), (".heif", ".hif"), headroom=True, most_px=142_606_336),
        Format("jxl", "image/x-jxl", "jxl", read_suffixes=(".jxl",)),
        Format("raw", "image/raw", "raw", read_suffixes=_RAW),
        Format("exr", "image/exr", "exr", read_suffixes=(".exr",)),
        Format("radiance", "image/radiance", "radiance", read_suffixes=(".hdr",)),
    )
}
WRITTEN = tuple(name for name, format in FORMATS.items() if format.suffixes)
# a name that ends in .jpg means "jpeg": an Ultra HDR has the same name, and is told by its content
_BY_SUFFIX = {
    suffix: format for format in reversed(FORMATS.values()) for suffix in (*format.suffixes, *format.read_suffixes)
}
_WRITTEN_SUFFIXES = tuple(dict.fromkeys(suffix for name in WRITTEN for suffix in FORMATS[name].suffixes))


def of_name(path: str | os.PathLike[str]) -> Format | None:
    """The format that the suffix of a file's name stands for; None for a suffix of none."""
    return _BY_SUFFIX.get(Path(path).suffix.lower())


def written_suffix(path: str | os.PathLike[str], format: str = "auto") -> str:
    """The suffix for a file made from the photo at `path`: with "auto" its own, or .jpg if that is only read."""
    own = Path(path).suffix.lower()
    if format != "auto":
        return FORMATS[format].suffixes[0]
    return own if own in _WRITTEN_SUFFIXES else ".jpg"


def format_of(path: str | os.PathLike[str], asked: str = "auto") -> str:
    """The format of a file to be written to `path`: the one asked for, or with "auto" the one its suffix stands for.

    Raises:
        ValueError: camera_nano does not write files with this suffix, or it is that of another format than asked for.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _WRITTEN_SUFFIXES:
        raise ValueError(f"{path} has no extension camera_nano writes: use {', '.join(_WRITTEN_SUFFIXES)}")
    named = _BY_SUFFIX[suffix].name
    if asked not in ("auto", named) and (asked, named) != ("ultrahdr", "jpeg"):
        raise ValueError(f"{path} is the name of a {named} file: give it the extension {FORMATS[asked].suffixes[0]}")
    return named if asked == "auto" else asked
