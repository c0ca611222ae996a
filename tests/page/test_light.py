"""The shader that draws looks in the browser, beside `camera_nano.light.render`, in real Chromium."""

import base64
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import camera_nano.web
from camera_nano.color import srgb_eotf, srgb_oetf, to_8_bit
from camera_nano.light import condition
from camera_nano.light.render import render
from camera_nano.values import GRID_HWD, EditField, Frame

pytestmark = pytest.mark.browser

LIGHT = Path(camera_nano.web.__file__).parent / "static" / "light.js"
DRAW = """async ({ width, height, pixels, grid, whiteEv, strength, isHalf, exposedEv }) => {
  const { Light } = await import("/light.js");
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
  window.light ??= new Light(document.createElement("canvas"));
  light.frame(new ImageData(new Uint8ClampedArray(bytes(pixels)), width, height), exposedEv);
  light.field({ grid: new (isHalf ? Uint16Array : Float32Array)(bytes(grid)), whiteEv }, strength);
  light.draw();
  return (window.readLight ??= () => {
    const canvas = new OffscreenCanvas(light.canvas.width, light.canvas.height);
    const context = canvas.getContext("2d", { willReadFrequently: true });
    context.drawImage(light.canvas, 0, 0);
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    let text = "";
    for (let i = 0; i < data.length; i += 9999) text += String.fromCharCode(...data.subarray(i, i + 9999));
    return btoa(text);
  })();
}"""


@pytest.fixture(scope="module")
def page(browser):
    """An empty page that has the module alone: no server of ours is behind it."""
    page = browser.new_page()
    page.route("http://light.test/", lambda route: route.fulfill(body="<!doctype html>", content_type="text/html"))
    page.route("http://light.test/light.js", lambda route: route.fulfill(path=LIGHT, content_type="text/javascript"))
    page.goto("http://light.test/")
    yield page
    page.close()


def as_text(array):
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def unpacked(text, shape):
    return np.frombuffer(base64.b64decode(text), np.uint8).reshape(*shape[:2], 4)[..., :3]


def drawn(page, pixels, field, strength=1.0, is_half=True, exposed_ev=0.0):
    height, width, _ = pixels.shape
    opaque = np.dstack([pixels, np.full((height, width), 255, np.uint8)])
    asked = {
        "width": width,
        "height": height,
        "pixels": as_text(opaque),
        "grid": as_text(field.grid.astype("<f2" if is_half else "<f4")),
        "whiteEv": field.white_ev,
        "strength": strength,
        "isHalf": is_half,
        "exposedEv": exposed_ev,
    }
    return unpacked(page.evaluate(DRAW, asked), pixels.shape)


def differences(page, pixels, field, strength=1.0, **options):
    """Codes between the shader's picture and the kernel's: their mean, and their 99th percentile."""
    error = np.abs(drawn(page, pixels, field, strength, **options).astype(int) - render(pixels, field * strength))
    return error.mean(), np.percentile(error, 99)


@pytest.fixture(scope="module")
def noise():
    """Every code beside every other, of an odd size."""
    return np.random.default_rng(1).integers(0, 256, (167, 211, 3), np.uint8)


@pytest.mark.parametrize("is_half", [True, False])
@pytest.mark.parametrize("strength", [1.0, 0.5, 1 / 255])
def test_random_fields(page, noise, photo, wild_field, is_half, strength):
    wild = replace(wild_field, white_ev=(-0.1, -0.4, -2.0))
    for pixels in (noise, photo[:200, :300]):
        mean, p99 = differences(page, pixels, wild, strength, is_half=is_half)
        assert mean <= 1 and p99 <= 3


def test_the_limits_of_fields(page, noise):
    for ev in (-6, 6):
        extreme = EditField(np.full((*GRID_HWD, 4), ev, np.float32), (-6.0, 0.0, -0.001))
        assert max(differences(page, noise, extreme)) <= 1


@pytest.mark.parametrize("strength", [1.0, 0.3])
def test_every_look_of_real_pictures(page, photo, dark_photo, editor, strength):
    bright = np.minimum(photo.astype(int) * 2, 255).astype(np.uint8)  # with clipped light
    for pixels in (photo, dark_photo, bright):
        fields = editor.propose(condition(Frame(pixels)), list(editor.looks.values()), assume="captured")
        for field in fields:
            mean, p99 = differences(page, pixels[:384, ::2], field, strength)
            assert mean <= 0.5 and p99 <= 1


def test_strength_zero_is_the_frame_exactly(page, noise, wild_field):
    assert np.array_equal(drawn(page, noise, wild_field, strength=0), noise)
    assert np.array_equal(drawn(page, noise, EditField.identity()), noise)


@pytest.mark.parametrize("strength", [1.0, 0.5, 0.0])
def test_a_frame_with_light_above_white(page, photo, editor, strength):
    exposed_ev = -1.7
    span = srgb_oetf(2.0**-exposed_ev)  # sRGB's curve, gone on above 1
    light = srgb_eotf(photo[:384, ::2] / 255 * span) * 2.0 ** (exposed_ev * strength)
    if strength:  # what is above white keeps its hue; the original clips as the camera did
        light /= np.maximum(light.max(2, keepdims=True), 1)
    exposed = np.rint(65535 * srgb_oetf(np.minimum(light, 1))).astype(np.uint16)
    [field] = editor.propose(condition(Frame(exposed)), [editor.looks["natural"]], assume="captured")
    expected = to_8_bit(render(exposed, field * strength)).astype(int)
    error = np.abs(drawn(page, photo[:384, ::2], field, strength, exposed_ev=exposed_ev) - expected)
    assert error.mean() <= 0.5 and np.percentile(error, 99) <= 1
    assert np.abs(drawn(page, photo[:384, ::2], field, strength) - expected).mean() > 1  # it is no plain frame


def test_another_field_or_strength_is_told(page, photo, wild_field):
    """The check of the others: what is a little wrong is beyond their limits."""
    pixels = photo[:200, :300]
    made = drawn(page, pixels, wild_field).astype(int)
    turned = EditField(np.ascontiguousarray(wild_field.grid.transpose(1, 0, 2, 3)), wild_field.white_ev)
    for wrong in (turned, wild_field * 0.9, replace(wild_field, white_ev=(-1.0, -1.0, -1.0))):
        error = np.abs(made - render(pixels, wrong))
        assert error.mean() > 1 or np.percentile(error, 99) > 3


def test_a_lost_context_comes_back_with_frame_and_field(page, noise, wild_field):
    before = drawn(page, noise, wild_field)
    page.evaluate("""async () => {
      const canvas = light.canvas;
      const gl = canvas.getContext("webgl2").getExtension("WEBGL_lose_context");
      const happens = (name) => new Promise((then) => canvas.addEventListener(name, then, { once: true }));
      const lost = happens("webglcontextlost");
      gl.loseContext();
      await lost;
      await new Promise((then) => setTimeout(then)); // only after its event may a context be restored
      if (!light.isLost) throw new Error("it does not know");
      light.draw();
      const back = happens("webglcontextrestored");
      gl.restoreContext();
      await back;
      light.draw();
    }""")
    assert np.array_equal(unpacked(page.evaluate("light.draw(), readLight()"), noise.shape), before)
