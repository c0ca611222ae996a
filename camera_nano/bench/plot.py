"""How the cost grows with looks, pixels and pages, as a picture (extra `bench`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullLocator

from camera_nano.bench.report import VIEWS_PER_S
from camera_nano.bench.rows import LOOKS, PAGES, QUIET, RENDER

SIZE_WH = (1920, 760)
_DPI = 120
_PAPER, _INK, _FAINT, _GRID = "#fbfaf7", "#22242a", "#73767f", "#e3e1da"
# Okabe and Ito 2008: these can be told apart with every kind of colour vision
_BLUE, _GREEN, _GREY = "#0072b2", "#009e73", "#8a8d94"


def plot(report: dict[str, Any]) -> Figure:
    """A report of `measure` that has scale rows -> three charts, to be saved at `SIZE_WH` pixels."""
    figure = Figure(figsize=(SIZE_WH[0] / _DPI, SIZE_WH[1] / _DPI), dpi=_DPI, facecolor=_PAPER)
    about = report["machine"]
    others = "" if about["core_share"] > QUIET else "; other programs were running"
    cores = f"{about['cores']} of {about['cores_installed']} cores"
    figure.text(0.0235, 0.92, "How the cost grows", size=18, color=_INK)
    figure.text(0.0235, 0.87, f"{about['cpu']}, {cores}, medians{others}", size=10, color=_FAINT)
    figure.subplots_adjust(left=0.06, right=0.975, top=0.66, bottom=0.12, wspace=0.25)
    looks, pixels, pages = figure.subplots(1, 3)

    n_looks, ms, limit_ms = _columns(report, LOOKS)
    _label(looks, "Looks of one proposal", "looks, 2 steps each", "ms")
    _draw(looks, n_looks, ms, "proposal", _BLUE, limit_ms, "same multiply-adds, fp32 GEMM")

    megapixels, ms, limit_ms = _columns(report, RENDER)
    _label(pixels, "Pixels of one frame", "megapixels", "ms")
    _draw(pixels, megapixels, ms, "render", _BLUE, limit_ms, "copy of the frame", is_log=True)

    n_pages, ms, _ = _columns(report, PAGES)
    views_per_s, live = [1e3 / each for each in ms], [VIEWS_PER_S] * len(ms)
    _label(pages, "Pages that watch", "pages", "views a second, each page")
    _draw(pages, n_pages, views_per_s, "view 1280x720", _GREEN, live, f"{VIEWS_PER_S:.0f} count as live")
    return figure


def _columns(report: dict[str, Any], stage: str) -> tuple[list[float], list[float], list[float]]:
    """What a stage's rows grow with, their medians in ms and their limits in ms."""
    rows = [row for row in report["rows"] if row["stage"] == stage]
    sizes = [float(row["case"].split()[0]) for row in rows]
    return sizes, [row["p50_ms"] for row in rows], [row["limit_ms"] for row in rows]


def _label(axes: Axes, title: str, x_label: str, y_label: str) -> None:
    axes.text(-0.14, 1.25, title, size=12.5, color=_INK, transform=axes.transAxes)
    axes.text(0, 1.03, y_label, size=8.5, color=_FAINT, transform=axes.transAxes)
    axes.set_xlabel(x_label, size=9.5, color=_INK)


def _draw(
    axes: Axes,
    x: Sequence[float],
    y: Sequence[float],
    name: str,
    colour: str,
    limit: Sequence[float],
    limit_name: str,
    *,
    is_log: bool = False,
) -> None:
    """A line with its points and its last value, and dashed the limit that it is up against."""
    if is_log:
        axes.loglog()
    axes.plot(x, y, "o-", color=colour, label=name, markeredgecolor=_PAPER, markersize=7, linewidth=2)
    axes.plot(x, limit, "--", color=_GREY, label=limit_name, linewidth=1.5)
    last = f"{y[-1]:,.0f}" if y[-1] >= 100 else f"{y[-1]:.3g}"
    axes.annotate(last, (x[-1], y[-1]), (0, 8), textcoords="offset points", ha="center", color=colour, size=9.5)
    axes.legend(loc="lower left", bbox_to_anchor=(-0.16, 1.12), ncols=2, frameon=False, fontsize=9, labelcolor=_INK)
    if not is_log:
        axes.set_ylim(0, 1.12 * max(*y, *limit))
        axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    _tidy(axes, x)


def _tidy(axes: Axes, x: Sequence[float]) -> None:
    """Numbers where something was measured, lines across, and no frame."""
    axes.set_facecolor(_PAPER)
    axes.set_xticks(x, [f"{each:g}" for each in x])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axes.tick_params(colors=_FAINT, labelsize=9)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", color=_GRID)
    axes.set_axisbelow(True)
    axes.spines[["left", "top", "right"]].set_visible(False)
    axes.spines["bottom"].set_color(_INK)
