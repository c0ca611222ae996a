"""A folder of mixed picture files, whole and broken: what a batch meets in the wild, made of public pictures."""

from __future__ import annotations

import io
import itertools
import os
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import numpy.typing as npt
import OpenEXR
import skimage.data
import tifffile
from PIL import Image

from camera_nano.files import Metadata, encode
from camera_nano.files.icc import of_primaries
from camera_nano.paths import scenes_dir
from camera_nano.values import GainMap

SIZES_WH = ((1152, 864), (1500, 1000), (1080, 1920), (2000, 1500))  # 1 to 3 megapixels
LARGE_WH, LEAST_FILES = (4000, 3000), 100  # of a folder for large pictures to be among them
_XYZ_TO_RGB = (3.2406, -1.5372, -0.4986, -0.9689, 1.8758, 0.0415, 0.0557, -0.204, 1.057)
_GRAIN_CODES = 3

U8 = npt.NDArray[np.uint8]
Make = Callable[[U8], bytes]
Kinds = tuple[tuple[str, Make], ...]


def _pillow(format: str, mode: str = "RGB", orientation: int = 1, **options: Any) -> Make:
    def make(pixels: U8) -> bytes:
        exif, file = Image.Exif(), io.BytesIO()
        exif[0x0112], exif[0x010F] = orientation, "Maker"
        Image.fromarray(pixels).convert(mode).save(file, format, exif=exif.tobytes(), **options)
        return file.getvalue()

    return make


