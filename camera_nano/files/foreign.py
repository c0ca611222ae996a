"""Foreign files for the library, and for commands with one photo: by a `Decoder` whose children stay until the end.

In a process that ends at once they cost a second to start. A program that has many files does best with threads: each
has a child of its own.
"""

from __future__ import annotations

import atexit
import os
import threading
from functools import cache

from camera_nano.atomic import write_atomically
from camera_nano.files.decode import Picture
from camera_nano.files.decoder import Decoder
from camera_nano.files.encode import encode, named_format
from camera_nano.files.inspect import Report
from camera_nano.files.metadata import Metadata
from camera_nano.values import GainMap, Pixels

_making = threading.Lock()  # `cache` alone lets two threads make one each, of which nobody ends the second


def shared_decoder() -> Decoder:
    """The decoder of this process, for all that has none of its own."""
    with _making:
        return _shared()


@cache
def _shared() -> Decoder:
    decoder = Decoder()
    atexit.register(decoder.close)
    return decoder


def _in_forked() -> None:
    _shared.cache_clear()  # two processes cannot talk to one child
    _making.release()


os.register_at_fork(before=_making.acquire, after_in_parent=_making.release, after_in_child=_in_forked)


def open_image(path: str | os.PathLike[str]) -> Picture:
    """Decode a picture file; of several pages the first. The content says the format, not the file's name.

    JPEG, PNG, TIFF, WebP and AVIF; with the extra `heic` also HEIC, with `hdr` JPEG XL, OpenEXR and Radiance, with
    `raw` the raw files of cameras.

    RGB keeps its code values, and its ICC profile is in the metadata. Where the tone curve of the profile is far from
    sRGB's, the picture becomes 16 bits with the profile `icc.WIDE_GAMUT`. Grey becomes RGB of the same depth; CMYK, Lab
    and grey with a profile become sRGB.

    Raises:
        UnreadableImage: the file is no such picture, damaged, cut short, over 200 megapixels, or not a regular file;
            its decoder crashed, hung, or needed too much memory.
        OSError: the file cannot be opened.
        NoDecoder: the process that decodes does not start here.
    """
    return shared_decoder().open(path)


def inspect(path: str | os.PathLike[str]) -> Report:
    """Look into a picture file. What is wrong with it is in the report.

    Raises:
        OSError: the file cannot be opened.
        NoDecoder: as `open_image`.
    """
    return shared_decoder().inspect(path)


def save(
    path: str | os.PathLike[str],
    pixels: Pixels,
    *,
    format: str = "auto",
    quality: int = 92,
    metadata: Metadata | None = None,
    alpha: Pixels | None = None,
    gain: GainMap | None = None,
) -> None:
    """Write `encode`'s bytes to a file that appears whole or not at all. Metadata may be of a foreign file.

    With "auto" the suffix of `path` says the format; a .jpg with a gain map becomes an Ultra HDR file.

    Raises:
        ValueError: as in `encode`, or "auto" with a suffix that camera_nano does not write; the metadata crashed what
            writes it.
        OSError: as in `write_atomically`.
        NoDecoder: as `open_image`, only where there is metadata.
    """
    write = encode if metadata is None else shared_decoder().encode
    format = named_format(path, format)
    data = write(pixels, format=format, quality=quality, metadata=metadata, alpha=alpha, gain=gain)
    write_atomically(path, data)
