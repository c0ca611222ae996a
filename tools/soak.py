"""Let the live app run with a page open for as long as you like, and watch memory: of the server and of the tab.

    python tools/soak.py --minutes 60 --json soak.jsonl

A sample is taken every half minute; every minute a look is chosen and a shot is taken, as people do. It ends with the
slope after a warm-up of five minutes: what it grows by in an hour.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from playwright.sync_api import CDPSession, Page, sync_playwright

from camera_nano.bench_live import running_app

LOOKS = ("natural", "hdr", "golden", "dramatic")
_EVERY_S, _WARM_UP_MIN = 30.0, 5.0
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


def sample(server: psutil.Process, page: Page, devtools: CDPSession) -> dict[str, Any]:
    """Memory of both ends, threads and files of the server, and what the page shows."""
    devtools.send("HeapProfiler.collectGarbage")
    metrics = {metric["name"]: metric["value"] for metric in devtools.send("Performance.getMetrics")["metrics"]}
    number = page.evaluate("id => Number.parseFloat(document.getElementById(id).textContent)", "fps")
    return {
        "server_rss_mb": round(server.memory_info().rss / 1e6, 1),
        "server_threads": server.num_threads(),
        "server_files": server.num_fds(),
        "tab_heap_mb": round(metrics["JSHeapUsedSize"] / 1e6, 2),
        "tab_nodes": int(metrics["Nodes"]),
        "fps": number,
        "age_ms": page.evaluate("Number.parseFloat(document.getElementById('age').textContent)"),
    }


def watch(minutes: float) -> list[dict[str, Any]]:
    """Samples of a run; each is also printed to stderr as it comes."""
    samples: list[dict[str, Any]] = []
    with running_app(LOOKS, 60 * minutes + 120) as app, sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = playwright.chromium.launch(executable_path=chromium, args=_FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.goto(app.url)
        page.wait_for_selector(f'.tile[data-look="{LOOKS[0]}"][data-frame-id]')
        devtools = page.context.new_cdp_session(page)
        devtools.send("Performance.enable")
        server, started_s = psutil.Process(app.pid), time.monotonic()
        while time.monotonic() - started_s < 60 * minutes:
            page.wait_for_timeout(1e3 * _EVERY_S)
            if len(samples) % 2:
                page.click(f'.tile[data-look="{LOOKS[len(samples) // 2 % len(LOOKS)]}"]')
                page.keyboard.press("Space")
            at = {"minute": round((time.monotonic() - started_s) / 60, 2)}
            samples.append(at | sample(server, page, devtools))
            print(json.dumps(samples[-1]), file=sys.stderr, flush=True)
        browser.close()
    return samples


def verdict(samples: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Growth in MB an hour after the warm-up, by a straight line, and the spread of what the page showed."""
    warm = [sample for sample in samples if sample["minute"] >= _WARM_UP_MIN] or list(samples)
    minutes = np.array([sample["minute"] for sample in warm])

    def slope(key: str) -> float:
        values = np.array([sample[key] for sample in warm])
        return round(float(np.polyfit(minutes, values, 1)[0]) * 60, 2) if len(warm) > 1 else 0.0

    return {
        "minutes": samples[-1]["minute"],
        "server_mb_per_hour": slope("server_rss_mb"),
        "tab_mb_per_hour": slope("tab_heap_mb"),
        "server_rss_mb": [warm[0]["server_rss_mb"], warm[-1]["server_rss_mb"]],
        "tab_heap_mb": [warm[0]["tab_heap_mb"], warm[-1]["tab_heap_mb"]],
        "threads": [warm[0]["server_threads"], warm[-1]["server_threads"]],
        "files": [warm[0]["server_files"], warm[-1]["server_files"]],
        "fps_p5": round(float(np.percentile([sample["fps"] for sample in warm], 5)), 1),
    }


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--json", type=Path, help="write the samples here, a line each")
    args = parser.parse_args()
    samples = watch(args.minutes)
    if args.json:
        args.json.write_text("".join(json.dumps(sample) + "\n" for sample in samples), encoding="utf-8")
    print(json.dumps(verdict(samples)))


if __name__ == "__main__":
    main()
