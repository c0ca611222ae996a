"""What a picture file holds, and what is wrong with it. Its pixels are decoded too: a good header proves little."""

from __future__ import annotations

import os
import re
import struct
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyvips

from camera_nano.errors import UnreadableImage
from camera_nano.files import mpf
from camera_nano.files.decode import decode
from camera_nano.files.decode_hdr import TMAP
from camera_nano.files.gainmap_apple import AUXILIARY
from camera_nano.files.icc import is_usable, profile_name
from camera_nano.files.marking import SOURCE_TYPE
from camera_nano.files.metadata import xmp_texts
from camera_nano.files.ultrahdr import check, read_gainmap
from camera_nano.formats import FORMATS
from camera_nano.values import GainMap

# the label of the JUMBF box of a C2PA manifest store (ISO 19566-5), the same in every container
_C2PA = re.compile(rb"jumb.{4}jumd.{17}c2pa\0", re.DOTALL)
_HEIF_GAIN_MAPS = {  # the names that items and auxiliary pictures in a HEIF file have
    "apple": re.compile(AUXILIARY.encode() + rb"\0"),
    "iso": TMAP,
}
_NCLX = re.compile(rb"colrnclx(.{6})", re.DOTALL)
_HEAD_BYTES = 1 << 16
_NOTED = re.compile(r"Xmp\.xmpMM\.History\[(\d+)\]/stEvt:(\w+)")


