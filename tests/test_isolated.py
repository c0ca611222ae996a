"""Decoding in a child: the same pictures, and what a bad file costs."""

import os
import signal
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from camera_nano.decode import UnreadableImage, open_image
from camera_nano.encode import save
from camera_nano.gainmap import GainMap
from camera_nano.isolated import Decoder
from camera_nano.metadata import Metadata


@pytest.fixture
def decoder():
    decoder = Decoder(time_limit_s=30)
    yield decoder
    decoder.close()


def test_the_same_picture_comes_out(decoder, photo, tmp_path):
    exif = Image.Exif()
    exif[0x010F] = "camera"
    metadata = Metadata(exif=exif.tobytes().removeprefix(b"Exif\0\0"), xmp=b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>")
    gain = GainMap(np.full((128, 128), 200, np.uint8), (1.5,), 1.5)
    save(tmp_path / "a.jpg", photo[:256, :256], format="ultrahdr", metadata=metadata, gain=gain)
    save(
        tmp_path / "b.png",
        (photo[:50, :70].astype(np.uint16) * 257),
        format="png",
        alpha=np.full((50, 70), 900, np.uint16),
    )
    for name in ("a.jpg", "b.png", "a.jpg"):
        mine, theirs = open_image(tmp_path / name), decoder.open(tmp_path / name)
        assert (
            np.array_equal(mine.frame.pixels, theirs.frame.pixels)
            and mine.frame.pixels.dtype == theirs.frame.pixels.dtype
        )
        assert (mine.format, mine.metadata) == (theirs.format, theirs.metadata)
        for part in ("alpha", "headroom_ev"):
            assert np.array_equal(getattr(mine, part), getattr(theirs, part))
    assert theirs.headroom_ev is not None


def test_errors_are_those_of_decoding(decoder, tmp_path):
    (tmp_path / "no.jpg").write_bytes(b"no picture")
    for path in (tmp_path / "no.jpg", tmp_path / "missing.jpg", tmp_path):
        with pytest.raises((UnreadableImage, OSError)) as mine:
            open_image(path)
        with pytest.raises(type(mine.value)) as theirs:
            decoder.open(path)
        assert str(mine.value) == str(theirs.value)


def test_a_hang_and_a_crash_cost_one_file(photo, tmp_path):
    save(tmp_path / "a.png", photo, format="png")
    decoder = Decoder(time_limit_s=3)
    decoder.open(tmp_path / "a.png")
    first = decoder.pid
    os.kill(first, signal.SIGSTOP)
    with pytest.raises(UnreadableImage, match=r"a\.png takes more than 3 s to decode"):
        decoder.open(tmp_path / "a.png")
    with pytest.raises(ProcessLookupError):
        os.kill(first, 0)  # it is gone
    assert decoder.open(tmp_path / "a.png").frame.pixels.shape == photo.shape
    os.kill(decoder.pid, signal.SIGSEGV)
    with pytest.raises(UnreadableImage, match=r"crashed its decoder \(signal 11\)"):
        decoder.open(tmp_path / "a.png")
    assert decoder.open(tmp_path / "a.png").frame.pixels.shape == photo.shape
    decoder.close()
    decoder.close()


def test_a_file_that_needs_too_much_memory_is_refused(tmp_path):
    """190 megapixels of 16 bits in a file of two megabytes, where the child has a gigabyte."""
    rows, width = 13_800, 13_800

    def chunk(kind, body):
        return len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")

    head = width.to_bytes(4, "big") + rows.to_bytes(4, "big") + bytes([16, 2, 0, 0, 0])
    squeeze = zlib.compressobj(9)
    body = b"".join(squeeze.compress(bytes(1 + 6 * width)) for _ in range(rows)) + squeeze.flush()
    (tmp_path / "bomb.png").write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )
    decoder = Decoder(time_limit_s=60, memory_limit_bytes=1 << 30)
    with pytest.raises(UnreadableImage, match=r"bomb\.png"):
        decoder.open(tmp_path / "bomb.png")
    decoder.close()


def test_no_child_is_left_behind(decoder, photo, tmp_path):
    save(tmp_path / "a.png", photo, format="png")
    decoder.open(tmp_path / "a.png")
    pid = decoder.pid
    decoder.close()
    assert not Path(f"/proc/{pid}").exists()
