"""The page in a real browser: every control does what it says."""

import base64
import io
import json
from contextlib import closing
from itertools import pairwise
from urllib.parse import urlsplit

import numpy as np
import pytest
from live_server import LOOKS
from PIL import Image

from camera_nano.files import shared_decoder
from camera_nano.sources import open_source
from camera_nano.sources.demo import DemoCamera

pytestmark = pytest.mark.browser


def pixels(page, canvas):
    """What is drawn on a canvas, (H, W, 3)."""
    made = page.evaluate("id => document.getElementById(id).toDataURL('image/png')", canvas)
    data = base64.b64decode(made.partition(",")[2])
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int)


def shots(live):
    """Shots of the session, oldest first."""
    return live.session.album.shots()[::-1]


def slide(page, name, value):
    page.eval_on_selector(
        f"#{name}", "(input, value) => { input.value = value; input.dispatchEvent(new Event('input')) }", value
    )


def test_it_shows_frames_in_order_from_this_device_alone(live, browser):
    page, requested = browser.new_page(), []
    page.on("request", lambda request: requested.append(urlsplit(request.url).netloc))
    page.goto(live.url)
    page.wait_for_selector("body[data-state=live]")
    seen = [page.wait_for_selector("#view[data-frame-id]").get_attribute("data-frame-id")]
    for _ in range(3):
        seen.append(page.wait_for_selector(f'#view:not([data-frame-id="{seen[-1]}"])').get_attribute("data-frame-id"))
    assert sorted(map(int, set(seen))) == [int(number) for number in seen]
    assert set(requested) == {live.address}
    page.close()


def test_choose_compare_and_shoot_by_keyboard(page, live):
    page.click('.tile[data-look="golden"]')
    page.wait_for_selector('#view[data-look="golden"]')
    assert page.inner_text("#chosen") == "Golden"
    page.keyboard.down("c")
    page.wait_for_selector('#view[data-look=""]')
    page.keyboard.up("c")
    page.wait_for_selector('#view[data-look="golden"]')
    page.keyboard.press("Space")
    saved = page.wait_for_selector(".toast[data-original]")
    out = live.session.album.out
    original, look = saved.get_attribute("data-original"), saved.get_attribute("data-looks")
    assert sorted(path.name for path in out.iterdir()) == sorted([original, look]) and look.endswith("_golden.jpg")
    with Image.open(out / original) as before, Image.open(out / look) as after:
        assert before.size == after.size and before.format == "PNG" and after.format == "JPEG"
    page.keyboard.press("2")
    page.wait_for_selector('#view[data-look="natural"]')
    page.keyboard.press("0")
    page.wait_for_selector('#view[data-look=""]')
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector('#view[data-look="natural"]')


def test_strength_zero_saves_the_original_twice(page, live):
    page.click('.tile[data-look="golden"]')
    slide(page, "strength", 0)
    page.wait_for_function("() => document.getElementById('strength-value').textContent === '0 %'")
    page.wait_for_selector('#view[data-look="golden"][data-strength="0"]')
    page.click("#shutter")
    page.wait_for_selector(".toast[data-original]")
    original, look = (np.asarray(Image.open(path)).astype(int) for path in shots(live)[0].parts.values())
    assert abs(original - look).mean() < 2  # the JPEG's own error


def test_split_shows_both_and_moves_by_pointer_and_keys(page):
    page.click('.tile[data-look="golden"]')
    page.click("#split")
    page.wait_for_selector("#divider:not([hidden])")
    assert abs(pixels(page, "view") - pixels(page, "before")).mean() > 3
    box = page.locator("#frame").bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, middle, steps=4)
    page.mouse.up()
    assert page.get_attribute("#divider", "aria-valuenow") == "25"
    page.focus("#divider")
    page.keyboard.press("ArrowRight")
    assert page.get_attribute("#divider", "aria-valuenow") == "27"
    assert page.get_attribute("#view", "data-look") == "golden"  # arrows did not choose
    page.keyboard.press("s")
    page.wait_for_selector("#divider", state="hidden")


def test_tone_sliders_move_the_looks_on_every_page(page, open_page, live):
    slide(page, "shadows", 1)
    other = open_page()
    other.wait_for_function("() => document.getElementById('shadows').value === '1'")
    palette = live.session.palette()
    assert (palette.highlights_ev, palette.shadows_ev) == (0, 1)
    page.dblclick("#shadows")
    other.wait_for_function("() => document.getElementById('shadows').value === '0'")