@dataclass(frozen=True, slots=True)
class GainMapFound:
    """A gain map; size and headroom are None where there is one that camera_nano cannot read."""

    kind: str
    size_wh: tuple[int, int] | None = None
    headroom_ev: float | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What a file holds; None or empty for what it has not. `problems` has a line for each thing that is wrong."""

    path: str
    format: str | None = None
    size_wh: tuple[int, int] | None = None  # as stored, before it is turned by `orientation`
    depth_bits: int | None = None
    profile: str | None = None
    nclx: tuple[int, int, int] | None = None  # primaries, transfer, matrix (ITU-T H.273); of AVIF and HEIC
    orientation: int | None = None
    gain_map: GainMapFound | None = None
    mpf: tuple[tuple[int, int], ...] = ()  # start and length of each picture, by the index
    source_type: str | None = None  # IPTC DigitalSourceType, the last word of the URI
    c2pa: bool = False
    history: tuple[dict[str, str], ...] = ()
    problems: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    def __str__(self) -> str:
        rows = [("format", self.format or "unknown")]
        if self.size_wh:
            rows.append(("size", f"{self.size_wh[0]} x {self.size_wh[1]}, {self.depth_bits} bits"))
        rows.append(("profile", self.profile or "none"))
        if self.nclx:
            rows.append(("nclx", "/".join(map(str, self.nclx))))
        rows.append(("orientation", str(self.orientation or "not said")))
        if self.gain_map and self.gain_map.size_wh:
            width, height = self.gain_map.size_wh
            rows.append(("gain map", f"{self.gain_map.kind}, {width} x {height}, {self.gain_map.headroom_ev:.2f} EV"))
        else:
            rows.append(("gain map", f"{self.gain_map.kind}, not readable here" if self.gain_map else "none"))
        if self.mpf:
            rows.append(("pictures", ", ".join(f"{length} bytes at {start}" for start, length in self.mpf)))
        rows.append(("source type", self.source_type or "not said"))
        rows.append(("C2PA", "present" if self.c2pa else "none"))
        rows += [("history", ", ".join(f"{k} {v}" for k, v in event.items())) for event in self.history]
        rows += [("problem", text) for text in self.problems] or [("problems", "none")]
        return "\n".join([self.path, *(f"  {name:<13}{_printable(text)}" for name, text in rows)])


def inspect(path: str | os.PathLike[str]) -> Report:
    """Look into a picture file of our own, in this process. Raises OSError where it cannot be opened."""
    return look_into(Path(path).read_bytes(), str(path))


def look_into(data: bytes, name: str) -> Report:
    """The bytes of a picture file, and its path -> what it holds. What is wrong with it is in the report."""
    try:
        image = _load(data)
    except pyvips.Error:
        return Report(name, problems=("not a picture camera_nano knows, or damaged from the start",))
    format = _format(image)
    problems = _damage(data, format, Path(name).name)
    xmp = _block(image, "xmp-data")
    source_type, history = _story(xmp, problems) if xmp else (None, ())
    found, places = _gain_map_and_pictures(data, format, problems)
    return Report(
        path=name,
        format="ultrahdr" if format == "jpeg" and found and found.kind != "apple" else format,
        size_wh=(image.width, image.height),
        depth_bits=_depth_bits(image),
        profile=_profile(_block(image, "icc-profile-data"), problems),
        nclx=_nclx(data) if _is_heif(format) else None,
        orientation=image.get("orientation") if image.get_typeof("orientation") else None,
        gain_map=found,
        mpf=places,
        source_type=source_type,
        c2pa=_C2PA.search(data) is not None,
        history=history,
        problems=tuple(dict.fromkeys(problems)),
    )


def _load(data: bytes) -> pyvips.Image:
    """A picture, not yet decoded. JPEGs name their loader: libvips has another one for Ultra HDR."""
    if data.startswith(b"\xff\xd8\xff"):
        return pyvips.Image.jpegload_buffer(data)
    return pyvips.Image.new_from_buffer(data, "")


def _block(image: pyvips.Image, name: str) -> bytes | None:
    return bytes(image.get(name)) if image.get_typeof(name) else None


def _format(image: pyvips.Image) -> str:
    loader = str(image.get("vips-loader")).removesuffix("_buffer").removesuffix("load")
    if loader == "heif":
        return "avif" if image.get("heif-compression") == "av1" else "heic"
    return loader


def _depth_bits(image: pyvips.Image) -> int:
    if image.get_typeof("bits-per-sample"):
        return int(image.get("bits-per-sample"))
    return {"uchar": 8, "char": 8, "ushort": 16, "short": 16, "float": 32, "uint": 32}.get(image.format, 64)


def _damage(data: bytes, format: str, name: str) -> list[str]:
    """What is reported when every pixel is decoded; nothing for formats that are not read otherwise."""
    try:
        if format in FORMATS:
            decode(data, name)
    except UnreadableImage as error:
        return [str(error)]
    except (pyvips.Error, RuntimeError, ValueError):  # of third-party libraries
        return [f"{name} is damaged or cut short: export it again"]
    return []


def _is_heif(format: str) -> bool:
    return format in FORMATS and FORMATS[format].container == "heif"


def _nclx(data: bytes) -> tuple[int, int, int] | None:
    found = _NCLX.search(data[:_HEAD_BYTES])
    return struct.unpack(">HHH", found[1]) if found else None


def _gain_map_and_pictures(
    data: bytes, format: str, problems: list[str]
) -> tuple[GainMapFound | None, tuple[tuple[int, int], ...]]:
    if format == "jpeg":
        problems += check(data)
        return _of_jpeg(data)
    return (_of_heif(data, problems) if _is_heif(format) else None), ()


def _of_heif(data: bytes, problems: list[str]) -> GainMapFound | None:
    try:
        if (gain := read_gainmap(data)) is not None:
            return _found(gain)
    except ValueError as error:
        problems.append(str(error))
    return next((GainMapFound(k) for k, v in _HEIF_GAIN_MAPS.items() if v.search(data[:_HEAD_BYTES])), None)


def _found(gain: GainMap) -> GainMapFound:
    return GainMapFound(gain.kind, (gain.codes.shape[1], gain.codes.shape[0]), round(gain.headroom_ev, 4))


def _of_jpeg(data: bytes) -> tuple[GainMapFound | None, tuple[tuple[int, int], ...]]:
    """The gain map and what the index says, None and empty if they cannot be read: `check` reports why."""
    try:
        index = mpf.read_index(data)
        gain: GainMap | None = read_gainmap(data)
    except ValueError:
        return None, ()
    places = tuple((entry.start, entry.length) for entry in index.entries) if index else ()
    return (_found(gain) if gain else None), places


def _profile(icc: bytes | None, problems: list[str]) -> str | None:
    if icc is None:
        return None
    if icc[16:20] == b"RGB " and not is_usable(icc):
        problems.append("the colour profile cannot be read")
        return None
    return profile_name(icc)


def _story(xmp: bytes, problems: list[str]) -> tuple[str | None, tuple[dict[str, str], ...]]:
    """DigitalSourceType, and the events of xmpMM:History, each with its properties."""
    try:
        texts = xmp_texts(xmp)
    except ValueError as error:
        problems.append(str(error))
        return None, ()
    events: dict[int, dict[str, str]] = {}
    for key, text in texts.items():
        if found := _NOTED.fullmatch(key):
            events.setdefault(int(found[1]), {})[found[2]] = text.strip()
    return texts.get(SOURCE_TYPE, "").strip().rpartition("/")[2] or None, tuple(events.values())


def _printable(text: str) -> str:
    """Text from a file, without characters that would control a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)
