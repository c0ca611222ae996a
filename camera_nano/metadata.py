"""What a picture file says beside its pixels: EXIF, XMP, IPTC and the ICC profile, carried from input to output.

libvips moves the blocks in JPEG, PNG and WebP. Of TIFF it knows no EXIF and cuts IPTC short: both are done here.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass, replace
from datetime import datetime

import pyvips
from PIL import Image
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

from camera_nano.values import Frame
from camera_nano.version import __version__
from camera_nano.xmp import parse_xmp, with_root, without

_EXIF_HEADER = b"Exif\0\0"
_ORIENTATION, _EXIF_IFD, _GPS_IFD, _INTEROP_IFD = 0x0112, 0x8769, 0x8825, 0xA005
_WIDTH, _HEIGHT = 0xA002, 0xA003  # PixelXDimension, PixelYDimension
# ImageDescription, Make, Model, Software, DateTime, Artist, Copyright: tags that describe the photo, not its storage
_DESCRIPTIVE = (0x010E, 0x010F, 0x0110, 0x0131, 0x0132, 0x013B, 0x8298)
_PHOTOSHOP_HEADER = b"Photoshop 3.0\0"
_IPTC_RESOURCE, _IPTC_TAG = 0x0404, 0x83BB  # in Photoshop's resources, in TIFF
_UNKNOWN_PIXELS_PER_MM = 72 / 25.4  # what EXIF asks for where the resolution is unknown
_LARGEST_SEGMENT = 65_000  # what fits into one JPEG marker, with its header

_TYPE_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8}  # TIFF 6.0, section 2
_PLACES = [
    re.compile(pattern)
    for pattern in (
        r"\{http://ns\.adobe\.com/exif/1\.0/\}GPS",
        r"\{http://ns\.adobe\.com/photoshop/1\.0/\}(City|State|Country)$",
        r"\{http://iptc\.org/std/Iptc4xmpCore/1\.0/xmlns/\}(Location|CountryCode)$",
        r"\{http://iptc\.org/std/Iptc4xmpExt/2008-02-29/\}Location(Shown|Created)$",
    )
]

# An edited picture has neither its source's gain map nor the video behind it; XMP must not go on claiming them.
_STALE_XMP = re.compile(
    rb"<(G?Container):Directory\b.*?</\1:Directory>"
    rb"|\s(?:hdrgm:\w+|GCamera:(?:MotionPhoto|MicroVideo)\w*)\s*=\s*(?:\"[^\"]*\"|'[^']*')",
    re.DOTALL,
)
_XMP_ORIENTATION = re.compile(rb"(tiff:Orientation(?:\s*=\s*[\"']|>)\s*)[1-8]")


@dataclass(frozen=True, slots=True)
class Metadata:
    """The blocks of a file, None where it has none.

    `exif` starts with its byte order mark; its orientation is 1 and its thumbnail unlinked. `iptc` is bare IIM
    records. `icc` is the profile of the frame's RGB code values; without one they are sRGB.
    """

    exif: bytes | None = None
    xmp: bytes | None = None
    iptc: bytes | None = None
    icc: bytes | None = None
    pixels_per_mm: float = _UNKNOWN_PIXELS_PER_MM  # for print


def read_metadata(image: pyvips.Image, data: bytes) -> Metadata:
    """The metadata of a loaded picture whose pixels are about to be turned upright; `data` is the file itself."""

    def block(name: str) -> bytes | None:
        return bytes(image.get(name)) if image.get_typeof(name) else None

    exif = block("exif-data")
    if exif is None and image.get("vips-loader").startswith("tiff"):
        exif = _exif_of_tiff(data)
    xmp, iptc, icc = block("xmp-data"), block("iptc-data"), block("icc-profile-data")
    return Metadata(
        exif=upright_exif(exif) if exif else None,
        xmp=_XMP_ORIENTATION.sub(rb"\g<1>1", _STALE_XMP.sub(b"", xmp)) if xmp else None,
        iptc=_unwrap_iptc(iptc) if iptc else None,
        icc=icc if icc and icc[16:20] == b"RGB " else None,  # ICC.1:2022, 7.2.6: colour space of the data
        pixels_per_mm=image.xres if image.xres != 1 else _UNKNOWN_PIXELS_PER_MM,  # 1 is libvips' "not known"
    )


def of_frame(frame: Frame, at: datetime, camera: str) -> Metadata:
    """What a camera's frame says of itself: when it was exposed, with a time zone, how long, by what (EXIF 2.32)."""
    tags = Image.Exif()
    tags[_ORIENTATION], tags[0x0110], tags[0x0131] = 1, camera, f"camera_nano {__version__}"  # Model, Software
    shown = at.strftime("%Y:%m:%d %H:%M:%S")
    tags[0x0132] = shown  # DateTime
    of_exposure = {
        _WIDTH: frame.pixels.shape[1],
        _HEIGHT: frame.pixels.shape[0],
        0x9003: shown,  # DateTimeOriginal
        0x9004: shown,  # DateTimeDigitized
        0x9291: f"{at.microsecond // 1000:03d}",  # SubSecTimeOriginal
    }
    if offset := at.strftime("%z"):
        of_exposure[0x9011] = f"{offset[:3]}:{offset[3:5]}"  # OffsetTimeOriginal
    if frame.exposure.time_ms:
        of_exposure[0x829A] = IFDRational(round(frame.exposure.time_ms * 1000), 1_000_000)  # ExposureTime, seconds
    if frame.exposure.iso:
        of_exposure[0x8827] = round(frame.exposure.iso)  # PhotographicSensitivity
    tags.get_ifd(_EXIF_IFD).update(of_exposure)
    return Metadata(exif=tags.tobytes().removeprefix(_EXIF_HEADER))


