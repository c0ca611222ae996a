import errno
import io
import os
import stat

import numpy as np
import pytest
import skimage.data
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from camera_nano.atomic import write_atomically
from camera_nano.files.decode import decode, open_image
from camera_nano.files.encode import encode, save
from camera_nano.files.metadata import Metadata
from camera_nano.formats import format_of
from camera_nano.values import GainMap

FORMATS = ["jpeg", "png", "tiff", "webp"]


@pytest.fixture(scope="session")
def chelsea():
    """A real photo of a cat, (300, 451, 3): odd width. Public domain."""
    return np.asarray(skimage.data.chelsea())


def opened(data):
    return Image.open(io.BytesIO(data))


def camera_exif(orientation=1):
    """What a camera writes: maker, times, exposure, GPS, a maker note."""
    tags = Image.Exif()
    tags[0x010F], tags[0x0110], tags[0x0112], tags[0x0132] = "Maker", "Model <b>", orientation, "2024:05:06 07:08:09"
    tags.get_ifd(0x8769).update(
        {0x829A: IFDRational(1, 60), 0x9003: "2024:05:06 07:08:09", 0xA002: 9, 0xA003: 9, 0x927C: bytes(range(99))}
    )
    tags.get_ifd(0x8825).update({1: "N", 2: (48.0, 12.5, 3.25), 3: "E", 4: (11.0, 30.0, 0.0)})
    return tags


def p3_profile():
    """Display P3 as libvips ships it."""
    import pyvips

    return pyvips.Image.black(1, 1, bands=3).copy(interpretation="srgb").icc_transform("p3").get("icc-profile-data")


@pytest.mark.parametrize("format", ["png", "tiff"])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("has_alpha", [False, True])
def test_lossless_formats_keep_every_code_value(chelsea, rng, format, depth, has_alpha):
    pixels = chelsea if depth == np.uint8 else rng.integers(0, 65536, chelsea.shape).astype(np.uint16)
    alpha = rng.integers(0, np.iinfo(depth).max, pixels.shape[:2]).astype(depth) if has_alpha else None
    picture = decode(encode(pixels, format=format, alpha=alpha, metadata=Metadata()), "x")
    assert picture.frame.pixels.dtype == depth and np.array_equal(picture.frame.pixels, pixels)
    assert np.array_equal(picture.alpha, alpha) if has_alpha else picture.alpha is None


def test_16_bit_is_rounded_for_8_bit_formats():
    for value, expected in ((0, 0), (128, 0), (129, 1), (200 * 257 - 128, 200), (200 * 257 + 128, 200), (65535, 255)):
        flat = np.full((16, 16, 3), value, np.uint16)
        assert np.unique(opened(encode(flat, format="jpeg", quality=100))).tolist() == [expected]
        webp = np.asarray(opened(encode(flat, format="webp", quality=100))).astype(int)
        assert np.abs(webp - expected).max() <= 2


def test_chroma_is_full_from_quality_90_on(chelsea):
    from PIL.JpegImagePlugin import get_sampling

    assert get_sampling(opened(encode(chelsea, format="jpeg", quality=90))) == 0
    assert get_sampling(opened(encode(chelsea, format="jpeg", quality=89))) == 2


def test_jpeg_lays_transparency_on_white(chelsea):
    alpha = np.zeros(chelsea.shape[:2], np.uint8)
    assert (np.asarray(opened(encode(chelsea, format="jpeg", alpha=alpha))) == 255).all()


