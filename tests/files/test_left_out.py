"""What a file holds beside the picture that is read is told."""

import io
import struct
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image
from test_broken_files import Idle
from test_decode import pillow
from test_gainmap_apple import box

from camera_nano.batch import looks_of
from camera_nano.errors import UnreadableImage
from camera_nano.files.decode import decode
from camera_nano.files.encode import encode
from camera_nano.recipe import Recipe
from camera_nano.values import GainMap, Look

TWO = ("2 further pages or frames are left out",)
VIDEO = ("its video (it is a motion photo) is left out",)


@pytest.fixture(scope="module")
def small(photo):
    return np.ascontiguousarray(photo[100:148, 100:164])


def three(small, format, **options):
    images = [Image.fromarray(np.roll(small, k, 0)) for k in range(3)]
    file = io.BytesIO()
    images[0].save(file, format, save_all=True, append_images=images[1:], **options)
    return file.getvalue()


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "AVIF", "MPO", "HEIF"])
def test_further_pages_and_frames_are_counted(small, format):
    pytest.importorskip("pillow_heif").register_heif_opener()
    assert decode(three(small, format), "x").notes == TWO


def test_previews_and_gain_maps_are_no_further_pages(small):
    file = io.BytesIO()
    with tifffile.TiffWriter(file) as tiff:
        tiff.write(small, photometric="rgb")
        tiff.write(small[::4, ::4], photometric="rgb", subfiletype=1)
    gain = GainMap(np.full((24, 32), 128, np.uint8), (2.0,), 2.0)
    for data in (
        file.getvalue(),
        encode(small, format="ultrahdr", gain=gain),
        *(encode(small, format=format) for format in ("jpeg", "png", "tiff", "webp", "avif", "heic")),
    ):
        assert decode(data, "x").notes == ()


def test_the_video_of_a_motion_photo_is_told(small):
    video = struct.pack(">I", 24) + b"ftypmp42" + bytes(12) + box(b"mdat", bytes(100))
    assert decode(pillow(small, "JPEG") + video, "x").notes == VIDEO
    assert decode(encode(small, format="heic") + box(b"mpvd", video), "x").notes == VIDEO


def test_the_first_frame_of_a_jpeg_xl_animation_is_read(small):
    frames = np.stack([np.roll(small, k, 0) for k in range(3)])
    picture = decode(bytes(imagecodecs.jpegxl_encode(frames, lossless=True)), "x")
    assert np.array_equal(picture.frame.pixels, small) and picture.notes == ("its further frames are left out",)


def test_boxes_may_be_counted_in_64_bits_or_reach_to_the_end(small):
    stream = bytes(imagecodecs.jpegxl_encode(small, lossless=True))
    head = b"\0\0\0\x0cJXL \r\n\x87\n" + b"\0\0\0\x14ftypjxl \0\0\0\0jxl "
    for size in (struct.pack(">I4sQ", 1, b"jxlc", len(stream) + 16), struct.pack(">I4s", 0, b"jxlc")):
        assert np.array_equal(decode(head + size + stream, "x").frame.pixels, small)


def test_an_avif_may_be_of_a_brand_of_both_kinds(small):
    data = encode(small, format="avif")
    assert data[8:12] == b"avif" and b"mif1" in data[16:40]
    picture = decode(data[:8] + b"mif1" + data[12:], "x")
    assert picture.format == "avif" and np.array_equal(picture.frame.pixels, decode(data, "x").frame.pixels)


@pytest.mark.parametrize(("format", "is_told"), [("a.jpg", True), ("a.png", False), ("a.webp", False)])
def test_lost_transparency_is_told(small, format, is_told):
    for alpha, is_seen in ((np.full((48, 64, 1), 255, np.uint8), False), (np.arange(64, dtype=np.uint8), True)):
        rgba = np.dstack([small, np.broadcast_to(alpha.reshape(-1, 64, 1) if alpha.ndim == 1 else alpha, (48, 64, 1))])
        picture = decode(pillow(rgba, "PNG"), "x")
        [(_, notes, _)] = looks_of(picture, Path("o.png"), [(format, Recipe(Look("a"), 1.0, 2, "auto", ""))], Idle())
        assert ["laid on white" in note for note in notes] == [True] * (is_told and is_seen)


def tiff(pixels, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, photometric="rgb", **options)
    return file.getvalue()


def test_kinds_of_tiff_that_are_not_read_are_refused_in_words(small):
    planar = np.moveaxis(small, 2, 0)
    for data, cause in (
        (tiff(planar, planarconfig="separate", tile=(16, 16)), "tiled separate planes not supported"),
        (tiff(small, compression="lzma"), "LZMA compression"),
        (tiff(small, compression="jpegxl"), "Compression scheme 50002"),
        (tiff(small.astype(np.uint16), bitspersample=12), "not a whole number of bytes"),
        (tiff(small.astype(np.int16)), "short samples: save it with 8 or 16 bits"),
    ):
        with pytest.raises(UnreadableImage, match=cause):
            decode(data, "x")


def test_lab_with_8_bits_of_other_programs_is_read(photo):
    from PIL import ImageCms

    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    image = ImageCms.profileToProfile(Image.fromarray(photo), srgb, lab, outputMode="LAB")
    pixels = decode(pillow(image, "TIFF"), "x").frame.pixels
    assert np.abs(pixels.astype(int) - photo).mean() < 3


def test_what_is_too_large_for_a_format_is_told_with_its_limit():
    huge = np.broadcast_to(np.zeros(3, np.uint8), (12_000, 12_000, 3))
    with pytest.raises(ValueError, match=r"^heic holds at most 143 megapixels: use tiff$"):
        encode(huge, format="heic")
    with pytest.raises(ValueError, match=r"^avif holds at most 65536 pixels a side"):
        encode(np.zeros((1, 65_537, 3), np.uint8), format="avif")
