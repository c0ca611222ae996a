"""Rows -> what they mean: how many looks at how many frames a second, and what would raise it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from camera_nano.bench_rows import LOOKS, QUIET, RENDER, Row, Size

VIEWS_PER_S, LOOKS_PER_S = 25.0, 8.0  # what counts as live
CAMERA_PER_S = 30.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What this machine sustains; `knobs` are changes and the refreshes of every look a second they would give."""

    n_looks: int
    views_per_s: float
    looks_per_s: float
    is_live: bool  # both rates are what counts as live
    is_measured: bool  # by the live rows; else computed from the stages
    busiest_part: str  # of the live loop, by time of a core per second
    knobs: dict[str, float]
    missed: tuple[str, ...]
    n_bars: int
    text: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self) | {"missed": list(self.missed)}


def verdict(rows: Sequence[Row], sizes: Sequence[Size], cores: int) -> Verdict:
    """Judge a run: by its live rows where it has them, else by the medians of the stages.

    In the latter case views and looks go side by side on two cores; on one, views come first and looks get the time
    that is left.
    """
    view_ms = _ms(rows, "render", "1280x720") + _ms(rows, "view jpeg")
    parts_ms = {
        "propose": _ms(rows, "propose", "4 looks x 2 steps"),
        "tiles": 4 * _ms(rows, "tile"),
        "condition": _ms(rows, "condition", "1280x720"),
    }
    views_per_s = min(CAMERA_PER_S if cores > 1 else VIEWS_PER_S, 1e3 / view_ms)
    share = 1.0 if cores > 1 else max(0.0, 1 - views_per_s * view_ms / 1e3)
    looks_per_s = 1e3 * share / sum(parts_ms.values())
    between_views = [row for row in rows if row.stage == "live" and row.case.startswith("between views")]
    between_looks = [row for row in rows if row.stage == "live" and row.case.startswith("between looks")]
    is_measured = bool(between_views and between_looks)
    if is_measured:
        views_per_s, looks_per_s = 1e3 / between_views[0].p50_ms, 1e3 / between_looks[0].p50_ms
    knobs = _knobs(rows, parts_ms, looks_per_s)
    missed = [f"{row.stage}, {row.case}" for row in rows if row.is_met is False]
    missed += [size.what for size in sizes if not size.is_met]
    n_bars = sum(row.bar is not None for row in rows) + len(sizes)
    busy_ms = {part: ms * looks_per_s for part, ms in parts_ms.items()} | {"view": view_ms * views_per_s}
    busiest, best = max(busy_ms, key=lambda part: busy_ms[part]), max(knobs, key=lambda knob: knobs[knob])
    how = "measured live" if is_measured else "computed from the stages, without --live"
    is_live = views_per_s >= VIEWS_PER_S and looks_per_s >= LOOKS_PER_S
    text = (
        f"{'Live' if is_live else 'Not quite live'}: 4 looks, each {looks_per_s:.1f} times a second, beside a view of"
        f" {views_per_s:.0f} frames a second ({how}). Busiest: {busiest}."
    )
    if knobs[best] > looks_per_s:  # not where the view leaves the looks no time at all
        text += f" What would raise it most: {best}, to {knobs[best]:.1f} times a second."
    if n_bars:
        text += f" Bars met: {n_bars - len(missed)} of {n_bars}."
    text += _growth(rows)
    return Verdict(
        n_looks=4,
        views_per_s=round(views_per_s, 2),
        looks_per_s=round(looks_per_s, 2),
        is_live=is_live,
        is_measured=is_measured,
        busiest_part=busiest,
        knobs=knobs,
        missed=tuple(missed),
        n_bars=n_bars,
        text=text,
    )


def _ms(rows: Sequence[Row], stage: str, case: str = "") -> float:
    """Median of the fastest row of one thread whose stage and case begin so: the way the product would go."""
    found = [r.p50_ms for r in rows if r.stage.startswith(stage) and r.case.startswith(case) and r.threads == 1]
    return min(found)


def _knobs(rows: Sequence[Row], parts_ms: dict[str, float], looks_per_s: float) -> dict[str, float]:
    """Changes to the live loop and the rate each would give, from what its stages take."""
    now_ms = sum(parts_ms.values())
    one_step_ms = now_ms - parts_ms["propose"] + _ms(rows, "propose", "4 looks x 1 steps")
    one_look_ms = parts_ms["condition"] + parts_ms["tiles"] / 4 + _ms(rows, "propose", "1 looks x 2 steps")
    spent_ms = {"--steps 1": one_step_ms, "--looks with one name": one_look_ms}
    return {knob: round(looks_per_s * now_ms / ms, 2) for knob, ms in spent_ms.items()}


def _growth(rows: Sequence[Row]) -> str:
    """What each look and each megapixel more costs, by least squares; nothing without scale rows."""
    slopes = {}
    for stage in (LOOKS, RENDER):
        points = np.array([(float(r.case.split()[0]), r.p50_ms) for r in rows if r.stage == stage])
        if len(points) < 2:
            return ""
        slopes[stage] = np.polyfit(points[:, 0], points[:, 1], 1)[0]
    return f" Each look more takes {slopes[LOOKS]:.1f} ms, each megapixel more {slopes[RENDER]:.1f}."


def table(report: dict[str, Any]) -> str:
    """The report for people; the last line is the verdict."""
    about = report["machine"]
    others = "" if about["core_share"] > QUIET else ": OTHER PROGRAMS WERE RUNNING, times and ratios are too high"
    lines = [
        f"{about['cpu']}, {about['cores']} of {about['cores_installed']} cores, load {about['load_1m']} before the run,"
        f" {about['core_share']:.0%} of a core to be had{others}",
        "",
        f"{'stage':<15} {'case':<32} {'thr':>3} {'p50 ms':>9} {'p95 ms':>9}  {'limit':<13} {'ratio':>8} {'bar':>6}",
    ]
    for r in report["rows"]:
        bar = "" if r["bar"] is None else f"{r['bar']:>6.4g}  {'pass' if r['ratio'] <= r['bar'] else 'MISS'}"
        ratio = "" if r["limit"] == "itself" else f"{r['ratio']:.2f}"
        lines.append(
            f"{r['stage']:<15} {r['case']:<32} {r['threads']:>3} {r['p50_ms']:>9.2f} {r['p95_ms']:>9.2f}"
            f"  {r['limit']:<13} {ratio:>8} {bar}".rstrip()
        )
    lines.append("")
    for s in report["sizes"]:
        lines.append(
            f"{s['what']:<48} {s['mb']:>7.0f} MB of {s['bar_mb']:.0f}  {'pass' if s['mb'] <= s['bar_mb'] else 'MISS'}"
        )
    return "\n".join([*lines, "", report["verdict"]["text"]])