def without_location(metadata: Metadata) -> Metadata:
    """The same, saying nothing of where it was: no GPS in EXIF, no place names or coordinates in XMP and IPTC.

    Maker notes are kept; a few cameras write places there, in ways of their own.
    """
    packet = metadata.xmp
    if packet is not None:
        try:
            root = parse_xmp(packet)
            without(root, _PLACES)
            packet = with_root(root, packet)
        except ValueError:
            packet = None  # it cannot be searched
    iptc = None if metadata.iptc is None else _iptc_without_places(metadata.iptc)
    return replace(metadata, exif=metadata.exif and _exif_without_gps(metadata.exif), xmp=packet, iptc=iptc)


def _exif_without_gps(exif: bytes) -> bytes:
    """EXIF with its GPS directory emptied and every value of it overwritten; all other bytes stay in their places."""
    block = bytearray(exif)
    order = "<" if block[:2] == b"II" else ">"
    try:
        (ifd,) = struct.unpack_from(order + "I", block, 4)
        (n_tags,) = struct.unpack_from(order + "H", block, ifd)
        for at in range(ifd + 2, ifd + 2 + 12 * n_tags, 12):
            if struct.unpack_from(order + "H", block, at)[0] != _GPS_IFD:
                continue
            (gps,) = struct.unpack_from(order + "I", block, at + 8)
            (n_gps,) = struct.unpack_from(order + "H", block, gps)
            for entry in range(gps + 2, gps + 2 + 12 * n_gps, 12):
                _, kind, count, place = struct.unpack_from(order + "HHII", block, entry)
                size = count * _TYPE_BYTES.get(kind, 1)
                if size > 4:
                    block[place : place + size] = bytes(len(block[place : place + size]))
                block[entry : entry + 12] = bytes(12)
            struct.pack_into(order + "H", block, gps, 0)
    except struct.error:
        pass  # so damaged that no reader finds it either
    return bytes(block)


def _iptc_without_places(iptc: bytes) -> bytes:
    """IIM records without those of location (IPTC IIM 4.2, 2:26, 2:27, 2:90 to 2:101)."""
    kept, at = bytearray(), 0
    while at + 5 <= len(iptc) and iptc[at] == 0x1C:
        record, dataset, size = iptc[at + 1], iptc[at + 2], int.from_bytes(iptc[at + 3 : at + 5], "big")
        if size & 0x8000:
            break  # an extended dataset: no place is that long
        if not (record == 2 and (dataset in (26, 27) or 90 <= dataset <= 101)):
            kept += iptc[at : at + 5 + size]
        at += 5 + size
    return bytes(kept)


def attach_metadata(image: pyvips.Image, metadata: Metadata, format: str) -> pyvips.Image:
    """The same picture with the metadata on it, for libvips to write.

    PNG and WebP have no place for IPTC; `add_to_tiff` does what libvips leaves out of a TIFF.
    """
    image = image.copy(xres=metadata.pixels_per_mm, yres=metadata.pixels_per_mm)
    image.set_type(pyvips.GValue.gint_type, "orientation", 1)
    iptc = _wrap_iptc(metadata.iptc) if metadata.iptc and format == "jpeg" else None
    blocks = {"xmp-data": metadata.xmp, "iptc-data": iptc, "icc-profile-data": metadata.icc}
    if metadata.exif:
        blocks["exif-data"] = _EXIF_HEADER + metadata.exif
    for name, block in blocks.items():
        # a profile may span several JPEG segments, the others may not: too much of them is left out, not cut
        fits = format != "jpeg" or name == "icc-profile-data" or len(block or b"") <= _LARGEST_SEGMENT
        if block and fits:
            image.set_type(pyvips.GValue.blob_type, name, block)
    return image


def upright_exif(exif: bytes) -> bytes | None:
    """EXIF with orientation 1 and no thumbnail, every other byte in its place (maker notes hold offsets).

    None for a block so damaged that its first directory cannot be walked.
    """
    block = bytearray(exif.removeprefix(_EXIF_HEADER))
    order = {b"II": "<", b"MM": ">"}.get(bytes(block[:2]))
    if order is None:
        return None
    try:
        (ifd,) = struct.unpack_from(order + "I", block, 4)
        (n_tags,) = struct.unpack_from(order + "H", block, ifd)
        end = ifd + 2 + 12 * n_tags
        for at in range(ifd + 2, end, 12):
            if struct.unpack_from(order + "H", block, at)[0] == _ORIENTATION:
                struct.pack_into(order + "HHIHH", block, at, _ORIENTATION, 3, 1, 1, 0)
        struct.pack_into(order + "I", block, end, 0)  # the thumbnail's directory is the next one
    except struct.error:
        return None
    return bytes(block)


