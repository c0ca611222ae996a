"""The page on a phone, and for everybody: room for the view, keys, and what axe-core finds."""

import zipfile
from pathlib import Path

import pytest
from live_server import LOOKS
from test_gallery import write_shot

from camera_nano.sources import open_source

pytestmark = pytest.mark.browser

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
AXE = Path(__file__).parents[2] / "tools/checks/js/node_modules/axe-core/axe.min.js"


@pytest.fixture
def live(start_live):
    """A camera that plays itself, with looks."""
    live = start_live(pace_s=0.05, reached_at="http://192.0.2.7/")
    assert live.session.wait_proposal(0, timeout_s=60)
    return live


def box(page, selector):
    return page.locator(selector).bounding_box()


def test_the_view_has_the_height_of_a_phone(open_page):
    page = open_page(tour=True, **PHONE)
    assert box(page, "#window")["height"] >= 0.55 * 844
    page.wait_for_function("() => document.getElementById('frame').getBoundingClientRect().height >= 0.55 * 844")
    tour, strip = box(page, "#tour"), box(page, "#strip")
    assert tour["y"] + tour["height"] <= strip["y"]  # it explains the looks and hides none
    page.tap("#tour-done")
    tops = page.eval_on_selector_all(".tile", "(tiles) => tiles.map((tile) => tile.getBoundingClientRect().top)")
    assert len(set(tops)) == 1
    assert page.is_hidden("#words") and page.is_hidden("#split") and page.is_visible("#strength")
    page.tap("#tools-unfold")
    page.tap("#fill")  # the whole picture, no wider than the screen
    page.wait_for_function("() => document.getElementById('frame').getBoundingClientRect().width <= 391")
    page.tap("#fill")
    page.wait_for_function("() => document.getElementById('frame').getBoundingClientRect().width > 391")
    page.tap("#aspect")  # a shape is shown as it is
    page.wait_for_function("() => document.getElementById('frame').getBoundingClientRect().width <= 391")


def test_refused_words_are_answered_in_full_and_examples_do(open_page, live):
    page = open_page(**PHONE)
    page.tap("#adjust")
    page.fill("#words-text", "purple elephants")
    page.press("#words-text", "Enter")
    page.wait_for_selector("#words-answer.error")
    answer = page.locator("#words-answer")
    assert answer.evaluate("(said) => said.scrollHeight <= said.clientHeight + 1")
    said, controls = answer.bounding_box(), box(page, ".controls")
    assert said["y"] + said["height"] <= controls["y"]
    page.tap("#words-examples >> text=slightly darker")
    page.wait_for_selector('#view[data-look="slightly-darker"]')
    tile = box(page, '.tile[data-look="slightly-darker"]')
    assert tile["x"] >= 0 and tile["x"] + tile["width"] <= 390  # chosen, so in sight


def test_pinches_and_double_taps_zoom(open_page):
    page = open_page()
    page.dblclick("#view")
    page.wait_for_selector('#frame[data-zoom="3.00"]')
    page.dblclick("#view")
    page.wait_for_selector('#frame[data-zoom="1.00"]')
    page.keyboard.press("l")
    page.wait_for_selector('#frame[data-zoom="3.00"]')
    page.hover("#view")
    page.mouse.wheel(0, 4000)
    page.wait_for_selector('#frame[data-zoom="1.00"]')


def test_holding_the_view_or_clicking_compare_shows_the_original(open_page):
    page = open_page()
    page.click('.tile[data-look="golden"]')
    page.wait_for_selector('#view[data-look="golden"]')
    page.hover("#view")
    page.mouse.down()
    page.wait_for_selector('#view[data-look=""]')
    page.mouse.up()
    page.wait_for_selector('#view[data-look="golden"]')
    page.click("#compare")
    page.wait_for_selector('#view[data-look=""]')
    assert page.get_attribute("#compare", "aria-pressed") == "true"
    page.press("#compare", "Enter")
    page.wait_for_selector('#view[data-look="golden"]')


def test_space_presses_the_button_with_the_focus(open_page, live):
    page = open_page()
    page.focus("#histogram-toggle")
    page.keyboard.press("Space")
    page.wait_for_selector('#histogram-toggle[aria-pressed="true"]')
    page.focus("#compare")
    page.keyboard.press("Space")
    page.wait_for_selector('#compare[aria-pressed="true"]')
    assert not page.query_selector(".toast") and not live.session.album.shots()
    page.click("#zebra")  # a pointer has pressed it: people go on with the camera
    page.keyboard.press("Space")
    page.wait_for_selector(".toast[data-original]")


def test_shortcuts_can_be_switched_off_and_stay_off(open_page):
    page = open_page()
    page.click("[data-opens=settings]")
    page.uncheck("[name=shortcuts]")
    page.reload()
    page.wait_for_selector("body[data-settled=true]")
    page.keyboard.press("h")
    page.click("#zebra")  # the next thing that happens
    assert page.get_attribute("#histogram-toggle", "aria-pressed") == "false"
    page.click("[data-opens=settings]")
    page.check("[name=shortcuts]")
    page.keyboard.press("Escape")
    page.keyboard.press("h")
    page.wait_for_selector('#histogram-toggle[aria-pressed="true"]')


