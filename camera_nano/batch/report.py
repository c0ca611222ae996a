"""A batch on one page: every photo before and after, in one HTML file that needs no server and no network.

File names may hold anything, HTML too: all text is escaped, and the page's policy lets no script but its own run.
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

from camera_nano.atomic import write_atomically
from camera_nano.batch.photo import LEFT_AS_IT_IS
from camera_nano.batch.plan import Job
from camera_nano.batch.results import Result, Tally
from camera_nano.console import Progress
from camera_nano.files import encode, shared_decoder
from camera_nano.values import Pixels

MOST_PICTURES = 600  # photos and looks, so that the page stays small enough to open; the others are only named
_WIDTH_PX, _CELL_PX, _COMPARED_PX = 640, 320, 160
_SHEET_COLUMNS, _MOST_CELLS = 6, 600
_BINS = 48
_NOT_MADE = ("failed", "unmerged")
_HERE = Path(__file__).parent
_Made = TypeVar("_Made")


def write_html(path: Path, results: Sequence[Result], doubts: Sequence[str] = ()) -> None:
    """Write the page: what failed, what was not merged, then the photos, those that changed most first.

    `doubts` are groups that were not sure, a line each. Raises OSError.
    """
    failed = [result for result in results if result.status == "failed"]
    doubts = [*doubts, *(result.error or "" for result in results if result.status == "unmerged")]
    jobs = [result.job for result in results if result.status not in _NOT_MADE]
    changes = [pair for pair in zip(jobs, _in_threads(_change, jobs), strict=True) if pair[1] is not None]
    changes.sort(key=lambda pair: -(pair[1] or 0))
    n_shown = sum(n <= MOST_PICTURES for n in accumulate(1 + len(job.outputs) for job, _ in changes))
    finished = {result.job for result in results if result.looks_finished}
    articles = _in_threads(lambda job: _article(job, job in finished), [job for job, _ in changes[:n_shown]])
    style, script = ((_HERE / name).read_text(encoding="utf-8") for name in ("report.css", "report.js"))
    policy = f"default-src 'none'; img-src data:; style-src '{_sha256(style)}'; script-src '{_sha256(script)}'"
    tally = Tally()
    for result in results:
        tally.add(result)
    counts = tally.summary()
    summary = f"{counts.done} made now, {counts.skipped} there already, {counts.failed} failed"
    summary += f", {counts.kept} outputs left alone" if counts.kept else ""
    n_groups = sum(bool(job.others) for job in jobs)
    summary += f", {n_groups} merged from several photos" if n_groups else ""
    rows, doubtful = (
        "".join(f"<li>{html.escape(line)}</li>" for line in lines)
        for lines in ([result.error or "" for result in failed], doubts)
    )
    more = "".join(f"<li>{html.escape(_name(job))}: {change:.1f}</li>" for job, change in changes[n_shown:])
    page = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}"><title>camera nano: {summary}</title>
<style>{style}</style></head><body>
<header><h1>camera nano</h1><p>{summary}</p></header>
{f'<section class="failed"><h2>Failed</h2><ul>{rows}</ul></section>' if rows else ""}
{f"<section><h2>Not merged</h2><ul>{doubtful}</ul></section>" if doubtful else ""}
<main>{"".join(article or "" for article in articles)}</main>
{f"<section><h2>Changed less</h2><ul>{more}</ul></section>" if more else ""}
<script>{script}</script></body></html>
"""
    write_atomically(path, page.encode("utf-8", "surrogateescape"))


def write_contact_sheet(path: Path, results: Sequence[Result]) -> None:
    """Write one JPEG of each photo and its looks side by side, in the order of the run, 600 at most. Raises OSError."""
    jobs = [result.job for result in results if result.status not in _NOT_MADE]
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
    """A photo and its looks, small. None where a file has gone or cannot be read any more: it is left out."""
    try:
        return [shared_decoder().thumbnail(path, side_px) for path in (job.input, *job.outputs)]
    except (OSError, ValueError):
        return None


def _change(job: Job) -> float | None:
    """The mean change of code values, 0..255, of the look that changed most; None as `_pictures`."""
    if (pictures := _pictures(job, _COMPARED_PX)) is None:
        return None
    before, *after = pictures
    return max(float(np.abs(_like(each, before).astype(int) - before).mean()) for each in after)


def _like(picture: Pixels, other: Pixels) -> Pixels:
    """The picture at the size of another: small sizes are rounded, and may differ by a row or column."""
    height, width = other.shape[:2]
    fitted = np.zeros_like(other)
    part = picture[:height, :width]
    fitted[: part.shape[0], : part.shape[1]] = part
    return fitted


def _headroom_ev(path: Path) -> float | None:
    gain = shared_decoder().read_gainmap(path) if path.suffix.lower() in (".jpg", ".jpeg") else None
    return None if gain is None else gain.headroom_ev


def _article(job: Job, looks_finished: bool) -> str | None:
    """A photo's part of the page; None as `_pictures`. It holds the photo once; the script copies it to each look."""
    if (pictures := _pictures(job, _WIDTH_PX)) is None:
        return None
    before, *after = pictures
    sources = [f'src="{_data(before)}"', *["data-again"] * (len(after) - 1)]
    figures = "".join(map(_figure, sources, [before] * len(after), job.outputs, after))
    note = f"<p>{LEFT_AS_IT_IS}</p>" if looks_finished else ""
    note += f"<p>{html.escape(_merged_from(job))}</p>" if job.others else ""
    return f"<article><h2>{html.escape(_name(job))}</h2>{note}<div>{figures}</div></article>\n"


def _merged_from(job: Job) -> str:
    """What was merged, as the first look says it, which may be from an earlier run."""
    try:
        merging = shared_decoder().read_recipe(job.outputs[0]).merging
    except (OSError, ValueError):  # not marked
        merging = None
    return merging.told if merging else f"merged from {', '.join(photo.name for photo in job.photos)}"


def _figure(source: str, before: Pixels, path: Path, after: Pixels) -> str:
    headroom = _headroom_ev(path)
    caption = path.name if headroom is None else f"{path.name}, {headroom:.1f} EV above white"
    label = html.escape(f"Original on the left, {path.name} on the right", quote=True)
    height, width = before.shape[:2]
    shape = f'width="{width}" height="{height}" alt="" loading="lazy"'
    return (
        f'<figure><div class="pair"><img {source} {shape}><img src="{_data(after)}" {shape}>'
        f'<input type="range" min="0" max="100" value="50" aria-label="{label}"></div>'
        f"<figcaption>{html.escape(caption)}{_histogram(before, after)}</figcaption></figure>"
    )


def _histogram(before: Pixels, after: Pixels) -> str:
    """Two outlines of luma: a thin one of the photo, a thick one of the look."""
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
    """How a Content Security Policy names a script or style that is part of the page (CSP Level 3, 2.3.1)."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
