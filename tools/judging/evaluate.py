"""Judge a model beside the classical methods, on paired folders or on panoramas of true light, and in time.

--pairs: every input is enhanced and compared with the reference of the same file stem.
--hdr: each panorama is photographed at random exposures (fixed seed) and what the look should have been is known.
--photos: how far photos that need nothing are moved.
--stability: how still the light is on a still, noisy scene (the demo room, or a panorama if one is named).

Metrics: PSNR and SSIM (Wang et al. 2004) on sRGB codes, CIE Delta-E 2000, fidelity = SSIM of grey output against grey
input after matching its histogram to the output's (did anything but light change?), best-of-N = best PSNR of N seeds,
PSNR in PU21 units for the HDR rendition. `flaws.py` measures visible faults, `bars.py` gives the verdict. Seed 0 is
the model's default. With several looks there is a report for each.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from baselines import BASELINES
from judge import Judged, Report, judge, left_alone, over_looks
from pairs import Pair, named_folder, paired_folders, photo_paths

from camera_nano.engines import load_editor
from camera_nano.looks import choose
from camera_nano.seams import Editor
from camera_nano.values import Look

SHEET_ROWS = 10
ABLATED_STEPS = [1, 2, 4]


def judge_looks(
    pairs_of: Callable[[Look], Iterable[Pair]],
    editor: Editor,
    looks: Sequence[Look],
    n_seeds: int,
    n_steps: int | None,
    one_truth: bool,
) -> list[Judged]:
    """Every look on the same pictures. With `one_truth` for all looks the classical methods are judged once."""
    judged: list[Judged] = []
    for look in looks:
        known = judged and one_truth
        judged.append(judge(pairs_of(look), editor, look, n_seeds, n_steps, {} if known else BASELINES))
        if known:
            judged[-1].report["baselines"] = judged[0].report["baselines"]
    return judged


def ablate(
    pairs: Sequence[Pair], editors: dict[str, Editor], look: Look, n_seeds: int, steps: Sequence[int]
) -> list[Report]:
    """One row for each model and number of steps, all on the same pairs."""
    rows = []
    for name, editor in editors.items():
        for n_steps in steps:
            print(f"{name}, {n_steps} steps", file=sys.stderr)
            report = judge(pairs, editor, look, n_seeds, n_steps).report
            about = {"model": name, "n_steps": n_steps, "n_seeds": n_seeds}
            kept = ("psnr_interval95", "diversity", "headroom", "by_exposure")
            rows.append(about | report["ours"] | {key: report[key] for key in kept})
    return rows


def sheet(strips: Sequence[np.ndarray]) -> np.ndarray:
    """Rows of input, ours, reference; evenly spread over the set."""
    chosen = np.linspace(0, len(strips) - 1, min(SHEET_ROWS, len(strips))).astype(int)
    return np.vstack([strips[i] for i in chosen])


def table(report: Report) -> str:
    """A report on pairs, for people."""
    rows = {f"camera_nano {report['look']}": report["ours"]} | report["baselines"]
    width = max(22, *(len(name) + 1 for name in rows))
    lines = [
        f"{report['n']} pictures; PSNR in dB, 95 % interval {_interval(report['psnr_interval95'])}",
        f"{'method':<{width}}{'PSNR':>8}{'SSIM':>8}{'dE00':>8}{'fidelity':>10}{'best of N':>11}",
    ]
    for name, row in rows.items():
        best = f"{row['best_of_n_psnr']:>11.2f}" if "best_of_n_psnr" in row else ""
        figures = f"{row['psnr']:>8.2f}{row['ssim']:>8.3f}{row['de00']:>8.2f}{row['fidelity']:>10.3f}"
        lines.append(f"{name:<{width}}{figures}{best}")
    for part in ("diversity", "headroom", "by_exposure"):
        if report.get(part):
            lines.append(f"{part.replace('_', ' ')}: {_inline(report[part])}")
    for part in ("means", "counts", "error_shares") if "faults" in report else ():
        lines.append(f"faults, {part.replace('_', ' ')}: {_inline(report['faults'][part])}")
    return "\n".join(lines)


def ablation_table(rows: Sequence[Report]) -> str:
    """One line for each configuration."""
    width = max(len(row["model"]) for row in rows) + 2
    lines = [
        f"{'model':<{width}}{'steps':>6}{'PSNR':>8}{'95 %':>14}{'dE00':>7}{'best of N':>11}{'spread':>8}{'HDR dB':>8}"
    ]
    for row in rows:
        spread = row["diversity"]["spread_de00"] if row["diversity"] else float("nan")
        gain = row["headroom"]["gain_db"] if row["headroom"] else float("nan")
        lines.append(
            f"{row['model']:<{width}}{row['n_steps']:>6}{row['psnr']:>8.2f}{_interval(row['psnr_interval95']):>14}"
            f"{row['de00']:>7.2f}{row['best_of_n_psnr']:>11.2f}{spread:>8.2f}{gain:>8.2f}"
        )
    return "\n".join(lines)


def _interval(ends: list[float] | None) -> str:
    return f"{ends[0]:.2f}..{ends[1]:.2f}" if ends else "-"


def _inline(report: Report) -> str:
    """A small nested report on one line."""
    shown = (f"{key} {_inline(value) if isinstance(value, dict) else value}" for key, value in report.items())
    return "{" + ", ".join(shown) + "}"


def _numbers(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = made.add_mutually_exclusive_group(required=True)
    what.add_argument("--pairs", nargs=2, type=Path, metavar=("INPUT_DIR", "REFERENCE_DIR"))
    what.add_argument("--hdr", type=Path, metavar="DIR_OF_HDR_PANORAMAS")
    what.add_argument("--photos", type=Path, metavar="DIR_OF_GOOD_PHOTOS")
    what.add_argument("--stability", nargs="?", type=Path, const=Path(), metavar="PANORAMA.exr")
    made.add_argument("--only", metavar="GLOB_OR_SPLIT", help="a glob of input names, or SPLIT.json:KEY for --hdr")
    made.add_argument("--held-out", action="store_true", help="of --photos those that training never sees")
    made.add_argument("--cache", type=Path, metavar="FILE.npz", help="of --hdr: keep the prepared views here")
    made.add_argument("--ablate", action="store_true", help="of --hdr: a table over steps, models, grids and guides")
    made.add_argument("--look", default="natural", help="a name, several with commas, or all")
    made.add_argument("--seeds", type=int, default=4, help="N of best-of-N and of diversity")
    made.add_argument("--steps", type=_numbers, help="sampler steps; several with commas for --ablate")
    made.add_argument("--engine", choices=["onnx", "torch"], default="onnx")
    made.add_argument("--precision", help="of the ONNX engine: fp32 or int8; both with a comma for --ablate")
    made.add_argument(
        "--pipeline", type=named_folder, action="append", default=[], metavar="[NAME=]DIR", help="other weights"
    )
    made.add_argument("--sheet", type=Path, metavar="FILE.png", help="input, ours and reference side by side")
    made.add_argument("--json", action="store_true")
    return made


def load(engine: str, precision: str | None, pipeline: Path | None) -> Editor:
    """The model on two threads; `precision` is passed on only when it was asked for."""
    wanted: dict[str, Any] = {} if precision is None else {"precision": precision}
    return load_editor(engine, pipeline=pipeline, threads=2, **wanted)


def judge_pairs(args: argparse.Namespace, editor: Editor, looks: Sequence[Look], n_steps: int | None) -> list[Report]:
    """--pairs and --hdr."""
    if args.hdr:
        from captures import developed, simulated_captures

        captures = simulated_captures(args.hdr, args.only, args.cache)

        def pairs_of(look: Look) -> Iterable[Pair]:
            return (developed(taken, look) for taken in captures)
    else:

        def pairs_of(look: Look) -> Iterable[Pair]:
            return paired_folders(args.pairs[0], args.pairs[1], args.only or "*")

    judged = judge_looks(pairs_of, editor, looks, args.seeds, n_steps, one_truth=bool(args.pairs))
    if args.sheet:
        cv2.imwrite(str(args.sheet), sheet(judged[0].strips)[..., ::-1])
    reports = [found.report for found in judged]
    return reports + over_looks(judged) if args.pairs and len(judged) > 1 else reports


def judge_ablation(args: argparse.Namespace, editors: dict[str, Editor], look: Look) -> Report:
    """--hdr --ablate."""
    from captures import developed, simulated_captures
    from ceilings import ceilings

    captures = simulated_captures(args.hdr, args.only, args.cache)
    pairs = [developed(taken, look) for taken in captures]
    rows = ablate(pairs, editors, look, args.seeds, args.steps or ABLATED_STEPS)
    return {"n": len(pairs), "look": look.name, "ablation": rows, "ceilings": ceilings(captures, look)}


def judge_stability(
    args: argparse.Namespace, editor: Editor, looks: Sequence[Look], n_steps: int | None
) -> list[Report]:
    """--stability."""
    from stability import panorama, room, stability

    moving = room() if args.stability == Path() else panorama(args.stability)
    return stability(editor, looks, moving, **({} if n_steps is None else {"n_steps": n_steps}))


def load_all(command: argparse.ArgumentParser, args: argparse.Namespace) -> dict[str, Editor]:
    """The models that were asked for, by name; ends the command where the arguments do not fit together."""
    precisions = args.precision.split(",") if args.precision else [None]
    folders: list[tuple[str, Path | None]] = args.pipeline or [("shipped", None)]
    if args.ablate and not args.hdr:
        command.error("--ablate needs --hdr")
    if args.ablate and args.pipeline:
        folders = [("shipped", None), *folders]
    if not args.ablate and max(len(precisions), len(folders), len(args.steps or [])) > 1:
        command.error("several models or steps are compared with --ablate only")
    if args.seeds < 1 or (args.steps and min(args.steps) < 1):
        command.error("--seeds and --steps are at least 1")
    return {
        f"{name} {precision or ''}".strip(): load(args.engine, precision, folder)
        for name, folder in folders
        for precision in precisions
    }


def main() -> None:
    """Judge."""
    command = parser()
    args = command.parse_args()
    editors = load_all(command, args)
    editor = next(iter(editors.values()))
    try:
        looks = choose(editor.looks, None if args.look == "all" else args.look.split(","))
    except ValueError as error:
        command.error(str(error))
    n_steps = args.steps[0] if args.steps else None

    if args.stability is not None:
        reports = judge_stability(args, editor, looks, n_steps)
        shown = [_inline(report) for report in reports]
    elif args.photos:
        paths = photo_paths(args.photos, args.held_out, args.only or "*")
        reports = [left_alone(paths, editor, look, n_steps) for look in looks]
        shown = [f"{report['n']} photos, {report['look']}: {_inline(report['change'])}" for report in reports]
    elif args.ablate:
        reports = [judge_ablation(args, editors, looks[0])]
        shown = [ablation_table(reports[0]["ablation"]), *map(_inline, reports[0]["ceilings"])]
    else:
        reports = judge_pairs(args, editor, looks, n_steps)
        shown = [table(report) for report in reports]
    print(json.dumps(reports[0] if len(reports) == 1 else reports) if args.json else "\n".join(shown))


if __name__ == "__main__":
    main()