def is_reduced_tiff(data: bytes) -> bool:
    """Whether a TIFF's first picture is only a preview: so it is in the raw files of most cameras, and in DNG."""
    tags = _load_tags(data)
    return bool(tags) and (int(tags.get(0x00FE, 0)) & 1 == 1 or 0xC612 in tags)


def _load_tags(block: bytes) -> Image.Exif:
    """The tags of an EXIF block or of a TIFF, which is built the same; none if they cannot be read."""
    tags = Image.Exif()
    try:
        tags.load(block)
        tags.get_ifd(_EXIF_IFD).pop(_INTEROP_IFD, None)  # an offset that would point to nowhere
        tags.get_ifd(_GPS_IFD)
    except Exception:  # a foreign parser on foreign bytes; metadata is no reason to lose the photo
        return Image.Exif()
    return tags


def _exif_of_tiff(data: bytes) -> bytes | None:
    tags, kept = _load_tags(data), Image.Exif()
    for tag in _DESCRIPTIVE:
        if tag in tags:
            kept[tag] = tags[tag]
    for ifd in (_EXIF_IFD, _GPS_IFD):
        kept.get_ifd(ifd).update(tags.get_ifd(ifd))
    is_any = kept or kept.get_ifd(_EXIF_IFD) or kept.get_ifd(_GPS_IFD)
    return kept.tobytes().removeprefix(_EXIF_HEADER) if is_any else None


def add_to_tiff(tiff: bytes, metadata: Metadata, size_wh: tuple[int, int]) -> bytes:
    """A classic little-endian TIFF -> the same with EXIF and IPTC. All that was there keeps its bytes and places."""
    extra = ImageFileDirectory_v2(tiff[:8])
    if metadata.iptc:
        extra[_IPTC_TAG] = metadata.iptc
    if metadata.exif:
        tags = _load_tags(metadata.exif)
        for tag in _DESCRIPTIVE:
            if tag in tags:
                extra[tag] = tags[tag]
        extra[_EXIF_IFD] = tags.get_ifd(_EXIF_IFD) | {_WIDTH: size_wh[0], _HEIGHT: size_wh[1]}
        if gps := dict(tags.get_ifd(_GPS_IFD)):
            extra[_GPS_IFD] = gps
    if not extra:
        return tiff
    values_at = len(tiff) + len(tiff) % 2  # TIFF 6.0, section 2: everything begins on a word boundary
    values_of_extra = extra.tobytes(values_at)
    (first,) = struct.unpack_from("<I", tiff, 4)
    entries = _entries(values_of_extra, 0) | _entries(tiff, first)
    directory_at = values_at + len(values_of_extra) + len(values_of_extra) % 2
    directory = struct.pack("<H", len(entries)) + b"".join(entries[tag] for tag in sorted(entries)) + bytes(4)
    head = tiff[:4] + struct.pack("<I", directory_at)
    pads = bytes(values_at - len(tiff)), bytes(directory_at - values_at - len(values_of_extra))
    return b"".join([head, memoryview(tiff)[8:], pads[0], values_of_extra, pads[1], directory])


def _entries(block: bytes, at: int) -> dict[int, bytes]:
    """Tag -> its 12 bytes, of the little-endian directory at `at`. Longer values sit elsewhere, by absolute offset."""
    (n,) = struct.unpack_from("<H", block, at)
    raw = (block[i : i + 12] for i in range(at + 2, at + 2 + 12 * n, 12))
    return {int.from_bytes(entry[:2], "little"): entry for entry in raw}


def _unwrap_iptc(block: bytes) -> bytes | None:
    """IIM records out of Photoshop's image resources, where JPEG keeps them; bare records as they are."""
    if not block.startswith(_PHOTOSHOP_HEADER):
        return block
    at = len(_PHOTOSHOP_HEADER)
    while block[at : at + 4] == b"8BIM" and len(block) >= at + 12:
        (resource,) = struct.unpack_from(">H", block, at + 4)
        at += 6 + (block[at + 6] // 2 + 1) * 2  # the resource's name, padded to even with its length byte
        size = int.from_bytes(block[at : at + 4], "big")
        if resource == _IPTC_RESOURCE:
            return block[at + 4 : at + 4 + size]
        at += 4 + size + size % 2
    return None


def _wrap_iptc(records: bytes) -> bytes:
    head = struct.pack(">4sHHI", b"8BIM", _IPTC_RESOURCE, 0, len(records))
    return _PHOTOSHOP_HEADER + head + records + bytes(len(records) % 2)
