"""Files with lost pixels, and whole ones with oddities, which the same libraries warn of in the same way."""

import random
import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from test_decode import pillow
from test_decode_hdr import dng

from camera_nano.errors import UnreadableImage
from camera_nano.files import mpf
from camera_nano.files.decode import decode


def scan_of(jpeg):
    """Where the first scan's header starts, and its data."""
    *_, last = mpf.segments(jpeg)
    return last.start, last.end


def junk_in_header(jpeg):
    """Bytes between two segments, an unknown colour transform, a version of JFIF that is none, odd scan parameters."""
    at = mpf.after_apps(jpeg)
    _, end = scan_of(jpeg)
    tables = jpeg[at : end - 3] + b"\x07\x00\x31"
    adobe = mpf.segment(0xEE, b"Adobe" + struct.pack(">HHHB", 100, 0, 0, 9))
    apps = jpeg[:at].replace(b"JFIF\0\1", b"JFIF\0\7")
    return apps + b"junk\0" + adobe + b"\0" + tables + jpeg[end:]


def spoilt(data, n_bytes, at_share, seed=0):
    """The file with noise in place of some of its bytes, none of it a marker."""
    at = int(len(data) * at_share)
    noise = bytes(random.Random(seed).randrange(255) for _ in range(n_bytes))
    return data[:at] + noise + data[at + n_bytes :]


@pytest.fixture(scope="module")
def jpeg(photo):
    return pillow(photo, "JPEG", quality=90)


def test_oddities_in_the_header_of_a_jpeg_cost_nothing_and_are_not_spoken_of(jpeg):
    odd = junk_in_header(jpeg)
    picture, same = decode(odd, "x"), decode(jpeg, "x")
    assert np.array_equal(picture.frame.pixels, same.frame.pixels)
    assert picture.notes == picture.metadata.problems == ()


@pytest.mark.parametrize("is_odd", [False, True])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.97])
def test_oddities_do_not_hide_lost_pixels(jpeg, share, is_odd):
    data = junk_in_header(jpeg) if is_odd else jpeg
    with pytest.raises(UnreadableImage, match="premature end"):
        decode(data[: int(len(data) * share)], "x")


def test_a_jpeg_whose_restarts_do_not_fit_is_refused(photo):
    data = pillow(photo, "JPEG", restart_marker_blocks=16)
    assert decode(data, "x").notes == ()
    with pytest.raises(UnreadableImage, match="damaged, cut short"):
        decode(spoilt(data, 500, 0.5), "x")
    at = data.index(b"\xff\xd3", scan_of(data)[1])
    with pytest.raises(UnreadableImage, match="damaged, cut short"):
        decode(data[:at] + b"\xff\xd5" + data[at + 2 :], "x")


@pytest.mark.parametrize("is_progressive", [False, True])
def test_data_after_the_last_pixel_are_told_unless_they_are_padding(photo, is_progressive):
    """As damage leaves them: it makes what follows shorter, and all pixels are there, at the wrong place."""
    data = pillow(photo, "JPEG", progressive=is_progressive)
    assert decode(data[:-2] + bytes(300) + data[-2:], "x").notes == ()
    left_over = decode(data[:-2] + bytes(range(1, 101)) + data[-2:], "x")
    assert left_over.notes[0].startswith("part of the picture may be damaged: data are left over")


def test_what_was_said_of_one_file_excuses_no_other(photo):
    for is_progressive in (False, True):
        padded = pillow(photo, "JPEG", progressive=is_progressive)
        assert decode(padded[:-2] + bytes(300) + padded[-2:], "x").notes == ()
        with pytest.raises(UnreadableImage, match="damaged, cut short"):
            decode(spoilt(pillow(photo, "JPEG", restart_marker_blocks=16), 500, 0.5), "x")


def test_most_damaged_jpegs_are_refused_or_told(photo, jpeg):
    """Of those whose pixels are wrong: where the data happen to fit, nothing can tell."""
    silent, (_, first) = 0, scan_of(jpeg)
    for seed in range(30):
        rng = random.Random(seed)
        at = rng.randrange(first, len(jpeg) - 600)
        damaged = jpeg[:at] + bytes(rng.randrange(255) for _ in range(512)) + jpeg[at + 512 :]
        try:
            silent += not decode(damaged, "x").notes
        except UnreadableImage as error:
            assert "\n" not in str(error)
    assert silent <= 8


@pytest.mark.parametrize("compression", ["jpeg", "packbits", "tiff_lzw"])
def test_a_tiff_that_lost_pixels_is_refused(photo, compression):
    data = pillow(photo, "TIFF", compression=compression)
    assert decode(data, "x").notes == ()
    with pytest.raises(UnreadableImage, match="damaged, cut short"):
        decode(spoilt(data, 300, 0.6), "x")


def with_entries(tiff, change):
    """A little-endian TIFF with other entries in its first directory, as many as before."""
    (at,) = struct.unpack_from("<I", tiff, 4)
    n = struct.unpack_from("<H", tiff, at)[0]
    entries = change([tiff[k : k + 12] for k in range(at + 2, at + 2 + 12 * n, 12)])
    assert len(entries) == n
    return tiff[: at + 2] + b"".join(entries) + tiff[at + 2 + 12 * n :]


def test_oddities_in_the_header_of_a_tiff_cost_nothing(photo):
    for compression in ("raw", "packbits"):
        data = pillow(photo, "TIFF", compression=compression, tiffinfo={65000: "private"})
        odd = with_entries(data, lambda entries: entries[::-1])  # they should be in order
        assert np.array_equal(decode(odd, "x").frame.pixels, photo) and decode(odd, "x").notes == ()
    with pytest.raises(UnreadableImage):
        decode(spoilt(odd, 300, 0.6), "x")


def test_a_tiff_of_old_style_jpeg_is_refused_not_black(photo):
    """TIFF 6.0, section 22, which nobody writes any more."""
    data = pillow(Image.fromarray(photo), "TIFF", compression="jpeg")
    old = with_entries(data, lambda entries: [e[:8] + b"\6\0\0\0" if e[:2] == b"\3\1" else e for e in entries])
    with pytest.raises(UnreadableImage, match="Old-style JPEG"):
        decode(old, "x")


def test_a_raw_file_that_ends_before_its_data_is_told(photo, tmp_path):
    """As the directory tells it: LibRaw reads some such files to the end, with zeros."""
    data = dng(tmp_path / "a.dng", photo[..., 1].astype(np.uint16) * 200)
    assert decode(data, "x").notes == ()
    longer = with_entries(
        data, lambda entries: [e[:8] + struct.pack("<I", len(data)) if e[:2] == b"\x17\1" else e for e in entries]
    )
    assert decode(longer, "x").notes == ("part of the picture may be missing: the file ends before its data do",)


@pytest.mark.slow
def test_libraries_do_not_chat_on_the_terminal(jpeg, tmp_path):
    (tmp_path / "cut.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    command = [sys.executable, "-m", "camera_nano", "enhance", "cut.jpg", "out.jpg"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "VIPS" not in done.stderr and done.stderr.count("\n") == 1
