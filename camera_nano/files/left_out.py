"""What a file holds beside the picture that is read from it: further pages and frames, and a video."""

from __future__ import annotations

import re
from contextlib import suppress
from itertools import islice

import pyvips

from camera_nano.files import mpf
from camera_nano.files.bmff import boxes
from camera_nano.files.exif import numbers, pages
from camera_nano.files.exif_tags import NEW_SUBFILE_TYPE

_REDUCED_OR_MASK = 0b101  # of NewSubfileType  # TIFF 6.0, section 8
_MOST_PAGES = 1000
_FRAMES_OF_PNG = re.compile(rb"\0\0\0\x08acTL(.{4})", re.DOTALL)  # PNG 3rd edition, 11.3.2.7
_SAMPLES_OF_TRACK = re.compile(rb"stsz\0{4}.{4}(.{4})", re.DOTALL)  # ISO/IEC 14496-12, 8.7.3
_LARGE_THUMBNAIL = 0x01  # the kind of a picture, CIPA DC-007-2021, 5.2.3.3.1


def left_out(data: bytes, format: str, *, has_gain_map: bool) -> tuple[str, ...]:
    """Notes on a file of this format that could be decoded. The gain map of a JPEG is no further picture."""
    n_pages = 1
    with suppress(Exception):  # foreign parsers on foreign bytes: what they cannot read is not there
        n_pages = _COUNTS.get(format, _one)(data)
    n_further = n_pages - 1 - (has_gain_map and format == "jpeg")
    notes = [f"{n_further} further {'page or frame is' if n_further == 1 else 'pages or frames are'} left out"]
    return (*notes[: n_further > 0], *(("its video (it is a motion photo) is left out",) if _has_video(data) else ()))


def _one(_: bytes) -> int:
    return 1


def _of_jpeg(data: bytes) -> int:
    index = mpf.read_index(data)
    if index is None:
        return 1
    kinds = [int.from_bytes(data[e.at : e.at + 4], "little" if index.order == "<" else "big") for e in index.entries]
    return sum(kind >> 16 & 0xFF != _LARGE_THUMBNAIL for kind in kinds)


def _of_png(data: bytes) -> int:
    found = _FRAMES_OF_PNG.search(data[: data.index(b"IDAT")])
    return int.from_bytes(found[1]) if found else 1


def _of_tiff(data: bytes) -> int:
    n_pages = 1
    for order, tags in islice(pages(data), 1, _MOST_PAGES):
        kind = numbers(order, tags[NEW_SUBFILE_TYPE])[0] if NEW_SUBFILE_TYPE in tags else 0
        n_pages += not kind & _REDUCED_OR_MASK
    return n_pages


def _of_webp(data: bytes) -> int:
    return int(pyvips.Image.webpload_buffer(data).get("n-pages"))


def _of_avif(data: bytes) -> int:
    return max(_of_sequence(data), int(pyvips.Image.heifload_buffer(data).get("n-pages")))


def _of_heic(data: bytes) -> int:
    import pillow_heif

    return max(_of_sequence(data), len(pillow_heif.open_heif(data)))


def _of_sequence(data: bytes) -> int:
    moov = next((content for kind, content in boxes(data) if kind == b"moov"), b"")
    return max((int.from_bytes(found) for found in _SAMPLES_OF_TRACK.findall(moov)), default=1)


_COUNTS = {
    "jpeg": _of_jpeg,
    "png": _of_png,
    "tiff": _of_tiff,
    "webp": _of_webp,
    "avif": _of_avif,
    "heic": _of_heic,
}


def _has_video(data: bytes) -> bool:
    """Whether a video follows the pictures of a JPEG, or is in a box of a HEIC file ("Motion Photo format 1.0")."""
    with suppress(ValueError):
        if data.startswith(b"\xff\xd8"):
            return data.find(b"ftyp", mpf.images(data)[-1][1]) >= 0
        if data[4:8] == b"ftyp":
            return any(kind == b"mpvd" for kind, _ in boxes(data)) or b"MotionPhoto_Data" in data
    return False
