"""The web app without a network: kept whole on the first visit, replaced whole by a new version, or not at all."""

import hashlib
import json
import shutil
from contextlib import closing
from pathlib import Path

import pytest
from static_site import Site

import camera_nano.web

pytestmark = pytest.mark.browser

PAGE = """<!doctype html><title>{name}</title><p>A small app</p><div id="toasts"></div>
<script type="module">
  import {{ keepOffline }} from "./pwa/offline.js";
  import {{ name }} from "./part.js";
  document.body.dataset.part = name;
  window.kept = keepOffline().then(() => "whole", (error) => error.message);
</script>"""
WEB = Path(camera_nano.web.__file__).parent
LIST = "files.json"


def build(folder, name):
    """A small app whose parts say which build they are of, as the build of the real one lays it out."""
    folder.mkdir(exist_ok=True)
    for part in ("pwa", "static"):
        shutil.copytree(WEB / part, folder / part, dirs_exist_ok=True)
    (folder / "pwa" / "sw.js").rename(folder / "sw.js")
    (folder / "index.html").write_text(PAGE.format(name=name))
    (folder / "part.js").write_text(f'export const name = "{name}";\n')
    (folder / "large.bin").write_bytes(bytes(300_000))  # the same in every build
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != LIST)
    listed = [
        {
            "path": path.relative_to(folder).as_posix(),
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "bytes": path.stat().st_size,
        }
        for path in files
    ]
    (folder / LIST).write_text(json.dumps(listed))


@pytest.fixture
def site(tmp_path):
    """The first build, on the net."""
    folder = tmp_path / "app"
    build(folder, "first")
    site = Site(folder)
    site.folder = folder
    yield site
    site.close()


@pytest.fixture
def context(browser):
    """A browser's profile; `asked` are the addresses that went to the network."""
    context = browser.new_context()
    context.asked = []
    context.on("request", lambda request: context.asked.append(request.url))
    yield context
    context.close()


def opened(context, url):
    """A page, and what came of keeping it."""
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector("body[data-part]")
    return page, page.evaluate("kept")


def parts(page):
    return page.title(), page.get_attribute("body", "data-part")


def caches_of(page):
    return page.evaluate("caches.keys()")


def test_after_the_first_visit_no_server_is_needed(context, site):
    page, told = opened(context, site.url)
    assert told == "whole"
    n_files = len(json.loads((site.folder / LIST).read_text()))
    assert (
        page.evaluate(
            "caches.keys().then((names) => caches.open(names[0])).then((c) => c.keys()).then((k) => k.length)"
        )
        == n_files
    )
    site.close()
    page.reload()
    page.wait_for_selector("body[data-part]")
    assert parts(page) == ("first", "first") and page.evaluate("kept") == "whole"
    again, told = opened(context, f"{site.url}?from=home")
    assert parts(again) == ("first", "first") and told == "whole"
    assert again.evaluate("fetch('large.bin').then((a) => a.blob()).then((b) => b.size)") == 300_000
    assert again.evaluate("fetch('none.js').then((answer) => answer.status)") == 404
    assert all(url.startswith(site.url) for url in context.asked)


def test_no_other_host_is_asked(context, site):
    page, _ = opened(context, site.url)
    page.reload()  # the worker of the first visit has the page now
    with closing(Site(site.folder)) as other:
        assert (
            page.evaluate(f"fetch('{other.url}part.js', {{ mode: 'no-cors' }}).then(() => 'asked', () => 'refused')")
            == "refused"
        )


def test_a_new_version_is_told_and_taken_whole_when_asked(context, site):
    page, _ = opened(context, site.url)
    [first] = caches_of(page)
    build(site.folder, "second")
    page.reload()
    page.wait_for_selector("body[data-part]")
    assert parts(page) == ("first", "first")  # no part of it is shown before it is taken
    page.wait_for_selector("text=A new version is there")
    assert page.evaluate("fetch('part.js').then((answer) => answer.text())") == 'export const name = "first";\n'
    with page.expect_navigation():
        page.click("text=Use it")
    page.wait_for_selector('body[data-part="second"]')
    assert parts(page) == ("second", "second") and page.evaluate("kept") == "whole"
    [second] = caches_of(page)
    assert second != first
    site.close()
    page.reload()
    page.wait_for_selector('body[data-part="second"]')


