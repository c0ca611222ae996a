"""The live app in a process of its own, as a page sees it: how fast it starts and streams, what memory it takes."""

from __future__ import annotations

import json
import re
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import simplejpeg
from websockets.sync.client import connect

from camera_nano.bench.rows import Bench, Limit, Size, imports_ms
from camera_nano.environment import for_child

FIRST_VIEW_BAR_MS, FIRST_LOOKS_BAR_MS = 1500.0, 3000.0
VIEW_LIMIT = Limit("25 a second", 40.0)
LOOK_LIMIT = Limit("8 a second", 125.0)
AGE_LIMIT = Limit("250 ms", 250.0)
LIVE_BAR_MB, BATCH_BAR_MB = 350.0, 500.0
_TIMEOUT_S = 60.0
_SETTLE_S = 1.0


@dataclass(frozen=True, slots=True)
class View:
    """One view that a page has drawn."""

    drawn_s: float  # monotonic
    age_ms: float  # from the start of the exposure until it was drawn, without the wait in the socket
    has_tiles: bool


@dataclass(frozen=True, slots=True)
class App:
    """A live app in a process of its own."""

    pid: int
    url: str
    started_s: float  # monotonic


@contextmanager
def running_app(
    looks: Sequence[str], timeout_s: float = _TIMEOUT_S, source: str = "demo", *, has_brackets: bool = False
) -> Iterator[App]:
    """The live app on a demo camera, with a temporary folder for shots; ends with the block or after `timeout_s`."""
    argv = [sys.executable, "-P", "-m", "camera_nano", "live", "--source", source, "--port", "0"]
    with tempfile.TemporaryDirectory(prefix="camera_nano-bench-") as out:
        started_s = time.monotonic()
        argv += ["--looks", ",".join(dict.fromkeys(looks)), "--out", out]
        argv += ["--bracket", "auto" if has_brackets else "off"]
        with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, env=for_child()) as process:
            too_late = threading.Timer(timeout_s, process.kill)
            too_late.start()
            try:
                yield App(process.pid, _url(process), started_s)
                process.terminate()
                process.wait(_TIMEOUT_S)
            finally:
                too_late.cancel()
                process.kill()


def _url(process: subprocess.Popen[str]) -> str:
    lines = []
    for line in process.stderr or ():
        lines.append(line)
        if found := re.search(r"http://\S+", line):
            return found[0]
    raise RuntimeError(f"the live app ended: {''.join(lines).strip()}")


def views(url: str, look: str | None) -> Iterator[View]:
    """Watch as a page does: choose a look, draw a view, ask for the next one, and so on."""
    address = urlsplit(url)
    # we connect ourselves, because `connect` would go through the proxy that the environment names
    own = socket.create_connection((address.hostname, address.port), timeout=_TIMEOUT_S)
    with connect(f"ws://{address.netloc}/ws", sock=own, compression=None, max_size=None) as page:
        page.send(json.dumps({"type": "choose", "look": look}))
        while True:
            message = page.recv(timeout=_TIMEOUT_S)
            if isinstance(message, str):
                continue
            came_s = time.monotonic()
            (length,) = struct.unpack_from(">I", message)
            header = json.loads(message[4 : 4 + length])
            simplejpeg.decode_jpeg(message[4 + length :][: header["jpeg"][1]])
            drawn_s = time.monotonic()
            yield View(drawn_s, header["age_ms"] + 1e3 * (drawn_s - came_s), "tiles" in header)
            page.send(json.dumps({"type": "ready"}))


def watch(url: str, look: str | None, for_s: float) -> list[View]:
    """The views that a page draws in `for_s` seconds, counted from a moment after the first tiles."""
    seen: list[View] = []
    from_s = float("inf")
    for view in views(url, look):
        if from_s == float("inf") and view.has_tiles:
            from_s = view.drawn_s + _SETTLE_S
        if view.drawn_s >= from_s:
            seen.append(view)
        if view.drawn_s >= from_s + for_s:
            break
    return seen


def intervals_ms(seen: Sequence[View], *, tiles: bool = False) -> list[float]:
    """Mean interval between views, or between refreshed tiles, in each whole second: one value a second."""
    at_s = np.array([view.drawn_s for view in seen if view.has_tiles or not tiles])
    n_seconds = max(1, int(seen[-1].drawn_s - seen[0].drawn_s))
    counts, _ = np.histogram(at_s - seen[0].drawn_s, bins=n_seconds, range=(0, n_seconds))
    return [1e3 / max(int(count), 1) for count in counts]


