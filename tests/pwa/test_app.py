"""The web app that needs no server, in real Chromium with its fake camera: what people do with it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from static_site import Site

from camera_nano.cli import main
from camera_nano.light import condition
from camera_nano.light.render import render
from camera_nano.values import Frame

pytestmark = [pytest.mark.browser, pytest.mark.slow]
WAIT_MS = 300_000  # without a GPU, and on a busy machine, a view takes seconds


class App:
    """The app, opened in a browser profile of its own; it asks nothing of any other host."""

    def __init__(self, browser, site, *, has_camera=True, init=""):
        self.site, self.asked, self.problems = site, [], []
        self.context = browser.new_context(
            viewport={"width": 390, "height": 844}, accept_downloads=True, permissions=["camera"] if has_camera else []
        )
        self.page = self.context.new_page()
        self.page.add_init_script(init)
        self.page.set_default_timeout(WAIT_MS)
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("console", lambda said: self.problems.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("dialog", lambda dialog: dialog.accept())
        self.page.goto(site.url)

    def wait_looks(self, look="night"):
        self.page.wait_for_selector(f'.tile[data-look="{look}"][data-frame-id]')
        if self.page.is_visible("#tour-done"):
            self.page.click("#tour-done")

    def choose(self, look):
        self.page.evaluate(f"""document.querySelector('.tile[data-look="{look}"]').click()""")
        self.page.wait_for_selector(f'#view[data-look="{look}"]')

    def shoot(self):
        """Press the shutter and wait until it is saved; the names of its files."""
        n = self.page.locator(".toast[data-original]").count()
        self.page.click("#shutter")
        toast = self.page.locator(".toast[data-original]").nth(n)
        toast.wait_for(state="attached")
        return toast.get_attribute("data-original"), toast.get_attribute("data-looks")

    def saved(self, folder):
        """Save the files of the newest shot by the gallery's own links; their paths by name."""
        self.page.evaluate("document.querySelector('#last').click()")
        self.page.wait_for_selector("#pair-downloads a", state="attached")
        files = {}
        for i in range(self.page.locator("#pair-downloads a").count()):
            with self.page.expect_download() as started:
                self.page.evaluate(f"document.querySelectorAll('#pair-downloads a')[{i}].click()")
            path = folder / started.value.suggested_filename
            started.value.save_as(path)
            files[path.name] = path
        self.page.keyboard.press("Escape")
        return files

    def close(self):
        self.context.close()


@pytest.fixture
def open_app(browser, site):
    """A function that opens the app."""
    opened = []

    def _open(**options):
        opened.append(App(browser, site, **options))
        return opened[-1]

    yield _open
    for app in opened:
        app.close()
    for app in opened:
        assert app.problems == []
        assert [url for url in app.asked if not url.startswith((site.url, "blob:"))] == []


def told(capsys, *command):
    assert main([*map(str, command)]) == 0
    return capsys.readouterr().out


