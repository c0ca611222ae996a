"""What a picture file holds, and what is wrong with it. The pixels are decoded too: a whole header proves little."""

from __future__ import annotations

import contextlib
import io
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import pyvips
from PIL import ImageCms

from camera_nano import mpf
from camera_nano.apple import AUXILIARY
from camera_nano.decode import Format, UnreadableImage, decode
from camera_nano.decode_wide import TMAP
from camera_nano.gainmap import GainMap
from camera_nano.metadata import xmp_texts
from camera_nano.recipe import SOURCE_TYPE
from camera_nano.ultrahdr import check, read_gainmap

# a C2PA manifest store by the label of its JUMBF box (ISO 19566-5), alike in every container
_C2PA = re.compile(rb"jumb.{4}jumd.{17}c2pa\0", re.DOTALL)
_HEIF_GAIN_MAPS = {  # how an item or auxiliary picture of a HEIF file says what it is
    "apple": re.compile(AUXILIARY.encode() + rb"\0"),
    "iso": TMAP,
}
_COLOUR = re.compile(rb"colrnclx(......).", re.DOTALL)
_HEAD_BYTES = 1 << 16
_NOTED = re.compile(r"Xmp\.xmpMM\.History\[(\d+)\]/stEvt:(\w+)")


@dataclass(frozen=True, slots=True)
class GainMapFound:
    """A gain map; its size and headroom are None where camera_nano sees it but cannot read it."""

    kind: str
    size_wh: tuple[int, int] | None = None
    headroom_ev: float | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What a file holds; None or empty for what it does not. `problems` has a line for each thing that is wrong."""

    path: str
    format: str | None = None
    size_wh: tuple[int, int] | None = None  # as stored, before turning by `orientation`
    depth_bits: int | None = None
    profile: str | None = None
    nclx: tuple[int, int, int] | None = None  # primaries, transfer, matrix (ITU-T H.273); of AVIF and HEIC
    orientation: int | None = None
    gain_map: GainMapFound | None = None
    mpf: tuple[tuple[int, int], ...] = ()  # start and length of each picture, as the index says
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
    """Look into a picture file. What is wrong with it is told in the report.

    Raises:
        OSError: the file cannot be opened.
    """
    path = Path(path)
    data = path.read_bytes()
    try:
        is_jpeg = data.startswith(b"\xff\xd8\xff")
        load = pyvips.Image.jpegload_buffer if is_jpeg else pyvips.Image.new_from_buffer
        image = load(data) if is_jpeg else load(data, "")
    except pyvips.Error:
        return Report(str(path), problems=("not a picture camera_nano knows, or damaged from the start",))
    problems = _damage(image, data, path)
    xmp = _block(image, "xmp-data")
    source_type, history = _story(xmp, problems) if xmp else (None, ())
    format = _format(image)
    found: GainMapFound | None = None
    places: tuple[tuple[int, int], ...] = ()
    if format == "jpeg":
        problems += check(data)
        found, places = _of_jpeg(data)
        format = "ultrahdr" if found and found.kind != "apple" else format
    elif format in ("avif", "heic"):
        found = _of_heif(data, problems)
    colour = _COLOUR.search(data[:_HEAD_BYTES]) if format in ("avif", "heic") else None
    return Report(
        path=str(path),
        format=format,
        size_wh=(image.width, image.height),
        depth_bits=_depth_bits(image),
        profile=_profile(_block(image, "icc-profile-data"), problems),
        nclx=tuple(int.from_bytes(colour[1][k : k + 2]) for k in (0, 2, 4)) if colour else None,  # type: ignore[arg-type]
        orientation=image.get("orientation") if image.get_typeof("orientation") else None,
        gain_map=found,
        mpf=places,
        source_type=source_type,
        c2pa=_C2PA.search(data) is not None,
        history=history,
        problems=tuple(dict.fromkeys(problems)),
    )


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


def _damage(image: pyvips.Image, data: bytes, path: Path) -> list[str]:
    """What decoding every pixel complains about."""
    try:
        if _format(image) in get_args(Format):
            decode(data, path.name)
        elif _format(image) == "avif":
            image.avg()
        elif _format(image) == "heic":
            _decode_heic(data)
    except UnreadableImage as error:
        return [str(error)]
    except (pyvips.Error, RuntimeError, ValueError):  # libheif's errors are the latter two
        return [f"{path.name} is damaged or cut short: export it again"]
    return []


def _decode_heic(data: bytes) -> None:
    """Only where the extra `hdr` is there: libvips' own build has no HEVC."""
    with contextlib.suppress(ImportError):
        import pillow_heif

        pillow_heif.open_heif(data).to_pillow()


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
    """Its gain map and the places its index tells, as far as they can be read: `check` says what is wrong."""
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
    try:
        return str(ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(io.BytesIO(icc)))).strip()
    except (ImageCms.PyCMSError, OSError) as error:
        problems.append(f"the colour profile cannot be read ({error})")
        return None


def _story(xmp: bytes, problems: list[str]) -> tuple[str | None, tuple[dict[str, str], ...]]:
    """DigitalSourceType and the events of xmpMM:History, each with what its writer noted."""
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
    """A file's own words, without what would steer a terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)
