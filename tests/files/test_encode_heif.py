"""Written by us, read by libavif, libheif, Pillow and exiftool."""

import io
import json
import shutil
import subprocess

import numpy as np
import pytest
import pyvips
from PIL import Image
from test_encode import camera_exif, p3_profile
from test_ultrahdr import XMP, scene

from camera_nano.color import XYZ_TO_2020, pq_code, srgb_eotf
from camera_nano.files.bmff_write import add_metadata
from camera_nano.files.decoder import Decoder
from camera_nano.files.encode import encode
from camera_nano.files.encode_heif import pq_picture
from camera_nano.files.gainmap import from_headroom
from camera_nano.files.metadata import Metadata

imagecodecs = pytest.importorskip("imagecodecs")
pillow_heif = pytest.importorskip("pillow_heif")
FORMATS = pytest.mark.parametrize("format", ["avif", "heic"])
# ITU-R BT.2087-0, M2: BT.709 light to BT.2020
TO_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])


def nits(code):
    """SMPTE ST 2084:2014, 5.1."""
    v = np.asarray(code, float) ** (1 / 78.84375)
    return 10000 * (np.maximum(v - 0.8359375, 0) / (18.8515625 - 18.6875 * v)) ** (1 / 0.1593017578125)


def codes(data, format):
    """Bit depth and code values, by an independent reader."""
    if format == "avif":
        pixels = imagecodecs.avif_decode(data)
        return (10 if pixels.dtype == np.uint16 else 8), pixels
    file = pillow_heif.open_heif(data, convert_hdr_to_8bit=False)
    pixels = np.asarray(file)
    return file.info["bit_depth"], pixels >> 6 if pixels.dtype == np.uint16 else pixels


def nclx(data):
    """What the colour box says: primaries, transfer, matrix, full range."""
    at = data.index(b"colrnclx") + 8
    return [int.from_bytes(data[at + k : at + k + 2]) for k in (0, 2, 4)] + [data[at + 6] >> 7]


def test_pq_at_the_points_of_the_standards():
    for light, code in ((0, 0), (100, 0.5081), (203, 0.5807), (1000, 0.7518), (10000, 1), (20000, 1)):
        assert float(pq_code(np.float32(light))) == pytest.approx(code, abs=1e-4)
        assert light > 10000 or nits(code) == pytest.approx(light, rel=2e-3)


def test_primaries():
    xyz_of_709 = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    assert np.abs(XYZ_TO_2020 @ xyz_of_709 - TO_2020).max() < 5e-4


@pytest.mark.parametrize("profile", [None, "p3"])
def test_pq_codes_are_the_light_of_the_scene(profile):
    base, ev = scene(300, 450)
    gain = from_headroom(ev)
    icc = p3_profile() if profile else None
    made = nits(pq_picture(base, gain, icc) / 1023)
    to_2020 = TO_2020
    if profile:  # SMPTE EG 432-1 primaries with D65, to XYZ
        to_2020 = XYZ_TO_2020 @ [[0.4866, 0.2657, 0.1982], [0.2290, 0.6917, 0.0793], [0, 0.0451, 1.0439]]
    truth = 203 * (srgb_eotf(base / 255) * np.exp2(ev)[..., None]) @ to_2020.T
    assert np.percentile(np.abs(made / truth - 1), 99) < 0.02


@pytest.mark.slow
@FORMATS
def test_hdr_files_hold_ten_bits_of_light_and_say_so(format):
    base, ev = scene()
    data = encode(base, format=format, quality=100, gain=from_headroom(ev))
    depth, pixels = codes(data, format)
    assert depth == 10 and nclx(data) == [9, 16, 9, 1]
    truth = 203 * (srgb_eotf(base / 255) * np.exp2(ev)[..., None]) @ TO_2020.T
    luminance = (0.2627, 0.6780, 0.0593)  # ITU-R BT.2020-2, table 4
    error = np.abs(nits(pixels / 1023) @ luminance / (truth @ luminance) - 1)
    assert np.percentile(error, 99) < 0.02


