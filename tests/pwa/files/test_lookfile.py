"""The file of a look that a browser makes, read by our own reader and by others, beside what Python makes."""

import base64
import io
import json
from dataclasses import replace

import cv2
import numpy as np
import pytest
import pyvips
from hdr import hdr_light
from PIL import Image
from PIL.MpoImagePlugin import MpoImageFile

from camera_nano.cli import main
from camera_nano.files import Decoder, encode, inspect, mpf
from camera_nano.files.gainmap import headroom_ev
from camera_nano.files.marking import photo_digest, read_recipe, samples_of
from camera_nano.files.metadata import SOFTWARE, read_blocks, xmp_texts
from camera_nano.files.ultrahdr import check, read_gainmap
from camera_nano.light import condition, draw_gain_map, relight
from camera_nano.light.cut import cut
from camera_nano.light.render import render
from camera_nano.values import GRID_HWD, EditField, Frame

pytestmark = pytest.mark.browser

MAKE = """async ({ grid, isHalf, whiteEv, ...asked }) => {
  const { lookFile } = await import("/pwa/lookfile.js");
  const picture = await (await fetch("/photo.png")).blob();
  const source = await createImageBitmap(picture, { colorSpaceConversion: "none" });
  const bytes = Uint8Array.from(atob(grid), (c) => c.charCodeAt(0)).buffer;
  const field = { grid: new (isHalf ? Uint16Array : Float32Array)(bytes), whiteEv };
  return lookFile({ ...asked, source, field, at: new Date(2026, 0, 31, 23, 59, 58, 7) });
}"""
RECIPE = {"n_steps": 2, "model": "onnx 0123456789", "seed": 7, "is_live": True, "assume": "captured"}
RAISED = 5


@pytest.fixture
def make(page, run, editor):
    """A function that makes a file of `pixels` in the browser."""

    def _make(pixels, field, look="golden", strength=1.0, is_half=True, quality=100, origin="a_original.png", **recipe):
        page.files["photo.png"] = encode(pixels, format="png")
        asked = {
            "grid": base64.b64encode(field.grid.astype("<f2" if is_half else "<f4").tobytes()).decode(),
            "isHalf": is_half,
            "whiteEv": field.white_ev,
            "look": editor.looks[look].as_dict(),
            "strength": strength,
            "recipe": RECIPE | recipe,
            "origin": origin,
            "camera": "a phone",
            "software": SOFTWARE,
            "quality": quality,
        }
        return run(MAKE, asked)

    return _make


@pytest.fixture(scope="module")
def lit(photo, editor):
    """A real picture with clipped light, and the field of a look of it, its light above white raised to 2.4 stops."""
    pixels = np.minimum(photo.astype(int) * 2, 255).astype(np.uint8)
    [field] = editor.propose(condition(Frame(pixels)), [editor.looks["golden"]], assume="captured")
    return pixels, replace(field, grid=field.grid * np.array([1, 1, 1, RAISED], np.float32))


def pixels_of(data):
    return np.asarray(Image.open(io.BytesIO(data)))


def saved(tmp_path, data):
    path = tmp_path / "look.jpg"
    path.write_bytes(data)
    return path


def test_our_reader_finds_nothing_wrong(make, lit, tmp_path):
    pixels, field = lit
    data = make(pixels, field)
    report = inspect(saved(tmp_path, data))
    assert report.problems == () and check(data) == []
    assert (report.format, report.size_wh, report.orientation) == ("ultrahdr", (512, 512), 1)
    assert report.gain_map.kind == "iso" and report.gain_map.size_wh == (512, 512)
    assert report.source_type == "compositeWithTrainedAlgorithmicMedia"
    [event] = report.history
    assert event["action"] == "edited" and event["softwareAgent"] == SOFTWARE
    told = "look golden, strength 1, seed 7, 2 steps, model onnx 0123456789, of a_original.png"
    assert event["parameters"] == told
    places = mpf.images(data)
    assert [(start, start + length) for start, length in report.mpf] == places and places[-1][1] == len(data)


@pytest.mark.parametrize("is_half", [True, False])
@pytest.mark.parametrize("strength", [1.0, 0.4])
def test_light_and_headroom_are_those_of_python(make, lit, strength, is_half):
    pixels, field = lit
    data, scaled = make(pixels, field, strength=strength, is_half=is_half), field * strength
    error = np.abs(pixels_of(data).astype(int) - render(pixels, scaled))
    assert error.mean() <= 1 and np.percentile(error, 99) <= 3
    ours, theirs = draw_gain_map(pixels, scaled), read_gainmap(data)
    assert theirs.headroom_ev == pytest.approx(ours.headroom_ev, rel=0.02)
    assert light_apart(pixels, ours, theirs) < loss(pixels, ours) + 0.005


def light_apart(pixels, ours, theirs):
    """How far the light of two maps is apart, as a part of it, at the 99th percentile."""
    apart_ev = np.abs(headroom_ev(pixels, ours) - headroom_ev(pixels, theirs))
    return np.percentile(np.exp2(apart_ev) - 1, 99)


