"""Pixels -> AVIF and HEIC files (extras `hdr` and `heic`): SDR or, with a gain map, HDR in 10-bit PQ."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from functools import partial

import numpy as np
import numpy.typing as npt

from camera_nano.color import SDR_WHITE_NITS, pq_code
from camera_nano.files.bmff import lacks_pixels
from camera_nano.files.bmff_write import add_metadata, grid_of, placed_simply, with_alpha
from camera_nano.files.gainmap import apply
from camera_nano.files.icc import light_2020
from camera_nano.files.metadata import Metadata
from camera_nano.values import GainMap, Pixels

# colour primaries, transfer characteristics and matrix coefficients of ITU-T H.273, tables 2 to 4
_SDR = (1, 13, 6)  # BT.709, sRGB; BT.601, which readers assume where a file does not say
_PROFILED = (2, 2, 6)  # unspecified: the ICC profile says it
_BT601, _BT709 = 6, 1
_HDR = (9, 16, 9)  # BT.2020, PQ, BT.2020 non-constant luminance
_FULL_CHROMA_QUALITY = 90
# slower settings take two to five times as long, and make files only 5 (AVIF) to 20 per cent (HEIC) smaller
_AVIF_SPEED = 9
_HEIC_PRESET = "ultrafast"
_TILE_PX = 512  # as phones have it: encoders take 27 to 45 bytes for each pixel that they are given at once
_MOST_TILES = 256  # more are refused by libheif, as libvips has it
_EXIF_HEADER = b"Exif\0\0"
_ONE_AT_A_TIME = threading.Lock()  # of this process, since x265 uses every core; a `Decoder` sees to the others

U16 = npt.NDArray[np.uint16]


def encode_heif(
    pixels: Pixels, *, format: str, quality: int, metadata: Metadata | None, alpha: Pixels | None, gain: GainMap | None
) -> bytes:
    """Pixels (H, W, 3), alpha (H, W) and metadata -> the bytes of an "avif" or "heic" file.

    With a gain map, the file shows the light that base and map give together: BT.2020 primaries and PQ at 10 bits, SDR
    white at 203 cd/m2 (ITU-R BT.2408). Without one, it has the pixels, 8 bits for uint8 and 10 for uint16, and their
    profile. Pictures that are larger than a tile are grids of them (ISO/IEC 23008-12, 6.6.2.3), and so is their alpha.
    These formats have no place for IPTC.

    Raises:
        ValueError: the encoder is not installed.
        MemoryError: it got too little.
    """
    metadata = metadata or Metadata()
    hdr = gain is not None
    if gain is not None:
        pixels = pq_picture(pixels, gain, metadata.icc)
    elif pixels.dtype == np.uint16:
        pixels = _ten_bits(pixels)
    if alpha is not None and pixels.dtype == np.uint16:
        alpha = _ten_bits(alpha if alpha.dtype == np.uint16 else alpha * np.uint16(257))
    if alpha is not None and max(alpha.shape) <= _TILE_PX:
        pixels, alpha = np.dstack([pixels, alpha]), None
    icc = None if hdr else metadata.icc
    nclx = _HDR if hdr else _PROFILED if icc else _SDR
    write = partial(_avif if format == "avif" else _heic, quality=quality, nclx=nclx)
    data = write(np.ascontiguousarray(pixels), metadata=metadata, icc=icc)
    if alpha is None:
        return data
    return with_alpha(data, write(np.ascontiguousarray(alpha), metadata=Metadata(), icc=None))


def pq_picture(pixels: Pixels, gain: GainMap, icc: bytes | None) -> U16:
    """A base picture, its gain map and its profile -> (H, W, 3) of 10-bit PQ codes, BT.2020, full range.

    The gain is applied after the change of primaries. That is right for maps with one gain for all channels and no
    offsets, as `draw_gain_map` makes them.
    """
    out = np.empty(pixels.shape, np.uint16)
    for first, light in light_2020(pixels, icc):
        nits = apply(light, gain, first_row=first, height=len(pixels)) * np.float32(SDR_WHITE_NITS)
        out[first : first + len(nits)] = np.rint(pq_code(nits) * 1023)
    return out


def _ten_bits(codes: Pixels) -> U16:
    return ((codes.astype(np.uint32) * 1023 + 32767) // 65535).astype(np.uint16)


def _avif(pixels: Pixels, quality: int, nclx: tuple[int, int, int], metadata: Metadata, icc: bytes | None) -> bytes:
    try:
        import imagecodecs
    except ImportError as error:
        raise ValueError('AVIF needs its encoder: pip install "camera-nano[hdr]"') from error
    primaries, transfer, matrix = nclx
    if matrix == _BT601:  # with BT.601, libavif rounds chroma with a bias of a third of a code
        matrix = _BT709
    write = partial(
        imagecodecs.avif_encode,
        level=quality,
        speed=_AVIF_SPEED,
        bitspersample=10 if pixels.dtype == np.uint16 else 8,
        pixelformat="400" if pixels.ndim == 2 else "444" if _keeps_chroma(pixels, quality) else "420",
        primaries=primaries,
        transfer=transfer,
        matrix=matrix,
        numthreads=2,
    )
    height, width = pixels.shape[:2]
    side = _tile_px(height, width)
    if max(height, width) > side:
        data = grid_of([bytes(write(tile)) for tile in _tiles(pixels, side)], -(-width // side), width, height)
    else:
        data = bytes(write(pixels))
    return add_metadata(data, exif=metadata.exif, xmp=metadata.xmp, icc=icc)


def _tile_px(height: int, width: int) -> int:
    """The side of a picture's tiles."""
    n_tiles = -(-height // _TILE_PX) * -(-width // _TILE_PX)
    return _TILE_PX if n_tiles <= _MOST_TILES else 2 * _TILE_PX


def _tiles(pixels: Pixels, side: int) -> Iterator[Pixels]:
    """Squares of a picture, row by row; the last ones are filled by its edges."""
    for y in range(0, pixels.shape[0], side):
        for x in range(0, pixels.shape[1], side):
            tile = pixels[y : y + side, x : x + side]
            missing = [(0, side - tile.shape[0]), (0, side - tile.shape[1]), (0, 0)][: tile.ndim]
            yield np.pad(tile, missing, mode="edge")


def _keeps_chroma(pixels: Pixels, quality: int) -> bool:
    """Whether chroma is kept whole. In a grid, half of it needs even sides (MIAF, ISO/IEC 23000-22, 7.3.11.4.2)."""
    return quality >= _FULL_CHROMA_QUALITY or pixels.shape[0] % 2 == 1 or pixels.shape[1] % 2 == 1


def _heic(pixels: Pixels, quality: int, nclx: tuple[int, int, int], metadata: Metadata, icc: bytes | None) -> bytes:
    try:
        import pillow_heif
    except ImportError as error:
        raise ValueError('HEIC needs its encoder: pip install "camera-nano[heic]"') from error
    mode = "L" if pixels.ndim == 2 else "RGBA" if pixels.shape[2] == 4 else "RGB"
    if pixels.dtype == np.uint16:
        mode = mode + ";16"
        pixels <<= np.uint16(6)  # it takes 16 bits and drops the lowest six; the pixels are our own copy
    chroma = 444 if _keeps_chroma(pixels, quality) else 420
    image = pillow_heif.from_bytes(mode=mode, size=pixels.shape[1::-1], data=pixels.reshape(-1).view(np.uint8).data)
    primaries, transfer, matrix = nclx
    blocks = {"exif": _EXIF_HEADER + metadata.exif if metadata.exif else None, "xmp": metadata.xmp, "icc_profile": icc}
    file = io.BytesIO()
    with _ONE_AT_A_TIME:
        image.save(
            file,
            quality=quality,
            enc_params={"preset": _HEIC_PRESET},
            chroma=chroma,
            tile_size=_tile_px(*pixels.shape[:2]),
            color_primaries=primaries,
            transfer_characteristics=transfer,
            matrix_coefficients=matrix,
            full_range_flag=1,
            **{name: block for name, block in blocks.items() if block},
        )
    if lacks_pixels(data := file.getvalue()):  # x265 gives nothing, and says nothing, where it gets no memory
        raise MemoryError
    return placed_simply(data)