@FORMATS
def test_a_white_sdr_pixel_stands_at_203_nits(format):
    white = np.full((64, 64, 3), 255, np.uint8)
    ev = np.zeros((64, 64), np.float32)
    ev[:, 40:] = 2
    _, pixels = codes(encode(white, format=format, quality=100, gain=from_headroom(ev)), format)
    assert nits(pixels[:, :30] / 1023).mean() == pytest.approx(203, rel=0.02)
    assert nits(pixels[:, 50:] / 1023).mean() == pytest.approx(812, rel=0.02)


@pytest.mark.slow
@FORMATS
@pytest.mark.parametrize(("dtype", "depth"), [(np.uint8, 8), (np.uint16, 10)])
def test_without_headroom_the_picture_is_the_sdr_one(photo, format, dtype, depth):
    pixels = photo.astype(dtype) * (257 if dtype == np.uint16 else 1)
    data = encode(pixels, format=format, quality=100)
    found, made = codes(data, format)
    assert found == depth and nclx(data) == [1, 13, 1 if format == "avif" else 6, 1]
    assert np.abs(made / (2**depth - 1) - photo / 255).mean() < 0.006


@FORMATS
@pytest.mark.parametrize("hdr", [False, True])
@pytest.mark.parametrize("size_wh", [(64, 96), (600, 96)])
def test_metadata_travels(format, hdr, size_wh):
    base, ev = scene(*size_wh)
    profile = p3_profile()
    metadata = Metadata(exif=camera_exif().tobytes().removeprefix(b"Exif\0\0"), xmp=XMP, icc=profile)
    data = encode(base, format=format, metadata=metadata, gain=from_headroom(ev) if hdr else None)
    image = Image.open(io.BytesIO(data)) if format == "avif" else pillow_heif.open_heif(data).to_pillow()
    exif = image.getexif()
    assert exif[0x010F] == "Maker" and exif.get_ifd(0x8769)[0x927C] == bytes(range(99))
    assert image.info["xmp"].rstrip(b"\0") == XMP
    assert image.info.get("icc_profile") == (None if hdr else profile)  # PQ codes are not those of the profile


@FORMATS
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_large_pictures_are_grids_of_tiles_without_seams(photo, format, dtype):
    pixels = np.hstack([photo, photo[:, ::-1]])[:, :700]
    data = encode(pixels.astype(dtype) * (257 if dtype == np.uint16 else 1), format=format)
    heif = pillow_heif.open_heif(data)
    assert heif.size == (700, 512) and [heif.info["tiling"][f"num_{side}"] for side in ("columns", "rows")] == [2, 1]
    depth, made = codes(data, format)
    error = np.abs(made / (2**depth - 1) - pixels / 255).mean((0, 2))
    assert made.shape == pixels.shape and error[508:516].mean() < 1.2 * error.mean() < 0.008


@FORMATS
@pytest.mark.parametrize(("width", "chroma"), [(600, 420), (601, 444)])
def test_chroma_of_half_the_size_is_for_even_sides(photo, format, width, chroma):
    data = encode(np.hstack([photo, photo])[:, :width], format=format, quality=80)
    if format == "heic":  # ISO/IEC 14496-15, 8.3.3.1
        assert data[data.index(b"hvcC") + 4 + 16] & 3 == {420: 1, 444: 3}[chroma]
    else:  # the bits chroma_subsampling_x and _y ("AV1 Codec ISO Media File Format Binding", 2.3.3)
        assert data[data.index(b"av1C") + 4 + 2] >> 2 & 3 == {420: 3, 444: 0}[chroma]
    assert codes(data, format)[1].shape == (512, width, 3)


