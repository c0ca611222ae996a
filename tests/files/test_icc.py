"""Colours of strength 0 against those of the input, both by another CMS, for every profile and output format."""

import io
import struct

import imagecodecs
import numpy as np
import pillow_heif
import pytest
import pyvips
import tifffile
from PIL import Image, ImageCms
from profiles import D50, assemble, fixed, lab, matrix_profile, recoded
from skimage.color import deltaE_ciede2000
from skimage.measure import block_reduce
from test_decode import chunk

from camera_nano.color import SDR_WHITE_NITS, pq_code
from camera_nano.files.bmff import boxes
from camera_nano.files.decode import decode
from camera_nano.files.encode import encode
from camera_nano.files.icc import WIDE_GAMUT, cicp_of_profile, light_2020, of_primaries
from camera_nano.files.jxl_header import read_header
from camera_nano.light.render import render
from camera_nano.values import EditField

PROFILES = {
    "none": None,
    "sRGB": matrix_profile("srgb", "srgb"),
    "Display P3": matrix_profile("p3", "srgb"),
    "Adobe RGB": matrix_profile("adobe", 2.19921875),
    "ProPhoto": matrix_profile("prophoto", 1.8, D50),
    "Rec.2020, gamma 2.4": matrix_profile("2020", 2.4),
    "Rec.2020, sRGB curve": matrix_profile("2020", "srgb"),
    "linear sRGB": matrix_profile("srgb", 1.0),
    "linear P3": matrix_profile("p3", 1.0),
}
KEPT = [name for name in PROFILES if name not in ("ProPhoto", "linear sRGB", "linear P3")]
FORMATS = ("jpeg", "png", "tiff", "webp", "avif", "heic", "ultrahdr")


@pytest.fixture(scope="session")
def crop(photo):
    return np.ascontiguousarray(photo[100:356, 100:356])


def tiff(pixels, icc):
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, photometric="rgb", iccprofile=icc, metadata=None)
    return file.getvalue()


def strength_0(picture, format):
    """The bytes that a look of strength 0 is written as, at a quality where a codec's noise is below the bar."""
    image = render(picture.frame.pixels, EditField.identity())
    return encode(image, format=format, quality=98, metadata=picture.metadata, alpha=picture.alpha)


def read(data, format):
    """Pixels and profile by other readers than ours."""
    if format == "tiff":
        with tifffile.TiffFile(io.BytesIO(data)) as file:
            tag = file.pages[0].tags.get("InterColorProfile")
            return file.asarray(), tag and bytes(tag.value)
    if format == "heic":
        image = pillow_heif.open_heif(data, convert_hdr_to_8bit=False)
        return np.asarray(image), image.info.get("icc_profile")
    image = Image.open(io.BytesIO(data))
    decoders = {"png": imagecodecs.png_decode, "avif": imagecodecs.avif_decode}  # in full depth
    codes = decoders[format](data) if format in decoders else np.asarray(image.convert("RGB"))
    codes = codes << 6 if format == "avif" and codes.dtype == np.uint16 else codes
    return codes, image.info.get("icc_profile")


def delta_e(made, reference):
    """Mean and 99th percentile of Delta-E 2000, of means over 8 x 8 pixels: colours, not the noise of lossy codecs."""
    off = deltaE_ciede2000(*(block_reduce(each, (8, 8, 1), np.mean) for each in (made, reference)))
    return float(off.mean()), float(np.percentile(off, 99))


@pytest.mark.slow
@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("name", PROFILES)
def test_strength_0_has_the_colours_of_its_input(crop, name, format):
    icc = PROFILES[name]
    codes = crop if icc is None else recoded(crop, icc, np.uint8 if name in KEPT else np.uint16)
    picture = decode(tiff(codes, icc), "a.tif")
    made, made_icc = read(strength_0(picture, format), format)
    mean, p99 = delta_e(lab(made, made_icc), lab(codes, icc))
    print(f"{name:<22} {format:<9} mean {mean:.3f}  p99 {p99:.3f}")  # a table for pytest -s
    assert mean < 1 and p99 < (2 if format == "webp" else 1)  # lossy WebP has half the chroma, of 220 codes
    assert any("far from sRGB" in note for note in picture.notes) == (name not in KEPT)
    if name in KEPT:
        assert made_icc == icc
        assert np.array_equal(picture.frame.pixels, codes) and picture.metadata.icc == icc
        assert format not in ("png", "tiff") or np.array_equal(made, codes)


