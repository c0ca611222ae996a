"""A batch on one page: before and after of every photo, in one file that opens without a server or a network.

Names come from strangers' folders: everything is escaped, and the page's own policy lets nothing else run.
"""

from __future__ import annotations

import base64
import hashlib
import html
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyvips

from camera_nano.batch import Result
from camera_nano.conditioning import shrink
from camera_nano.decode import open_image
from camera_nano.encode import encode, write_atomically
from camera_nano.plan import Job
from camera_nano.ultrahdr import read_gainmap
from camera_nano.values import Pixels

MOST_PICTURES = 200  # photos with pictures: the page stays small enough to open; of the rest there is a list
_WIDTH_PX, _CELL_PX = 640, 320
_SHEET_COLUMNS, _MOST_CELLS = 6, 600
_BINS = 48
_HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A photo and its looks, small; `change` is the largest mean change of code value of them, 0..255."""

    job: Job
    before: Pixels
    after: tuple[Pixels, ...]
    headroom_ev: tuple[float | None, ...]
    change: float


def write_html(path: Path, results: Sequence[Result]) -> None:
    """The page: what failed, then photos by how much they changed. Raises OSError."""
    failed = [result for result in results if result.status == "failed"]
    pairs = sorted(_in_threads(_pair, _made(results)), key=lambda pair: -pair.change)
    style, script = ((_HERE / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    policy = f"default-src 'none'; img-src data:; style-src '{_sha256(style)}'; script-src '{_sha256(script)}'"
    counts = {name: sum(result.status == name for result in results) for name in ("done", "skipped", "failed")}
    said = f"{counts['done']} made now, {counts['skipped']} there already, {counts['failed']} failed"
    rows = "".join(f"<li>{html.escape(result.error or '')}</li>" for result in failed)
    more = "".join(f"<li>{html.escape(_name(pair.job))}: {pair.change:.1f}</li>" for pair in pairs[MOST_PICTURES:])
    page = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}"><title>camera nano: {said}</title>
<style>{style}</style></head><body>
<header><h1>camera nano</h1><p>{said}</p></header>
{f'<section class="failed"><h2>Failed</h2><ul>{rows}</ul></section>' if rows else ""}
<main>{"".join(map(_article, pairs[:MOST_PICTURES]))}</main>
{f"<section><h2>Changed less</h2><ul>{more}</ul></section>" if more else ""}
<script>{script}</script></body></html>
"""
    write_atomically(path, page.encode("utf-8", "surrogateescape"))