@pytest.mark.parametrize("source", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("format", FORMATS)
def test_exif_survives_with_right_size_and_orientation(chelsea, tmp_path, source, format):
    path = tmp_path / "in"
    Image.fromarray(chelsea).save(path, source, exif=camera_exif(orientation=6))
    picture = open_image(path)
    image = opened(encode(picture.frame.pixels, format=format, metadata=picture.metadata))
    assert image.size == (300, 451)  # turned
    tags = image.getexif()
    assert [tags[tag] for tag in (0x010F, 0x0110, 0x0112, 0x0132)] == ["Maker", "Model <b>", 1, "2024:05:06 07:08:09"]
    exif, gps = tags.get_ifd(0x8769), tags.get_ifd(0x8825)
    assert (exif[0xA002], exif[0xA003]) == image.size
    assert (exif[0x829A], exif[0x9003], exif[0x927C]) == (1 / 60, "2024:05:06 07:08:09", bytes(range(99)))
    assert {k: gps[k] for k in (1, 2, 3, 4)} == {1: "N", 2: (48.0, 12.5, 3.25), 3: "E", 4: (11.0, 30.0, 0.0)}
    # and once more through our own reader: EXIF out of a TIFF, too
    again = Image.Exif()
    again.load(decode(encode(picture.frame.pixels, format=format, metadata=picture.metadata), "x").metadata.exif)
    assert again.get_ifd(0x8769)[0x9003] == "2024:05:06 07:08:09" and again.get_ifd(0x8825)[1] == "N"


@pytest.mark.parametrize("format", FORMATS)
def test_p3_profile_and_code_values_travel(chelsea, format):
    profile = p3_profile()
    file = io.BytesIO()
    Image.fromarray(chelsea).save(file, "PNG", icc_profile=profile)
    picture = decode(file.getvalue(), "x")
    assert np.array_equal(picture.frame.pixels, chelsea)  # not converted
    data = encode(picture.frame.pixels, format=format, metadata=picture.metadata)
    assert opened(data).info["icc_profile"] == profile
    if format in ("png", "tiff"):
        assert np.array_equal(np.asarray(opened(data)), chelsea)


def test_iptc_travels_between_jpeg_and_tiff(chelsea):
    records = b"\x1c\x02\x78\x00\x05hello"
    for first, second in (("jpeg", "tiff"), ("tiff", "jpeg"), ("jpeg", "jpeg")):
        data = encode(chelsea, format=first, metadata=Metadata(iptc=records))
        read = decode(encode(chelsea, format=second, metadata=decode(data, "x").metadata), "x").metadata.iptc
        assert read.rstrip(b"\0") == records  # TIFF counts in words of four
    from PIL.IptcImagePlugin import getiptcinfo

    assert getiptcinfo(opened(data))[(2, 120)] == b"hello"


def test_without_metadata_nothing_is_added(chelsea):
    for format in FORMATS:
        metadata = decode(encode(chelsea, format=format), "x").metadata
        assert metadata.exif is metadata.xmp is metadata.iptc is metadata.icc is None


@pytest.mark.parametrize("exif", [b"", b"II", b"MM\0*\0\0\xff\xff", b"II*\0\x08\0\0\0\xff\xff", bytes(40)])
def test_damaged_exif_costs_the_exif_not_the_photo(chelsea, exif):
    file = io.BytesIO()
    Image.fromarray(chelsea).save(file, "PNG", exif=b"Exif\0\0" + exif if exif else None)
    picture = decode(file.getvalue(), "x")
    for format in FORMATS:
        encode(picture.frame.pixels, format=format, metadata=picture.metadata)


def test_bad_use_is_named(chelsea):
    with pytest.raises(ValueError, match="no format 'gif'; there are jpeg, ultrahdr, png, tiff, webp, avif, heic"):
        encode(chelsea, format="gif")
    with pytest.raises(ValueError, match="quality is 1 to 100, not 0"):
        encode(chelsea, format="jpeg", quality=0)
    with pytest.raises(ValueError, match="webp holds at most 16383 pixels a side, not 16384"):
        encode(np.zeros((1, 16384, 3), np.uint8), format="webp")
    with pytest.raises(ValueError, match=r"a\.gif has no extension camera_nano writes: use \.jpg"):
        format_of("a.gif")
    assert format_of("A.JPEG") == "jpeg" and format_of("a.tif") == "tiff"


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
@pytest.mark.parametrize("edge", ["fsync", "replace"])
def test_failed_save_leaves_what_was_there(chelsea, tmp_path, monkeypatch, error, edge):
    path = tmp_path / "a.png"
    path.write_bytes(b"before")
    seen = []

    def fail(*args):
        seen.extend(os.listdir(tmp_path))
        raise error

    monkeypatch.setattr(os, edge, fail)
    with pytest.raises(type(error)) as caught:
        save(path, chelsea, format="png")
    monkeypatch.undo()
    assert any(name.startswith(".") and str(os.getpid()) in name for name in seen)  # there was something to remove
    assert os.listdir(tmp_path) == ["a.png"] and path.read_bytes() == b"before"
    if isinstance(error, OSError):
        assert caught.value.errno == errno.ENOSPC and caught.value.filename == str(path)
    save(path, chelsea, format="png")
    assert os.listdir(tmp_path) == ["a.png"] and np.array_equal(np.asarray(Image.open(path)), chelsea)


def test_folders_that_cannot_be_written(chelsea, tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    for folder, error in (("missing", FileNotFoundError), ("file", NotADirectoryError)):
        path = tmp_path / folder / "a.jpg"
        with pytest.raises(error) as caught:
            save(path, chelsea, format="jpeg")
        assert caught.value.filename == str(path)
    assert os.listdir(tmp_path) == ["file"]


def test_write_atomically_obeys_umask_and_replaces_links(tmp_path):
    path = tmp_path / ("n" * 250 + ".txt")
    original = tmp_path / "original"
    original.write_bytes(b"untouched")
    path.symlink_to(original)
    write_atomically(path, b"new")
    assert path.read_bytes() == b"new" and original.read_bytes() == b"untouched" and not path.is_symlink()
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


@pytest.mark.parametrize(("suffix", "format"), [(".jpg", "jpeg"), (".png", "png"), (".tif", "tiff"), (".webp", "webp")])
def test_save_knows_the_format_from_the_path(suffix, format, chelsea, tmp_path):
    path = tmp_path / f"cat{suffix}"
    save(path, chelsea)
    assert path.read_bytes() == encode(chelsea, format=format)


def test_save_makes_a_jpg_with_a_gain_map_an_ultra_hdr(chelsea, tmp_path):
    gain = GainMap(np.ascontiguousarray(chelsea[::2, ::2, 0]), (2.0,), 2.0)
    save(tmp_path / "cat.jpg", chelsea, gain=gain)
    assert (tmp_path / "cat.jpg").read_bytes() == encode(chelsea, format="ultrahdr", gain=gain)
    with pytest.raises(ValueError, match=r"cat\.gif has no extension camera_nano writes"):
        save(tmp_path / "cat.gif", chelsea)
