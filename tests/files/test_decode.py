import io
import os
import struct
import zlib

import numpy as np
import pytest
import pyvips
import skimage.data
from PIL import Image, ImageCms, ImageOps
from profiles import assemble, fixed

from camera_nano.errors import UnreadableImage
from camera_nano.files.decode import decode, open_image
from camera_nano.files.encode import encode


@pytest.fixture(scope="session")
def coffee():
    """A real photo, (400, 600, 3), public domain."""
    return np.asarray(skimage.data.coffee())


@pytest.fixture(scope="session")
def deep(coffee):
    """The same photo in 16 bits, with detail in the low byte."""
    noise = np.random.default_rng(1).integers(0, 257, coffee.shape)
    return np.minimum(coffee.astype(int) * 257 + noise, 65535).astype(np.uint16)


def pillow(image, format, **options):
    """The bytes of a file written by Pillow."""
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(file, format, **options)
    return file.getvalue()


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height, bits, colour, rows):
    """A PNG from scratch: what Pillow cannot write."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def is_close(pixels, reference, mean_codes=2.0):
    return np.abs(pixels.astype(int) - reference).mean() < mean_codes


@pytest.mark.slow
@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations_come_out_upright(coffee, tmp_path, format, orientation):
    tags = Image.Exif()
    tags[0x0112] = orientation
    options = {"lossless": True} if format == "WEBP" else {}
    # the name says nothing: the format is told by content
    path = tmp_path / "photo.bin"
    path.write_bytes(pillow(coffee, format, exif=tags, **options))
    expected = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
    picture = open_image(path)
    assert picture.format == format.lower()
    assert is_close(picture.frame.pixels, expected, 1.0)
    again = Image.open(io.BytesIO(encode(picture.frame.pixels, format="png", metadata=picture.metadata)))
    assert again.getexif().get(0x0112, 1) == 1
    assert np.array_equal(np.asarray(again), picture.frame.pixels)


def test_16_bit_rgb_is_exact(deep):
    reader = pyvips.Image.new_from_array(deep, interpretation="rgb16")
    for data in (reader.pngsave_buffer(), reader.tiffsave_buffer(), reader.tiffsave_buffer(compression="lzw")):
        pixels = decode(data, "x").frame.pixels
        assert pixels.dtype == np.uint16 and np.array_equal(pixels, deep)


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_grey_becomes_rgb_of_the_same_depth(coffee, deep, format, depth):
    grey = (coffee if depth == np.uint8 else deep)[..., 0].copy()
    pixels = decode(pillow(grey, format), "x").frame.pixels
    assert pixels.dtype == depth and np.array_equal(pixels, np.repeat(grey[..., None], 3, 2))


def test_grey_with_a_profile_is_converted(coffee):
    linear = ImageCms.ImageCmsProfile(io.BytesIO(_grey_profile(gamma=1.0))).tobytes()
    grey = np.full((8, 8), 55, np.uint8)  # linear 0.2157, sRGB code 128
    picture = decode(pillow(grey, "PNG", icc_profile=linear), "x")
    assert picture.metadata.icc is None
    assert np.abs(picture.frame.pixels.astype(int) - 128).max() <= 1


def _grey_profile(gamma):
    curve = b"curv" + bytes(4) + struct.pack(">IHH", 1, round(gamma * 256), 0)
    return assemble(b"GRAY", {b"wtpt": fixed((0.9642, 1, 0.8249)), b"kTRC": curve})


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_few_bits_fill_the_range(bits):
    rows = b"".join(b"\0" + bytes([0x00, 0xFF]) for _ in range(4))
    pixels = decode(png(16 // bits, 4, bits, 0, rows), "x").frame.pixels
    assert pixels.dtype == np.uint8
    assert (pixels[:, : 8 // bits] == 0).all() and (pixels[:, 8 // bits :] == 255).all()


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_one_bit_and_palette(coffee, format):
    for mode in ("1", "P"):
        image = Image.fromarray(coffee).convert(mode)
        pixels = decode(pillow(image, format), "x").frame.pixels
        assert np.array_equal(pixels, np.asarray(image.convert("RGB")))


@pytest.mark.slow
@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP"])
def test_alpha_is_kept_apart(coffee, format):
    alpha = np.broadcast_to(np.linspace(0, 255, 600).astype(np.uint8), (400, 600))
    options = {"lossless": True, "exact": True} if format == "WEBP" else {}
    picture = decode(pillow(np.dstack([coffee, alpha]), format, **options), "x")
    assert np.array_equal(picture.alpha, alpha) and np.array_equal(picture.frame.pixels, coffee)


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_becomes_rgb(coffee, format):
    ink = Image.fromarray(coffee).convert("CMYK")
    picture = decode(pillow(ink, format), "x")
    assert picture.frame.pixels.shape == coffee.shape and picture.metadata.icc is None
    # a press profile is duller than Pillow's arithmetic, but dark stays dark and red stays red
    assert is_close(picture.frame.pixels, coffee, 40.0)
    assert np.corrcoef(picture.frame.pixels.ravel(), coffee.ravel())[0, 1] > 0.95


def test_lab_becomes_rgb(coffee):
    lab = pyvips.Image.new_from_array(coffee).colourspace("lab")
    eight = decode(lab.tiffsave_buffer(), "x").frame.pixels
    sixteen = decode(lab.colourspace("labs").tiffsave_buffer(), "x").frame.pixels
    assert is_close(eight, coffee) and sixteen.dtype == np.uint16 and is_close(sixteen / 257, coffee)


@pytest.mark.parametrize("format", ["TIFF", "WEBP"])
def test_only_the_first_page(coffee, format):
    other = Image.fromarray(coffee[::-1].copy())
    options = {"lossless": True} if format == "WEBP" else {}
    data = pillow(coffee, format, save_all=True, append_images=[other], **options)
    assert np.array_equal(decode(data, "x").frame.pixels, coffee)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("share", [0.02, 0.5, 0.99])
def test_cut_short_is_refused(coffee, format, share):
    data = pillow(coffee, format)
    decode(data, "whole.bin")
    with pytest.raises(UnreadableImage, match=r"^cut\.bin is damaged, cut short"):
        decode(data[: int(len(data) * share)], "cut.bin")


def test_lost_pixels_in_the_middle_are_refused_and_oddities_are_not(coffee):
    data = pillow(coffee, "JPEG", quality=90)
    middle = len(data) // 2
    with pytest.raises(UnreadableImage, match="premature end"):
        decode(data[:middle] + data[middle + 3000 :], "x")
    decode(data + b"what some cameras append", "x")
    whole = pillow(coffee, "PNG")
    with pytest.raises(UnreadableImage):
        decode(whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :], "x")


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("empty.jpg", b"", "is empty (zero bytes): copy it again"),
        ("notes.jpg", b"hello, no picture", "is not a picture camera_nano reads (JPEG, PNG, TIFF, WebP, AVIF,"),
        ("animation.jpg", b"GIF89a" + bytes(50), "is not a picture camera_nano reads (JPEG, PNG, TIFF, WebP, AVIF,"),
    ],
)
def test_what_is_no_picture_is_named(tmp_path, name, data, message):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(UnreadableImage) as caught:
        open_image(path)
    assert str(caught.value).startswith(f"{path} {message}")


@pytest.mark.slow
def test_bomb_is_refused_by_its_header():
    data = png(20_000, 20_000, 1, 0, bytes(2501 * 20_000))
    assert len(data) < 100_000
    with pytest.raises(UnreadableImage, match=r"^b\.png is too large \(20000x20000, 400 megapixels, 200 at most\)"):
        decode(data, "b.png")


def test_raw_float_and_odd_bands_are_refused_by_name(coffee):
    photo = pyvips.Image.new_from_array(coffee)
    with pytest.raises(UnreadableImage, match="float samples: save it with 8 or 16 bits"):
        decode(photo.cast("float").tiffsave_buffer(), "x")
    preview = bytearray(pillow(coffee, "TIFF", tiffinfo={254: 1}))
    with pytest.raises(UnreadableImage, match="damaged, cut short or of a rare kind"):
        decode(bytes(preview), "x")


def test_pipes_and_folders_do_not_block(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    for path in (tmp_path / "pipe.jpg", tmp_path):
        with pytest.raises(UnreadableImage, match="folder, pipe or device"):
            open_image(path)
    with pytest.raises(FileNotFoundError):
        open_image(tmp_path / "missing.jpg")


@pytest.mark.parametrize("name", ["Überblick\nzwei.jpg", os.fsdecode(b"\xff\xfe.jpg"), "[1].jpg"])
def test_any_file_name(coffee, tmp_path, name):
    path = tmp_path / name
    path.write_bytes(pillow(coffee, "JPEG"))
    assert open_image(path).frame.pixels.shape == coffee.shape
