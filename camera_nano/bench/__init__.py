"""How long each stage takes on this machine, beside the limit of the same run that it cannot beat."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from camera_nano import batch
from camera_nano.atomic import write_atomically
from camera_nano.bench import live as bench_live
from camera_nano.bench import scale as bench_scale
from camera_nano.bench.cost import RENDER_BARS, TARGETS, Cost, count_cost, estimate, estimate_table, installed_mb
from camera_nano.bench.report import table, verdict
from camera_nano.bench.rows import (
    FULL,
    GEMM_MKN,
    QUICK,
    Bench,
    Limit,
    Size,
    core_share,
    gemm_ms,
    machine,
    memcpy,
    n_cores,
)
from camera_nano.engines import PRECISIONS, load_editor
from camera_nano.files import Decoder, decode, encode
from camera_nano.light import condition, render, shrink
from camera_nano.live import TILE_WIDTH_PX, Session
from camera_nano.merge import Capture, merge
from camera_nano.opencv import cv2
from camera_nano.recipe import Recipe
from camera_nano.seams import Editor
from camera_nano.sources import open_source
from camera_nano.values import Condition, EditField, Frame, Look, Pixels
from camera_nano.web.view import frame_quality, halves, jpeg

__all__ = ["TARGETS", "count_cost", "estimate", "estimate_table", "measure", "table"]

PROPOSE_BAR, BATCH_BAR = 1.5, 1.5
INSTALLED_BAR_MB = 350
N_LIVE_LOOKS = 4
N_MERGED = 8
MERGE_MS = {(1280, 720): 150.0, (4000, 3000): 3000.0}  # (width, height) -> most that a merge may take on two cores
_VIEW_QUALITY, _TILE_QUALITY = 85, 80
_GRAIN_CODES = 4


def measure(
    *,
    quick: bool = False,
    live: bool = False,
    scale: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Measure every stage on this machine, in one to three minutes.

    Args:
        quick: a few runs of small frames: takes seconds, and the times are rougher.
        live: also measure the live app, in a process of its own, with one page.
        scale: also measure how the cost grows with looks, pixels and pages.
        say: is called with the name of what is measured next.

    Returns:
        `machine`, `rows` (times in ms), `sizes` (MB) and `verdict`; plain values for JSON.
    """
    bench = Bench(QUICK if quick else FULL, say)
    about = machine()  # first: later the load would be the bench's own
    render.warm_up()
    editor, scene = load_editor(), _scene()
    looks, seen = _looks(editor, N_LIVE_LOOKS), condition(Frame(scene))
    _measure_frame(bench, scene, editor.propose(seen, looks)[0])
    gemm, cost = measure_gemm(bench), count_cost()
    _measure_propose(bench, seen, gemm, cost)
    _measure_files(bench, editor, looks, scene, live=live)
    installed = installed_mb()
    if installed is not None:
        bench.sizes.append(Size("installed packages", round(installed, 1), INSTALLED_BAR_MB))
    if scale:
        bench_scale.measure_scale(bench, editor, _looks(editor, 16), scene, gemm, cost)
    about["core_share"] = min(about["core_share"], round(core_share(), 2))
    return {
        "machine": about,
        "rows": [row.as_dict() for row in bench.rows],
        "sizes": [size.as_dict() for size in bench.sizes],
        "verdict": verdict(bench.rows, bench.sizes, about["cores"]).as_dict(),
    }


def _scene() -> Pixels:
    """The first frame of the demo camera."""
    source = open_source("demo")
    try:
        return next(iter(source.frames())).pixels
    finally:
        source.close()


def grainy(scene: Pixels, wh: tuple[int, int]) -> Pixels:
    """The scene at another size, with noise like a sensor's: without it an enlarged picture compresses too easily."""
    pixels = np.asarray(cv2.resize(scene, wh, interpolation=cv2.INTER_CUBIC), np.int16)
    grain = np.random.default_rng(0).integers(-_GRAIN_CODES, _GRAIN_CODES + 1, pixels.shape, np.int16)
    return np.asarray(np.clip(pixels + grain, 0, 255), np.uint8)


def _looks(editor: Editor, n: int) -> list[Look]:
    """`n` looks; where fewer are installed they are repeated, which costs the same."""
    named = list(editor.looks.values())
    return [named[i % len(named)] for i in range(n)]