def test_split_says_which_side_is_which(open_page):
    page = open_page()
    assert page.is_hidden("#split-name")
    page.click('.tile[data-look="golden"]')
    page.click("#split")
    page.wait_for_selector("#divider:not([hidden])")
    assert [page.inner_text(".side.before"), page.inner_text(".side.after")] == ["Original", "Golden"]


def test_engineers_figures_are_in_details(open_page):
    page = open_page()
    assert page.inner_text(".facts").split() == ["Camera", "playback"]
    assert not page.eval_on_selector_all(
        ".tile:not(.stale) .age", "(ages) => ages.map((age) => age.innerText).join('')"
    )
    page.keyboard.press("i")
    page.wait_for_selector("#panel-body >> text=since the light fell on the sensor")


def test_the_shutter_is_off_when_nobody_lends_a_camera(browser, start_live):
    live = start_live(source=open_source("browser"))
    context = browser.new_context(permissions=["camera"])
    page = context.new_page()
    page.goto(live.url)
    page.click("#lend-start")
    page.wait_for_selector("#shutter:enabled")
    page.click("#lend-stop")
    page.wait_for_selector("#shutter:disabled")
    context.close()


@pytest.mark.parametrize("scheme", ["dark", "light"])
@pytest.mark.parametrize("size", [PHONE, {}], ids=["phone", "desktop"])
def test_axe_finds_nothing(open_page, scheme, size):
    if not AXE.exists():
        pytest.skip("axe-core is not installed: bash tools/checks/js.sh")
    page = open_page(tour=True, color_scheme=scheme, **size)
    page.evaluate(AXE.read_text())

    def problems():
        found = page.evaluate("axe.run().then(({ violations }) => violations)")
        return [(each["id"], node["html"], node["failureSummary"]) for each in found for node in each["nodes"]]

    assert problems() == []
    page.click("#tour-done")
    page.evaluate("for (const id of ['adjust', 'tools-unfold']) document.getElementById(id).click()")
    page.click(f'.tile[data-look="{LOOKS[0]}"]')
    page.wait_for_selector(f'#view[data-look="{LOOKS[0]}"]')
    assert problems() == []
    page.click("#takes-open")
    page.wait_for_selector(".take[data-seed]")
    page.locator(".take").last.evaluate("(take) => Promise.all(take.getAnimations().map(({ finished }) => finished))")
    assert problems() == []
    page.keyboard.press("Escape")
    for sheet in ("gallery", "panel", "settings"):
        page.click(f"[data-opens={sheet}]")
        page.wait_for_selector(f"#{sheet}[open]")
        assert problems() == []
        page.keyboard.press("Escape")
    # a control: it would find a fault
    page.evaluate("document.querySelector('#takes-open span').style.color = '#777'")
    assert [problem[0] for problem in problems()] == ["color-contrast"]


def test_the_gallery_has_earlier_shots_and_steps_zooms_and_takes_many(open_page, live):
    write_shot(live.session.album.out, "20200102-030405-678", size=(300, 200))
    write_shot(live.session.album.out, "20190102-030405-678", size=(300, 200))
    page = open_page(**PHONE)
    page.wait_for_function("() => document.querySelector('#last img').naturalWidth > 0")
    page.tap("#shutter")
    page.wait_for_selector('#last[data-shot-id="1"]')
    page.tap("#last")  # the newest, large
    page.wait_for_selector("#gallery-note >> text=1 of 3")
    assert page.is_hidden("#pair-newer")
    page.tap("#pair-older")
    page.wait_for_selector("#gallery-note >> text=2 of 3")
    page.wait_for_function("() => document.getElementById('pair-look').naturalWidth === 300")
    swipe(page, "#pair-frame", -120)
    page.wait_for_selector("#gallery-note >> text=3 of 3")
    page.keyboard.press("ArrowLeft")
    page.wait_for_selector("#gallery-note >> text=2 of 3")
    frame = box(page, "#pair-frame")
    page.mouse.dblclick(frame["x"] + frame["width"] / 4, frame["y"] + 20)
    page.wait_for_selector('#pair-picture[data-zoom="3.00"]')
    page.tap("#pair-phone")
    page.wait_for_function("() => document.getElementById('pair-qr-code').naturalWidth > 0")
    assert "http://192.0.2.7/take/" in page.inner_text("#pair-qr")
    page.tap("#pair-back")
    page.tap("#gallery-select")
    for shot in page.query_selector_all(".shot")[1:]:
        shot.tap()
    with page.expect_download() as download:
        page.tap("#selected-save >> text=Save 2 as ZIP")
    with zipfile.ZipFile(download.value.path()) as archive:
        assert len(archive.namelist()) == 4
    page.tap("#selected-delete")
    page.wait_for_function("() => document.querySelectorAll('.shot').length === 1")
    assert [shot.id for shot in live.session.album.shots()] == [1]


def swipe(page, selector, dx):
    at = box(page, selector)
    x, y = at["x"] + at["width"] * 0.75, at["y"] + at["height"] * 0.25
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + dx, y, steps=5)
    page.mouse.up()
