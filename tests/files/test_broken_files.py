"""Bombs, and whole files of every container cut, bent and misnamed: a picture, or one line that says why not."""

import re
import struct
import tracemalloc
from dataclasses import replace
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_decode import png
from test_decode_hdr import dng, exr
from test_gainmap_apple import box, exif_of, heic

from camera_nano.batch import looks_of
from camera_nano.errors import TooLarge, UnreadableImage
from camera_nano.files import mpf
from camera_nano.files.decode import Picture, decode
from camera_nano.files.encode import encode
from camera_nano.files.jxl_header import JxlHeader, read_header
from camera_nano.files.sizes import check_size, size_of_exr, size_of_radiance
from camera_nano.recipe import Recipe
from camera_nano.values import EditField, GainMap, Look


@pytest.fixture(scope="module")
def files(photo, tmp_path_factory):
    """A small whole file of every container, by the extension people know it by."""
    folder = tmp_path_factory.mktemp("files")
    small = np.ascontiguousarray(photo[100:148, 100:164])
    light = np.ascontiguousarray((small / 128.0).astype(np.float32))
    gain = GainMap(np.full((24, 32), 128, np.uint8), (2.0,), 2.0)
    return {
        ".jpg": encode(small, format="jpeg"),
        ".uhdr.jpg": encode(small, format="ultrahdr", gain=gain),
        ".png": encode(small.astype(np.uint16) * 257, format="png"),
        ".tif": encode(small, format="tiff"),
        ".webp": encode(small, format="webp"),
        ".avif": encode(small, format="avif"),
        ".heic": encode(small, format="heic"),
        ".grid.heic": encode(np.hstack([photo, photo])[:64], format="heic"),
        ".grid.avif": encode(np.hstack([photo, photo])[:64], format="avif"),
        ".alpha.heic": encode(
            np.hstack([photo, photo])[:64], format="heic", alpha=np.hstack([photo, photo])[:64, :, 1]
        ),
        ".alpha.avif": encode(
            np.hstack([photo, photo])[:64], format="avif", alpha=np.hstack([photo, photo])[:64, :, 1]
        ),
        ".apple.heic": heic(exif_of(1.1, 1.0)),
        ".jxl": bytes(imagecodecs.jpegxl_encode(small)),
        ".exr": exr(light, folder / "a.exr"),
        ".hdr": bytes(imagecodecs.rgbe_encode(light)),
        ".dng": dng(folder / "a.dng", np.repeat(small[..., 0], 4, 1).astype(np.uint16) * 200),
    }


KINDS = (
    ".jpg",
    ".uhdr.jpg",
    ".png",
    ".tif",
    ".webp",
    ".avif",
    ".heic",
    ".grid.heic",
    ".grid.avif",
    ".alpha.heic",
    ".alpha.avif",
    ".apple.heic",
    ".jxl",
    ".exr",
    ".hdr",
    ".dng",
)


def is_told(data, name):
    """Decodes, or is refused in one line that begins with the name; anything else fails the test."""
    try:
        assert isinstance(decode(data, name), Picture)
    except UnreadableImage as error:
        assert str(error).startswith(name) and "\n" not in str(error) and "/proc/" not in str(error)
        return False
    return True


SHARES = st.floats(0, 1, exclude_max=True)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@given(bends=st.lists(st.tuples(SHARES, st.integers(1, 255)), max_size=8), cut=st.one_of(st.just(1.0), SHARES))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_bent_and_cut_files(files, kind, bends, cut):
    whole = bytearray(files[kind])
    for share, change in bends:
        whole[int(share * len(whole))] ^= change
    is_told(bytes(whole[: round(cut * len(whole))]), "photo")


@pytest.mark.parametrize("kind", KINDS)
def test_cut_files_are_refused_and_the_name_does_not_count(files, kind):
    assert is_told(files[kind], "photo.txt")
    for share in (0.01, 0.1, 0.7):
        data = files[kind][: int(share * len(files[kind]))]
        has_map = kind in (".uhdr.jpg", ".apple.heic")  # these may end where the picture is whole
        assert not is_told(data, "photo.jpg") or (has_map and "gain map" in decode(data, "photo.jpg").notes[0]), share