@pytest.mark.parametrize("name", [name for name in PROFILES if name not in ("none", "sRGB")])
def test_a_dropped_profile_would_be_seen(crop, name):
    codes = recoded(crop, PROFILES[name], np.uint8)
    mean, p99 = delta_e(lab(codes, None), lab(codes, PROFILES[name]))
    assert mean > 1.5 and p99 > 3


@pytest.mark.slow
def test_pictures_of_wide_primaries_without_a_profile(crop):
    """What nclx and cICP say of SDR codes becomes a profile; PQ becomes the light it means."""
    for code, name in ((12, "Display P3"), (9, "Rec.2020, sRGB curve")):
        codes = recoded(crop, PROFILES[name], np.uint8)
        avif = imagecodecs.avif_encode(codes, level=100, pixelformat="444", primaries=code, transfer=13, matrix=0)
        for data in (bytes(avif), with_cicp(codes, code, 13)):
            picture = decode(data, "a")
            assert picture.metadata.icc == of_primaries(code) and picture.headroom_ev is None
            assert max(delta_e(lab(picture.frame.pixels, picture.metadata.icc), lab(codes, PROFILES[name]))) < 1
    pq = np.rint(pq_code(next(light_2020(crop, None))[1] * np.float32(SDR_WHITE_NITS)) * 65535).astype(np.uint16)
    picture = decode(with_cicp(pq, 9, 16), "a")
    assert picture.metadata.icc == WIDE_GAMUT
    assert max(delta_e(lab(picture.frame.pixels, WIDE_GAMUT), lab(crop, None))) < 1


def with_cicp(codes, primaries, transfer):
    data = bytes(imagecodecs.png_encode(codes))
    return data[:33] + chunk(b"cICP", bytes([primaries, transfer, 0, 1])) + data[33:]


def test_a_profile_may_say_its_coded_points(crop):
    """As HDR pictures of editors do: PQ by the tag `cicp`, with curves that only SDR readers need."""
    light = next(light_2020(crop, None))[1]
    codes = np.rint(pq_code(light * np.float32(2 * SDR_WHITE_NITS)) * 65535).astype(np.uint16)
    tags = {b"cicp": b"cicp" + bytes(4) + bytes([9, 16, 0, 1]), b"wtpt": fixed((0.9642, 1, 0.8249))}
    picture = decode(tiff(codes, assemble(b"RGB ", tags)), "a.tif")
    seen = next(light_2020(picture.frame.pixels, picture.metadata.icc))[1] * 2 ** picture.headroom_ev[:, :, None]
    assert np.abs(seen - 2 * light).max() < 0.02 and cicp_of_profile(assemble(b"RGB ", {b"cicp": b"cicp"})) is None


def test_a_profile_that_cannot_be_read_is_kept(crop):
    picture = decode(tiff(crop, assemble(b"RGB ", {})), "a.tif")
    assert np.array_equal(picture.frame.pixels, crop) and picture.metadata.icc == assemble(b"RGB ", {})


def test_alpha_has_the_depth_of_converted_pixels(crop):
    file = io.BytesIO()
    alpha = np.full((*crop.shape[:2], 1), 51, np.uint8)
    Image.fromarray(np.dstack([crop, alpha])).save(file, "PNG", icc_profile=PROFILES["linear P3"])
    picture = decode(file.getvalue(), "a.png")
    assert picture.frame.pixels.dtype == picture.alpha.dtype == np.uint16 and (picture.alpha == 51 * 257).all()


