"""The batch command on a folder of mixed files, a tenth of them broken: counts, speed, memory.

    python tools/checks/bench_batch.py --photos 1000 --json

The files are made in a temporary folder; the command runs once, in a process of its own, and is watched from outside.
Memory is proportional (PSS), which counts shared pages once. What the run's time is compared with is decoding the whole
files and encoding them again, with the same libraries and threads and nothing else. Exit code 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import mixed_files
import numpy as np
import psutil

from camera_nano.batch import Job, plan
from camera_nano.files.decode import open_image
from camera_nano.files.encode import encode
from camera_nano.files.gainmap import from_headroom
from camera_nano.formats import FORMATS, format_of
from camera_nano.values import Look

WORKER_BAR_MB, RATIO_BAR = 500.0, 1.5
GROWTH_BAR_MB = 50.0  # of the second half, by a straight line: less is allocators at work
_EVERY_S = 0.25
Sample = tuple[float, float, list[float]]  # seconds since the start, MB of the command, MB of each child


def pss_mb(process: psutil.Process) -> float:
    """Memory of a process in MB, shared pages in part; 0 for one that has gone."""
    try:
        return float(process.memory_full_info().pss) / 1e6
    except (psutil.Error, OSError):
        return 0.0


def watch(command: list[str], lines: Path) -> tuple[list[Sample], float]:
    """Run a command with its output in a file; samples of its memory, and how many seconds it took."""
    samples: list[Sample] = []
    started_s = time.perf_counter()
    with lines.open("wb") as out, lines.with_suffix(".err").open("wb") as err:
        run = psutil.Popen(command, stdout=out, stderr=err)
        while run.poll() is None:
            samples.append((time.perf_counter() - started_s, pss_mb(run), [pss_mb(c) for c in run.children()]))
            time.sleep(_EVERY_S)
    return samples, time.perf_counter() - started_s


def plain_s(jobs: list[Job], threads: int) -> float:
    """Seconds that decoding and encoding takes, as many photos at a time."""

    def copy(job: Job) -> None:
        picture, output = open_image(job.input), job.outputs[0]
        form = format_of(output)
        form = "ultrahdr" if form == "jpeg" and picture.headroom_ev is not None else form
        has_map = picture.headroom_ev is not None and FORMATS[form].headroom
        gain = from_headroom(picture.headroom_ev) if picture.headroom_ev is not None and has_map else None
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_bytes(
            encode(picture.frame.pixels, format=form, metadata=picture.metadata, alpha=picture.alpha, gain=gain)
        )

    started_s = time.perf_counter()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(copy, jobs))
    return time.perf_counter() - started_s


def memory(samples: Sequence[Sample], wall_s: float, threads: int) -> dict[str, float]:
    """The most memory in MB, and by how much it grew in the second half of the run."""
    together = [(s, mb + sum(children)) for s, mb, children in samples]
    late = np.array([point for point in together if point[0] > wall_s / 2])
    growth = float(np.polyfit(late[:, 0], late[:, 1], 1)[0]) * wall_s / 2 if len(late) > 2 else 0.0
    return {
        "parent_mb": round(max(mb for _, mb, _ in samples)),
        "child_mb": round(max((max(children, default=0.0) for *_, children in samples), default=0.0)),
        "per_worker_mb": round(max(mb for _, mb in together) / threads),
        "growth_mb": round(growth, 1),
    }


def measure(
    folder: Path, n_files: int, threads: int, sizes_wh: Sequence[tuple[int, int]] = mixed_files.SIZES_WH
) -> dict[str, Any]:
    """Figures of one run; plain values for JSON."""
    photos = folder / "photos"
    photos.mkdir()
    n_whole, n_broken = mixed_files.fill(photos, n_files, sizes_wh)
    out, lines = folder / "out", folder / "lines.json"
    load = os.getloadavg()[0]
    command = [sys.executable, "-m", "camera_nano", "batch", str(photos), "--out", str(out)]
    samples, wall_s = watch([*command, "--threads", str(threads), "--json"], lines)
    results = [json.loads(line) for line in lines.read_text(encoding="utf-8").splitlines()]
    done = [result for result in results if result["status"] == "done"]
    wrong = [r for r in results if (r["status"] == "failed") != Path(r["input"]).name.startswith("broken")]
    jobs = [job for job in plan([photos], folder / "plain", [Look("natural")], "auto") if job.input.stem[0] == "p"]
    alone_s = plain_s(jobs, threads)
    by_kind: dict[str, list[float]] = {}
    for result in done:
        by_kind.setdefault(Path(result["input"]).suffix, []).append(result["took_ms"])
    return {
        "files": n_files,
        "threads": threads,
        "load_before": round(load, 1),
        "done": len(done),
        "failed": len(results) - len(done),
        "expected": [n_whole, n_broken],
        "wrong": [result["input"] for result in wrong],
        "outputs": sum(Path(path).is_file() for result in done for path in result["outputs"]),
        "wall_s": round(wall_s, 1),
        "photos_per_s": round(len(results) / wall_s, 2),
        "plain_s": round(alone_s, 1),
        "ratio": round(wall_s / alone_s, 2),
        **memory(samples, wall_s, threads),
        "median_ms": {kind: round(float(np.median(ms))) for kind, ms in sorted(by_kind.items())},
    }


def verdict(found: dict[str, Any]) -> list[str]:
    """The bars that are missed, a line each."""
    missed = []
    if [found["done"], found["failed"]] != found["expected"] or found["wrong"] or found["outputs"] != found["done"]:
        missed.append(f"{found['done']} done and {found['failed']} failed, not {found['expected']}: {found['wrong']}")
    bars = (("per_worker_mb", WORKER_BAR_MB), ("ratio", RATIO_BAR), ("growth_mb", GROWTH_BAR_MB))
    return missed + [f"{name} is {found[name]}, {bar} at most" for name, bar in bars if found[name] > bar]


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=1000, metavar="N", help="files to make, a tenth of them broken")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="camera_nano-bench-") as folder:
        found = measure(Path(folder), args.photos, args.threads)
    missed = verdict(found)
    if args.json:
        print(json.dumps(found | {"missed": missed}))
    else:
        print("\n".join([*(f"{name:<14} {value}" for name, value in found.items()), *(f"MISS: {m}" for m in missed)]))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