def test_answered_words_leave_everything_in_its_place_in_a_low_window(open_page):
    page = open_page(viewport={"width": 1000, "height": 580})
    boxes = """() => [...document.querySelectorAll("#frame, .controls > *")].map((part) => {
      const { top, bottom } = part.getBoundingClientRect();
      return [top, bottom];
    }).filter(([top, bottom]) => bottom > top)"""
    before = page.evaluate(boxes)
    _, *controls = before
    assert all(below >= bottom for (_, bottom), (below, _) in pairwise(controls))
    page.fill("#words-text", "warm evening light, open shadows, slightly darker, saturation -20%")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.getElementById('chosen').textContent.startsWith('Warm')")
    assert page.evaluate(boxes) == before


def test_words_become_a_look_and_go_again(page, live):
    page.fill("#words-text", "warm evening light, slightly darker")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.getElementById('words-answer').textContent.includes('→')")
    name = live.session.palette().looks[-1].name
    page.wait_for_selector(f'#view[data-look="{name}"]')  # chosen as soon as it is there
    assert page.input_value("#words-text") == "" and not shots(live)  # the space bar wrote a space
    page.click(f'.item:has([data-look="{name}"]) .remove')
    page.wait_for_selector(f'.tile[data-look="{name}"]', state="detached")
    page.fill("#words-text", "purple elephants")
    page.keyboard.press("Enter")
    page.wait_for_selector("#words-answer.error")
    assert "elephants" in page.inner_text("#words-answer")


def test_a_status_from_before_an_act_does_not_undo_it(open_page, live):
    page, statuses = open_page(), []

    def replay(socket):
        server = socket.connect_to_server()

        def pass_on(message):
            if isinstance(message, str) and json.loads(message)["type"] == "status":
                statuses.append(message)
            socket.send(message)
            socket.send(statuses[0])  # the first one of all, as if it had been on its way for long

        server.on_message(pass_on)

    page.route_web_socket("**/ws", replay)
    page.reload()
    page.wait_for_selector("body[data-settled=true]")
    page.evaluate("""() => {
      window.gone = [];
      const note = (changes) => changes.forEach(({ removedNodes }) => gone.push(...removedNodes));
      new MutationObserver(note).observe(document.getElementById("strip"), { childList: true });
    }""")
    page.fill("#words-text", "slightly darker")
    page.keyboard.press("Enter")
    name = page.wait_for_selector(".item:has(.remove) [data-look]").get_attribute("data-look")
    slide(page, "shadows", 1)
    page.wait_for_selector("body[data-settled=true]")
    page.wait_for_selector(f'#view[data-look="{name}"]')
    assert page.evaluate("gone.filter((node) => node.querySelector('[data-look]')).length") == 0
    assert page.input_value("#shadows") == "1"


def test_histogram_and_clipping_marks_count_the_view(page):
    page.keyboard.press("h")
    page.keyboard.press("z")
    page.wait_for_selector("#histogram[data-clipped-light]")
    page.wait_for_selector("#marks[data-share]")
    view = pixels(page, "view")
    clipped = ((view >= 252).any(axis=2) | (view <= 2).all(axis=2)).mean()
    assert abs(float(page.get_attribute("#marks", "data-share")) - clipped) < 0.03
    page.reload()  # settings outlast the page
    page.wait_for_selector("#histogram[data-clipped-light]")
    assert page.get_attribute("#zebra", "aria-pressed") == "true"


def test_holding_the_shutter_is_a_burst_of_different_frames(page, live):
    box = page.locator("#shutter").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.down()
    page.wait_for_function("() => Number(document.getElementById('countdown').textContent) >= 4")
    page.mouse.up()
    page.wait_for_selector("body:not(.saving):not(.bursting)")
    ids = [shot.frame_id for shot in shots(live)]
    assert len(ids) >= 4 and ids == sorted(set(ids))


def test_repeating_shoots_until_told_to_stop(page, live):
    page.click("[data-opens=settings]")
    page.fill("[name=interval]", "1")
    page.keyboard.press("Tab")
    page.keyboard.press("Escape")
    page.click("#interval")
    page.wait_for_function("() => document.querySelectorAll('.toast[data-original]').length >= 2")
    page.click("#interval")
    assert page.get_attribute("#interval", "aria-pressed") == "false"
    assert len(shots(live)) >= 2


def test_an_empty_number_is_no_setting(page):
    page.click("[data-opens=settings]")
    for name in ("interval", "zebra"):
        page.fill(f"[name={name}]", "")
        page.keyboard.press("Tab")
    assert page.inner_text("#interval-s") == "5"
    assert "null" not in page.evaluate("localStorage.getItem('camera-nano')")


def test_a_better_moment_can_be_taken_too(page, live):
    page.click("#shutter")
    moment = page.wait_for_selector("#moments button")
    wanted = int(moment.get_attribute("data-frame-id"))
    page.wait_for_function("() => document.querySelector('#moments img').naturalWidth > 0")
    moment.click()
    page.wait_for_function("() => document.querySelectorAll('.toast[data-original]').length >= 2")
    assert shots(live)[1].frame_id == wanted != shots(live)[0].frame_id


