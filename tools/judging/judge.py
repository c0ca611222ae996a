"""Pairs, a model and a look -> a report: one row of figures for each picture, and what they are together."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import flaws
import numpy as np
from metrics import (
    F64,
    U8,
    ambiguity,
    correlation,
    de00,
    interval95,
    is_clipped,
    lab,
    mean_of,
    psnr,
    pu21_psnr,
    score,
    within_width,
)
from pairs import Pair, read_u8

from camera_nano.color import luminance, srgb_eotf
from camera_nano.light.condition import condition
from camera_nano.light.enhance import relight
from camera_nano.light.field import guide, slice_field
from camera_nano.seams import Editor
from camera_nano.values import EditField, Frame, Look

Row = dict[str, float]
Report = dict[str, Any]
Baselines = Mapping[str, Callable[[Pair], U8 | None]]

SDR_WHITE_NITS = 203  # ITU-R BT.2408-7, table 1
PEAK = 16.0  # of SDR white: no display in sight shows more
COVERED_DE00, COVERED_DB = 3.0, 27.0  # a proposal this close to the truth counts as the truth
_DIVERSITY_WIDTH_PX = 240  # seeds are compared at the size of a preview
_EXPOSURES_EV = (-np.inf, -3.0, -1.0, 0.5, np.inf)
_EXPOSURE_NAMES = ("below -3 EV", "-3..-1 EV", "-1..+0.5 EV", "above +0.5 EV")


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """The report, the rows it was made of with their pairs' groups, and a strip of each: input, ours, reference."""

    report: Report
    rows: list[Row]
    groups: list[str]
    strips: list[U8]


def proposals(image: U8, editor: Editor, look: Look, n_seeds: int, n_steps: int | None = None) -> list[EditField]:
    """Fields of seeds 0..n_seeds - 1; seed 0 is the model's answer when nobody asks for another."""
    seen = condition(Frame(image))
    steps: dict[str, Any] = {} if n_steps is None else {"n_steps": n_steps}
    return [editor.propose(seen, [look], seed=seed, **steps)[0] for seed in range(n_seeds)]


def diversity(made: Sequence[U8], pair: Pair) -> Row:
    """How far the seeds are apart (mean Delta-E 2000 of all pairs), and whether one of them hit the truth (0 or 1)."""
    small = [within_width(picture, _DIVERSITY_WIDTH_PX) for picture in (*made, pair.reference)]
    *ours, truth = [lab(picture) for picture in small]
    spread = [de00(a, b) for a, b in combinations(ours, 2)]
    hits = [
        de00(a, truth) <= COVERED_DE00 and psnr(m, small[-1]) >= COVERED_DB for a, m in zip(ours, small, strict=False)
    ]
    return {
        "spread_de00": float(np.mean(spread)) if spread else 0.0,
        "coverage": float(any(hits)),
        "ambiguity": ambiguity(pair.image),
    }


def headroom(made: U8, field: EditField, pair: Pair) -> Row:
    """Our HDR rendition and our SDR picture against scene light, PU21-PSNR of luminance in dB.

    The rendition is the SDR picture in linear light times 2^headroom, sliced at full size; SDR white is at
    `SDR_WHITE_NITS`, and nothing is brighter than `PEAK` times that. `pu21_psnr_unclipped` is NaN where the
    capture is clipped nearly everywhere.
    """
    if pair.open_light is None:
        raise ValueError(f"the true light of {pair.name} is not known")
    sdr = luminance(srgb_eotf(made / 255))
    raised = sdr * np.exp2(slice_field(field, guide(srgb_eotf(pair.image / 255)))[..., 3])
    ours, plain, truth = (_nits(light) for light in (raised, sdr, luminance(pair.open_light)))
    open_px = ~is_clipped(pair.image)
    return {
        "pu21_psnr": pu21_psnr(ours, truth),
        "pu21_psnr_sdr": pu21_psnr(plain, truth),
        "pu21_psnr_unclipped": pu21_psnr(ours[open_px], truth[open_px]) if open_px.mean() > 0.01 else np.nan,
    }


@dataclass(frozen=True, slots=True, eq=False)
class _One:
    """What was found on one pair."""

    pair: Pair
    row: Row
    faults: flaws.Figures
    diversity: Row | None  # None for a single seed
    headroom: Row | None  # None where the true light is not known
    baselines: dict[str, Row]
    strip: U8


def _judge_one(pair: Pair, fields: Sequence[EditField], baselines: Baselines) -> _One:
    """One pair through the fields of its seeds, and through the other methods."""
    made = [relight(pair.image, field, threads=2).astype(np.uint8) for field in fields]
    best = max(psnr(picture, pair.reference) for picture in made)
    theirs = {name: picture for name, method in baselines.items() if (picture := method(pair)) is not None}
    return _One(
        pair,
        row=score(made[0], pair.reference, pair.image) | {"best_of_n_psnr": best},
        faults=flaws.figures(pair.image, made[0], pair.reference),
        diversity=diversity(made, pair) if len(made) > 1 else None,
        headroom=None if pair.open_light is None else headroom(made[0], fields[0], pair),
        baselines={name: score(picture, pair.reference, pair.image) for name, picture in theirs.items()},
        strip=_strip(pair.image, made[0], pair.reference),
    )


