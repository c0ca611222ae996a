"""Let the live app run with a page open for two hours, and watch what could grow: of the server and of the tab.

    python tools/checks/soak.py [--minutes 120] [--json soak.jsonl] [--plot soak.png]
    python tools/checks/soak.py --draw soak.jsonl --plot soak.png

A sample is taken every half minute; every minute a look is chosen and a shot is taken, as people do. Judged is the
floor: what memory comes back to, ten minutes by ten minutes. What lies above it is work on its way and memory that the
allocator has not given back yet; a leak lifts the floor. The exit code is 1 where something grows after the warm-up.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import numpy.typing as npt
import psutil
from playwright.sync_api import Browser, CDPSession, Page, sync_playwright

from camera_nano.bench.live import running_app

Sample = dict[str, Any]
F64 = npt.NDArray[np.float64]

LOOKS = ("natural", "hdr", "golden", "dramatic")
# by how much the floor of each may grow in an hour
MOST_GROWTH = {
    "server_rss_mb": 1.0,
    "children_rss_mb": 1.0,
    "children": 1.0,
    "server_threads": 1.0,
    "server_files": 1.0,
    "tab_heap_mb": 1.0,
    "tab_nodes": 30.0,  # there are 60 shots in an hour
    "tab_listeners": 1.0,
}
_DRAWN = {"server_rss_mb": "memory of the server, MB", "tab_heap_mb": "heap of the tab, MB"}
_EVERY_S, _WARM_UP_MIN, _WINDOW_MIN = 30.0, 15.0, 10.0
_LEAST_MIN = 40.0
# the page counts the frames it shows, and tells how many a second since it was asked last
_COUNT_VIEWS = """() => {
    let [n, since] = [0, performance.now()];
    const options = { attributes: true, attributeFilter: ["data-frame-id"] };
    new MutationObserver(() => n++).observe(document.getElementById("view"), options);
    window.viewsPerS = () => {
        const perS = 1e3 * n / (performance.now() - since);
        [n, since] = [0, performance.now()];
        return perS;
    };
}"""
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def sample(server: psutil.Process, page: Page, devtools: CDPSession) -> Sample:
    """Memory of both ends and of the server's children, its threads and files, and what the page shows."""
    devtools.send("HeapProfiler.collectGarbage")
    metrics = {metric["name"]: metric["value"] for metric in devtools.send("Performance.getMetrics")["metrics"]}
    children = [child.memory_info().rss for child in server.children(recursive=True) if child.is_running()]
    return {
        "server_rss_mb": round(server.memory_info().rss / 1e6, 1),
        "children": len(children),
        "children_rss_mb": round(sum(children) / 1e6, 1),
        "server_threads": server.num_threads(),
        "server_files": server.num_fds(),
        "tab_heap_mb": round(metrics["JSHeapUsedSize"] / 1e6, 2),
        "tab_nodes": int(metrics["Nodes"]),
        "tab_listeners": int(metrics["JSEventListeners"]),
        "fps": round(page.evaluate("viewsPerS()"), 1),
    }