@pytest.mark.parametrize("kind", [".grid.heic", ".grid.avif", ".alpha.heic", ".alpha.avif"])
def test_a_tile_that_was_not_copied_is_missed(files, kind):
    whole = files[kind]
    for at in (whole.index(b"mdat") + 4, len(whole) * 2 // 5):  # both tiles; half of the first, and the second
        assert is_told(whole, "photo")
        half = whole[:at] + bytes(len(whole) - at)
        with pytest.raises(UnreadableImage, match=r"^photo is damaged or cut short \(pixels are missing\)"):
            decode(half, "photo")


@pytest.mark.parametrize("kind", [".alpha.heic", ".alpha.avif"])
def test_alpha_that_was_cut_is_missed(files, kind):
    assert decode(files[kind], "photo").alpha.shape == (64, 1024)
    with pytest.raises(UnreadableImage, match=r"^photo is damaged or cut short \(pixels are missing\)"):
        decode(files[kind][:-40], "photo")  # its last tile lies at the end


@pytest.mark.parametrize(
    "head", [b"", b"\0", b"II*\0", b"\xff\xd8\xff", b"\x76\x2f\x31\x01", b"\xff\x0a", b"#?RADIANCE\n"]
)
def test_heads_alone(head):
    for rest in (b"", bytes(64), b"\xff" * 64):
        assert not is_told(head + rest, "photo")


def jxl_head(width, height):
    """The start of a codestream with both sides written out (ISO/IEC 18181-1, SizeHeader)."""
    bits, at = 0, 0
    for value, n_bits in ((0, 1), (2, 2), (height - 1, 18), (0, 3), (2, 2), (width - 1, 18)):
        bits, at = bits | value << at, at + n_bits
    return b"\xff\x0a" + bits.to_bytes(-(-at // 8), "little")


def with_sides(tiff, width, height, tags=(256, 257)):
    """A little-endian TIFF with other sides; its strips are as they were."""
    data = bytearray(tiff)
    (at,) = struct.unpack_from("<I", data, 4)
    for entry in range(at + 2, at + 2 + 12 * struct.unpack_from("<H", data, at)[0], 12):
        (tag,) = struct.unpack_from("<H", data, entry)
        if tag in tags:
            struct.pack_into("<HII", data, entry + 2, 4, 1, width if tag == tags[0] else height)
    return bytes(data)


@pytest.fixture(scope="module")
def bombs(files):
    """Small files that declare 400 megapixels or more, by container."""
    window, place = struct.pack("<4i", 0, 0, 63, 47), re.compile(rb"ispe\0{4}.{8}", re.DOTALL)
    assert window in files[".exr"]
    huge = b"ispe" + bytes(4) + struct.pack(">II", 30_000, 20_000)
    return {
        ".png": png(20_000, 20_000, 1, 0, bytes(2501 * 20_000)),
        ".tif": with_sides(files[".tif"], 30_000, 20_000),
        ".dng": with_sides(files[".dng"], 30_000, 20_000),
        ".exr": files[".exr"].replace(window, struct.pack("<4i", 0, 0, 29_999, 19_999)),
        ".hdr": files[".hdr"].replace(b"-Y 48 +X 64", b"-Y 20000 +X 30000"),
        ".jxl": jxl_head(30_000, 20_000) + files[".jxl"][20:],
        ".heic": place.sub(huge, files[".heic"]),
        ".avif": place.sub(huge, files[".avif"]),
    }


@pytest.mark.parametrize("kind", [".png", ".tif", ".dng", ".exr", ".hdr", ".jxl", ".heic", ".avif"])
def test_a_bomb_is_refused_by_what_it_declares(bombs, kind):
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableImage) as caught:
            decode(bombs[kind], "bomb")
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)
    print(kind, caught.value)
    assert "is too large" in str(caught.value) or kind in (".heic", ".avif", ".dng")  # these libraries have limits too


@pytest.mark.slow
def test_declared_sizes(files):
    assert size_of_exr(files[".exr"]) == size_of_radiance(files[".hdr"]) == (64, 48)
    assert size_of_radiance(b"#?RADIANCE\n\n+X 30 -Y 20\n") == (30, 20)
    assert size_of_exr(b"") == size_of_radiance(b"") == (0, 0)
    for width, height in ((30_000, 20_000), (7, 5)):
        assert read_header(jxl_head(width, height)).size_wh == (width, height)
    for sides in ((64, 48), (640, 480), (333, 777), (1600, 900), (256, 256), (8, 2048)):
        data = bytes(imagecodecs.jpegxl_encode(np.zeros((*sides[::-1], 3), np.uint8)))
        assert read_header(data) == JxlHeader(sides)
    with pytest.raises(TooLarge, match=r"^is too large \(20000x10001, 200 megapixels, 200 at most\)"):
        check_size(20_000, 10_001)


def test_a_gain_map_is_never_dropped_without_a_word(files, photo):
    """Each note is what the decoder says of the photo; a map that is whole needs none."""
    ultrahdr, apple, jxl = files[".uhdr.jpg"], files[".apple.heic"], files[".jxl"]
    hdr_base = GainMap(np.full((24, 32), 128, np.uint8), (2.0,), 0.0, base_headroom_ev=2.0)
    boxed = b"\0\0\0\x0cJXL \r\n\x87\n" + b"\0\0\0\x14ftypjxl \0\0\0\0jxl "
    boxed += b"\0\0\0\x0cjhgmabcd" + struct.pack(">I", len(jxl) + 8) + b"jxlc" + jxl
    item = b"infe\x02\0\0\0\0\x01\0\0tmap"
    silent = {"jpeg": ultrahdr, "heic": apple, "plain": files[".jpg"], "jxl": jxl}
    told = {
        "cut off: its light": ultrahdr[: len(ultrahdr) - 400] + bytes(400),
        "missing or cut off": ultrahdr[: mpf.end_of_image(ultrahdr)],
        "down to SDR": encode(photo[:48, :64], format="ultrahdr", gain=hdr_base),
        "of a kind that is not read": boxed,
        "kind that is not read": files[".heic"] + box(b"free", item),
        "not read: its light": files[".avif"] + box(b"free", item),
        "kind that is not read: its": files[".heic"] + box(b"free", b"urn:com:samsung:photo:2024:aux:hdrgainmap"),
        "headroom is not said": apple.replace(b"Apple iOS", b"Apple oSi"),
    }
    assert all(decode(data, "a").notes == () for data in silent.values())
    for words, data in told.items():
        picture = decode(data, "a")
        assert words in picture.notes[0] and not np.any(picture.headroom_ev), words


class Idle:
    """An editor that changes nothing."""

    name, looks = "idle", {}

    def propose(self, condition, looks, *, seed=0, n_steps=2, assume="auto"):
        return [EditField.identity() for _ in looks]


def test_light_that_cannot_be_kept_is_told(files):
    """In the notes of the output: by format, and where it is too little for a map."""
    recipe = Recipe(Look("natural"), 1.0, 2, "auto", "")
    whole = decode(files[".uhdr.jpg"], "a.jpg")
    faint = replace(whole, headroom_ev=whole.headroom_ev * 0.1)
    for picture, name, words in (
        (whole, "a.png", "which png files cannot hold"),
        (whole, "a.webp", "which webp files cannot hold"),
        (faint, "a.jpg", "nothing is clearly brighter than white"),
        (faint, "a.heic", "nothing is clearly brighter than white"),
        (whole, "a.jpg", None),
    ):
        [(_, notes, _)] = looks_of(picture, Path("o.jpg"), [(name, recipe)], Idle())
        assert [words in note for note in notes] == ([True] if words else []), name