def pixels_of(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"))


def test_a_shot_of_the_camera_is_read_back(open_app, tmp_path, capsys):
    app = open_app()
    app.wait_looks()
    app.choose("golden")
    original, look = app.shoot()
    files = app.saved(tmp_path)
    assert set(files) == {original, look}
    assert pixels_of(files[original]).shape == pixels_of(files[look]).shape == (1080, 1920, 3)
    found = json.loads(told(capsys, "inspect", files[look], "--json"))
    assert "compositeWithTrainedAlgorithmicMedia" in json.dumps(found)
    recipe = json.loads(told(capsys, "recipe", files[look], "--json"))
    assert recipe["look"]["name"] == "golden" and recipe["is_live"] and recipe["assume"] == "captured"


def test_tone_is_seen_before_the_model_has_answered_and_saved_as_seen(open_app, tmp_path, capsys):
    app = open_app()
    app.wait_looks()
    app.choose("golden")
    shown = app.page.evaluate("""() => {
      const shadows = document.getElementById("shadows");
      shadows.value = "1";
      shadows.dispatchEvent(new Event("input"));
      document.getElementById("shutter").click();
      return document.getElementById("view").dataset.isAhead; // all in one task, in which no answer can come
    }""")
    assert shown == "true"
    toast = app.page.wait_for_selector(".toast[data-original]", state="attached")
    look = toast.get_attribute("data-looks")  # of what was found, also when it is gone by now
    app.page.wait_for_selector('#view[data-is-ahead="false"]')
    files = app.saved(tmp_path)
    assert json.loads(told(capsys, "recipe", files[look], "--json"))["look"]["shadows"] == 1


def test_the_last_shot_is_beside_the_shutter_at_the_first_visit(open_app):
    """Also on a page that draws all the time: its own encoder waits until the page is idle, here for ever."""
    app = open_app(init="OffscreenCanvas.prototype.convertToBlob = () => new Promise(() => {})")
    app.wait_looks()
    app.choose("golden")
    app.shoot()
    app.page.wait_for_selector("#last img[src^='blob:']")
    size = "async (image) => { await image.decode(); return [image.naturalWidth, image.naturalHeight]; }"
    assert app.page.eval_on_selector("#last img", size) == [400, 225]


def test_details_show_what_each_stage_takes(open_app):
    app = open_app()
    app.wait_looks()
    app.shoot()
    app.page.evaluate("document.querySelector('#panel').showModal()")
    for stage in ("condition", "propose", "draw", "save original", "save shot"):
        app.page.wait_for_selector(f'#panel-body th:text-is("{stage}")')


def test_a_photo_of_the_library_is_that_of_the_package(open_app, photo, editor, tmp_path, capsys):
    app = open_app(has_camera=False)
    app.page.wait_for_selector("body[data-model=ready]")
    path = tmp_path / "mine.png"
    Image.fromarray(photo[:, :384]).save(path)
    app.page.set_input_files("input[type=file]", path)
    app.wait_looks()
    app.choose("dramatic")
    original, look = app.shoot()
    files = app.saved(tmp_path)
    assert files[original].read_bytes() == path.read_bytes()
    recipe = json.loads(told(capsys, "recipe", files[look], "--json"))
    [field] = editor.propose(condition(Frame(photo[:, :384])), [editor.looks["dramatic"]], assume=recipe["assume"])
    assert (
        np.abs(pixels_of(files[look]).astype(int) - render(np.ascontiguousarray(photo[:, :384]), field)).mean() < 3
    )  # JPEG is in between


def test_it_starts_without_a_network(open_app):
    app = open_app()
    app.wait_looks()
    app.page.wait_for_selector("body[data-offline=ready]")
    app.site.close()
    app.page.reload()
    app.wait_looks()
    app.choose("soft")
    app.problems = [said for said in app.problems if "ERR_CONNECTION_REFUSED" not in said]  # it asks for a new version


def test_takes_words_tone_and_strength(open_app):
    app = open_app(has_camera=False)
    app.page.wait_for_selector("body[data-model=ready]")
    app.page.set_input_files("input[type=file]", Path(__file__).parents[2] / "assets" / "live.jpg")
    app.wait_looks()
    app.choose("golden")
    app.page.evaluate("document.querySelector('#takes-open').click()")
    takes = app.page.locator(".take[data-seed]")
    takes.nth(3).wait_for()
    assert takes.count() == 4 and app.page.locator('.take[aria-pressed="true"][data-seed="0"]').count() == 1
    other = app.page.locator('.take[aria-pressed="false"]').first
    seed = int(other.get_attribute("data-seed"))
    other.evaluate("take => take.click()")
    app.page.wait_for_selector('.tile.picked[data-look="golden"]')
    assert 0 < seed <= 8
    app.page.evaluate("""document.querySelector('#words-text').value = 'very warm, darker';
      document.querySelector('#words').requestSubmit()""")
    app.page.wait_for_selector('#view[data-look="very-warm-darker"]')
    before = app.page.get_attribute("#view", "data-proposal-id")
    app.page.evaluate("""(() => { const slider = document.querySelector('#shadows');
      slider.value = 1; slider.dispatchEvent(new Event('input')); })()""")
    app.page.wait_for_selector(f'#view:not([data-proposal-id="{before}"])')
    app.page.evaluate("""(() => { const slider = document.querySelector('#strength');
      slider.value = 0; slider.dispatchEvent(new Event('input')); })()""")
    app.page.wait_for_selector('#view[data-strength="0"]')


def test_weights_that_were_changed_are_not_used(browser, app_folder, tmp_path):
    broken = tmp_path / "app"
    shutil.copytree(app_folder, broken)
    weights = bytearray((broken / "model" / "denoiser.int8.onnx").read_bytes())
    weights[-1] ^= 1
    (broken / "model" / "denoiser.int8.onnx").write_bytes(weights)
    site = Site(broken)
    app = App(browser, site, has_camera=False)
    try:
        app.page.wait_for_selector("#trouble:not([hidden])")
        assert "was changed" in app.page.inner_text("#trouble")
    finally:
        app.close()
        site.close()


def test_memory_stays_as_it_is(open_app):
    app = open_app()
    app.wait_looks()
    app.choose("hdr")
    devtools = app.context.new_cdp_session(app.page)

    def used_mb(n):
        for _ in range(n):
            shown = app.page.get_attribute("#view", "data-proposal-id")
            app.page.wait_for_selector(f'#view:not([data-proposal-id="{shown}"])')
        devtools.send("HeapProfiler.collectGarbage")
        heap = devtools.send("Runtime.getHeapUsage")
        return (heap["usedSize"] + heap.get("backingStorageSize", 0)) / 1e6

    before = used_mb(8)  # as many as are kept, and more
    assert used_mb(16) - before < 8  # one frame is as large