def write_contact_sheet(path: Path, results: Sequence[Result]) -> None:
    """One JPEG: each photo and its looks side by side, in the order of the run, up to 600 pictures. Raises OSError."""
    cells: list[Pixels] = []
    for pair in _in_threads(_pair, _made(results)):
        if len(cells) + 1 + len(pair.after) > _MOST_CELLS:
            break
        cells += [pair.before, *pair.after]
    side = _CELL_PX
    columns = min(_SHEET_COLUMNS, max(1, len(cells)))
    sheet = np.full((max(1, -(-len(cells) // columns)) * side, columns * side, 3), 24, np.uint8)
    for number, cell in enumerate(cells):
        scale = (side - 12) / max(cell.shape[:2])
        small = shrink(cell, max(1, round(cell.shape[1] * scale)))[: side - 12]
        top = number // columns * side + (side - small.shape[0]) // 2
        left = number % columns * side + (side - small.shape[1]) // 2
        sheet[top : top + small.shape[0], left : left + small.shape[1]] = small
    write_atomically(path, encode(sheet, format="jpeg", quality=88))


def _made(results: Sequence[Result]) -> list[Job]:
    return [result.job for result in results if result.status != "failed"]


def _in_threads(make: Callable[[Job], Pair | None], jobs: Sequence[Job]) -> list[Pair]:
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        return [pair for pair in pool.map(make, jobs) if pair is not None]


def _pair(job: Job) -> Pair | None:
    """None where a file has gone or cannot be read any more: a report is no reason to fail."""
    try:
        before, after = _small(job.input), tuple(map(_small, job.outputs))
    except (OSError, ValueError, pyvips.Error):
        return None
    change = max(float(np.abs(_like(each, before).astype(int) - before).mean()) for each in after)
    return Pair(job, before, after, tuple(map(_headroom_ev, job.outputs)), change)


def _like(picture: Pixels, other: Pixels) -> Pixels:
    """The part both have: sizes may differ by a row where a format rounds."""
    height, width = other.shape[:2]
    grown = np.zeros_like(other)
    part = picture[:height, :width]
    grown[: part.shape[0], : part.shape[1]] = part
    return grown


def _small(path: Path) -> Pixels:
    """Upright sRGB, (h, w, 3) uint8, as wide as the page shows it."""
    try:
        image = pyvips.Image.thumbnail(os.fsencode(path), _WIDTH_PX, height=_WIDTH_PX, output_profile="srgb")
        image = image.colourspace("srgb")
        if image.hasalpha():
            image = image.flatten(background=[255])
        return np.ascontiguousarray(image.cast("uchar").numpy()[..., :3])
    except pyvips.Error:  # kinds that libvips does not read
        pixels = open_image(path).frame.pixels
        return shrink(pixels, max(1, round(_WIDTH_PX * min(1, pixels.shape[1] / pixels.shape[0]))))


def _headroom_ev(path: Path) -> float | None:
    gain = read_gainmap(path.read_bytes()) if path.suffix.lower() in (".jpg", ".jpeg") else None
    return None if gain is None else gain.headroom_ev


def _article(pair: Pair) -> str:
    figures = "".join(
        _figure(pair, path, after, headroom)
        for path, after, headroom in zip(pair.job.outputs, pair.after, pair.headroom_ev, strict=True)
    )
    return f"<article><h2>{html.escape(_name(pair.job))}</h2><div>{figures}</div></article>\n"


def _figure(pair: Pair, path: Path, after: Pixels, headroom: float | None) -> str:
    said = path.name if headroom is None else f"{path.name}, {headroom:.1f} EV above white"
    label = html.escape(f"Original on the left, {path.name} on the right", quote=True)
    height, width = pair.before.shape[:2]
    shape = f'width="{width}" height="{height}" alt="" loading="lazy"'
    return (
        f'<figure><div class="pair"><img src="{_data(pair.before)}" {shape}><img src="{_data(after)}" {shape}>'
        f'<input type="range" min="0" max="100" value="50" aria-label="{label}"></div>'
        f"<figcaption>{html.escape(said)}{_histogram(pair.before, after)}</figcaption></figure>"
    )


def _histogram(before: Pixels, after: Pixels) -> str:
    """Two outlines of luma: the original thin, the look thick."""
    paths = []
    for picture, name in ((before, "before"), (after, "after")):
        luma = picture @ np.array([0.299, 0.587, 0.114])  # ITU-R BT.601-7, 2.5.1
        counts = np.sqrt(np.histogram(luma, _BINS, (0, 256))[0])
        points = " ".join(f"{x},{30 - 30 * y:.1f}" for x, y in enumerate(counts / max(1e-9, counts.max())))
        paths.append(f'<polyline class="{name}" points="{points}"/>')
    frame = f'viewBox="0 0 {_BINS - 1} 30" preserveAspectRatio="none" role="img" aria-label="Histogram"'
    return f"<svg {frame}>{''.join(paths)}</svg>"


def _name(job: Job) -> str:
    return os.fspath(job.input).encode("utf-8", "replace").decode()


def _data(pixels: Pixels) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(encode(pixels, format="jpeg", quality=80)).decode()


def _sha256(text: str) -> str:
    """As a Content Security Policy names a script or style of the page itself (CSP Level 3, 2.3.1)."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
