"""Pictures of more than eight bits, written by others and read by us."""

import io
import sys

import imagecodecs
import numpy as np
import OpenEXR
import pillow_heif
import pytest
import tifffile
from PIL import Image
from test_ultrahdr import XMP

from camera_nano.color import SDR_WHITE_NITS, pq_code, pq_nits, srgb_eotf
from camera_nano.errors import UnreadableImage
from camera_nano.files.decode import decode
from camera_nano.files.encode import encode
from camera_nano.files.gainmap import apply
from camera_nano.files.metadata import Metadata
from camera_nano.values import GainMap


def light_of(picture):
    """True light, by the promise of `Picture`."""
    pixels = picture.frame.pixels
    light = srgb_eotf(pixels / np.iinfo(pixels.dtype).max)
    return light if picture.headroom_ev is None else light * 2 ** picture.headroom_ev[..., None].astype(float)


@pytest.fixture
def scene():
    """A ramp of light up to eight times white, with a colour (64, 96, 3) float32."""
    x = np.linspace(0.01, 8, 96, dtype=np.float32)
    return np.stack([np.tile(x * share, (64, 1)) for share in (1.0, 0.6, 0.3)], axis=2)


def exr(scene, path):
    channels = {name: np.ascontiguousarray(scene[..., i]) for i, name in enumerate("RGB")}
    OpenEXR.File({"type": OpenEXR.scanlineimage}, channels).write(str(path))
    return path.read_bytes()


def test_linear_files_give_back_their_light(scene, tmp_path):
    for kind, data, error in (
        ("exr", exr(scene, tmp_path / "a.exr"), 0.001),
        ("radiance", imagecodecs.rgbe_encode(scene), 0.03),
        ("jxl", imagecodecs.jpegxl_encode(scene, lossless=True), 0.001),
    ):
        picture = decode(bytes(data), f"a.{kind}")
        assert picture.format == kind and picture.frame.pixels.dtype == np.uint16
        assert np.allclose(light_of(picture), scene, rtol=error, atol=0.001), kind
        hue = picture.frame.pixels[0, -1] / picture.frame.pixels[0, -1].max()
        assert hue[0] == 1 and 0.5 < hue[2] < 0.6  # white is where red is; its hue stays


def test_hdr_heif_gives_back_its_light(scene):
    codes = np.rint(pq_code(scene * np.float32(SDR_WHITE_NITS)) * 1023).astype(np.uint16)
    heic = io.BytesIO()
    image = pillow_heif.from_bytes(mode="RGB;16", size=(96, 64), data=(codes << 6).tobytes())
    nclx = {"color_primaries": 1, "transfer_characteristics": 16, "matrix_coefficients": 0, "full_range_flag": 1}
    image.save(heic, quality=-1, chroma=444, **nclx)
    picture = decode(heic.getvalue(), "a.heic")
    assert picture.format == "heic"
    assert np.allclose(light_of(picture), scene, rtol=0.03, atol=0.01)
    avif = imagecodecs.avif_encode(
        codes, level=100, bitspersample=10, pixelformat="444", primaries=1, transfer=16, matrix=0
    )
    assert np.allclose(light_of(decode(bytes(avif), "a.avif")), scene, rtol=0.05, atol=0.02)


def test_pq_is_its_own_inverse():
    nits = np.geomspace(0.01, 10000, 200).astype(np.float32)
    assert np.allclose(pq_nits(pq_code(nits)), nits, rtol=2e-3)


@pytest.mark.parametrize("kind", ["heic", "avif", "jxl"])
def test_sdr_pictures_keep_their_codes(photo, kind):
    small = photo[:128, :160]
    if kind == "jxl":
        data = bytes(imagecodecs.jpegxl_encode(small, lossless=True))
    else:
        data = encode(small, format=kind, quality=98, metadata=Metadata(xmp=XMP))
    picture = decode(data, f"a.{kind}")
    assert picture.headroom_ev is None and picture.frame.pixels.shape == small.shape
    assert np.abs(picture.frame.pixels.astype(int) - small).mean() < (0.01 if kind == "jxl" else 3)
    assert kind == "jxl" or b"Tool" in picture.metadata.xmp


def test_heic_is_not_turned_twice(photo):
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    upright = np.rot90(photo[:128, :192], -1)  # what orientation 6 asks for
    pillow_heif.from_pillow(Image.fromarray(photo[:128, :192])).save(file, quality=95, exif=exif.tobytes())
    picture = decode(file.getvalue(), "a.heic")
    shapes = {picture.frame.pixels.shape, upright.shape, photo[:128, :192].shape}
    assert picture.frame.pixels.shape in shapes
    reference = upright if picture.frame.pixels.shape == upright.shape else photo[:128, :192]
    assert np.abs(picture.frame.pixels.astype(int) - reference).mean() < 4


def dng(path, mosaic):
    """A minimal DNG 1.4: one RGGB mosaic of 16 bits, an identity colour matrix."""
    matrix = [
        (int(v * 10000), 10000)
        for row in ([3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.204, 1.057])
        for v in row
    ]
    flat = [number for pair in matrix for number in pair]
    tags = [
        (271, "s", 0, "camera_nano", True),
        (272, "s", 0, "test", True),
        (274, "H", 1, 1, True),
        (33421, "H", 2, (2, 2), True),
        (33422, "B", 4, bytes([0, 1, 1, 2]), True),
        (50706, "B", 4, bytes([1, 4, 0, 0]), True),
        (50708, "s", 0, "camera_nano test", True),
        (50714, "H", 1, 0, True),
        (50717, "I", 1, 65535, True),
        (50721, "2i", 9, flat, True),
        (50728, "2I", 3, [1, 1, 1, 1, 1, 1], True),
        (50778, "H", 1, 21, True),
    ]
    tifffile.imwrite(path, mosaic, photometric=32803, extratags=tags, metadata=None, planarconfig=1)
    return path.read_bytes()