def _measure_frame(bench: Bench, scene: Pixels, field: EditField) -> None:
    """Every stage of a frame, at every size, and the JPEGs that the live view makes of one."""
    copies = {wh: _measure_size(bench, grainy(scene, wh), field) for wh in bench.budget.sizes_wh}
    _measure_view(bench, scene, field, copies[scene.shape[1], scene.shape[0]])


def _measure_size(bench: Bench, pixels: Pixels, field: EditField) -> Limit:
    """Every stage whose time grows with the frame. Returns its limit, the time of a copy of the frame."""
    height, width = pixels.shape[:2]
    case = f"{width}x{height}"
    copy = memcpy(bench, pixels, case)
    out, frame, threads = np.empty_like(pixels), Frame(pixels), n_cores()
    bar = RENDER_BARS.get((width, height))
    bench.time("render", case, lambda: render.render(pixels, field, out=out), limit=copy, bar=bar)
    if threads > 1:
        run = partial(render.render, pixels, field, threads=threads, out=out)
        bench.time("render", case, run, limit=copy, threads=threads)
    if most_ms := MERGE_MS.get((width, height)):
        captures, bar = [Capture(pixels)] * N_MERGED, 1.0 if threads > 1 else None
        wanted = Limit("wanted", most_ms)
        bench.time(
            f"merge {N_MERGED}", case, lambda: merge(captures, threads=threads), limit=wanted, bar=bar, threads=threads
        )
    bench.time("condition", case, lambda: condition(frame), limit=copy)
    data = encode(pixels, format="jpeg")
    bench.time("decode jpeg", case, lambda: decode(data, case), limit=copy)
    bench.time("encode jpeg", case, lambda: encode(pixels, format="jpeg"), limit=copy)
    return copy


def _measure_view(bench: Bench, scene: Pixels, field: EditField, copy: Limit) -> None:
    """What the live stream does besides rendering a view: encode it as JPEG, and render a tile for each look."""
    bench.time("view jpeg", f"{scene.shape[1]}x{scene.shape[0]}", lambda: jpeg(scene, _VIEW_QUALITY), limit=copy)
    small = shrink(scene, TILE_WIDTH_PX)
    case = f"{small.shape[1]}x{small.shape[0]} and its jpeg"
    bench.time("tile", case, lambda: jpeg(render.render(small, field), _TILE_QUALITY), limit=copy)
    _measure_page(bench, scene, field)


def _measure_page(bench: Bench, scene: Pixels, field: EditField) -> None:
    """What a page costs whose browser draws, beside one for which a look is drawn here: time, and bytes a piece.

    The frame is for all such pages together, the look for those that show the same at the same strength.
    """

    def look() -> bytes:
        return jpeg(render.render(scene, field), _VIEW_QUALITY)

    def frame() -> bytes:
        return jpeg(scene, frame_quality(scene))

    drawn = bench.time("page, a look", f"drawn here, {_kb(look())}", look)
    bench.time("page, a frame", f"for browsers that draw, {_kb(frame())}", frame, limit=drawn)
    bench.time("page, a field", f"for browsers that draw, {_kb(halves(field))}", lambda: halves(field), limit=drawn)


def _kb(data: bytes) -> str:
    return f"{len(data) / 1e3:.0f} kB"


def measure_gemm(bench: Bench) -> Limit:
    """The limit of the net: ms per 10^9 multiply-adds on one thread, in a matrix product by numpy's BLAS."""
    case = f"{'x'.join(map(str, GEMM_MKN))} fp32"
    limit = Limit("", 0)
    for threads in dict.fromkeys((n_cores(), 1)):  # one thread comes last: that limit is returned
        bench.say(f"gemm, {threads} threads")
        limit = bench.add("gemm", case, gemm_ms(threads, bench.budget), threads=threads)
    return Limit("gemm", limit.ms / (np.prod(GEMM_MKN) / 1e9))