@FORMATS
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_transparency_of_large_pictures_is_a_grid_of_its_own(photo, format, dtype):
    step = 257 if dtype == np.uint16 else 1
    pixels = np.hstack([photo, photo[:, ::-1]])[:, :700].astype(dtype) * step
    alpha = photo[::-1, ::-1, 1].repeat(2, axis=1)[:, :700].astype(dtype) * step
    metadata = Metadata(exif=camera_exif().tobytes().removeprefix(b"Exif\0\0"), xmp=XMP, icc=p3_profile())
    data = encode(pixels, format=format, alpha=alpha, metadata=metadata)
    depth, made = codes(data, format)
    assert np.array_equal(made[..., :3], codes(encode(pixels, format=format, metadata=metadata), format)[1])
    error = np.abs(made[..., 3] / (2**depth - 1) - alpha / np.iinfo(dtype).max).mean(0)
    assert error[508:516].mean() < 0.01 and error.mean() < 0.006  # also where tiles meet
    image = Image.open(io.BytesIO(data)) if format == "avif" else pillow_heif.open_heif(data).to_pillow()
    assert image.mode == "RGBA" and image.getexif()[0x010F] == "Maker"
    assert image.info["xmp"].rstrip(b"\0") == XMP and image.info["icc_profile"] == p3_profile()
    tiling = pillow_heif.open_heif(data).info["tiling"]
    assert [tiling[f"num_{side}"] for side in ("columns", "rows")] == [2, 1]


@pytest.mark.slow
@FORMATS
@pytest.mark.parametrize("has_alpha", [False, True])
def test_a_large_picture_needs_little_memory(photo, format, has_alpha):
    pixels = np.tile(photo, (4, 6, 1))  # 6.3 megapixels: encoders would take over 170 MB for them at once
    with Decoder(memory_bytes=64 << 20) as decoder:
        made = decoder.encode(pixels, format=format, alpha=pixels[..., 1].copy() if has_alpha else None)
    assert len(made) > len(pixels) << 9


@pytest.mark.slow
def test_there_are_never_more_tiles_than_readers_take():
    data = encode(np.full((1600, 40_000, 3), 99, np.uint8), format="avif")
    tiling = pillow_heif.open_heif(data).info["tiling"]
    assert tiling["num_columns"] * tiling["num_rows"] <= 256 and tiling["tile_width"] == 1024
    assert pyvips.Image.new_from_buffer(data, "").width == 40_000  # libvips refuses it where there are more


@pytest.mark.slow
@FORMATS
def test_transparency_stays(photo, format):
    alpha = np.zeros(photo.shape[:2], np.uint8)
    alpha[:, 256:] = 255
    _, pixels = codes(encode(photo, format=format, alpha=alpha, metadata=Metadata(xmp=XMP)), format)
    assert pixels.shape == (512, 512, 4) and np.abs(pixels[..., 3].astype(int) - alpha).mean() < 1


def test_metadata_costs_no_pixel(photo):
    plain = encode(photo, format="avif")
    full = add_metadata(plain, exif=b"II*\0" + bytes(96), xmp=XMP, icc=p3_profile())
    assert np.array_equal(imagecodecs.avif_decode(plain), imagecodecs.avif_decode(full))
    assert add_metadata(plain, exif=None, xmp=None, icc=None) == plain
    with pytest.raises(ValueError, match="as libavif writes it"):
        add_metadata(plain + full, exif=b"x", xmp=None, icc=None)


@pytest.mark.skipif(shutil.which("exiftool") is None, reason="exiftool is not installed")
@FORMATS
def test_exiftool_agrees(format, tmp_path):
    base, ev = scene(64, 96)
    path = tmp_path / f"a.{format}"
    path.write_bytes(encode(base, format=format, metadata=Metadata(xmp=XMP), gain=from_headroom(ev)))
    [tags] = json.loads(subprocess.check_output(["exiftool", "-j", "-n", str(path)]))
    assert [tags[f"{k}"] for k in ("ColorPrimaries", "TransferCharacteristics", "MatrixCoefficients")] == [9, 16, 9]
    assert tags["ImagePixelDepth"] == "10 10 10" and tags["CreatorTool"] == "Tool" and "Warning" not in tags


@FORMATS
def test_a_missing_encoder_is_one_line_with_the_way_out(photo, format, monkeypatch):
    for name in ("imagecodecs", "pillow_heif"):
        monkeypatch.setitem(__import__("sys").modules, name, None)
    with pytest.raises(ValueError, match=rf'pip install "camera-nano\[{"hdr" if format == "avif" else "heic"}\]"'):
        encode(photo, format=format)
