"""A report's scaling as a picture: looks, pixels, pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log10
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from camera_nano.bench_rows import LOOKS, PAGES, QUIET, RENDER

SIZE_WH = (1920, 760)
_SCALE = 2  # drawn larger and reduced: Pillow's lines have hard edges
_PAPER, _INK, _FAINT, _GRID = "#fbfaf7", "#22242a", "#73767f", "#e3e1da"
# Okabe and Ito 2008: told apart by every kind of colour vision
_BLUE, _GREEN, _GREY = "#0072b2", "#009e73", "#8a8d94"

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True, slots=True)
class Line:
    """A named run of points."""

    name: str
    points: Points
    colour: str
    is_limit: bool = False


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart."""

    title: str
    x_label: str
    y_label: str
    lines: Sequence[Line]
    is_log: bool = False


def plot(report: dict[str, Any]) -> Image.Image:
    """A report that has scale rows -> an RGB picture of `SIZE_WH`."""
    width, height = (side * _SCALE for side in SIZE_WH)
    image = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(image)
    about = report["machine"]
    _text(draw, (56, 40), "How the cost grows", 34, _INK)
    others = "" if about["core_share"] > QUIET else "; other programs were running"
    cores = f"{about['cores']} of {about['cores_installed']} cores"
    _text(draw, (56, 88), f"{about['cpu']}, {cores}, medians{others}", 18, _FAINT)
    panels = _panels(report["rows"])
    pitch = (SIZE_WH[0] - 2 * 56) / len(panels)
    for i, panel in enumerate(panels):
        left = 56 + pitch * i
        _draw_panel(draw, panel, (left + 62, 224, left + pitch - 40, SIZE_WH[1] - 92))
    return image.resize(SIZE_WH, Image.Resampling.LANCZOS)


def _panels(rows: Sequence[dict[str, Any]]) -> list[Panel]:
    def points(stage: str, column: str = "p50_ms") -> Points:
        return [(float(r["case"].split()[0]), float(r[column])) for r in rows if r["stage"] == stage]

    pages = points(PAGES)
    return [
        Panel(
            "Looks of one proposal",
            "looks, 2 steps each",
            "ms",
            [
                Line("proposal", points(LOOKS), _BLUE),
                Line("same multiply-adds, fp32 GEMM", points(LOOKS, "limit_ms"), _GREY, is_limit=True),
            ],
        ),
        Panel(
            "Pixels of one frame",
            "megapixels",
            "ms",
            [
                Line("render", points(RENDER), _BLUE),
                Line("copy of the frame", points(RENDER, "limit_ms"), _GREY, is_limit=True),
            ],
            is_log=True,
        ),
        Panel(
            "Pages that watch",
            "pages",
            "views a second, each page",
            [
                Line("view 1280x720", [(n, 1e3 / ms) for n, ms in pages], _GREEN),
                Line("25 count as live", [(n, 25.0) for n, _ in pages], _GREY, is_limit=True),
            ],
        ),
    ]


def _draw_panel(draw: ImageDraw.ImageDraw, panel: Panel, box: tuple[float, float, float, float]) -> None:
    left, top, right, bottom = box
    lines = [line for line in panel.lines if line.points]
    xs = sorted({x for line in lines for x, _ in line.points})
    ys = [y for line in lines for _, y in line.points]
    x_ticks = xs
    y_ticks = _decades(min(ys), max(ys)) if panel.is_log else _steps(max(ys))
    to_x = _axis(x_ticks[0], x_ticks[-1], left + 14, right - 14, is_log=panel.is_log)
    to_y = _axis(y_ticks[0], y_ticks[-1], bottom, top, is_log=panel.is_log)

    _text(draw, (left - 62, top - 86), panel.title, 23, _INK)
    _legend(draw, lines, left - 62, top - 44)
    for y in y_ticks:
        _line(draw, [(left, to_y(y)), (right, to_y(y))], _INK if y == y_ticks[0] else _GRID, 1)
        _text(draw, (left - 12, to_y(y)), f"{y:,g}" if y >= 1 else f"{y:g}", 16, _FAINT, "rm")
    last_px = float("-inf")
    for x in x_ticks:
        _line(draw, [(to_x(x), bottom), (to_x(x), bottom + 6)], _INK, 1)
        if to_x(x) - last_px > 30:  # neighbours would run into each other
            _text(draw, (to_x(x), bottom + 12), f"{x:g}", 16, _FAINT, "ma")
            last_px = to_x(x)
    _text(draw, ((left + right) / 2, bottom + 44), panel.x_label, 17, _INK, "ma")
    _text(draw, (left, top - 8), panel.y_label, 15, _FAINT, "ld")
    for line in lines:
        at = [(to_x(x), to_y(y)) for x, y in line.points]
        if line.is_limit:
            _dashed(draw, at, line.colour)
            continue
        _line(draw, at, line.colour, 3)
        for x, y in at:
            _dot(draw, x, y, line.colour)
        x, y = at[-1]
        _text(draw, (x - 4, y - 12), _short(line.points[-1][1]), 17, line.colour, "rd")


