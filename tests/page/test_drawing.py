"""Pages that draw looks themselves, in real Chromium: small pictures, since there it draws in software."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
import simplejpeg
from live_server import LOOKS, say, see
from PIL import Image
from playback import Playback
from test_page import pixels, shots, slide

from camera_nano.files import shared_decoder
from camera_nano.files.encode import encode
from camera_nano.light import condition, relight, shrink
from camera_nano.light.render import render

pytestmark = pytest.mark.browser

# for what a page does by itself: software looks as quick as a GPU, and tests reach its contexts
AS_ON_A_GPU = """
  window.contexts = [];
  const get = HTMLCanvasElement.prototype.getContext;
  HTMLCanvasElement.prototype.getContext = function (kind, options) {
    const made = get.call(this, kind, options);
    if (kind === "webgl2") contexts.push(made);
    return made;
  };
  const tell = WebGL2RenderingContext.prototype.getParameter;
  WebGL2RenderingContext.prototype.getParameter = function (name) {
    return name === 0x9246 ? "A GPU" : tell.call(this, name); // UNMASKED_RENDERER_WEBGL
  };
  WebGL2RenderingContext.prototype.getSyncParameter = function () { return this.SIGNALED };
"""
AS_ON_A_SLOW_ONE = (
    AS_ON_A_GPU
    + """
  const asked = new Map();
  WebGL2RenderingContext.prototype.getSyncParameter = function (fence) {
    if (!asked.has(fence)) asked.set(fence, performance.now());
    return performance.now() < asked.get(fence) + 30 ? this.UNSIGNALED : this.SIGNALED;
  };
"""
)
NO_WEBGL = """
  const get = HTMLCanvasElement.prototype.getContext;
  HTMLCanvasElement.prototype.getContext = function (kind, options) {
    return kind === "2d" ? get.call(this, kind, options) : null;
  };
"""


@pytest.fixture
def live(start_live, photo):
    """A camera that stands still, and looks of its frame."""
    live = start_live(source=Playback(shrink(photo, 128)))
    live.release()
    assert live.session.wait_proposal(0, timeout_s=60)
    return live


@pytest.fixture
def open_page(browser, live):
    """A function that opens the page with a setting of where looks are drawn, and a script that runs before it."""
    contexts = []

    def _open(where="here", script=""):
        contexts.append(browser.new_context())
        page = contexts[-1].new_page()
        settings = json.dumps({"drawing": where, "seenTour": True})
        page.add_init_script(f"localStorage.setItem('camera-nano', '{settings}'); {script}")
        page.goto(live.url)
        page.wait_for_selector(f'.tile[data-look="{LOOKS[-1]}"][data-frame-id]')
        return page

    yield _open
    for context in contexts:
        context.close()


def as_seen(live):
    """The newest frame as pages get it, and the proposal for it."""
    socket = live.open()
    say(socket, "draw", on=True)
    say(socket, "ready")
    header, jpeg = see(socket, lambda header: header["draws"])
    return simplejpeg.decode_jpeg(jpeg), live.session.proposal(header["proposal_id"])


def as_drawn(live, look):
    """That frame through the look's field."""
    frame, proposal = as_seen(live)
    return render(frame, proposal.fields[look]).astype(int)


def choose(page, look, drawn="here"):
    page.click(f'.tile[data-look="{look}"]')
    page.wait_for_selector(f'#view[data-look="{look}"][data-drawn="{drawn}"]')


def test_a_look_and_tiles_are_drawn_as_the_server_draws_them(open_page, live):
    page = open_page()
    choose(page, "golden")
    expected = as_drawn(live, "golden")
    assert abs(expected - live.session.ring.latest().pixels).mean() > 10
    assert abs(pixels(page, "view") - expected).mean() < 1
    page.evaluate("document.querySelector('.tile[data-look=golden] canvas').id = 'golden'")
    assert abs(pixels(page, "golden") - expected).mean() < 1


def test_sliders_looks_and_compare_answer_without_the_server(open_page, live):
    page = open_page()
    choose(page, "golden")
    shown = page.evaluate("""() => {
      const { dataset } = document.getElementById("view");
      const strength = document.getElementById("strength");
      const seen = [];
      const note = (act) => (act(), seen.push([dataset.look, Number(dataset.strength)]));
      for (const value of [40, 0]) note(() => {
        strength.value = value;
        strength.dispatchEvent(new Event("input"));
      });
      note(() => document.querySelector('.tile[data-look="natural"]').click());
      note(() => document.querySelector('.tile[data-look=""]').click());
      return seen; // all in one task, in which no message can come
    }""")
    assert shown[:2] == [["golden", 0.4], ["golden", 0]]
    assert [look for look, _ in shown[2:]] == ["natural", ""]
    page.keyboard.down("c")
    page.keyboard.up("c")
    assert page.get_attribute("#view", "data-look") == ""


