"""The web app that needs no server, in real Chromium with its fake camera: what people do with it."""

import json
import re
import shutil
import time
import zipfile
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
LIVE = Path(__file__).parents[2] / "assets" / "live.jpg"
NO_ENCODER = "OffscreenCanvas.prototype.convertToBlob = () => new Promise(() => {})"  # on the page's own thread


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

    def open_photo(self, path):
        self.page.wait_for_selector("body[data-model=ready]")
        self.page.set_input_files("input[type=file]", path)
        self.wait_looks()

    def choose(self, look):
        self.page.evaluate(f"""document.querySelector('.tile[data-look="{look}"]').click()""")
        self.page.wait_for_selector(f'#view[data-look="{look}"]')

    def shoot(self):
        """Press the shutter and wait until it is saved; the names of its files."""
        self.page.evaluate("document.querySelector('#toasts').replaceChildren()")  # older ones go when they like
        self.page.click("#shutter")
        toast = self.page.locator(".toast[data-original]").first
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
    app = open_app(init=NO_ENCODER)
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
    path = tmp_path / "mine.png"
    Image.fromarray(photo[:, :384]).save(path)
    app.open_photo(path)
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
    """Takes are drawn and encoded in another thread: the page's has neither here, but for its own view and tiles."""
    app = open_app(has_camera=False, init=NO_ENCODER)
    app.open_photo(LIVE)
    app.page.evaluate("OffscreenCanvas.prototype.getContext = null")
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