def test_grey_and_ink_become_the_srgb_they_show(crop):
    """Grey of gamma 2.2, and ink of a press profile; what sRGB cannot show is cut alike by the other CMS, Pillow's."""
    curve = b"curv" + bytes(4) + struct.pack(">IHH", 1, round(2.2 * 256), 0)
    grey = assemble(b"GRAY", {b"wtpt": fixed((0.9642, 1, 0.8249)), b"kTRC": curve})
    press = bytes(pyvips.Operation.call("profile_load", "cmyk"))
    srgb = ImageCms.createProfile("sRGB")
    for mode, icc in (("L", grey), ("CMYK", press)):
        image = Image.fromarray(crop).convert(mode)
        flags = ImageCms.Flags.BLACKPOINTCOMPENSATION if mode == "CMYK" else ImageCms.Flags.NONE
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        profile = ImageCms.ImageCmsProfile(io.BytesIO(icc))
        shown = ImageCms.profileToProfile(image, profile, srgb, intent, "RGB", flags=flags)
        file = io.BytesIO()
        image.save(file, "TIFF", icc_profile=icc)
        picture = decode(file.getvalue(), "a.tif")
        mean, p99 = delta_e(lab(picture.frame.pixels, picture.metadata.icc), lab(np.asarray(shown), None))
        print(f"{mode:<22} mean {mean:.3f}  p99 {p99:.3f}")
        assert mean < 1 and p99 < 1, mode


def jxl(codes, primaries, transfer):
    """A lossless JPEG XL of these coded points: another's, with a header of ours (ISO/IEC 18181-1, annex E.2)."""
    data = bytes(imagecodecs.jpegxl_encode(codes, lossless=True))
    data = data if data.startswith(b"\xff\x0a") else dict(boxes(data))[b"jxlc"]
    head = read_header(data)
    assert (head.size_wh, head.transfer) == ((256, 256), None if codes.dtype == np.uint8 else 8)
    n_bits = 1 + 5 + 3 + 1 + 1 + (1 + 2 + (6 if codes.dtype == np.uint16 else 0)) + 1 + 2 + 1  # up to XYB
    whole = int.from_bytes(data[2:10], "little")
    bits = [whole >> i & 1 for i in range(n_bits)]
    n_old = 1 if codes.dtype == np.uint8 else 1 + 1 + 2 + 2 + 2 + 1 + 6 + 2  # sRGB; linear light
    assert whole >> n_bits + n_old & 7 == 4  # no extensions, the usual transform

    def enum(value):
        return [value & 1, 0] if value < 2 else [0, 1, *((value - 2) >> i & 1 for i in range(4))]

    bits += [0, 0, *enum(0), *enum(1), *enum(primaries), 0, *enum(transfer), *enum(1), 0, 0, 1]
    rest = data[2 + -(-(n_bits + n_old + 3) // 8) :]
    return data[:2] + sum(bit << i for i, bit in enumerate(bits)).to_bytes(-(-len(bits) // 8), "little") + rest


@pytest.mark.slow
def test_the_colours_of_jpeg_xl(crop):
    for code, told, name in ((11, 12, "Display P3"), (9, 9, "Rec.2020, sRGB curve")):
        codes = recoded(crop, PROFILES[name], np.uint8)
        picture = decode(jxl(codes, code, 13), "a.jxl")
        assert np.array_equal(picture.frame.pixels, codes)
        assert picture.metadata.icc == of_primaries(told) and picture.notes == ()
    pq = np.rint(pq_code(next(light_2020(crop, None))[1] * np.float32(SDR_WHITE_NITS)) * 65535).astype(np.uint16)
    picture = decode(jxl(pq, 9, 16), "a.jxl")
    assert picture.metadata.icc == WIDE_GAMUT
    assert max(delta_e(lab(picture.frame.pixels, WIDE_GAMUT), lab(crop, None))) < 1
    assert read_header(jxl(crop, 2, 13)).is_rare and read_header(jxl(crop, 1, 13)).primaries is None