def loss(pixels, ours):
    """What a map loses as a JPEG of ours: a part of the light, at the 99th percentile."""
    return light_apart(pixels, ours, read_gainmap(encode(pixels, format="ultrahdr", gain=ours)))


def test_headroom_as_the_model_gives_it_is_within_two_percent(make, lit):
    pixels, field = lit[0], replace(lit[1], grid=lit[1].grid * np.array([1, 1, 1, 1 / RAISED], np.float32))
    ours, theirs = draw_gain_map(pixels, field), read_gainmap(make(pixels, field))
    assert theirs.headroom_ev == pytest.approx(ours.headroom_ev, rel=0.02)
    assert light_apart(pixels, ours, theirs) < 0.02


def test_twelve_megapixels_have_no_seams(make, lit):
    """Sides that no tile divides; the map has half of them, rounded up."""
    pixels = cv2.resize(lit[0], (4001, 2999), interpolation=cv2.INTER_CUBIC)
    field = lit[1]
    data = make(pixels, field)
    error = np.abs(pixels_of(data).astype(int) - render(pixels, field)).max(-1)
    assert error.mean() <= 1.5 and np.percentile(error, 99) <= 3
    seams = error[:, 2040:2056], error[2040:2056]
    assert all(seam.mean() <= error.mean() + 1 and np.percentile(seam, 99) <= 4 for seam in seams)
    ours, theirs = draw_gain_map(pixels, field), read_gainmap(data)
    assert theirs.codes.shape[:2] == ours.codes.shape == (1500, 2001)
    assert light_apart(pixels, ours, theirs) < 0.02


@pytest.mark.parametrize("size_wh", [(211, 167), (1, 1), (64, 8)])
@pytest.mark.parametrize("quality", [100, 95, 70, 10])
def test_grey_pictures_are_those_of_libjpeg(run, rng, photo, size_wh, quality):
    """Noise is all that a code has to hold; a photo is what it is for."""
    width, height = size_wh
    for codes in (rng.integers(0, 256, (height, width), np.uint8), photo[:height, :width, 1]):
        asked = {"codes": codes.ravel().tolist(), "size": [width, height], "quality": quality}
        made = run(
            """async ({ codes, size, quality }) => {
              const { greyJpeg } = await import("/pwa/greyjpeg.js");
              return new Blob([greyJpeg(Uint8Array.from(codes), ...size, quality)]);
            }""",
            asked,
        )
        theirs = pyvips.Image.new_from_array(np.ascontiguousarray(codes)).jpegsave_buffer(Q=quality, keep="none")
        pictures = [Image.open(io.BytesIO(data)) for data in (made, theirs)]
        assert pictures[0].mode == "L" and pictures[0].quantization == pictures[1].quantization
        apart = np.abs(np.subtract(*(np.asarray(picture).astype(int) for picture in pictures)))
        assert np.percentile(apart, 99) <= max(2, max(pictures[1].quantization[0]) / 8)
        assert len(made) < len(theirs) * 1.2 + 400  # libjpeg makes the best code for each picture


def test_libvips_and_pillow_find_the_map(make, lit):
    data = make(*lit)
    image, most = pyvips.Image.uhdrload_buffer(data), 2 ** read_gainmap(data).headroom_ev
    assert image.get("gainmap-hdr-capacity-max") == pytest.approx(most, rel=1e-3)
    assert image.get("gainmap-max-content-boost") == pytest.approx([most] * 3, rel=1e-3)
    with MpoImageFile(io.BytesIO(data)) as picture:
        start, end = mpf.images(data)[1]
        assert picture.n_frames == 2 and b'Item:Length="%d"' % (end - start) in picture.info["xmp"]


def light_by_vips(data):
    return pyvips.Image.uhdrload_buffer(data).uhdr2scRGB().numpy()


def light_by_libultrahdr(data):
    return pytest.importorskip("imagecodecs").ultrahdr_decode(data)[..., :3].astype(np.float32)


@pytest.mark.parametrize("reader", [light_by_vips, light_by_libultrahdr])
def test_every_reader_gets_the_light(make, lit, reader):
    data = make(*lit)
    light, ours = reader(data), hdr_light(pixels_of(data), read_gainmap(data))
    assert np.percentile(np.abs(light - ours).max(-1) / np.maximum(ours.max(-1), 0.01), 99) < 0.03
    assert light.max() > 2


def test_no_light_above_white_makes_a_plain_jpeg(make, photo, tmp_path):
    field = EditField(np.full((*GRID_HWD, 4), 0.2, np.float32))
    data = make(photo, field)
    report = inspect(saved(tmp_path, data))
    assert (report.format, report.gain_map, report.mpf, report.problems) == ("jpeg", None, (), ())
    assert report.source_type == "compositeWithTrainedAlgorithmicMedia"


def test_strength_zero_is_not_marked_as_changed(make, lit, tmp_path):
    pixels, field = lit
    data = make(pixels, field, strength=0)
    assert inspect(saved(tmp_path, data)).source_type is None
    error = np.abs(pixels_of(data).astype(int) - pixels)
    assert error.mean() <= 1 and np.percentile(error, 99) <= 2