def test_no_module_but_the_first_waits_at_its_top(app_folder):
    """WebKit never evaluates a script that shares a module of that kind with another one."""
    for path in [*app_folder.glob("static/*.js"), *app_folder.glob("pwa/*.js")]:
        waits = re.findall(r"^(?:export )?(?:const .*= )?await .*", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert not waits or path.name == "start.js", f"{path.name}: {waits}"


def test_shots_leave_nothing_behind_on_the_page(open_app):
    """Eight shots more than the first: neither listeners nor nodes, nor what they hold, are added up."""
    app = open_app(has_camera=False)
    app.open_photo(LIVE)
    app.choose("golden")
    devtools = app.context.new_cdp_session(app.page)
    devtools.send("Performance.enable")

    def shoot(n):
        for _ in range(n):
            last = app.page.get_attribute("#last img", "src")
            app.shoot()
            app.page.wait_for_function(
                """async (last) => {
                  const image = document.querySelector("#last img");
                  return image.src && image.src !== last && image.decode().then(() => true, () => false);
                }""",
                arg=last,
            )

    def held():
        devtools.send("HeapProfiler.collectGarbage")
        metrics = {one["name"]: one["value"] for one in devtools.send("Performance.getMetrics")["metrics"]}
        return np.array([metrics[name] for name in ("JSEventListeners", "Nodes", "JSHeapUsedSize")])

    shoot(2)
    most = held() + np.array([2, 30, 500_000])
    shoot(8)
    deadline_s = time.monotonic() + 60  # toasts are held until their time is over
    while not (held() <= most).all() and time.monotonic() < deadline_s:
        app.page.evaluate("() => new Promise(requestAnimationFrame)")
    assert (held() <= most).all()


def test_many_shots_are_saved_as_one_zip_or_shared(open_app, tmp_path):
    app = open_app(
        has_camera=False,
        init="""Object.assign(Navigator.prototype, { canShare: () => true, share: async ({ files }) => {
          window.shared = files.map(({ name, type, size }) => [name, type, size]);
        } })""",
    )
    app.open_photo(LIVE)
    app.choose("soft")
    shots = [app.shoot() for _ in range(3)]
    app.page.evaluate("document.querySelector('[data-opens=gallery]').click()")
    app.page.wait_for_selector(".shot >> nth=2")
    app.page.click("#gallery-select")
    for n in (0, 1):  # the newest come first
        app.page.click(f".shot >> nth={n}")
    assert app.page.inner_text("#selected-save") == "Save 2 as ZIP"
    with app.page.expect_download() as started:
        app.page.click("#selected-save")
    assert started.value.suggested_filename == "camera-nano.zip"
    started.value.save_as(tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as archive:
        assert archive.testzip() is None and sorted(archive.namelist()) == sorted(sum(shots[1:], ()))
        originals = [archive.read(name) for name in archive.namelist() if "original" in name]
        sizes = {info.filename: info.file_size for info in archive.infolist()}
    assert originals == [LIVE.read_bytes()] * 2
    app.page.click("#selected-share")
    app.page.wait_for_function("() => window.shared")
    looks = [shot[1] for shot in shots[:0:-1]]
    assert app.page.evaluate("shared") == [[name, "image/jpeg", sizes[name]] for name in looks]


def test_photos_of_the_library_get_several_looks(open_app, photo, tmp_path):
    """One that cannot be opened costs itself."""
    app = open_app(has_camera=False)
    app.page.wait_for_selector("body[data-model=ready]")
    paths = [tmp_path / name for name in ("broken.jpg", "a.png", "b.jpg")]
    paths[0].write_text("no picture")
    for path in paths[1:]:
        Image.fromarray(photo).save(path)
    app.page.set_input_files("input[type=file]", paths)
    app.page.wait_for_selector("dialog:has-text('3 photos')")
    for look in ("natural", "golden", "soft"):
        app.page.set_checked(f'dialog input[value="{look}"]', look != "natural")
    app.page.click("text=Make them")
    app.page.wait_for_selector("dialog p:has-text('Not made: broken.jpg')")
    app.page.keyboard.press("Escape")
    app.page.click("[data-opens=gallery]")
    app.page.wait_for_selector("#gallery[open] .shot >> nth=1")
    shots = app.page.evaluate("""async () => {
      const { ask } = await import(new URL("static/backend.js", document.baseURI));
      return (await ask("api/shots")).json();
    }""")
    assert [[part["part"] for part in shot["parts"]] for shot in shots] == [["original", "golden", "soft"]] * 2
    assert [shot["parts"][0]["bytes"] for shot in shots] == [path.stat().st_size for path in paths[:0:-1]]
    app.page.click(".shot >> nth=0")
    for look in ("Soft", "Golden"):
        app.page.click(f"#pair-looks button:text-is('{look}')")
        app.page.wait_for_selector(f"#pair-looks button[aria-pressed=true]:text-is('{look}')")
        app.page.wait_for_selector(f"#pair-look[data-asked*='/{look.lower()}?'][src^='blob:']")


OLDER = """
delete HTMLVideoElement.prototype.requestVideoFrameCallback;
delete StorageManager.prototype.persist;
delete MediaStreamTrack.prototype.getCapabilities;
for (const name of ["permissions", "wakeLock", "canShare", "share", "serviceWorker"]) delete Navigator.prototype[name];
"""


def test_a_browser_that_lacks_much_takes_pictures_all_the_same(open_app):
    app = open_app(init=OLDER)
    app.page.wait_for_selector(".toast.error:has-text('Not kept for use without a network')")
    app.page.click("#lend-start")
    app.wait_looks()
    app.choose("golden")
    assert "golden" in app.shoot()[1]
    app.page.wait_for_selector("#kept:not([hidden])", state="attached")
    app.page.evaluate("document.querySelector('#last').click()")
    app.page.wait_for_selector("#pair-downloads a")
    assert app.page.is_hidden("#pair-share")


def test_a_browser_that_cannot_draw_looks_says_so_and_saves_originals(open_app):
    app = open_app(
        init="""const get = HTMLCanvasElement.prototype.getContext;
        HTMLCanvasElement.prototype.getContext = function (kind, ...options) {
          return kind === "webgl2" ? null : get.call(this, kind, ...options);
        }"""
    )
    app.page.wait_for_selector("#trouble:has-text('no WebGL2')")
    app.page.wait_for_selector("#shutter:enabled")
    original, looks = app.shoot()
    assert original.endswith("_original.png") and looks == ""


def test_it_can_be_installed(open_app, app_folder):
    """What audits ask before they say so: Chromium's own list of what is missing, and the rest by hand."""
    app = open_app(has_camera=False)
    app.page.wait_for_selector("body[data-offline=ready]")
    devtools = app.context.new_cdp_session(app.page)
    missing = {error["errorId"] for error in devtools.send("Page.getInstallabilityErrors")["installabilityErrors"]}
    assert missing <= {"in-incognito"}  # as the browser's profiles of tests are
    told = devtools.send("Page.getAppManifest")
    manifest, errors = json.loads(told["data"]), told["errors"]
    assert errors == []
    for name in ("name", "short_name", "description", "id", "background_color", "theme_color"):
        assert manifest[name]
    assert manifest["display"] == "standalone" and len(manifest["short_name"]) <= 12
    assert {icon["sizes"] for icon in manifest["icons"]} >= {"192x192", "512x512"}
    assert "maskable" in {icon.get("purpose") for icon in manifest["icons"]}
    head = {
        meta["name"]: meta["content"]
        for meta in app.page.eval_on_selector_all(
            "meta[name], meta[http-equiv]",
            "all => all.map(({ name, httpEquiv, content }) => ({ name: name || httpEquiv, content }))",
        )
    }
    assert "width=device-width" in head["viewport"]
    assert head["theme-color"] and head["description"]
    policy = head["Content-Security-Policy"]
    assert "unsafe" not in policy.replace("'wasm-unsafe-eval'", "") and "http" not in policy and "*" not in policy
    touch = app.page.get_attribute("link[rel=apple-touch-icon]", "href")
    with Image.open(app_folder / touch) as icon:
        assert icon.size == (180, 180) and icon.mode == "RGB"  # what is clear would be black there
    assert app.page.evaluate("isSecureContext") and app.page.title() and app.page.get_attribute("html", "lang")
    app.site.close()
    start = """async (start) => {
      const answer = await fetch(start);
      return [answer.status, (await answer.text()).length > 9000];
    }"""
    assert app.page.evaluate(start, manifest["start_url"]) == [200, True]