def test_a_new_version_is_there_once_no_page_of_the_old_one_is_open(context, site):
    page, _ = opened(context, site.url)
    build(site.folder, "second")
    page.reload()
    page.wait_for_selector("text=A new version is there")
    page.goto("about:blank")
    site.close()
    later, _ = opened(context, site.url)
    assert parts(later) == ("second", "second")


@pytest.mark.parametrize("damage", ["changed", "cut short", "missing"])
def test_a_version_with_one_wrong_file_is_not_taken(context, site, damage):
    page, _ = opened(context, site.url)
    kept = caches_of(page)
    build(site.folder, "second")
    part = site.folder / "part.js"
    if damage == "missing":
        part.unlink()
    else:
        part.write_text('export const name = "wronged";\n'[: 9 if damage == "cut short" else None])
    page.reload()
    page.wait_for_selector("body[data-part]")
    assert "could not be fetched whole" in page.evaluate("kept")
    assert parts(page) == ("first", "first") and not page.is_visible("text=A new version is there")
    build(site.folder, "second")  # mended
    page.reload()
    page.wait_for_selector("text=A new version is there")
    assert parts(page) == ("first", "first") and set(kept) < set(caches_of(page))


def test_a_list_that_changes_meanwhile_is_not_taken(context, site):
    """The page has read another list than the worker finds: a deployment is under way."""
    lists = [b"[]", (site.folder / LIST).read_bytes()]
    context.route(f"**/{LIST}", lambda route: route.fulfill(body=lists.pop(0)) if lists else route.fallback())
    _, told = opened(context, site.url)
    assert "could not be fetched whole" in told


def test_the_gallery_is_answered_from_the_browsers_own_files(context, site):
    page, _ = opened(context, site.url)
    page.evaluate("""async () => {
      const { answer } = await import("./pwa/shots.js");
      window.ask = (path, method = "GET") => answer(new Request(path, { method }), path.replace(/\\?.*/, ""));
    }""")
    shot = page.evaluate("""async () => {
      const canvas = new OffscreenCanvas(900, 600);
      const drawn = (kind) => canvas.convertToBlob({ type: `image/${kind}` });
      canvas.getContext("2d").fillRect(0, 0, 900, 600);
      const { saveShot } = await import("./pwa/store.js");
      const [original, look] = await Promise.all(["png", "jpeg"].map(drawn));
      return saveShot({ id: 1769857200007, original, looks: async () => ({ golden: look }), took_ms: 0 });
    }""")
    [listed] = page.evaluate("ask('api/shots?most=1').then((answer) => answer.json())")
    assert listed["id"] == shot["shot_id"] and [part["part"] for part in listed["parts"]] == ["original", "golden"]
    widths = """async (paths) => Promise.all(paths.map(async (path) => {
      const image = new Image();
      image.src = URL.createObjectURL(await (await ask(`api/shots/1769857200007/${path}`)).blob());
      await image.decode();
      return image.naturalWidth;
    }))"""
    assert page.evaluate(widths, ["original?inline=1", "golden?inline=1", "golden/thumb"]) == [900, 900, 400]
    status = "([path, method]) => ask(`api/shots${path}`, method).then((answer) => answer.status)"
    for path in ("/1769857200007/soft", "/1/original", "/1769857200007/golden/qr"):
        assert page.evaluate(status, [path, "GET"]) == 404
    assert page.evaluate(status, ["/1769857200007", "DELETE"]) == 204
    assert page.evaluate("ask('api/shots').then((answer) => answer.json())") == []


def test_the_manifest_names_what_is_there(site):
    manifest = json.loads((site.folder / "pwa" / "manifest.webmanifest").read_text())
    assert {icon["sizes"] for icon in manifest["icons"]} == {"any", "192x192", "512x512"}
    assert [icon["purpose"] for icon in manifest["icons"] if "purpose" in icon] == ["maskable"]
    for icon in manifest["icons"]:
        data = (site.folder / icon["src"]).read_bytes()
        if icon["type"] == "image/png":
            assert (
                data.startswith(b"\x89PNG")
                and f"{int.from_bytes(data[16:20])}x{int.from_bytes(data[20:24])}" == icon["sizes"]
            )