def _legend(draw: ImageDraw.ImageDraw, lines: Sequence[Line], x: float, y: float) -> None:
    for line in lines:
        stroke = [(x, y), (x + 26, y)]
        if line.is_limit:
            _dashed(draw, stroke, line.colour)
        else:
            _line(draw, stroke, line.colour, 3)
            _dot(draw, x + 13, y, line.colour)
        _text(draw, (x + 34, y), line.name, 16, _INK, "lm")
        x += 34 + _font(16).getlength(line.name) / _SCALE + 26


def _axis(first: float, last: float, start_px: float, end_px: float, *, is_log: bool) -> Callable[[float], float]:
    scale: Callable[[float], float] = log10 if is_log else float
    span = scale(last) - scale(first) or 1.0
    return lambda value: start_px + (end_px - start_px) * (scale(value) - scale(first)) / span


def _steps(top: float) -> list[float]:
    """0 and four to six round numbers up to at least `top`."""
    decade = 10.0 ** (len(str(int(top))) - 1)
    step = next(s * decade for s in (0.2, 0.25, 0.5, 1, 2, 2.5) if top <= 6 * s * decade)
    n = int(-(-top // step))
    return [step * i for i in range(n + 1)]


def _decades(low: float, high: float) -> list[float]:
    """Powers of ten around a range."""
    first, last = int(log10(low) // 1), int(-(-log10(high) // 1))
    return [10.0**power for power in range(first, max(last, first + 1) + 1)]


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size * _SCALE)


def _text(
    draw: ImageDraw.ImageDraw, at: tuple[float, float], text: str, size: int, colour: str, anchor: str = "la"
) -> None:
    draw.text((at[0] * _SCALE, at[1] * _SCALE), text, colour, _font(size), anchor)


def _line(draw: ImageDraw.ImageDraw, points: Points, colour: str, width_px: int) -> None:
    scaled = [(x * _SCALE, y * _SCALE) for x, y in points]
    draw.line(scaled, colour, width_px * _SCALE, joint="curve")


def _dashed(draw: ImageDraw.ImageDraw, points: Points, colour: str, dash_px: float = 7) -> None:
    """Dashes of equal length along the whole run, corners included."""
    along = 0.0
    for (x0, y0), (x1, y1) in pairwise(points):
        length = ((x1 - x0) ** 2 + (y1 - y0) ** 2) ** 0.5
        done = 0.0
        while done < length:
            step = min(dash_px - along % dash_px, length - done)
            if int(along / dash_px + 1e-9) % 2 == 0:
                a, b = done / length, (done + step) / length
                _line(draw, [(x0 + (x1 - x0) * s, y0 + (y1 - y0) * s) for s in (a, b)], colour, 2)
            done, along = done + step, along + step


def _dot(draw: ImageDraw.ImageDraw, x: float, y: float, colour: str, radius_px: float = 5) -> None:
    box = [(x - radius_px) * _SCALE, (y - radius_px) * _SCALE, (x + radius_px) * _SCALE, (y + radius_px) * _SCALE]
    draw.ellipse(box, colour, _PAPER, _SCALE)
