"""How long each stage takes on this machine, beside the limit it is up against, all in one run."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from typing import Any

import cv2
import numpy as np

from camera_nano.conditioning import condition
from camera_nano.decode import decode
from camera_nano.encode import encode
from camera_nano.engines import load_editor
from camera_nano.render import render, warm_up
from camera_nano.sources import open_source
from camera_nano.values import Frame, Pixels

SIZES_WH = ((640, 480), (1280, 720), (1920, 1080), (4000, 3000))
BUDGET_S = 1.0


def time_ms(run: Callable[[], object]) -> tuple[float, float]:
    """Median and 95th percentile in ms: two runs of burn-in, then for `BUDGET_S` or 50 runs, at least three."""
    for _ in range(2):
        run()
    spent: list[float] = []
    until = time.monotonic() + BUDGET_S
    while len(spent) < 3 or (time.monotonic() < until and len(spent) < 50):
        started = time.perf_counter()
        run()
        spent.append(1e3 * (time.perf_counter() - started))
    return float(np.median(spent)), float(np.percentile(spent, 95))


def measure(on_row: Callable[[str], None] | None = None) -> dict[str, Any]:
    """Every stage, one report: `machine` and `rows`."""
    rows: list[dict[str, Any]] = []
    warm_up()
    editor = load_editor()
    looks = list(editor.looks.values())
    source = open_source("demo")
    scene = next(iter(source.frames())).pixels
    source.close()

    def row(stage: str, case: str, run: Callable[[], object], limit: str, limit_ms: float, bar: float | None) -> float:
        if on_row:
            on_row(f"{stage} {case}")
        p50_ms, p95_ms = time_ms(run)
        ratio = p50_ms / limit_ms if limit_ms else 1.0
        rows.append(
            {"stage": stage, "case": case, "threads": 1, "p50_ms": p50_ms, "p95_ms": p95_ms}
            | {"limit": limit, "limit_ms": limit_ms or p50_ms, "ratio": ratio, "bar": bar}
        )
        return p50_ms

    square = np.random.default_rng(0).random((512, 512), np.float32)
    gemm_ms = row("gemm", "512^3 fp32", lambda: square @ square, "itself", 0, None)
    seen = condition(Frame(scene))
    for n, steps in ((1, 2), (4, 1), (4, 2)):
        some = [looks[i % len(looks)] for i in range(n)]
        row("propose", f"{n} looks, {steps} steps", lambda: editor.propose(seen, some, n_steps=steps),  # noqa: B023
            "gemm", gemm_ms, None)  # fmt: skip
    for wh in SIZES_WH:
        pixels = np.asarray(cv2.resize(scene, wh, interpolation=cv2.INTER_LINEAR), np.uint8)
        _measure_size(pixels, f"{wh[0]}x{wh[1]}", editor.propose(seen, looks[:1])[0], row)
    return {
        "machine": {"cpu": platform.processor() or platform.machine(), "python": platform.python_version()},
        "rows": rows,
    }


def _measure_size(pixels: Pixels, case: str, field: Any, row: Callable[..., float]) -> None:
    out = np.empty_like(pixels)
    memcpy_ms = row("memcpy", case, lambda: np.copyto(out, pixels), "itself", 0, None)
    row("condition", case, lambda: condition(Frame(pixels)), "memcpy", memcpy_ms, None)
    row("render", case, lambda: render(pixels, field, out=out), "memcpy", memcpy_ms, 45.0)
    data = encode(pixels, format="jpeg")
    row("encode jpeg", case, lambda: encode(pixels, format="jpeg"), "memcpy", memcpy_ms, None)
    row("decode jpeg", case, lambda: decode(data, case), "memcpy", memcpy_ms, None)


def table(report: dict[str, Any]) -> str:
    """The report for people."""
    lines = [f"{'stage':<12} {'case':<20} {'p50 ms':>9} {'p95 ms':>9}  {'limit':<8} {'ratio':>7}"]
    for r in report["rows"]:
        took = f"{r['p50_ms']:>9.2f} {r['p95_ms']:>9.2f}"
        lines.append(f"{r['stage']:<12} {r['case']:<20} {took}  {r['limit']:<8} {r['ratio']:>7.1f}")
    return "\n".join(lines)
