"""How the cost grows with looks, with pixels and with pages."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from camera_nano.bench.cost import Cost
from camera_nano.bench.live import VIEW_LIMIT, intervals_ms, running_app, watch
from camera_nano.bench.rows import LOOKS, PAGES, RENDER, Bench, Limit, memcpy
from camera_nano.light import condition, render
from camera_nano.opencv import cv2
from camera_nano.seams import Editor
from camera_nano.values import EditField, Frame, Look, Pixels


def measure_scale(bench: Bench, editor: Editor, looks: Sequence[Look], scene: Pixels, gemm: Limit, cost: Cost) -> None:
    """Rows of 1 to 16 looks, 0.3 to 100 megapixels and 1 to 4 pages; `gemm` is in ms per 10^9 multiply-adds."""
    seen = condition(Frame(scene))
    for n in bench.budget.scale_looks:
        limit = Limit("gemm", gemm.ms * cost.mac(n, 2) / 1e9)
        bench.time(LOOKS, f"{n} looks", partial(editor.propose, seen, looks[:n], n_steps=2), limit=limit)
    field = editor.propose(seen, looks[:1])[0]
    for megapixels in bench.budget.scale_megapixels:
        _measure_pixels(bench, scene, field, megapixels)
    names = list(dict.fromkeys(look.name for look in looks))[:4]
    for n in bench.budget.scale_clients:
        bench.say(f"{n} pages")
        with running_app(names) as app, ThreadPoolExecutor(n) as pages:
            watching = [pages.submit(watch, app.url, names[0], bench.budget.live_s / 2) for _ in range(n)]
            intervals = [interval for page in watching for interval in intervals_ms(page.result())]
        bench.add(PAGES, f"{n} pages, between views", intervals, limit=VIEW_LIMIT)


def _measure_pixels(bench: Bench, scene: Pixels, field: EditField, megapixels: float) -> None:
    height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    size_wh = round(height * 4 / 3), height
    pixels = np.asarray(cv2.resize(scene, size_wh, interpolation=cv2.INTER_LINEAR), np.uint8)
    out = np.empty_like(pixels)
    case = f"{megapixels:g} MP"
    copy = memcpy(bench, pixels, case)
    bench.time(RENDER, case, lambda: render.render(pixels, field, out=out), limit=copy)