def test_gallery_shows_saves_and_deletes(page, live):
    page.click('.tile[data-look="golden"]')
    page.wait_for_selector('#view[data-look="golden"]')
    page.click("#shutter")
    page.wait_for_selector(".toast[data-original]")
    [shot] = shots(live)
    page.click("[data-opens=gallery]")
    page.click(".shot")
    for image in ("pair-original", "pair-look"):
        page.wait_for_function("id => document.getElementById(id).naturalWidth === 512", arg=image)
    with page.expect_download() as download:
        page.click("text=Save original")
    assert download.value.suggested_filename == shot.original.name
    assert download.value.path().read_bytes() == shot.original.read_bytes()
    page.click("#pair-delete")
    page.wait_for_selector(".shot", state="detached")
    assert not any(path.exists() for path in shot.parts.values()) and not shots(live)
    assert page.inner_text("#gallery-note") == "Nothing shot yet"


def test_details_and_settings(page, live):
    page.keyboard.press("i")
    page.wait_for_selector("#panel-body table")
    text = page.inner_text("#panel-body")
    assert all(word in text for word in ("Memory", "MB", "Frames without looks", "propose", "Room for"))
    page.keyboard.press("Escape")
    page.click("[data-opens=settings]")
    page.check("[name=thirds]")
    page.check("[name=mirror]")
    page.select_option("[name=theme]", "light")
    assert page.inner_text("#out") == str(live.session.album.out)
    page.keyboard.press("Escape")
    assert page.is_visible("#thirds") and "mirrored" in page.get_attribute("#frame", "class")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(234, 233, 230)"


def test_the_tour_is_shown_once(open_page):
    page = open_page(tour=True)
    assert len(page.inner_text("#tour span").splitlines()) == 2
    page.click("#tour-done")
    page.reload()
    page.wait_for_selector("body[data-state=live]")
    assert page.is_hidden("#tour")


def test_a_full_disk_is_said_before_the_press(page, live, monkeypatch):
    monkeypatch.setattr("camera_nano.live.album.free_bytes", lambda folder: 0)
    page.click("#shutter")  # one shot has to be known before the next can be measured
    page.wait_for_selector("#room:not([hidden])")
    assert page.inner_text("#room") == "No room on the disk"


def test_reload_during_inference_goes_on(page, live):
    for _ in range(3):
        page.reload()
        page.wait_for_selector("#view[data-frame-id]")
    live.open()
    page.wait_for_selector(f'.tile[data-look="{LOOKS[0]}"][data-frame-id]')


def test_a_picture_that_looks_finished_is_left_and_new_light_can_be_had(page, live):
    assert page.is_hidden("#finished")  # a camera's frame never is
    live.session.source.may_be_finished = True
    page.wait_for_selector("#finished >> text=Left as it is: it looks finished")
    assert live.session.proposal().fields["natural"].is_left
    page.click("#finished-change")
    page.wait_for_selector("#finished >> text=New light for every picture")
    asked = live.session.proposal()
    assert live.session.wait_proposal(asked.id + 1, timeout_s=60).assume == "captured"
    assert not live.session.proposal().fields["natural"].is_left
    page.click("#finished-change")
    page.wait_for_selector("#finished >> text=Left as it is: it looks finished")


def test_a_slow_tab_does_not_slow_another(open_page):
    slow, fast = open_page(), open_page()
    devtools = slow.context.new_cdp_session(slow)
    devtools.send("Network.enable")
    rate = {"latency": 300, "downloadThroughput": 16_000, "uploadThroughput": 16_000, "offline": False}
    devtools.send("Network.emulateNetworkConditions", rate)
    devtools.send("Emulation.setCPUThrottlingRate", {"rate": 6})
    count = """async (n) => {
      const seen = new Set();
      while (seen.size < n) {
        seen.add(document.getElementById("view").dataset.frameId);
        await new Promise(requestAnimationFrame);
      }
      return seen.size;
    }"""
    before = slow.evaluate("Number(document.getElementById('view').dataset.frameId)")
    assert fast.evaluate(count, 20) == 20
    newest = fast.evaluate("Number(document.getElementById('view').dataset.frameId)")
    assert newest - before >= 10
    # what the slow one shows next is new, not the next in a queue
    slow.wait_for_function("n => Number(document.getElementById('view').dataset.frameId) >= n", arg=newest)


def test_a_lost_camera_is_said_and_the_shutter_still_has_its_frame(page, live):
    live.session.source.error = RuntimeError("the cable of <b>playback</b> is out: plug it in")
    page.wait_for_selector("body[data-state=lost]")
    assert "<b>playback</b> is out" in page.inner_text("#notice-text")  # as text, not as markup


