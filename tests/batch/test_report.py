"""The report of a batch, opened as people do: from the disk, without a server."""

import re

import numpy as np
import pytest
from PIL import Image
from test_run import GOLDEN, LOOKS, NATURAL, ConstantGain, run_jobs

from camera_nano.batch import plan, report
from camera_nano.files.encode import save
from camera_nano.values import GainMap

HOSTILE = "<script>document.title='run'</script>.jpg"


@pytest.fixture
def results(tmp_path, photo):
    """A run over three photos, one of them dark and one with light above white, and one that is none."""
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    Image.fromarray(photo[:200, :300]).save(photos / HOSTILE.replace("/", "\u2215"))
    Image.fromarray((photo[:200, :300] // 6).astype(np.uint8)).save(photos / "dark.png")
    gain = GainMap(np.full((100, 150), 255, np.uint8), (1.5,), 1.5)
    save(photos / "lamp.jpg", photo[:200, :300], format="ultrahdr", gain=gain)
    (photos / "broken <b>.jpg").write_bytes(b"no picture")
    results = []
    run_jobs(plan([photos], out, LOOKS, "auto"), out, ConstantGain(), on_done=results.append)
    return results


@pytest.mark.browser
def test_the_page_shows_each_pair_and_runs_nothing_foreign(browser, results, tmp_path):
    path = tmp_path / "report.html"
    report.write_html(path, results)
    page, problems, requested = browser.new_page(), [], []
    page.on("console", lambda said: problems.append(said.text) if said.type in ("error", "warning") else None)
    page.on("request", lambda request: requested.append(request.url))
    page.goto(path.as_uri())
    assert page.title() == "camera nano: 3 made now, 0 there already, 1 failed"
    assert page.inner_text("section.failed").splitlines()[0] == "Failed"
    assert "broken <b>.jpg" in page.inner_text("section.failed")
    names = page.locator("article h2").all_inner_texts()
    assert len(names) == 3 and any("<script>" in name for name in names)
    assert "1.5 EV above white" in page.inner_text("main")
    page.wait_for_function("() => [...document.images].every((image) => image.naturalWidth > 0)")
    assert page.evaluate("document.images.length") == 3 * len(LOOKS) * 2
    move = "(input) => { input.value = 20; input.dispatchEvent(new Event('input')); }"
    page.eval_on_selector(".pair input", move)
    assert (
        page.eval_on_selector(".pair", "(pair) => getComputedStyle(pair.children[1]).clipPath")
        == "inset(0px 0px 0px 20%)"
    )
    outside = [url for url in requested if not url.startswith(("file:", "data:"))]
    assert problems == outside == []
    page.close()


@pytest.mark.slow
def test_it_is_sorted_by_change_and_bounded(results, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    report.write_html(path, results)
    text = path.read_text()
    assert not re.search(r"https?://", text)
    # the one that is almost black can change least
    assert re.findall(r"<article><h2>.*?</h2>", text)[-1].endswith("dark.png</h2>") and text.count("<article>") == 3
    monkeypatch.setattr(report, "MOST_PICTURES", 1 + len(LOOKS))
    report.write_html(path, results)
    assert path.read_text().count("<article>") == 1 and "Changed less" in path.read_text()
    assert path.stat().st_size < len(text)


@pytest.mark.slow
def test_a_photo_that_has_gone_since_costs_no_report(results, tmp_path):
    for result in results:
        if result.status == "done":
            result.job.outputs[0].unlink()
    report.write_html(tmp_path / "report.html", results)
    assert "broken" in (tmp_path / "report.html").read_text()


@pytest.mark.slow
def test_contact_sheet(results, tmp_path):
    report.write_contact_sheet(tmp_path / "sheet.jpg", results)
    sheet = np.asarray(Image.open(tmp_path / "sheet.jpg"))
    n_cells = 3 * (1 + len((NATURAL, GOLDEN)))
    assert sheet.shape == (-(-n_cells // 6) * 320, 6 * 320, 3)
    cells = [sheet[r : r + 320, c : c + 320].std() for r in range(0, len(sheet), 320) for c in range(0, 6 * 320, 320)]
    assert sum(deviation > 5 for deviation in cells) == n_cells
