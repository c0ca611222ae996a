"""How a photo was taken, as its EXIF says it: what tells a bracket or a burst from other photos."""

from __future__ import annotations

import math
import struct
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import numpy as np

from camera_nano.files import mpf
from camera_nano.files.blocks import find
from camera_nano.files.exif import IMAGE, ORIENTATION, PHOTO, Exif, fresh, read

_MAKE, _MODEL, _SERIAL_NUMBER = (IMAGE, 0x010F), (IMAGE, 0x0110), (PHOTO, 0xA431)  # CIPA DC-008-2023, 4.6
_DATE, _PART_OF_SECOND = (PHOTO, 0x9003), (PHOTO, 0x9291)  # of the original
_TIME_S, _F_NUMBER, _ISO, _BIAS_EV = ((PHOTO, tag) for tag in (0x829A, 0x829D, 0x8827, 0x9204))
_BRIGHTNESS_EV, _FLASH, _MODE = ((PHOTO, tag) for tag in (0x9203, 0x9209, 0xA402))
_FOCAL_MM, _DISTANCE_M = ((PHOTO, tag) for tag in (0x920A, 0x9206))
_SIDES = ((PHOTO, 0xA002), (PHOTO, 0xA003)), ((IMAGE, 0x0100), (IMAGE, 0x0101))
_FRAMES = (0xC0, 0xC1, 0xC2)  # markers of a JPEG whose segments hold its size (ITU-T T.81, B.2.2)
# numbers of TIFF 6.0, section 2, of which 5 and 10 are ratios
_TYPES = {3: "u2", 4: "u4", 5: "u4", 8: "i2", 9: "i4", 10: "i4", 11: "f4", 12: "f8"}
_RATIOS = (5, 10)
_MANUAL, _AUTO_BRACKET = 1, 2  # of ExposureMode (CIPA DC-008, 4.6.6.7)
_FLASH_FIRED = 1  # a bit of Flash
_ISO_AT_0_EV = 3.125  # of the sensitivity in APEX units (CIPA DC-008, annex C)
# set by hand and further below its meter, a camera had light that the meter did not see, such as a studio's flashes
_DARKEST_BY_HAND_EV = -4.0
_UNKNOWN_ISO = 65535  # the same, for a sensitivity that does not fit


@dataclass(frozen=True, slots=True)
class Taken:
    """How a photo was taken; None, 0 or empty for what its EXIF does not say."""

    at_s: float | None = None  # by the clock of the camera, of which only differences count
    is_exact: bool = False  # the time has parts of a second
    time_s: float | None = None
    f_number: float | None = None
    iso: float | None = None
    bias_ev: float | None = None  # what the photographer, or a bracket, asked for beside the metered exposure
    brightness_ev: float | None = None  # what the meter saw, in APEX units
    is_manual: bool = False  # the exposure was set by hand
    is_flash: bool = False
    is_bracket: bool = False  # the camera was set to bracket exposures
    camera: str = ""  # maker, model and serial number
    focal_mm: float | None = None
    distance_m: float | None = None  # of what is in focus
    size_wh: tuple[int, int] = (0, 0)  # as stored
    orientation: int = 1

    @property
    def ev(self) -> float | None:
        """Light gathered, in stops: log2 of time * ISO / f-number². Two photos compare where both say the same."""
        if self.time_s is None:
            return None
        return math.log2(self.time_s) + math.log2(self.iso or 100) - math.log2(100) - 2 * math.log2(self.f_number or 1)

    @property
    def off_meter_ev(self) -> float:
        """How much brighter than its meter wanted the camera exposed, in stops; 0 where nothing says so.

        That is the exposure bias. Of an exposure that was set by hand it says nothing; there it is what the meter saw
        beside what was set, Bv + Sv - (Av + Tv), which is 0 for a metered exposure (CIPA DC-008, annex C).
        """
        if not self.is_manual:
            return self.bias_ev or 0.0
        if self.is_flash or not self.iso or not self.f_number or self.ev is None or self.brightness_ev is None:
            return 0.0
        off_ev = self.brightness_ev + self.ev + math.log2(100 / _ISO_AT_0_EV)
        return off_ev if off_ev >= _DARKEST_BY_HAND_EV else 0.0


def read_taken(data: bytes) -> Taken:
    """How the photo in a file was taken; nothing of one without EXIF, or whose EXIF is broken."""
    block = None
    with suppress(ValueError):
        block = find(data).exif
    taken = taken_from(block)
    return replace(taken, size_wh=_jpeg_size(data) or taken.size_wh)


def taken_from(block: bytes | None) -> Taken:
    """The same of an EXIF block."""
    exif = fresh()
    with suppress(ValueError):
        exif = read(block or b"")
    at_s, is_exact = _at(exif)
    iso = _number(exif, _ISO)
    return Taken(
        at_s=at_s,
        is_exact=is_exact,
        time_s=_above_0(_number(exif, _TIME_S)),
        f_number=_above_0(_number(exif, _F_NUMBER)),
        iso=None if iso == _UNKNOWN_ISO else _above_0(iso),
        bias_ev=_number(exif, _BIAS_EV),
        brightness_ev=_number(exif, _BRIGHTNESS_EV),
        is_manual=_number(exif, _MODE) == _MANUAL,
        is_flash=bool(int(_number(exif, _FLASH) or 0) & _FLASH_FIRED),
        is_bracket=_number(exif, _MODE) == _AUTO_BRACKET,
        camera=" ".join(filter(None, (_text(exif, place) for place in (_MAKE, _MODEL, _SERIAL_NUMBER)))),
        focal_mm=_above_0(_number(exif, _FOCAL_MM)),
        distance_m=_above_0(_number(exif, _DISTANCE_M)),
        size_wh=_size(exif),
        orientation=int(_number(exif, (IMAGE, ORIENTATION)) or 1),
    )


def _at(exif: Exif) -> tuple[float | None, bool]:
    """When the exposure began, in seconds, and whether parts of a second are known."""
    with suppress(ValueError):
        at = datetime.strptime(_text(exif, _DATE), "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC)
        part = _text(exif, _PART_OF_SECOND)
        return at.timestamp() + (float(f"0.{part}") if part.isdecimal() else 0.0), part.isdecimal()
    return None, False


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    """Width and height of a JPEG, as its frame says; None for other files."""
    with suppress(ValueError, struct.error):
        for segment in mpf.segments(data) if data.startswith(b"\xff\xd8") else ():
            if segment.marker in _FRAMES:
                height, width = struct.unpack_from(">HH", data, segment.start + 5)
                return width, height
    return None


def _size(exif: Exif) -> tuple[int, int]:
    """Width and height, as the EXIF says; 0 where it does not."""
    for places in _SIDES:
        width, height = (int(_number(exif, place) or 0) for place in places)
        if width and height:
            return width, height
    return 0, 0


def _text(exif: Exif, place: tuple[int, int]) -> str:
    return exif.get(*place).split(b"\0")[0].decode(errors="replace").strip()


def _number(exif: Exif, place: tuple[int, int]) -> float | None:
    """The first number of a tag; None without it, and for a ratio to 0."""
    directory, tag = place
    entry = exif.tags.get(directory, {}).get(tag)
    if entry is None or entry.kind not in _TYPES:
        return None
    numbers = [float(n) for n in np.frombuffer(entry.value, exif.order + _TYPES[entry.kind])]
    if entry.kind in _RATIOS:
        return numbers[0] / numbers[1] if numbers[1] else None
    return numbers[0] if math.isfinite(numbers[0]) else None


def _above_0(value: float | None) -> float | None:
    return value if value and value > 0 else None