def test_everything_has_a_name_and_phones_have_room(open_page):
    page = open_page(viewport={"width": 390, "height": 844}, is_mobile=True, has_touch=True)
    nameless = """[...document.querySelectorAll("button, input, select, [role=slider], a[href]")]
      .filter((element) => !(element.ariaLabel || element.textContent.trim() || element.labels?.length))
      .map((element) => element.outerHTML)"""
    assert page.evaluate(nameless) == []
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    small = """[...document.querySelectorAll("button, a.quiet")]
      .filter((element) => element.checkVisibility())
      .map((element) => [element.id || element.className, element.getBoundingClientRect()])
      .filter(([, box]) => box.width < 36 || box.height < 36)"""
    assert page.evaluate(small) == []
    page.tap('.tile[data-look="golden"]')
    page.wait_for_selector('#view[data-look="golden"]')


def test_exposure_and_lock_reach_the_camera(browser, start_live):
    live = start_live(source=DemoCamera(size_wh=(640, 360)))
    page = browser.new_page()
    page.goto(live.url)
    page.wait_for_selector("#control-ev")
    slide(page, "control-ev", 2)
    page.wait_for_function("() => document.querySelector('#camera-controls output').textContent === '+2.0'")
    page.click("[data-control=exposure_lock]")
    page.wait_for_selector("body[data-settled=true]")
    assert page.get_attribute("[data-control=exposure_lock]", "aria-pressed") == "true"
    controls = {control.name: control.value for control in live.session.source.controls()}
    assert controls == {"ev": 2.0, "exposure_lock": 1.0}
    page.close()


def test_a_page_lends_its_camera(browser, start_live):
    live = start_live(source=open_source("browser"))
    assert json.loads(live.get("/api/status").read())["needs_camera"]
    context = browser.new_context(permissions=["camera"])
    with closing(context):
        page = context.new_page()
        page.goto(live.url)
        page.wait_for_selector("#lend:not([hidden])")
        assert "lend it with the button" in page.inner_text("#notice-text")
        page.click("#lend-start")
        page.wait_for_selector("body[data-state=live]")
        page.wait_for_selector(f'.tile[data-look="{LOOKS[0]}"][data-frame-id]')
        seen = page.get_attribute("#view", "data-frame-id")
        page.wait_for_selector(f'#view:not([data-frame-id="{seen}"])')
        assert pixels(page, "view").std() > 20  # Chromium's test picture, not an empty one
        page.keyboard.press("Space")
        page.wait_for_selector(".toast[data-original]")
    assert len(shots(live)) == 1


def test_a_camera_that_is_not_lent_is_off(browser, start_live):
    live = start_live(source=open_source("browser"))
    context = browser.new_context(permissions=["camera"])
    with closing(context):
        page = context.new_page()
        page.add_init_script("""
          window.tracks = [];
          const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
          navigator.mediaDevices.getUserMedia = async (wish) => {
            const stream = await open(wish);
            tracks.push(...stream.getTracks());
            return stream;
          };
          HTMLMediaElement.prototype.play = () => Promise.reject(new Error("no picture comes"));
        """)
        page.goto(live.url)
        page.click("#lend-start")
        page.wait_for_function("() => document.getElementById('lend-why').textContent.includes('no picture comes')")
        assert page.evaluate("tracks.map((track) => track.readyState)") == ["ended"]
        page.evaluate("() => { HTMLMediaElement.prototype.play = () => new Promise((done) => (window.shown = done)) }")
        page.click("#lend-start")
        page.wait_for_function("() => window.shown")
        page.evaluate("document.getElementById('lend-stop').click()")
        page.evaluate("shown()")
        assert page.evaluate("tracks.map((track) => track.readyState)") == ["ended", "ended"]
        assert page.is_hidden("#lending")


@pytest.fixture
def night(start_live):
    """The demo at night."""
    live = start_live(source=DemoCamera("night", (480, 270)), night=True)
    assert live.session.wait_proposal(0, timeout_s=60)
    return live


def test_a_press_in_the_dark_says_how_many_frames_and_the_file_does(night, browser):
    page = browser.new_page()
    page.goto(night.url)
    page.wait_for_selector('.tile[data-look="natural"][data-frame-id]')
    page.click("#tour-done")
    page.click('.tile[data-look="natural"]')
    page.wait_for_selector("#view[data-look=natural]")
    page.click("#shutter")
    page.wait_for_selector(".toast >> text=of 8 frames")
    assert page.text_content("#merging-text").startswith("8 frames") and page.is_hidden("#merging")
    [shot] = shots(night)
    assert shot.n_merged == 8 and shared_decoder().read_recipe(shot.looks["natural"]).merging.n_used == 8
    page.close()