def test_tone_is_seen_before_the_model_has_answered(open_page, live, editor):
    page = open_page()
    choose(page, "golden")
    before = pixels(page, "view")
    slide(page, "shadows", 1)
    assert page.get_attribute("#view", "data-is-ahead") == "true"
    ahead = pixels(page, "view")
    frame, proposal = as_seen(live)
    wanted = replace(proposal.looks["golden"], shadows=1)
    [field] = editor.propose(condition(live.session.ring.latest()), [wanted], assume=proposal.assume)
    answer = render(frame, field)
    assert abs(ahead - answer).mean() < 0.75 * abs(before - answer).mean()
    page.wait_for_selector("body[data-settled=true]")
    live.propose()
    page.wait_for_selector('#view[data-is-ahead="false"]')
    assert live.session.proposal().looks["golden"] == wanted


def test_a_look_shown_ahead_is_saved_as_it_was_shown(open_page, live):
    page = open_page()
    choose(page, "golden")
    slide(page, "shadows", 1)
    assert page.get_attribute("#view", "data-is-ahead") == "true"
    frame_id = int(page.get_attribute("#view", "data-frame-id"))
    page.wait_for_selector("body[data-settled=true]")
    page.click("#shutter")
    live.propose()
    page.wait_for_selector(".toast[data-original]")
    [shot] = shots(live)
    assert shot.frame_id == frame_id
    assert shared_decoder().read_recipe(shot.parts["golden"]).look.shadows == 1


def test_strength_zero_is_the_original_beside_it(open_page):
    page = open_page()
    choose(page, "golden")
    page.click("#split")
    page.wait_for_selector("#divider:not([hidden])")
    assert not np.array_equal(pixels(page, "view"), pixels(page, "before"))
    slide(page, "strength", 0)
    assert np.array_equal(pixels(page, "view"), pixels(page, "before"))


def test_what_is_shown_is_what_is_saved(open_page, live):
    page = open_page()
    choose(page, "golden")
    slide(page, "strength", 60)
    view = page.locator("#view")
    frame_id, proposal_id = (int(view.get_attribute(f"data-{what}-id")) for what in ("frame", "proposal"))
    frame, field = live.session.ring.get(frame_id), live.session.proposal(proposal_id).fields["golden"]
    page.click("#shutter")
    page.wait_for_selector(".toast[data-original]")
    [shot] = shots(live)
    saved = np.asarray(Image.open(shot.parts["golden"]))
    expected = encode(relight(frame.pixels, field * 0.6), format="jpeg", quality=95)
    with Image.open(io.BytesIO(expected)) as picture:
        assert np.array_equal(saved, np.asarray(picture))
    assert abs(pixels(page, "view") - saved).mean() < 8  # the frame's JPEG is of less quality


def test_a_lost_gpu_hands_over_to_the_server_and_takes_over_again(open_page):
    page = open_page(where="", script=AS_ON_A_GPU)
    choose(page, "golden")
    page.evaluate("""() => {
      window.losses = contexts.map((gl) => gl.getExtension("WEBGL_lose_context"));
      losses[0].loseContext();
    }""")
    page.wait_for_selector('#view[data-look="golden"][data-drawn="there"]')
    page.evaluate("losses[0].restoreContext()")
    page.wait_for_selector('#view[data-look="golden"][data-drawn="here"]')


@pytest.mark.parametrize(
    "script, why",
    [(AS_ON_A_SLOW_ONE, "ms here"), ("", "no GPU"), (NO_WEBGL, "no WebGL2")],
    ids=["slow", "software", "none"],
)
def test_a_browser_that_is_slow_or_cannot_leaves_it_to_the_server(open_page, script, why):
    page = open_page(where="", script=script)
    choose(page, "golden", drawn="there")
    page.keyboard.press("i")
    page.wait_for_selector(f"#panel-body tr:has-text('beside the camera'):has-text('{why}')")


def test_a_hidden_page_misses_no_fields(open_page, live):
    page = open_page()
    choose(page, "golden")
    hide = "(hidden) => { Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });"
    hide += "document.dispatchEvent(new Event('visibilitychange')); }"
    page.evaluate(hide, True)
    before = live.session.proposal().id
    for _ in range(3):
        live.release()
        assert live.session.wait_proposal(live.session.proposal().id, timeout_s=60)
    page.evaluate(hide, False)
    page.wait_for_function("n => document.getElementById('view').dataset.proposalId > n", arg=before)
    live.release()
    newest = live.session.wait_proposal(live.session.proposal().id, timeout_s=60)
    page.wait_for_selector(f'#view[data-frame-id="{newest.frame_id}"][data-proposal-id="{newest.id}"]')
    assert abs(pixels(page, "view") - as_drawn(live, "golden")).mean() < 1
