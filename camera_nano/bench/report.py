"""What the measured rows mean: which rates of views and looks this machine keeps up, and what would raise them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np

from camera_nano.bench.rows import LOOKS, QUIET, RENDER, Row, Size

VIEWS_PER_S, LOOKS_PER_S = 25.0, 8.0  # what counts as live
CAMERA_PER_S = 30.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What this machine keeps up in the live app."""

    n_looks: int
    views_per_s: float
    looks_per_s: float
    is_live: bool  # both rates are high enough to count as live
    is_measured: bool  # in the live app; otherwise the rates are computed from the stages
    busiest_part: str  # the part of the live loop that takes most of a core's time
    knobs: dict[str, float]  # a change of flags -> the looks a second that it would give
    missed: tuple[str, ...]  # rows and sizes over their bar
    n_bars: int
    text: str

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self) | {"missed": list(self.missed)}


class _Rates(NamedTuple):
    views_per_s: float
    looks_per_s: float
    is_measured: bool

    @property
    def is_live(self) -> bool:
        return self.views_per_s >= VIEWS_PER_S and self.looks_per_s >= LOOKS_PER_S


def verdict(rows: Sequence[Row], sizes: Sequence[Size], cores: int) -> Verdict:
    """Judge a run: by its live rows if it has them, otherwise by the medians of the stages."""
    view_ms = _ms(rows, "render", "1280x720") + _ms(rows, "view jpeg")
    parts_ms = {
        "propose": _ms(rows, "propose", "4 looks x 2 steps"),
        "tiles": 4 * _ms(rows, "tile"),
        "condition": _ms(rows, "condition", "1280x720"),
    }
    rates = _measured_rates(rows) or _computed_rates(view_ms, sum(parts_ms.values()), cores)
    knobs = _knobs(rows, parts_ms, rates.looks_per_s)
    busy_ms = {part: ms * rates.looks_per_s for part, ms in parts_ms.items()} | {"view": view_ms * rates.views_per_s}
    busiest = max(busy_ms, key=lambda part: busy_ms[part])
    missed = [f"{row.stage}, {row.case}" for row in rows if row.is_met is False]
    missed += [size.what for size in sizes if not size.is_met]
    n_bars = sum(row.bar is not None for row in rows) + len(sizes)
    bars = f" Bars met: {n_bars - len(missed)} of {n_bars}." if n_bars else ""
    return Verdict(
        n_looks=4,
        views_per_s=round(rates.views_per_s, 2),
        looks_per_s=round(rates.looks_per_s, 2),
        is_live=rates.is_live,
        is_measured=rates.is_measured,
        busiest_part=busiest,
        knobs=knobs,
        missed=tuple(missed),
        n_bars=n_bars,
        text=_rates_text(rates, busiest, knobs) + bars + _growth_text(rows),
    )


def _measured_rates(rows: Sequence[Row]) -> _Rates | None:
    """What a page of the live app saw; None without its rows."""
    views = [row for row in rows if row.stage == "live" and row.case.startswith("between views")]
    looks = [row for row in rows if row.stage == "live" and row.case.startswith("between looks")]
    return _Rates(1e3 / views[0].p50_ms, 1e3 / looks[0].p50_ms, True) if views and looks else None


def _computed_rates(view_ms: float, looks_ms: float, cores: int) -> _Rates:
    """On two cores views and looks run side by side; on one, views come first and looks get the time that is left."""
    views_per_s = min(CAMERA_PER_S if cores > 1 else VIEWS_PER_S, 1e3 / view_ms)
    share = 1.0 if cores > 1 else max(0.0, 1 - views_per_s * view_ms / 1e3)
    return _Rates(views_per_s, 1e3 * share / looks_ms, False)


def _ms(rows: Sequence[Row], stage: str, case: str = "") -> float:
    """Median of the fastest one-thread row whose stage and case begin with these: the product takes that way."""
    found = [r.p50_ms for r in rows if r.stage.startswith(stage) and r.case.startswith(case) and r.threads == 1]
    return min(found)