def _measure_propose(bench: Bench, seen: Condition, gemm: Limit, cost: Cost) -> None:
    """Proposals by precision, threads, looks and steps.

    The limit is always a one-thread fp32 GEMM of as many multiply-adds, so that the rows can be compared.
    """
    for precision in PRECISIONS:
        for threads in dict.fromkeys((1, n_cores())):
            editor = load_editor(threads=threads, precision=precision)
            for n in bench.budget.n_looks if threads == 1 else (N_LIVE_LOOKS,):
                for n_steps in (1, 2) if threads == 1 else (2,):
                    limit = Limit("gemm", gemm.ms * cost.mac(n, n_steps) / 1e9)
                    is_barred = (precision, threads, n, n_steps) == ("int8", 1, N_LIVE_LOOKS, 2)
                    run = partial(editor.propose, seen, _looks(editor, n), n_steps=n_steps)
                    case = propose_case(n, n_steps, precision)
                    bar = PROPOSE_BAR if is_barred else None
                    bench.time("propose", case, run, limit=limit, bar=bar, threads=threads)


def propose_case(n_looks: int, n_steps: int, precision: str) -> str:
    """The `case` of a proposal's row."""
    return f"{n_looks} looks x {n_steps} steps {precision}"


def _measure_files(bench: Bench, editor: Editor, looks: list[Look], scene: Pixels, *, live: bool) -> None:
    """The stages that write files, in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="camera_nano-bench-") as folder:
        _measure_shutter(bench, editor, looks, Path(folder, "shots"))
        photo = Path(folder, "photo.jpg")
        photo.write_bytes(encode(grainy(scene, bench.budget.photo_wh), format="jpeg"))
        _measure_batch(bench, editor, looks[0], photo)
        if live:
            bench_live.measure_live(bench, [look.name for look in looks], photo)


def _measure_shutter(bench: Bench, editor: Editor, looks: list[Look], out: Path) -> None:
    """From the press until original and look are on disk, while the live loop runs; limit: writing those files."""
    session = Session(open_source("demo"), lambda: editor, out, looks=[look.name for look in looks])
    try:
        session.start()
        proposal = session.wait_proposal(0, timeout_s=60)
        if proposal is None:
            raise RuntimeError(f"no proposal: {session.model_error or session.camera_error or 'timed out'}")
        press = partial(session.commit, proposal.frame_id, proposal.id, [looks[0].name])
        shot = press().result()
        files = [shot.original, *shot.looks.values()]
        written = [path.read_bytes() for path in files]

        def write() -> None:
            for path, data in zip(files, written, strict=True):
                write_atomically(path, data)

        limit = bench.time("fsync", f"{sum(map(len, written)) / 1e6:.1f} MB in two files", write)
        bench.time("shutter", "original and 1 look on disk", lambda: press().result(), limit=limit)
    finally:
        session.close()


def _measure_batch(bench: Bench, editor: Editor, look: Look, photo: Path) -> None:
    """A folder of photos, as many at a time as there are cores; limit: only decoding and encoding them."""
    threads = n_cores()
    names = [f"{number}.jpg" for number in range(8 * threads)]  # so many that starting the decoders counts little
    for name in names:
        photo.with_name(name).write_bytes(photo.read_bytes())
    out = photo.with_name("looks")
    jobs = batch.plan([photo.with_name(name) for name in names], out, [look], "jpeg")
    recipe = Recipe(look, strength=1.0, n_steps=2, format="jpeg", model="")

    def copy(job: batch.Job) -> None:
        picture = decode(job.input.read_bytes(), str(job.input))
        write_atomically(job.outputs[0], encode(picture.frame.pixels, format="jpeg", metadata=picture.metadata))

    def run() -> None:
        with batch.Journal(out) as journal, Decoder() as decoder:
            maker, again = batch.Maker(editor, [recipe], decoder), batch.RunPolicy(force=True)
            summary = batch.run(jobs, maker, journal, threads=threads, policy=again)
        if summary.done != len(jobs):
            raise RuntimeError(f"the batch failed: {summary}")

    out.mkdir()
    width, height = bench.budget.photo_wh
    case = f"photo of {width}x{height}"
    with ThreadPoolExecutor(threads) as pool:
        limit = bench.time("decode+encode", case, lambda: list(pool.map(copy, jobs)), threads=threads, per=len(jobs))
    bar = BATCH_BAR if (width, height) == (4000, 3000) else None
    bench.time("batch", case, run, limit=limit, bar=bar, threads=threads, per=len(jobs))
