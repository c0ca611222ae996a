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
from itertools import accumulate
from pathlib import Path
from typing import TypeVar

import numpy as np
import pyvips

from camera_nano.batch import Result
from camera_nano.conditioning import shrink
from camera_nano.decode import open_image
from camera_nano.encode import encode, write_atomically
from camera_nano.plan import Job
from camera_nano.progress import Progress
from camera_nano.ultrahdr import read_gainmap
from camera_nano.values import Pixels

MOST_PICTURES = 600  # photos and looks: the page stays small enough to open; of the rest there is a list
_WIDTH_PX, _CELL_PX, _COMPARED_PX = 640, 320, 160
_SHEET_COLUMNS, _MOST_CELLS = 6, 600
_BINS = 48
_HERE = Path(__file__).parent
_Made = TypeVar("_Made")


def write_html(path: Path, results: Sequence[Result]) -> None:
    """The page: what failed, then photos by how much they changed. Raises OSError."""
    failed = [result for result in results if result.status == "failed"]
    jobs = [result.job for result in results if result.status != "failed"]
    changes = [pair for pair in zip(jobs, _in_threads(_change, jobs), strict=True) if pair[1] is not None]
    changes.sort(key=lambda pair: -(pair[1] or 0))
    n_shown = sum(n <= MOST_PICTURES for n in accumulate(1 + len(job.outputs) for job, _ in changes))
    articles = _in_threads(_article, [job for job, _ in changes[:n_shown]])
    style, script = ((_HERE / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    policy = f"default-src 'none'; img-src data:; style-src '{_sha256(style)}'; script-src '{_sha256(script)}'"
    counts = {name: sum(result.status == name for result in results) for name in ("done", "skipped", "failed")}
    said = f"{counts['done']} made now, {counts['skipped']} there already, {counts['failed']} failed"
    rows = "".join(f"<li>{html.escape(result.error or '')}</li>" for result in failed)
    more = "".join(f"<li>{html.escape(_name(job))}: {change:.1f}</li>" for job, change in changes[n_shown:])
    page = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}"><title>camera nano: {said}</title>
<style>{style}</style></head><body>
<header><h1>camera nano</h1><p>{said}</p></header>
{f'<section class="failed"><h2>Failed</h2><ul>{rows}</ul></section>' if rows else ""}
<main>{"".join(article or "" for article in articles)}</main>
{f"<section><h2>Changed less</h2><ul>{more}</ul></section>" if more else ""}
<script>{script}</script></body></html>
"""
    write_atomically(path, page.encode("utf-8", "surrogateescape"))


def write_contact_sheet(path: Path, results: Sequence[Result]) -> None:
    """One JPEG: each photo and its looks side by side, in the order of the run, up to 600 pictures. Raises OSError."""
    jobs = [result.job for result in results if result.status != "failed"]
    n_shown = sum(n <= _MOST_CELLS for n in accumulate(1 + len(job.outputs) for job in jobs))
    found = _in_threads(lambda job: _pictures(job, _CELL_PX - 12), jobs[:n_shown])
    cells = [cell for pictures in found for cell in pictures or ()]
    side, columns = _CELL_PX, min(_SHEET_COLUMNS, max(1, len(cells)))
    sheet = np.full((max(1, -(-len(cells) // columns)) * side, columns * side, 3), 24, np.uint8)
    for number, cell in enumerate(cells):
        top = number // columns * side + (side - cell.shape[0]) // 2
        left = number % columns * side + (side - cell.shape[1]) // 2
        sheet[top : top + cell.shape[0], left : left + cell.shape[1]] = cell
    write_atomically(path, encode(sheet, format="jpeg", quality=88))


def _in_threads(make: Callable[[Job], _Made], jobs: Sequence[Job]) -> list[_Made]:
    progress, made = Progress(len(jobs)), []
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1)) as pool:
        for each in pool.map(make, jobs):
            made.append(each)
            progress.step()
    progress.close()
    return made


def _pictures(job: Job, side_px: int) -> list[Pixels] | None:
    """A photo and its looks. None where a file has gone or cannot be read any more: a report is no reason to fail."""
    try:
        return [_small(path, side_px) for path in (job.input, *job.outputs)]
    except (OSError, ValueError, pyvips.Error):
        return None


def _change(job: Job) -> float | None:
    """The largest mean change of code value of its looks, 0..255."""
    if (pictures := _pictures(job, _COMPARED_PX)) is None:
        return None
    before, *after = pictures
    return max(float(np.abs(_like(each, before).astype(int) - before).mean()) for each in after)


def _like(picture: Pixels, other: Pixels) -> Pixels:
    """The part both have: sizes may differ by a row where a format rounds."""
    height, width = other.shape[:2]
    grown = np.zeros_like(other)
    part = picture[:height, :width]
    grown[: part.shape[0], : part.shape[1]] = part
    return grown


def _small(path: Path, side_px: int) -> Pixels:
    """Upright sRGB, (h, w, 3) uint8, in a square of `side_px`."""
    try:
        # its bytes: libvips tells of names that are no UTF-8 in ways Python cannot read
        image = pyvips.Image.thumbnail_buffer(path.read_bytes(), side_px, height=side_px, output_profile="srgb")
        image = image.colourspace("srgb")
        if image.hasalpha():
            image = image.flatten(background=[255])
        return np.ascontiguousarray(image.cast("uchar").numpy()[..., :3])
    except pyvips.Error:  # kinds that libvips does not read
        pixels = open_image(path).frame.pixels
        return shrink(pixels, max(1, round(side_px * min(1, pixels.shape[1] / pixels.shape[0]))))


def _headroom_ev(path: Path) -> float | None:
    gain = read_gainmap(path.read_bytes()) if path.suffix.lower() in (".jpg", ".jpeg") else None
    return None if gain is None else gain.headroom_ev


def _article(job: Job) -> str | None:
    """None as of `_pictures`. The photo is in it once, the script puts it beside the other looks."""
    if (pictures := _pictures(job, _WIDTH_PX)) is None:
        return None
    before, *after = pictures
    sources = [f'src="{_data(before)}"', *["data-again"] * (len(after) - 1)]
    figures = "".join(map(_figure, sources, [before] * len(after), job.outputs, after))
    return f"<article><h2>{html.escape(_name(job))}</h2><div>{figures}</div></article>\n"


def _figure(source: str, before: Pixels, path: Path, after: Pixels) -> str:
    headroom = _headroom_ev(path)
    said = path.name if headroom is None else f"{path.name}, {headroom:.1f} EV above white"
    label = html.escape(f"Original on the left, {path.name} on the right", quote=True)
    height, width = before.shape[:2]
    shape = f'width="{width}" height="{height}" alt="" loading="lazy"'
    return (
        f'<figure><div class="pair"><img {source} {shape}><img src="{_data(after)}" {shape}>'
        f'<input type="range" min="0" max="100" value="50" aria-label="{label}"></div>'
        f"<figcaption>{html.escape(said)}{_histogram(before, after)}</figcaption></figure>"
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