def measure_live(bench: Bench, looks: Sequence[str], photo: Path) -> None:
    """The live app's start, and its stream and memory with one page; also the memory of a batch with one thread."""
    bench.say("import, numpy and OpenCV")
    imports = bench.add("import", "numpy and OpenCV", imports_ms(bench.budget.starts))
    starts_ms = []
    for number in range(bench.budget.starts):
        bench.say(f"start {number + 1} of {bench.budget.starts}")
        with running_app(looks) as app:
            starts_ms.append(_first_ms(app, looks[0]))
            if number == bench.budget.starts - 1:  # the last one stays to be watched
                bench.say(f"live, {bench.budget.live_s:.0f} s")
                seen = watch(app.url, looks[0], bench.budget.live_s)
                memory_mb = resident_mb(app.pid)
    bars_ms = {"first view": FIRST_VIEW_BAR_MS, "first looks": FIRST_LOOKS_BAR_MS}
    for (case, bar_ms), ms in zip(bars_ms.items(), zip(*starts_ms, strict=True), strict=True):
        bench.add("start", case, ms, limit=Limit("import", imports.ms), bar=round(bar_ms / imports.ms, 3))
    _add_stream(bench, seen, len(looks))
    if memory_mb is not None:
        for what, mb in zip(("live, resident", "live, resident peak"), memory_mb, strict=True):
            bench.sizes.append(Size(what, mb, LIVE_BAR_MB))
    bench.say("memory of a batch")
    if (worker_mb := batch_peak_mb(photo, looks[0])) is not None:
        bench.sizes.append(Size("batch, peak of one worker", worker_mb, BATCH_BAR_MB))


def _first_ms(app: App, look: str) -> tuple[float, float]:
    """From the start of the app until the first view and the first looks are drawn."""
    first_view_s = None
    for view in views(app.url, look):
        first_view_s = first_view_s or view.drawn_s
        if view.has_tiles:
            return 1e3 * (first_view_s - app.started_s), 1e3 * (view.drawn_s - app.started_s)
    raise AssertionError("views never end")


def _add_stream(bench: Bench, seen: Sequence[View], n_looks: int) -> None:
    ages = [view.age_ms for view in seen]
    bench.add("live", "between views 1280x720", intervals_ms(seen), limit=VIEW_LIMIT, bar=1.0)
    bench.add("live", f"between looks, {n_looks} at once", intervals_ms(seen, tiles=True), limit=LOOK_LIMIT, bar=1.0)
    bench.add("live", "age of a drawn view", ages, limit=AGE_LIMIT)
    bench.add("live", "age, 95th percentile", [float(np.percentile(ages, 95))], limit=AGE_LIMIT, bar=1.0)


def resident_mb(pid: int) -> tuple[float, float] | None:
    """Resident memory of a process in MB, now and at its peak; None where there is no /proc."""
    status = Path(f"/proc/{pid}/status")
    if not status.is_file():
        return None
    kib = dict(re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB$", status.read_text(encoding="utf-8"), re.MULTILINE))
    return round(int(kib["VmRSS"]) * 1024 / 1e6, 1), round(int(kib["VmHWM"]) * 1024 / 1e6, 1)


def batch_peak_mb(photo: Path, look: str) -> float | None:
    """Peak resident memory, in MB, of `camera-nano batch` on one photo with one thread; None where there is no /proc.

    The process reads its own: what the system tells a parent about a child includes the parent's memory at the fork.
    """
    code = "import sys, camera_nano.cli as c; c.main(sys.argv[1:]); print(open('/proc/self/status').read())"
    with tempfile.TemporaryDirectory(prefix="camera_nano-bench-") as out:
        argv = [sys.executable, "-P", "-c", code, "batch", str(photo), "--out", out, "--looks", look, "--threads", "1"]
        done = subprocess.run(argv, capture_output=True, text=True, env=for_child())
    found = re.search(r"^VmHWM:\s+(\d+) kB$", done.stdout, re.MULTILINE)
    return round(int(found[1]) * 1024 / 1e6, 1) if found else None