def test_the_recipe_is_read_back(make, lit, editor, tmp_path, capsys):
    pixels, field = lit
    data = make(pixels, field, strength=0.7, aspect="4:3", origin="a<&>\x01\U0001f600.png")
    recipe = read_recipe(read_blocks(data))
    assert recipe.look == editor.looks["golden"] and recipe.photo == photo_digest(samples_of(pixels))
    assert (recipe.strength, recipe.format, recipe.aspect) == (0.7, "ultrahdr", "4:3")
    assert {name: getattr(recipe, name) for name in RECIPE} == RECIPE
    texts = xmp_texts(read_blocks(data).xmp)
    assert texts["Xmp.xmpMM.DerivedFrom/stRef:filePath"] == "a<&>?\U0001f600.png"
    assert main(["recipe", str(saved(tmp_path, data)), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["look"]["name"] == "golden"


def test_a_shape_cuts_look_and_map(make, lit):
    pixels, field = lit
    wide = np.ascontiguousarray(pixels[:300])
    data = make(wide, field, aspect="4:3")
    wanted = cut(render(wide, field), "4:3")
    assert pixels_of(data).shape == wanted.shape == (300, 400, 3)
    assert np.abs(pixels_of(data).astype(int) - wanted).mean() <= 1
    ours, theirs = draw_gain_map(wide, field), read_gainmap(data)
    ours = replace(ours, codes=cut(ours.codes, "4:3"))
    assert light_apart(wanted, ours, theirs) < loss(wanted, ours) + 0.005


def test_exif_says_when_and_what(make, lit, tmp_path):
    data = make(*lit, quality=95)
    exif = Image.open(io.BytesIO(data)).getexif()
    moment = "2026:01:31 23:59:58"
    assert {tag: exif[tag] for tag in (0x0110, 0x0112, 0x0131, 0x0132)} == {
        0x0110: "a phone",
        0x0112: 1,
        0x0131: SOFTWARE,
        0x0132: moment,
    }
    photo = exif.get_ifd(0x8769)
    assert photo[0x9003] == photo[0x9004] == moment and photo[0x9291] == "007" and photo[0x9000] == b"0232"
    assert photo[0x9011] == photo[0x9012] and len(photo[0x9011]) == 6
    # what the decoder carries on is the same block: nothing in it is broken
    with Decoder() as decoder:
        assert decoder.open(saved(tmp_path, data)).metadata.problems == ()


def test_the_same_look_gives_the_same_bytes_and_another_one_other_ids(make, lit):
    first, same, other = make(*lit), make(*lit), make(*lit, seed=8)
    assert first == same
    ids = [xmp_texts(read_blocks(data).xmp)["Xmp.xmpMM.DocumentID"] for data in (first, other)]
    assert ids[0] != ids[1] and ids[0].startswith("xmp.did:")


@pytest.mark.parametrize("strength", [1.0, 0.5])
@pytest.mark.parametrize("size_wh", [(512, 512), (1400, 1037)])
def test_lifted_noise_is_calmed_as_in_python(make, dark_photo, editor, rng, size_wh, strength):
    """Strips and blocks that do not divide the sides; half of the strength lifts less than half of the noise."""
    dark = cv2.resize(dark_photo, size_wh, interpolation=cv2.INTER_CUBIC)
    noisy = np.clip(dark + rng.normal(0, 3, dark.shape), 0, 255).round().astype(np.uint8)
    [field] = editor.propose(condition(Frame(noisy)), [editor.looks["natural"]], assume="captured")
    made = pixels_of(make(noisy, field, strength=strength)).astype(int)
    calm = relight(noisy, field * strength)
    error = np.abs(made - calm)
    assert error.mean() <= 1 and np.percentile(error, 99) <= 3
    rough = np.abs(render(noisy, field * strength).astype(int) - calm)
    assert rough.mean() > 3 * error.mean() or rough.mean() < 0.5


@pytest.mark.parametrize("is_dark", [True, False])
def test_steps_and_blocks_are_calmed_as_in_python(make, photo, dark_photo, is_dark):
    """Of a JPEG whose shadows are lifted, and of one whose light just below white is darkened steeply."""
    gain_ev = np.full((*GRID_HWD, 4), 4.0 if is_dark else -2.0, np.float32)
    gain_ev[..., 3] = 0
    capture = (
        dark_photo if is_dark else np.clip(cv2.GaussianBlur(photo, (0, 0), 8) / 6.0 + 215, 0, 255).astype(np.uint8)
    )
    pixels = cv2.imdecode(cv2.imencode(".jpg", capture, [cv2.IMWRITE_JPEG_QUALITY, 85])[1], cv2.IMREAD_COLOR)
    field = EditField(gain_ev)
    made = pixels_of(make(pixels, field)).astype(int)
    calm = relight(pixels, field)
    error = np.abs(made - calm)
    assert error.mean() <= 1 and np.percentile(error, 99) <= 3
    rough = np.abs(render(pixels, field).astype(int) - calm)
    assert rough.mean() > 1.5 * error.mean()
