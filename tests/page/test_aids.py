"""What the page has of the apps that people love: timer, focus aids, shapes, metering, takes, a lent camera's lens."""

import numpy as np
import pytest
from live_server import LOOKS, hear, say
from PIL import Image

from camera_nano.files import shared_decoder
from camera_nano.sources import open_source
from camera_nano.sources.demo import DemoCamera

pytestmark = pytest.mark.browser


def test_the_self_timer_waits_and_a_second_press_ends_it(open_page, live):
    page = open_page()
    page.click("#timer")
    assert page.inner_text("#timer-s") == "3"
    page.click("#shutter")
    page.wait_for_selector("#timer-count:not([hidden])")
    page.click("#shutter")
    page.wait_for_selector("#timer-count", state="hidden")
    assert not live.session.album.shots()
    page.keyboard.press("Space")
    for left in ("3", "2", "1"):
        page.wait_for_selector(f"#timer-count >> text={left}")
    page.wait_for_selector(".toast[data-original]")
    assert len(live.session.album.shots()) == 1
    page.reload()
    page.wait_for_selector("#timer-s >> text=3")  # settings outlast the page


def test_peaking_marks_what_is_sharp_and_leaves_what_is_not(open_page, live, photo):
    page = open_page()
    page.keyboard.press("p")
    page.wait_for_selector("#peaks[data-share]:not([hidden])")
    sharp = float(page.get_attribute("#peaks", "data-share"))
    assert 0.01 < sharp < 0.5
    live.session.source.photo = np.full_like(photo, 99)
    page.wait_for_selector('#peaks[data-share="0.0000"]')


def test_a_shape_is_shown_and_the_look_has_it(open_page, live):
    page = open_page()
    page.keyboard.press("a")
    page.keyboard.press("a")
    assert page.inner_text("#aspect-name") == "4:3"
    page.wait_for_function(
        "() => (({ clientWidth, clientHeight }) => Math.abs(clientWidth / clientHeight - 4 / 3) < 0.02)(view)"
    )
    page.click('.tile[data-look="golden"]')
    page.wait_for_selector('#view[data-look="golden"]')
    page.click("#shutter")
    page.wait_for_selector(".toast[data-original]")
    [shot] = live.session.album.shots()
    with Image.open(shot.original) as original, Image.open(shot.looks["golden"]) as look:
        assert original.size == (512, 512) and look.size == (512, 384)
    assert shared_decoder().read_recipe(shot.looks["golden"]).aspect == "4:3"


def test_a_strength_is_of_its_look(open_page):
    page = open_page()
    page.click('.tile[data-look="golden"]')
    page.fill("#strength", "40")
    page.wait_for_selector('#view[data-look="golden"][data-strength="0.4"]')
    page.click('.tile[data-look="natural"]')
    page.wait_for_selector('#view[data-look="natural"][data-strength="1"]')
    page.reload()
    page.wait_for_selector(f'.tile[data-look="{LOOKS[0]}"][data-frame-id]')
    page.click('.tile[data-look="golden"]')
    page.wait_for_selector('#view[data-look="golden"][data-strength="0.4"]')


def test_the_level_follows_the_device(open_page):
    page = open_page()
    page.click("[data-opens=settings]")
    page.check("[name=level]")
    page.keyboard.press("Escape")
    turn = "([beta, gamma]) => window.dispatchEvent(new DeviceOrientationEvent('deviceorientation', { beta, gamma }))"
    page.evaluate(turn, [90, 0])
    page.wait_for_selector('#level.flat[data-degrees="0.0"]')
    page.evaluate(turn, [60, -20])
    page.wait_for_selector("#level:not(.flat)")


def test_full_screen(open_page):
    page = open_page()
    page.click("#fullscreen")
    page.wait_for_selector('#fullscreen[aria-pressed="true"]')
    page.keyboard.press("f")
    page.wait_for_selector('#fullscreen[aria-pressed="false"]')


