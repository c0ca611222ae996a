"""Any folder of files through a batch: what became of them, what it cost, and whether anything went wrong.

    python tools/checks/hostile.py DIR [--json]
    python tools/checks/hostile.py DIR --make 2000 [--seed 0]     fill the folder with hostile files first

Each file ends done, refused or passed over; some are told about. Exit code 1 where a traceback came, nothing went on,
a child died and no photo was blamed for it, a refused photo has an output, a done one has none that is whole, a photo
was changed, or a message shows what a library said instead of what it means.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hostile_files
import psutil
from kills import LOOK, is_whole
from product import Product, Run

_EVERY_S = 0.2
_GONE = re.compile(r"decoder (crashed|gave up|was killed)|has spoilt its decoder|took longer than")
_RAW = re.compile(r"\b[A-Z]\w+(Error|Exception): |/proc/|\([\d.() ]*\)")  # nobody foresaw, or nobody understands


@dataclass(slots=True)
class Watched:
    """What was seen of a run from outside."""

    peak_mb: float = 0.0  # of all its processes together, shared pages once
    children: set[int] = field(default_factory=set)
    hung_s: float = 0.0
    took_s: float = 0.0


def watch(run: Run, patience_s: float) -> Watched:
    """Follow a run to its end, or until it has said nothing for so long; then it is killed."""
    seen, started_s = Watched(), time.monotonic()
    n_lines, last_s = 0, started_s
    process = psutil.Process(run.process.pid)
    while run.process.poll() is None:
        children = _children(process)
        seen.children |= {child.pid for child in children}
        seen.peak_mb = max(seen.peak_mb, round(sum(map(_pss_mb, (process, *children)))))
        if len(run.lines) != n_lines:
            n_lines, last_s = len(run.lines), time.monotonic()
        elif time.monotonic() - last_s > patience_s:
            seen.hung_s = patience_s
            run.process.kill()
        time.sleep(_EVERY_S)
    seen.took_s = round(time.monotonic() - started_s, 1)
    return seen


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return list(process.children(recursive=True))
    except psutil.Error:
        return []


def _pss_mb(process: psutil.Process) -> float:
    try:
        return float(process.memory_full_info().pss) / 1e6
    except (psutil.Error, OSError):
        return 0.0


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of every regular file, by its path."""
    found = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in found}


def measure(folder: Path, product: Product, *, threads: int = 2, patience_s: float = 400.0) -> dict[str, Any]:
    """Counts and violations of a batch over a folder; plain values for JSON."""
    before, out = stamps(folder), product.home.parent / "out"
    flags = ["--looks", LOOK, "--threads", str(threads), "--json", "--log-json"]
    run = product.start("batch", folder, "--out", out, *flags)
    seen = watch(run, patience_s)
    code = run.end()
    events, wrong = _events(run.said)
    status = Counter(line["status"] for line in run.lines)
    passed_over: dict[str, int] = next((event["kinds"] for event in events if event["event"] == "passed over"), {})
    n_lost = max(0, len(seen.children) - 2 * threads)  # as many look for brackets first
    n_blamed = sum(bool(_GONE.search(line["error"] or "")) for line in run.lines)
    wrong += [f"exit code {code}"] if code not in (0, 1) else []
    wrong += [f"nothing for {seen.hung_s:g} s: it hung"] if seen.hung_s else []
    wrong += [f"{n_lost} children were lost, and {n_blamed} photos blamed"] if n_lost > n_blamed else []
    wrong += [f"process {pid} is still alive" for pid in product.alive(15)]
    wrong += [f"{path} was changed" for path, stamp in stamps(folder).items() if before.get(path) != stamp]
    wrong += [text for line in run.lines for text in _wrong_with(line)]
    return {
        "files": sum(status.values()) + sum(passed_over.values()),
        "done": status["done"],
        "told": sum(bool(line["notes"]) for line in run.lines if line["status"] == "done"),
        "refused": status["failed"],
        "passed over": sum(passed_over.values()),
        "children lost": n_lost,
        "peak MB": seen.peak_mb,
        "seconds": seen.took_s,
        "violations": wrong,
    }


def _events(said: str) -> tuple[list[dict[str, Any]], list[str]]:
    """What was said, line by line, and what is no event of ours, or a crash."""
    events, wrong = [], []
    for line in filter(None, said.splitlines()):
        try:
            events.append(json.loads(line))
        except ValueError:
            wrong.append(f"chatter: {line[:200]}")
    return events, wrong + [event["trace"] for event in events if event["event"] == "crash"]


def _wrong_with(line: dict[str, Any]) -> Iterator[str]:
    name, error = line["input"], line["error"] or ""
    outputs = [Path(path) for path in line["outputs"]]
    if line["status"] == "failed":
        yield from (f"{name} was refused, and {path.name} is there" for path in outputs if os.path.lexists(path))
        if _RAW.search(error):
            yield f"a library's own words: {error}"
        if not error or "\n" in error:
            yield f"{name} was refused without one line that says why: {error!r}"
    else:
        yield from (f"{name} is done, and {path.name} is not whole" for path in outputs if not _is_whole(path))


def _is_whole(path: Path) -> bool:
    return is_whole(path) if path.suffix in (".jpg", ".png", ".webp", ".tif") else path.is_file()


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, metavar="DIR")
    parser.add_argument("--make", type=int, metavar="N", help="first make N files there")
    parser.add_argument("--seed", type=int, default=0, help="of the files that are made")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--patience", type=float, default=400, metavar="S", help="a run that says nothing for S hangs")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args(argv)
    if args.make:
        hostile_files.fill(args.folder, args.make, args.seed)
    with tempfile.TemporaryDirectory(prefix="camera_nano-hostile-") as lab:
        found = measure(args.folder, Product(Path(lab) / "home"), threads=args.threads, patience_s=args.patience)
    if args.json:
        print(json.dumps(found))
    else:
        wrong = [f"WRONG: {text}" for text in found["violations"]]
        print("\n".join([*(f"{name:<14}{value:>10}" for name, value in list(found.items())[:-1]), *wrong]))
    return 1 if found["violations"] else 0


if __name__ == "__main__":
    sys.exit(main())