def judge(
    pairs: Iterable[Pair],
    editor: Editor,
    look: Look,
    n_seeds: int = 4,
    n_steps: int | None = None,
    baselines: Baselines | None = None,
) -> Judged:
    """Every pair enhanced with one look and compared with its reference; `n_steps` None is the model's own choice."""
    found: list[_One] = []
    for pair in pairs:
        found.append(_judge_one(pair, proposals(pair.image, editor, look, n_seeds, n_steps), baselines or {}))
        print(f"\r{look.name}: {len(found)} judged", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    rows, groups = [one.row for one in found], [one.pair.group for one in found]
    exposures_ev = [one.pair.exposure_ev for one in found if one.pair.exposure_ev is not None]
    names = dict.fromkeys(name for one in found for name in one.baselines)
    report = {
        "n": len(rows),
        "look": look.name,
        "n_seeds": n_seeds,
        "n_steps": n_steps,
        "ours": mean_of(rows),
        "psnr_interval95": interval95([row["psnr"] for row in rows], groups),
        "diversity": _diversity_report([one.diversity for one in found if one.diversity is not None]),
        "headroom": _headroom_report([one.headroom for one in found if one.headroom is not None]),
        "by_exposure": _by_exposure(exposures_ev, rows),
        "faults": flaws.summary([one.faults for one in found]),
        "baselines": {name: mean_of([one.baselines[name] for one in found if name in one.baselines]) for name in names},
    }
    return Judged(report, rows, groups, [one.strip for one in found])


def over_looks(judged: Sequence[Judged]) -> list[Report]:
    """Reports of the same pairs with several looks -> two more: the mean look, and the best look of each picture."""

    def summary(name: str, rows: list[Row]) -> Report:
        groups = [group for found in judged for group in found.groups][: len(rows)]
        about = {"n": len(judged[0].rows), "look": name, "looks": [found.report["look"] for found in judged]}
        interval = interval95([row["psnr"] for row in rows], groups)
        return about | {"ours": mean_of(rows), "psnr_interval95": interval, "baselines": {}}

    best = [max(rows, key=lambda row: row["psnr"]) for rows in zip(*(found.rows for found in judged), strict=True)]
    every = [row for found in judged for row in found.rows]
    return [summary("mean over looks", every), summary("best look of each picture", best)]


def left_alone(paths: Sequence[Path], editor: Editor, look: Look, n_steps: int | None = None) -> Report:
    """How far a look moves photos that need nothing: Delta-E 2000 and PSNR of output against input."""
    rows = []
    for path in paths:
        image = read_u8(path)
        field = proposals(image, editor, look, 1, n_steps)[0]
        rows.append(score(relight(image, field, threads=2).astype(np.uint8), image, image))
        print(f"\r{look.name}: {len(rows)} judged", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    moved = [row["de00"] for row in rows]
    change = {
        "de00_mean": float(np.mean(moved)),
        "de00_p95": float(np.percentile(moved, 95)),
        "psnr_median": float(np.median([row["psnr"] for row in rows])),
        "fidelity": float(np.mean([row["fidelity"] for row in rows])),
    }
    interval = interval95(moved, [str(path) for path in paths])
    about = {"n": len(rows), "look": look.name, "n_steps": n_steps}
    return about | {"change": {key: round(value, 4) for key, value in change.items()}, "de00_interval95": interval}


def _diversity_report(rows: list[Row]) -> Report | None:
    if not rows:
        return None
    together = mean_of(rows)
    linked = correlation([row["ambiguity"] for row in rows], [row["spread_de00"] for row in rows])
    return together | {"ambiguity_correlation": linked}


def _headroom_report(rows: list[Row]) -> Report | None:
    if not rows:
        return None
    together = mean_of([{key: row[key] for key in ("pu21_psnr", "pu21_psnr_sdr")} for row in rows])
    unclipped = [row["pu21_psnr_unclipped"] for row in rows if np.isfinite(row["pu21_psnr_unclipped"])]
    return together | {
        "gain_db": round(together["pu21_psnr"] - together["pu21_psnr_sdr"], 4),
        "pu21_psnr_unclipped_median": round(float(np.median(unclipped)), 4) if unclipped else None,
    }


def _by_exposure(exposures_ev: list[float], rows: list[Row]) -> Report | None:
    if not exposures_ev:
        return None
    bucket = np.digitize(exposures_ev, _EXPOSURES_EV[1:-1])
    found = {}
    for i, name in enumerate(_EXPOSURE_NAMES):
        psnrs = [row["psnr"] for row, b in zip(rows, bucket, strict=True) if b == i]
        found[name] = {"n": len(psnrs), "psnr": round(float(np.mean(psnrs)), 4) if psnrs else None}
    return found


def _nits(light: F64) -> F64:
    return np.asarray(np.clip(light, 0, PEAK) * SDR_WHITE_NITS)


def _strip(*pictures: U8) -> U8:
    return np.hstack([cv2.resize(x, (400, 300), interpolation=cv2.INTER_AREA) for x in pictures]).astype(np.uint8)