def test_a_tap_meters_where_the_camera_can(browser, start_live):
    camera = DemoCamera(size_wh=(320, 180))
    live = start_live(source=camera)
    page = browser.new_page()
    page.goto(live.url)
    page.wait_for_selector("#view[data-frame-id]")
    page.click("#tour-done")
    frame = page.locator("#frame").bounding_box()
    page.mouse.click(frame["x"] + frame["width"] * 0.75, frame["y"] + frame["height"] * 0.25)
    page.wait_for_selector("#meter:not([hidden])")
    page.wait_for_function("() => document.getElementById('meter').style.left.startsWith('75')")
    page.close()
    weights = camera._weights
    row, column = np.unravel_index(weights.argmax(), weights.shape)
    assert abs(column / 63 - 0.75) < 0.03 and abs(row / 35 - 0.25) < 0.05
    socket = start_live(pace_s=0.05).open()
    say(socket, "meter", x=0.5, y=0.5)
    assert hear(socket, "error")["message"] == "playback cannot meter at a point"


def test_a_lent_camera_has_its_light_zoom_and_lenses(browser, start_live):
    live = start_live(source=open_source("browser"))
    context = browser.new_context(permissions=["camera"])
    page = context.new_page()
    page.add_init_script("""
      window.asked = [];
      const zoom = { min: 1, max: 5, step: 0.1 };
      MediaStreamTrack.prototype.getCapabilities = () => ({ torch: true, zoom, pointsOfInterest: {} });
      MediaStreamTrack.prototype.applyConstraints = async ({ advanced }) => asked.push(...advanced);
    """)
    page.goto(live.url)
    page.click("#tour-done")
    page.click("#lend-start")
    page.click("#lend-torch")
    page.fill("#lend-zoom", "2")
    assert page.evaluate("asked") == [{"torch": True}, {"zoom": 2}]
    page.wait_for_selector("body[data-state=live]")
    page.click("#view")
    page.wait_for_function("() => asked.at(-1).pointsOfInterest?.length === 1")
    kinds = page.evaluate("navigator.mediaDevices.enumerateDevices().then((all) => all.map(({ kind }) => kind))")
    assert page.is_hidden("#lend-lens") == (kinds.count("videoinput") < 2)
    context.close()


def test_high_dynamic_range_goes_on_and_the_shot_is_what_is_shown(open_page, live, browser):
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script("""
      const real = window.matchMedia.bind(window);
      window.matchMedia = (query) => (query.includes("dynamic-range") ? { matches: true } : real(query));
    """)
    page.goto(live.url)
    page.click("#tour-done")
    page.click('.tile[data-look="golden"]')
    page.click("#hdr")
    seen = page.wait_for_selector("#hdr-picture[data-frame-id]:not([hidden])").get_attribute("data-frame-id")
    page.wait_for_selector(f'#hdr-picture:not([hidden]):not([data-frame-id="{seen}"]):not([data-frame-id=""])')
    assert page.evaluate("document.getElementById('hdr-picture').naturalWidth") == 512
    page.click("#hdr")
    page.wait_for_selector("#hdr-picture", state="hidden")
    context.close()


def test_holding_a_look_shows_four_takes_and_a_tap_keeps_one(open_page):
    page = open_page()
    tile = page.locator('.tile[data-look="golden"]').bounding_box()
    page.mouse.move(tile["x"] + 40, tile["y"] + 30)
    page.mouse.down()
    page.wait_for_selector("#takes[open] .take[data-seed]")
    page.mouse.up()
    page.wait_for_function(
        "() => [...document.querySelectorAll('.take img')].filter((one) => one.naturalWidth).length === 4"
    )
    assert page.inner_text("#takes-title") == "Four takes of Golden" and page.is_hidden("#takes-usual")
    picked = page.locator('.take[aria-pressed="false"]').first
    seed = int(picked.get_attribute("data-seed"))
    picked.click()
    page.wait_for_selector('.tile.picked[data-look="golden"]')
    page.wait_for_selector('#view[data-look="golden"]')
    page.focus("#takes-open")  # for keyboards
    page.keyboard.press("Enter")
    page.wait_for_selector(f'.take[aria-pressed="true"][data-seed="{seed}"]')
    page.click("#takes-more")
    page.wait_for_function("() => document.querySelector('#takes-list').ariaBusy === 'false'")
    page.click("#takes-usual")
    page.wait_for_selector('.tile[data-look="golden"]:not(.picked)')