def watch(browser: Browser, minutes: float) -> list[Sample]:
    """Samples of a run; each is also printed to stderr as it comes."""
    samples: list[Sample] = []
    with running_app(LOOKS, 60 * minutes + 120) as app:
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(app.url)
        page.wait_for_selector(f'.tile[data-look="{LOOKS[0]}"][data-frame-id]')
        page.click("#tour-done")
        page.evaluate(_COUNT_VIEWS)
        devtools = page.context.new_cdp_session(page)
        devtools.send("Performance.enable")
        server, started_s = psutil.Process(app.pid), time.monotonic()
        while time.monotonic() - started_s < 60 * minutes:
            page.wait_for_timeout(1e3 * _EVERY_S)
            if len(samples) % 2:
                look = LOOKS[len(samples) // 2 % len(LOOKS)]
                for button in (f'.tile[data-look="{look}"]', "#shutter"):
                    page.dispatch_event(button, "click")  # on a slow machine a pointer would seem to be held
            at = {"minute": round((time.monotonic() - started_s) / 60, 2)}
            samples.append(at | sample(server, page, devtools))
            print(json.dumps(samples[-1]), file=sys.stderr, flush=True)
        page.close()
    return samples


def floor(samples: Sequence[Sample], key: str) -> tuple[F64, F64]:
    """The least value of every whole ten minutes: when it was there, in minutes, and what it was.

    Of fewer minutes the least is higher, so the last ones do not count where they are no ten.
    """
    windows: dict[int, list[Sample]] = {}
    for sample in samples:
        windows.setdefault(int((sample["minute"] - samples[0]["minute"]) // _WINDOW_MIN), []).append(sample)
    whole = 0.8 * max(map(len, windows.values()))
    lowest = [min(each, key=lambda sample: sample[key]) for each in windows.values() if len(each) >= whole]
    return np.array([each["minute"] for each in lowest]), np.array([each[key] for each in lowest])


def verdict(samples: Sequence[Sample]) -> list[tuple[str, float, float]]:
    """What is watched, by how much its floor grows in an hour after the warm-up, and the most that passes."""
    warm = [sample for sample in samples if sample["minute"] >= _WARM_UP_MIN]
    rows = []
    for key, most in MOST_GROWTH.items():
        if all(key in sample for sample in warm):
            minutes, values = floor(warm, key)
            grows = 60 * float(np.polyfit(minutes, values, 1)[0]) if len(values) > 1 else math.nan
            rows.append((key, round(grows, 2), most))
    return rows


def table(samples: Sequence[Sample], rows: Sequence[tuple[str, float, float]]) -> str:
    """The verdict as text."""
    lines = [f"{samples[-1]['minute']:.0f} minutes, {len(samples)} samples, the first {_WARM_UP_MIN:.0f} minutes apart"]
    lines.append(f"{'':18}{'first':>9}{'last':>9}{'least':>9}{'most':>9}{'per hour':>10}{'allowed':>9}")
    for key, grows, most in rows:
        values = [sample[key] for sample in samples]
        ends = "".join(f"{value:>9g}" for value in (values[0], values[-1], min(values), max(values)))
        lines.append(f"{key:18}{ends}{grows:>10g}{most:>9g}  {'pass' if grows < most else 'FAIL'}")
    fps = [sample["fps"] for sample in samples]
    return "\n".join([*lines, f"views a second: {median(fps):g} (median), {min(fps):g} at the least"])


def draw(samples: Sequence[Sample], rows: Sequence[tuple[str, float, float]], path: Path) -> None:
    """The memory of both ends over time, each with its floor, as a picture."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4), dpi=120, layout="constrained")
    grows = {key: f"{value:+.2f} per hour" for key, value, _ in rows}
    minutes = [sample["minute"] for sample in samples]
    for axes, (key, name) in zip(figure.subplots(1, len(_DRAWN)), _DRAWN.items(), strict=True):
        axes.plot(minutes, [sample[key] for sample in samples], color="#8a8d94", linewidth=1)
        axes.plot(*floor(samples, key), "o-", color="#0072b2", markersize=4)
        axes.axvspan(0, _WARM_UP_MIN, color="#e3e1da", alpha=0.5)
        axes.set(title=f"{name}, floor {grows[key]}", xlabel="minutes", ylim=(0, None), xlim=(0, None))
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=120)
    parser.add_argument("--json", type=Path, help="write the samples here, a line each")
    parser.add_argument("--draw", type=Path, metavar="FILE", help="run nothing; judge the samples of such a file")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw the samples (extra `bench`)")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the app and the browser end with it
    if args.draw:
        lines = args.draw.read_text(encoding="utf-8").splitlines()
        samples = [json.loads(line) for line in lines if line.startswith("{")]
    else:
        if args.minutes < _LEAST_MIN:
            parser.error(f"--minutes of {_LEAST_MIN:g} or more: what comes before the warm-up is not judged")
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        with sync_playwright() as playwright:
            samples = watch(playwright.chromium.launch(executable_path=chromium, args=_FLAGS), args.minutes)
    if args.json:
        args.json.write_text("".join(json.dumps(sample) + "\n" for sample in samples), encoding="utf-8")
    rows = verdict(samples)
    print(table(samples, rows))
    if args.plot:
        draw(samples, rows, args.plot)
    return 0 if rows and all(grows < most for _, grows, most in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