def _knobs(rows: Sequence[Row], parts_ms: dict[str, float], looks_per_s: float) -> dict[str, float]:
    """A change of flags -> the looks a second that it would give, computed from what the stages take."""
    now_ms = sum(parts_ms.values())
    one_step_ms = now_ms - parts_ms["propose"] + _ms(rows, "propose", "4 looks x 1 steps")
    one_look_ms = parts_ms["condition"] + parts_ms["tiles"] / 4 + _ms(rows, "propose", "1 looks x 2 steps")
    spent_ms = {"--steps 1": one_step_ms, "--looks with one name": one_look_ms}
    return {knob: round(looks_per_s * now_ms / ms, 2) for knob, ms in spent_ms.items()}


def _rates_text(rates: _Rates, busiest: str, knobs: dict[str, float]) -> str:
    source = "measured live" if rates.is_measured else "computed from the stages, without --live"
    text = (
        f"{'Live' if rates.is_live else 'Not quite live'}: 4 looks, each {rates.looks_per_s:.1f} times a second, beside"
        f" a view of {rates.views_per_s:.0f} frames a second ({source}). Busiest: {busiest}."
    )
    best = max(knobs, key=lambda knob: knobs[knob])
    if knobs[best] > rates.looks_per_s:  # not where views leave no time for looks
        text += f" What would raise it most: {best}, to {knobs[best]:.1f} times a second."
    return text


def _growth_text(rows: Sequence[Row]) -> str:
    """What one more look and one more megapixel cost, by least squares; empty without scale rows."""
    slopes = {}
    for stage in (LOOKS, RENDER):
        points = np.array([(float(r.case.split()[0]), r.p50_ms) for r in rows if r.stage == stage])
        if len(points) < 2:
            return ""
        slopes[stage] = np.polyfit(points[:, 0], points[:, 1], 1)[0]
    return f" Each look more takes {slopes[LOOKS]:.1f} ms, each megapixel more {slopes[RENDER]:.1f}."


def table(report: dict[str, Any]) -> str:
    """A report of `measure` as text for people; the last line is the verdict."""
    lines = [
        _machine_line(report["machine"]),
        "",
        f"{'stage':<15} {'case':<32} {'thr':>3} {'p50 ms':>9} {'p95 ms':>9}  {'limit':<13} {'ratio':>8} {'bar':>6}",
        *map(_row_line, report["rows"]),
        "",
        *map(_size_line, report["sizes"]),
        "",
        report["verdict"]["text"],
    ]
    return "\n".join(lines)


def _machine_line(about: dict[str, Any]) -> str:
    others = "" if about["core_share"] > QUIET else ": OTHER PROGRAMS WERE RUNNING, times and ratios are too high"
    return (
        f"{about['cpu']}, {about['cores']} of {about['cores_installed']} cores, load {about['load_1m']} before the run,"
        f" {about['core_share']:.0%} of a core to be had{others}"
    )


def _row_line(row: dict[str, Any]) -> str:
    bar = "" if row["bar"] is None else f"{row['bar']:>6.4g}  {_pass(row['ratio'] <= row['bar'])}"
    ratio = "" if row["limit"] == "itself" else f"{row['ratio']:.2f}"
    return (
        f"{row['stage']:<15} {row['case']:<32} {row['threads']:>3} {row['p50_ms']:>9.2f} {row['p95_ms']:>9.2f}"
        f"  {row['limit']:<13} {ratio:>8} {bar}".rstrip()
    )


def _size_line(size: dict[str, Any]) -> str:
    is_met = _pass(size["mb"] <= size["bar_mb"])
    return f"{size['what']:<48} {size['mb']:>7.0f} MB of {size['bar_mb']:.0f}  {is_met}"


def _pass(is_met: bool) -> str:
    return "pass" if is_met else "MISS"
