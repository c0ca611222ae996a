"""Lost pixels or harmless oddities: libjpeg and libtiff warn of both alike, and of the first warning only.

So the header of a JPEG is tidied before it is decoded, and what is warned of after that is about the pixels. Markers
are those of ITU-T T.81, annex B.
"""

from __future__ import annotations

import logging
import re
import struct
from collections import deque
from collections.abc import Iterator

import simplejpeg

from camera_nano.files.mpf import end_of_image

_SOS, _APP0, _APP14, _STUFFING, _TEM = 0xDA, 0xE0, 0xEE, 0x00, 0x01
_RESTARTS, _SOI_EOI = range(0xD0, 0xD8), (0xD8, 0xD9)
_SEQUENTIAL, _FRAMES = (0xC0, 0xC1, 0xC9), (*range(0xC0, 0xC4), *range(0xC5, 0xC8), *range(0xC9, 0xCC))
_LEFT_OVER = re.compile(r"(\d+) extraneous bytes before marker 0xd9")
_MARKER_AND_LENGTH = 4
_MOST_LINES = 100
# tags of TIFF 6.0, and Panasonic's: where the parts of a picture lie, and how long they are
_PLACES = ((0x0111, 0x0117), (0x0144, 0x0145), (0x0118, 0x0117))
_SUB_DIRECTORIES, _MOST_DIRECTORIES, _MOST_VALUES = 0x014A, 32, 1 << 16
_NO_PLACE = 0xFFFFFFFF  # Panasonic's, where 0x0118 tells it

said: deque[str] = deque(maxlen=_MOST_LINES)  # what libvips has said of the files it read last


class _Ear(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        said.append(record.getMessage())


_libvips = logging.getLogger("pyvips")
_libvips.addHandler(_Ear(logging.WARNING))


def tidy_jpeg(data: bytes) -> bytes:
    """The JPEG with a header that libjpeg has nothing to say about; the same bytes if it is so, or cannot be read.

    Bytes between segments are left out. What sequential scans do not use, an unknown colour transform and a version of
    JFIF that does not exist get the values that libjpeg takes in their place.
    """
    header, at = [bytearray(data[:2])], 2
    adobe = frame = bytearray()
    while (start := data.find(b"\xff", at)) >= 0 and start + _MARKER_AND_LENGTH <= len(data):
        marker = data[start + 1]
        if marker in (0xFF, _STUFFING, _TEM, *_RESTARTS):
            at = start + (1 if marker == 0xFF else 2)
            continue
        at = start + 2 + int.from_bytes(data[start + 2 : start + 4])
        if marker in _SOI_EOI or not start + _MARKER_AND_LENGTH <= at <= len(data):
            break
        segment = bytearray(data[start:at])
        if marker in _FRAMES:
            frame = segment
        elif marker == _APP14 and segment[4:9] == b"Adobe" and len(segment) > 15:
            adobe = segment
        elif marker == _APP0 and segment[4:9] == b"JFIF\0" and len(segment) > 9:
            segment[9] = 1 if segment[9] != 2 else 2
        elif marker == _SOS and frame[1:2] and frame[1] in _SEQUENTIAL:
            segment[-3:] = 0, 63, 0
        header.append(segment)
        if marker == _SOS:
            if adobe and adobe[15] > 2 and len(frame) > 9:
                adobe[15] = 2 if frame[9] == 4 else 1
            return b"".join([*header, memoryview(data)[at:]])
    return data


def doubt_about_jpeg(data: bytes) -> str | None:
    """A note where the data of a tidied JPEG go on after its last pixel, which libvips does not look at.

    Damage moves all that follows it, so that bytes are left over. Equal bytes are padding, as some cameras write it.
    """
    try:
        simplejpeg.decode_jpeg(data, "GRAY", min_height=1, min_width=1)  # an eighth of the size: a quarter of the time
    except ValueError as error:
        found = _LEFT_OVER.search(str(error))
        if found is None:
            return None  # of a kind that it does not read; what else it says, libvips says, too
        end = end_of_image(data) - 2
        if len(set(data[end - int(found[1]) : end])) > 1:
            return "part of the picture may be damaged: data are left over after its last pixel"
    return None


def doubt_about_raw(data: bytes) -> str | None:
    """A note where a raw file ends before the data that its TIFF directories tell of: LibRaw may read zeros."""
    try:
        is_cut = any(
            place + n_bytes > len(data)
            for directory in _directories(data)
            for at, lengths in _PLACES
            for place, n_bytes in zip(directory.get(at, ()), directory.get(lengths, ()), strict=False)
            if place != _NO_PLACE
        )
    except struct.error:
        return None
    return "part of the picture may be missing: the file ends before its data do" if is_cut else None


def _directories(data: bytes) -> Iterator[dict[int, tuple[int, ...]]]:
    """The whole numbers of every directory (TIFF 6.0, section 2), by tag."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    waiting = [struct.unpack_from(order + "I", data, 4)[0]] if order else []
    for _ in range(_MOST_DIRECTORIES):
        if not waiting or not (at := waiting.pop()) or order is None:
            return
        n_entries, found = struct.unpack_from(order + "H", data, at)[0], {}
        for entry in range(at + 2, at + 2 + 12 * n_entries, 12):
            tag, kind, count = struct.unpack_from(order + "HHI", data, entry)
            if (letter := {3: "H", 4: "I", 13: "I"}.get(kind)) and count <= _MOST_VALUES:
                form = f"{order}{count}{letter}"
                is_near = struct.calcsize(form) <= 4
                place = entry + 8 if is_near else struct.unpack_from(order + "I", data, entry + 8)[0]
                found[tag] = struct.unpack_from(form, data, place)
        waiting += [*found.get(_SUB_DIRECTORIES, ()), *struct.unpack_from(order + "I", data, at + 2 + 12 * n_entries)]
        yield found