def _ours(format: str, deep: bool = False, lamp: bool = False, **options: Any) -> Make:
    def make(pixels: U8) -> bytes:
        gain = GainMap((pixels[::2, ::2, 0] // 2).astype(np.uint8), (2.0,), 2.0) if lamp else None
        picture = pixels.astype(np.uint16) * np.uint16(257) if deep else pixels
        return encode(picture, format=format, gain=gain, **options)

    return make


def _profiled(primaries: int) -> Make:
    return lambda pixels: encode(pixels, format="jpeg", metadata=Metadata(icc=of_primaries(primaries)))


def _gamma(pixels: U8) -> bytes:
    """Gamma 1.8, which is converted when it is read."""
    icc = imagecodecs.cms_profile("rgb", whitepoint=(0.3127, 0.3290, 1.0), gamma=1.8,
                                  primaries=(0.68, 0.32, 1.0, 0.265, 0.69, 1.0, 0.15, 0.06, 1.0))  # fmt: skip
    return encode(pixels, format="jpeg", metadata=Metadata(icc=bytes(icc)))


def _alpha(pixels: U8) -> bytes:
    return encode(pixels, format="png", alpha=pixels[..., 1].copy())


def _light(pixels: U8) -> Any:
    return ((pixels / np.float32(255)) ** 2 * 4).astype(np.float32)


def _exr(pixels: U8) -> bytes:
    light = _light(pixels).astype(np.float16)
    file = io.BytesIO()
    channels = {name: np.ascontiguousarray(light[..., i]) for i, name in enumerate("RGB")}
    OpenEXR.File({"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}, channels).write(file)
    return file.getvalue()


def _dng(pixels: U8) -> bytes:
    """A minimal DNG 1.4 of one RGGB mosaic."""
    mosaic = np.empty(pixels.shape[:2], np.uint16)
    for row, column, band in ((0, 0, 0), (0, 1, 1), (1, 0, 1), (1, 1, 2)):
        mosaic[row::2, column::2] = pixels[row::2, column::2, band].astype(np.uint16) ** 2 // 2
    matrix = [number for value in _XYZ_TO_RGB for number in (round(value * 10000), 10000)]
    tags = [
        (271, "s", 0, "camera_nano", True), (272, "s", 0, "bench", True), (274, "H", 1, 1, True),
        (33421, "H", 2, (2, 2), True), (33422, "B", 4, bytes([0, 1, 1, 2]), True),
        (50706, "B", 4, bytes([1, 4, 0, 0]), True), (50708, "s", 0, "camera_nano bench", True),
        (50714, "H", 1, 0, True), (50717, "I", 1, 65535, True), (50721, "2i", 9, matrix, True),
        (50728, "2I", 3, [1] * 6, True), (50778, "H", 1, 21, True),
    ]  # fmt: skip
    file = io.BytesIO()
    tifffile.imwrite(file, mosaic, photometric=32803, extratags=tags, metadata=None, planarconfig=1)
    return file.getvalue()


# extension and maker; about half are JPEGs, as in people's folders
WHOLE: Kinds = (
    (".jpg", _ours("jpeg")),
    (".jpg", _pillow("JPEG", orientation=6, quality=90)),
    (".jpg", _profiled(12)),
    (".jpg", _profiled(9)),
    (".jpg", _gamma),
    (".jpg", _pillow("JPEG", "L", quality=90)),
    (".jpg", _pillow("JPEG", "CMYK", quality=90)),
    (".jpg", _ours("ultrahdr", lamp=True)),
    (".jpg", _ours("ultrahdr", lamp=True, quality=85)),
    (".png", _ours("png")),
    (".png", _ours("png", deep=True)),
    (".png", _pillow("PNG", "P")),
    (".png", _alpha),
    (".tif", _ours("tiff")),
    (".tif", _ours("tiff", deep=True)),
    (".webp", _ours("webp")),
    (".avif", _ours("avif")),
    (".heic", _ours("heic")),
    (".heic", _ours("heic", lamp=True)),
    (".jxl", lambda pixels: bytes(imagecodecs.jpegxl_encode(pixels, level=90, effort=3))),
    (".dng", _dng),
    (".exr", _exr),
    (".hdr", lambda pixels: bytes(imagecodecs.rgbe_encode(_light(pixels)))),
)


def _flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 255]) + data[middle + 1 :]


def _bomb(pixels: U8) -> bytes:
    """400 megapixels of nothing in 50 KB."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(bytes(2501 * 20_000))) + chunk(b"IEND", b"")


def _cut(make: Make) -> Make:
    def cut(pixels: U8) -> bytes:
        whole = make(pixels)
        return whole[: len(whole) * 2 // 3]

    return cut


BROKEN: Kinds = (
    (".jpg", lambda _: b""),
    (".jpg", lambda _: b"Dear all, the photos are in the other folder.\n"),
    (".png", lambda _: b"GIF89a" + bytes(200)),
    (".png", _bomb),
    (".png", lambda pixels: _flipped(_ours("png")(pixels))),
    *((extension, _cut(make)) for extension, make in WHOLE if extension != ".dng"),
)


def scenes() -> list[U8]:
    """A few photos, free to use."""
    room = np.asarray(Image.open(scenes_dir() / "room.webp").convert("RGB"))
    astronaut: Callable[[], U8] = skimage.data.astronaut
    coffee: Callable[[], U8] = skimage.data.coffee
    return [astronaut(), coffee(), room]


def at_size(scene: U8, wh: tuple[int, int]) -> U8:
    """A scene at another size, with grain: an enlarged picture would be too easy for a codec."""
    pixels = np.asarray(cv2.resize(scene, wh, interpolation=cv2.INTER_CUBIC), np.int16)
    grain = np.random.default_rng(0).integers(-_GRAIN_CODES, _GRAIN_CODES + 1, pixels.shape, np.int16)
    return np.asarray(np.clip(pixels + grain, 0, 255), np.uint8)


def _distinct(kinds: Kinds, sizes_wh: Sequence[tuple[int, int]], *, large: bool) -> Iterator[tuple[str, bytes]]:
    """Each kind in a size or two: files that a folder is filled with in turn."""
    pictures = scenes()
    for number, (extension, make) in enumerate(kinds):
        wh = sizes_wh[number % len(sizes_wh)]
        yield extension, make(at_size(pictures[number % len(pictures)], wh))
    if large:
        pixels = at_size(pictures[0], LARGE_WH)
        yield from ((extension, make(pixels)) for extension, make in kinds[:9:2])


def fill(folder: Path, n_files: int, sizes_wh: Sequence[tuple[int, int]] = SIZES_WH) -> tuple[int, int]:
    """Make `n_files`, a tenth of them broken, and what is no file at all beside; how many are whole, and broken."""
    n_broken = n_files // 10
    for stem, kinds, count in (("photo", WHOLE, n_files - n_broken), ("broken", BROKEN, n_broken)):
        large = stem == "photo" and n_files >= LEAST_FILES
        made = itertools.cycle(list(_distinct(kinds[:count], sizes_wh, large=large)))
        for number, (extension, data) in zip(range(count), made, strict=False):
            path = folder / f"{number % 7}" / f"{stem}{number:04d}{extension}"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
    os.mkfifo(folder / "pipe.jpg")
    (folder / "folder.jpg").mkdir()
    (folder / "nowhere.jpg").symlink_to("missing.jpg")
    return n_files - n_broken, n_broken
