"""Open many pages of the live app at once, good and bad ones, and see what a good page still gets.

    python tools/checks/load.py [--pages 1 4 8 16] [--seconds 10] [--source demo:backlit --bracket] [--json]

It takes two minutes. The exit code is 1 where the good page gets fewer than 15 views a second, in any row; on two cores
that nothing else uses it gets more.

A good page asks for the next view as soon as it has one. A slow reader takes a second for each view; a storm opens a
page, takes one view, goes, and opens it again. One page is always good and is counted by itself. Views are not decoded:
real pages do that on machines of their own. "Sent" and "made" count JPEGs: those that pages got, and those encoded for
them; both are exact under any load of the machine, frames a second are not.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import struct
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal
from urllib.request import urlopen

import psutil
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from camera_nano.bench.live import running_app

LOOKS = ("natural", "hdr", "golden", "dramatic")
Kind = Literal["good", "slow", "storm"]
_SLOW_S, _WARM_UP_S = 1.0, 2.0
_LEAST_FPS = 15.0


@dataclass(frozen=True, slots=True)
class Case:
    """Which pages are open beside the good one, and how many looks they choose among them."""

    name: str
    others: tuple[Kind, ...]
    n_looks: int = 1


@dataclass(slots=True)
class Page:
    """What one page has got."""

    kind: Kind
    look: str
    draws: bool = False  # looks itself, of frames and fields
    has_looks: bool = False
    n_views: int = 0
    n_looks: int = 0  # times that the model's answers were new
    n_pictures: int = 0
    longest_ms: float = 0.0  # between two views
    last_s: float = field(default_factory=time.monotonic)

    def got(self, message: bytes) -> None:
        """Count a view."""
        (length,) = struct.unpack_from(">I", message)
        header = json.loads(message[4 : 4 + length])
        now_s = time.monotonic()
        self.longest_ms, self.last_s = max(self.longest_ms, 1e3 * (now_s - self.last_s)), now_s
        self.n_views += 1
        is_new = "tiles" in header or "fields" in header
        self.has_looks |= is_new
        self.n_looks += is_new
        self.n_pictures += 1 + ("before" in header) + len(header.get("tiles", ()))

    def restart(self) -> None:
        """Count from zero."""
        self.n_views, self.n_looks, self.n_pictures, self.longest_ms, self.last_s = 0, 0, 0, 0.0, time.monotonic()


async def _open(page: Page, url: str) -> None:
    """Watch as this kind of page does, until it is cancelled."""
    while True:
        try:
            async with connect(
                url, proxy=None, compression=None, max_size=None, close_timeout=1, ping_interval=None
            ) as socket:
                await socket.send(json.dumps({"type": "draw", "on": page.draws}))
                await socket.send(json.dumps({"type": "choose", "look": page.look}))
                await _watch(page, socket)
        except (OSError, WebSocketException):  # it is full, or has no time for us
            await asyncio.sleep(0.05)


async def _watch(page: Page, socket: ClientConnection) -> None:
    async for message in socket:
        if isinstance(message, bytes):
            page.got(message)
            if page.kind == "storm":
                return
            if page.kind == "slow":
                await asyncio.sleep(_SLOW_S)
            await socket.send('{"type": "ready"}')


def _made(url: str) -> int | None:
    """JPEGs that the app has encoded for pages; None where it does not count them."""
    with urlopen(f"{url}api/status", timeout=30) as answer:
        encoded: dict[str, int] | None = json.load(answer).get("encoded")
    return sum(encoded.values()) if encoded else None


async def measure(
    case: Case, for_s: float, *, draw: bool = False, source: str = "demo", has_brackets: bool = False
) -> dict[str, Any]:
    """A row of the table: an app of its own, and the pages of a case for some seconds."""
    with running_app(LOOKS, for_s + 60, source, has_brackets=has_brackets) as app:
        kinds: tuple[Kind, ...] = ("good", *case.others)
        pages = [Page(kind, LOOKS[number % case.n_looks], draw) for number, kind in enumerate(kinds)]
        address = app.url.replace("http", "ws", 1) + "ws"
        tasks = [asyncio.create_task(_open(page, address)) for page in pages]
        while not pages[0].has_looks:  # until the model is there
            await asyncio.sleep(0.1)
        await asyncio.sleep(_WARM_UP_S)
        process, made = psutil.Process(app.pid), await asyncio.to_thread(_made, app.url)
        for page in pages:
            page.restart()
        spent, started_s = process.cpu_times(), time.monotonic()
        await asyncio.sleep(for_s)
        took_s, now = time.monotonic() - started_s, process.cpu_times()
        made_now, rss_mb = await asyncio.to_thread(_made, app.url), process.memory_info().rss / 1e6
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    fine = [page.n_views / took_s for page in pages[1:] if page.kind == "good"]
    return {
        "case": case.name,
        "fps": round(pages[0].n_views / took_s, 1),
        "looks_per_s": round(pages[0].n_looks / took_s, 1),
        "longest_ms": round(pages[0].longest_ms),
        "others_fps": round(median(fine), 1) if fine else None,
        "sent_per_s": round(sum(page.n_pictures for page in pages) / took_s, 1),
        "made_per_s": None if made is None or made_now is None else round((made_now - made) / took_s, 1),
        "cores": round((now.user + now.system - spent.user - spent.system) / took_s, 2),
        "rss_mb": round(rss_mb, 1),
    }


def cases(n_pages: Sequence[int]) -> list[Case]:
    """Good pages alone; then the most pages with other looks, slow readers and storms among them."""
    most = max(n_pages)
    n_bad = max(1, (most - 1) // 4)
    alone = [Case(f"{n} pages", _kinds(n - 1)) for n in n_pages]
    if most == 1:
        return alone
    return [
        *alone,
        Case(f"{most} pages, {len(LOOKS)} looks", _kinds(most - 1), len(LOOKS)),
        Case(f"{most} pages, {n_bad} slow", _kinds(most - 1, "slow", n_bad)),
        Case(f"{most} pages, {n_bad} storms", _kinds(most - 1, "storm", n_bad)),
    ]


def _kinds(n: int, bad: Kind = "good", n_bad: int = 0) -> tuple[Kind, ...]:
    return tuple(bad if number < n_bad else "good" for number in range(n))


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pages", type=int, nargs="+", default=[1, 4, 8, 16])
    parser.add_argument("--seconds", type=float, default=10.0, help="for each row")
    parser.add_argument("--draw", action="store_true", help="pages that draw looks themselves")
    parser.add_argument("--source", default="demo", help="the camera, as of `camera-nano live`")
    parser.add_argument("--bracket", action="store_true", help="views show what darker frames hold")
    parser.add_argument("--json", action="store_true", help="a line of JSON for each row")
    args = parser.parse_args()
    if not args.json:
        heads = (("fps", 7), ("looks/s", 9), ("longest ms", 12), ("others", 8), ("sent/s", 8), ("made/s", 8))
        print(" " * 24 + "".join(f"{head:>{w}}" for head, w in (*heads, ("cores", 7), ("MB", 7))))
    n_missed = 0
    for case in cases(args.pages):
        row = asyncio.run(measure(case, args.seconds, draw=args.draw, source=args.source, has_brackets=args.bracket))
        is_missed = row["fps"] < _LEAST_FPS
        n_missed += is_missed
        if args.json:
            print(json.dumps(row), flush=True)
        else:
            name, *values = ("-" if value is None else value for value in row.values())
            cells = "".join(f"{v:>{w}}" for v, w in zip(values, (7, 9, 12, 8, 8, 8, 7, 7), strict=True))
            print(f"{name:24}{cells}  {'MISS' if is_missed else 'pass'}", flush=True)
    return 1 if n_missed else 0


if __name__ == "__main__":
    sys.exit(main())
