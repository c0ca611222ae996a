"""Files that no camera made: cut, mutated, of impossible sizes, with wrong names, and what is no file at all."""

from __future__ import annotations

import contextlib
import os
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import mixed_files

_SIZE_WH = (96, 64)
_DEEP = 60  # folders within folders
_SUFFIXES = (".jpg", ".png", ".tif", ".webp", ".avif", ".heic", ".jxl", ".dng", ".exr", ".hdr", ".cr2", ".mpo", ".gif")
Dice = random.Random


def _cut(data: bytes, dice: Dice) -> bytes:
    return data[: dice.randrange(len(data))]


def _mutated(data: bytes, dice: Dice) -> bytes:
    """A few bytes anywhere, or in the head, where sizes and offsets are."""
    out, reach = bytearray(data), dice.choice((len(data), min(600, len(data))))
    for _ in range(dice.randint(1, 12)):
        out[dice.randrange(reach)] = dice.choice((0, 1, 127, 128, 255, dice.randrange(256)))
    return bytes(out)


def _holed(data: bytes, dice: Dice) -> bytes:
    """A sector of the disk is gone."""
    at = dice.randrange(len(data))
    return data[:at] + bytes(512) + data[at + 512 :]


def _shuffled(data: bytes, dice: Dice) -> bytes:
    """Two pieces change places, so that segments come twice or not at all."""
    first, second = sorted(dice.randrange(len(data)) for _ in range(2))
    return data[:first] + data[second:] + data[first:second]


def _repeated(data: bytes, dice: Dice) -> bytes:
    at = dice.randrange(len(data))
    return data[:at] + data[at : at + 400] * dice.randint(2, 60) + data[at:]


def _random(data: bytes, dice: Dice) -> bytes:
    return data[: dice.choice((4, 16, 64))] + dice.randbytes(dice.randrange(20_000))


_CHANGES: tuple[Callable[[bytes, Dice], bytes], ...] = (_cut, _mutated, _mutated, _holed, _shuffled, _repeated, _random)


def _png(width: int, height: int, body: bytes) -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


def _bombs() -> dict[str, bytes]:
    """Files that claim, or unfold to, far more than they are."""
    jpeg = mixed_files.WHOLE[0][1](mixed_files.at_size(mixed_files.scenes()[0], _SIZE_WH))
    at = jpeg.index(b"\xff\xc0") + 5
    tiff = struct.pack("<2sHIHHHII", b"II", 42, 8, 2, 256, 4, 1, 0xFFFFFF) + struct.pack(
        "<HHIII", 257, 4, 1, 0xFFFFFF, 8
    )
    return {
        "wide.png": _png(2**31 - 1, 2**31 - 1, b""),
        "flat.png": _png(30_000, 30_000, bytes(40_000_000)),
        "text.png": _png(64, 64, bytes(64 * 193))[:33] + _zipped_text() + _png(64, 64, bytes(64 * 193))[33:],
        "wide.jpg": jpeg[:at] + struct.pack(">HH", 65500, 65500) + jpeg[at + 4 :],
        "none.jpg": jpeg[:at] + struct.pack(">HH", 0, 0) + jpeg[at + 4 :],
        "endless.tif": tiff,  # its only directory is followed by itself
        "empty.heic": b"",
    }


def _zipped_text() -> bytes:
    content = b"Comment\0\0" + zlib.compress(bytes(100_000_000), 9)
    return struct.pack(">I", len(content)) + b"zTXt" + content + struct.pack(">I", zlib.crc32(b"zTXt" + content))


def _no_files(folder: Path) -> None:
    """What has the name of a photo and is none, and photos that are hard to name."""
    (folder / "links").mkdir()
    photo = mixed_files.WHOLE[0][1](mixed_files.at_size(mixed_files.scenes()[1], _SIZE_WH))
    for name, target in {
        "zero": "/dev/zero",
        "itself": "itself.jpg",
        "gone": "missing.jpg",
        "stdin": "/dev/stdin",
    }.items():
        (folder / "links" / f"{name}.jpg").symlink_to(target)
    (folder / "links" / "up").symlink_to("..", target_is_directory=True)
    os.mkfifo(folder / "pipe.jpg")
    with contextlib.suppress(OSError):  # which needs a right
        os.mknod(folder / "device.jpg", 0o600 | 0o20000, os.makedev(1, 5))  # a character device: /dev/zero
    (folder / "folder.jpg").mkdir()
    deep = folder.joinpath(*["deep"] * _DEEP)
    deep.mkdir(parents=True)
    names = [
        "deep.jpg",
        "-o.jpg",
        "new\nline.jpg",
        "\x1b[31mred.jpg",
        f"{'long' * 62}.jpg",
        " .jpg",
        "<b>&amp;.jpg",
        "..jpg",
    ]
    for name in names:
        (deep / name).write_bytes(photo)
    for raw in (b"latin-\xe9t\xe9.jpg", b"\xff\xfe.jpg"):
        with contextlib.suppress(OSError):  # some disks take UTF-8 only
            (folder / os.fsdecode(raw)).write_bytes(photo)


def fill(folder: Path, n_files: int, seed: int = 0) -> None:
    """Make so many files in a folder, and what is no file beside them; the same for the same seed."""
    folder.mkdir(parents=True, exist_ok=True)
    pixels = [mixed_files.at_size(scene, _SIZE_WH) for scene in mixed_files.scenes()]
    whole = [(suffix, make(pixels[number % len(pixels)])) for number, (suffix, make) in enumerate(mixed_files.WHOLE)]
    dice = Dice(seed)
    for number in range(n_files):
        suffix, data = whole[number % len(whole)]
        change = dice.choice(_CHANGES)
        if dice.random() < 0.1:
            suffix = dice.choice(_SUFFIXES)
        path = folder / f"{number % 9}" / f"{number:05}{change.__name__}{suffix}"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(change(data, dice))
    for name, data in _bombs().items():
        (folder / name).write_bytes(data)
    _no_files(folder)