def test_raw_is_linear_and_is_not_brightened(tmp_path):
    levels = np.repeat(np.linspace(0.02, 0.8, 64), 4)
    mosaic = np.tile(np.rint(levels * 65535).astype(np.uint16), (128, 1))
    picture = decode(dng(tmp_path / "a.dng", mosaic), "a.dng")
    assert picture.format == "raw" and picture.frame.pixels.dtype == np.uint16
    tags = Image.Exif()
    tags.load(picture.metadata.exif)  # of the photo, not of its mosaic
    assert (
        dict(tags) == {271: "camera_nano", 272: "test", 274: 1, 305: "tifffile.py"} and picture.metadata.problems == ()
    )
    height, width = picture.frame.pixels.shape[:2]
    seen = light_of(picture)[height // 2, :, 1]
    expected = np.interp(np.arange(width) * 256 / width, np.arange(256), levels)
    assert np.allclose(seen[20:-20], expected[20:-20], rtol=0.1)


def test_metadata_in_the_boxes_of_jpeg_xl(photo):
    def box(kind, content):
        return (len(content) + 8).to_bytes(4, "big") + kind + content

    tags = Image.Exif()
    tags[0x010F], tags[0x0112] = "Maker", 6
    data = bytes(imagecodecs.jpegxl_encode(photo[:64, :64], usecontainer=True))
    exif = box(b"Exif", bytes(4) + tags.tobytes()[6:])
    metadata = decode(data + exif + box(b"xml ", XMP), "a.jxl").metadata
    kept = Image.Exif()
    kept.load(metadata.exif)
    assert dict(kept) == {0x010F: "Maker", 0x0112: 1} and b"Tool" in metadata.xmp and metadata.problems == ()
    assert decode(data, "a.jxl").metadata == Metadata()


def test_a_gain_map_is_true_headroom_and_turns_with_its_picture(photo):
    codes = np.zeros((64, 96), np.uint8)
    codes[:16, :24] = 255  # a lamp in the upper left of the stored picture
    stored = np.ascontiguousarray(photo[:128, :192])
    gain = GainMap(codes, (2.0,), 2.0)
    for orientation, corner in ((1, (10, 10)), (6, (10, -10)), (3, (-10, -10)), (8, (-10, 10))):
        exif = Image.Exif()
        exif[0x0112] = orientation
        block = exif.tobytes().removeprefix(b"Exif\0\0")
        data = encode(stored, format="ultrahdr", quality=95, metadata=Metadata(exif=block), gain=gain)
        data = _with_orientation(data, orientation)
        picture = decode(data, "a.jpg")
        assert picture.headroom_ev.shape == picture.frame.pixels.shape[:2]
        assert picture.headroom_ev[corner] == pytest.approx(2, abs=0.05), orientation
        assert picture.headroom_ev[-corner[0], -corner[1]] == pytest.approx(0, abs=0.05)
    plain = decode(encode(stored, format="jpeg"), "a.jpg")
    assert plain.headroom_ev is None
    light = srgb_eotf(stored / 255).astype(np.float32)
    assert apply(light, gain).max() > light.max() * 2


def _with_orientation(data, orientation):
    """The orientation put back that `encode` has made upright."""
    at = data.index(b"\x01\x12" if b"MM\0*" in data[:40] else b"\x12\x01", 20)
    order = "big" if b"MM\0*" in data[:40] else "little"
    return data[: at + 8] + orientation.to_bytes(2, order) + data[at + 10 :]


@pytest.mark.parametrize(
    ("missing", "head", "extra"),
    [
        ("pillow_heif", b"\0\0\0\x18ftypheic", "heic"),
        ("imagecodecs", b"\xff\x0a", "hdr"),
        ("OpenEXR", b"\x76\x2f\x31\x01", "hdr"),
        ("rawpy", b"FUJIFILMCCD-RAW ", "raw"),
        ("imagecodecs", b"#?RADIANCE\n", "hdr"),
    ],
)
def test_a_missing_decoder_is_named(monkeypatch, missing, head, extra):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UnreadableImage, match=rf"camera-nano\[{extra}\]"):
        decode(head + bytes(100), "a")


def test_broken_files_are_refused_by_name(scene, photo, tmp_path):
    whole = {
        "a.heic": encode(photo[:64, :64], format="heic"),
        "a.avif": encode(photo[:64, :64], format="avif"),
        "a.jxl": bytes(imagecodecs.jpegxl_encode(photo[:64, :64], lossless=True)),
        "a.exr": exr(scene, tmp_path / "a.exr"),
    }
    rng = np.random.default_rng(1)
    for name, data in whole.items():
        for cut in (20, len(data) // 3, len(data) - 30):
            with pytest.raises(UnreadableImage, match=name):
                decode(data[:cut], name)
        for _ in range(20):
            bent = bytearray(data)
            bent[int(rng.integers(12, len(data)))] ^= 1 << int(rng.integers(8))
            try:
                decode(bytes(bent), name)
            except UnreadableImage as error:
                assert name in str(error) and "\n" not in str(error)
