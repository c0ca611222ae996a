"""The quality bars: what each model has, what is wanted, met or missed; and sheets of the worst pictures by fault.

    python tools/judging/bars.py --brackets DIR [--photos DIR] [--panoramas DIR] [--pipeline [NAME=]DIR]...
                                 [--look natural] [--sheets OUT] [--json]

--brackets: real bracketed scenes, input/NN_under.jpg, input/NN_over.jpg and reference/ with the same names.
--photos: good photos, of which those that training never sees are judged. --panoramas: true light, of which those
that split.json beside the folder names as `hdri_dev` are judged. Each pipeline has a column of its own; without one,
the shipped model is judged. A sheet has the twelve worst pictures of a measure: capture, made, reference.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import flaws
import numpy as np
from judge import proposals
from metrics import U8, psnr
from pairs import Pair, named_folder, paired_folders, photo_paths, read_u8
from parts import PARTS

from camera_nano.color import srgb_codes, srgb_eotf
from camera_nano.engines import load_editor
from camera_nano.light.enhance import relight
from camera_nano.looks import choose
from camera_nano.seams import Editor
from camera_nano.values import Look

WORST = 12
# mean shares on the bracketed scenes before `grid.ordered` was there; 60 + 60 pictures, int8, seed 0
REVERSALS_BEFORE = {"under": 0.0094, "over": 0.0003, "under hdr": 0.0229, "over hdr": 0.0005}
_OVER_EV = 2.0  # exposure of the captures that show what clipped white becomes
_OFF_EV = (-1.5, 1.5)  # exposure of good photos that are no longer good
_DARK_WHITES = ("night",)  # looks whose white is no white
_TILE_PX = 240  # the height of a picture on a sheet
_CLOSE_PX = 96  # the side of the detail that shows blocks
# how bad a value is: the worst come first on a sheet
_BADNESS: dict[str, Callable[[float], float]] = {
    **dict.fromkeys(
        ("psnr", "psnr_held", "white_code", "way", "way_held", "gain_db", "green", "whites"), lambda value: -value
    ),
    **dict.fromkeys(("de00", "white_std_ev", "smudge", "reversals", "blockiness", "tint"), lambda value: value),
    **dict.fromkeys((f"error_{part}" for part in PARTS), lambda value: value),
}

Line = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A set of pictures through one look: figures of each, the best of its seeds by each PSNR, and what was made."""

    name: str  # "under hdr"
    rows: list[flaws.Figures]
    best_of_n: dict[str, list[float]]  # by measure, of the pictures that it applies to
    pairs: list[Pair]
    made: list[U8]

    def mean(self, measure: str) -> float | None:
        """As `flaws.mean_of_known`."""
        return flaws.mean_of_known(self.rows, measure)

    def count(self, fault: str) -> int:
        """As `flaws.counts`."""
        return flaws.counts(self.rows)[fault]


def judged(name: str, pairs: Iterable[Pair], editor: Editor, look: Look, n_seeds: int = 1) -> Judged:
    """A set of pictures through one look; seed 0 is the model's answer."""
    found = Judged(f"{name} {look.name}", [], {"psnr": [], "psnr_held": []}, [], [])
    for pair in pairs:
        fields = proposals(pair.image, editor, look, n_seeds)
        made = [relight(pair.image, one, threads=2).astype(np.uint8) for one in fields]
        found.rows.append(flaws.figures(pair.image, made[0], pair.reference))
        found.best_of_n["psnr"].append(max(psnr(picture, pair.reference) for picture in made))
        held = [value for one in made if (value := flaws.psnr_held(pair.image, one, pair.reference)) is not None]
        found.best_of_n["psnr_held"] += [max(held)] if held else []
        found.pairs.append(pair)
        found.made.append(made[0])
        print(f"\r{found.name}: {len(found.rows)} judged", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    return found


def good_photos(folder: Path, only: str = "*") -> Iterator[Pair]:
    """Held-out photos that need nothing: each is its own reference."""
    for path in photo_paths(folder, held_out=True, only=only):
        image = read_u8(path)
        yield Pair(path.stem, image, image, group=path.stem)


def exposed_anew(pair: Pair, ev: float) -> Pair:
    """A good photo with `ev` stops more light; it should become what it was."""
    return replace(pair, image=srgb_codes(srgb_eotf(pair.reference / 255) * 2.0**ev))


def white_share(look: Look) -> float:
    """What a look makes of paper white: its mean code value as a share 0..1 of the largest."""
    import torch

    from camera_nano.nn.light import oetf
    from camera_nano.nn.tone import dress

    return float(oetf(dress(torch.ones(1, 3, 1, 1), torch.from_numpy(look.controls())[None])).mean())


def bar(name: str, have: float | None, want: float, *, least: bool = False) -> Line:
    """One line of the verdict: `want` is the most, or the `least`, that `have` may be; None misses."""
    met = have is not None and (have >= want if least else have <= want)
    return {"bar": name, "have": have, "want": want, "least": least, "met": met}


def bracket_bars(by_name: dict[str, Judged], default: str) -> Iterator[Line]:
    """Bars of the bracketed scenes, in the default look and `hdr`."""
    under, over = by_name[f"under {default}"], by_name[f"over {default}"]
    yield bar(f"under {default}: PSNR", under.mean("psnr"), 19.5, least=True)
    yield bar(f"under {default}: pictures below {flaws.LOW_DB} dB", under.count("low"), 2)
    yield bar("under hdr: psnr_held", by_name["under hdr"].mean("psnr_held"), 21, least=True)
    yield bar("over hdr: psnr_held", by_name["over hdr"].mean("psnr_held"), 25, least=True)
    names = list(dict.fromkeys(f"{side} {look}" for look in (default, "hdr") for side in ("under", "over")))
    for name in names:
        yield bar(f"{name}: smudge", by_name[name].mean("smudge") or 0.0, 0.003)
        before = REVERSALS_BEFORE[name if name.endswith(" hdr") else name.split()[0]]
        yield bar(f"{name}: reversals", by_name[name].mean("reversals") or 0.0, before)
    for fault, most in (("left_alone", 4), ("left_alone_held", 4), ("worse_than_input", 2)):
        yield bar(f"under and over {default}: {fault}", under.count(fault) + over.count(fault), most)
    n_worse = sum(by_name[f"{side} hdr"].count("worse_than_input") for side in ("under", "over"))
    yield bar("under and over hdr: worse_than_input", n_worse, 2)
    for found in (under, over):
        for measure, best in found.best_of_n.items():
            gained = float(np.mean(best)) - float(np.mean(flaws.known(found.rows, measure)))
            yield bar(f"{found.name}: best of seeds over one, {measure}", round(gained, 3), 1.0, least=True)
    yield bar("under hdr: green", by_name["under hdr"].count("green"), 3)
    yield bar("under hdr: green or blocky", by_name["under hdr"].count("green_or_blocky"), 3)
    yield bar("under hdr: blockiness", by_name["under hdr"].mean("blockiness"), 1.1)


def white_bars(by_look: dict[str, list[tuple[float, float]]], looks: Sequence[Look]) -> Iterator[Line]:
    """Bars of `flaws.clean_white` on the over-exposed captures, by look."""
    for look in looks:
        found = by_look[look.name]
        std_ev, code = np.mean(found, 0).round(4).tolist() if found else (None, None)
        yield bar(f"over {look.name}: clean_white, EV", std_ev, 0.03)
        yield bar(f"over {look.name}: clean_white, code", code, round(240 * white_share(look), 1), least=True)


def photo_bars(by_name: dict[str, Judged], default: str) -> Iterator[Line]:
    """Bars of photos that need nothing."""
    plain = flaws.known(by_name[f"photos {default}"].rows, "de00")
    yield bar(f"photos {default}: dE00", round(float(np.mean(plain)), 3), 1.5)
    yield bar(f"photos {default}: dE00, 95th percentile", round(float(np.percentile(plain, 95)), 3), 5)
    yield bar("photos hdr: dE00", by_name["photos hdr"].mean("de00"), 5)
    for ev in _OFF_EV:
        found = by_name[f"photos {ev:+g} EV {default}"]
        left = round(found.count("left_alone_held") / len(found.rows), 3)
        yield bar(f"{found.name}: share left_alone_held", left, 0.25)


def panorama_bars(by_name: dict[str, Judged]) -> Iterator[Line]:
    """Bars of captures of true light."""
    yield bar("panoramas natural: PSNR", by_name["panoramas natural"].mean("psnr"), 27, least=True)
    yield bar("panoramas +2 EV natural: PSNR", by_name["panoramas +2 EV natural"].mean("psnr"), 24, least=True)


def judge_model(args: argparse.Namespace, editor: Editor) -> tuple[list[Line], list[Judged]]:
    """Every bar of the sets that were given, and the sets."""
    plain, hdr, natural = (choose(editor.looks, [name])[0] for name in (args.look, "hdr", "natural"))
    both = list({look.name: look for look in (plain, hdr)}.values())

    def brackets(side: str) -> Iterator[Pair]:
        return paired_folders(args.brackets / "input", args.brackets / "reference", f"{args.only}_{side}")

    by_name: dict[str, Judged] = {}

    def add(name: str, pairs: Iterable[Pair], look: Look, n_seeds: int = 1) -> None:
        by_name[f"{name} {look.name}"] = judged(name, pairs, editor, look, n_seeds)

    for look in both:
        for side in ("under", "over"):
            add(side, brackets(side), look, args.seeds if look is plain else 1)
    lines = list(bracket_bars(by_name, plain.name))
    bright = [look for look in editor.looks.values() if look.name not in _DARK_WHITES]
    lines += white_bars({look.name: whites(brackets("over"), editor, look) for look in bright}, bright)
    if args.photos:
        for look in both:
            add("photos", good_photos(args.photos), look)
        for ev in _OFF_EV:
            add(f"photos {ev:+g} EV", (exposed_anew(pair, ev) for pair in good_photos(args.photos)), plain)
        lines += photo_bars(by_name, plain.name)
    if args.panoramas:
        from captures import developed, overexposed, simulated_captures

        split = f"{args.panoramas.parent / 'split.json'}:hdri_dev"
        captures = simulated_captures(args.panoramas, split, args.cache)
        for look in list({look.name: look for look in (natural, hdr)}.values()):
            add("panoramas", (developed(taken, look) for taken in captures), look)
        add("panoramas +2 EV", (developed(overexposed(taken, _OVER_EV), natural) for taken in captures), natural)
        lines += panorama_bars(by_name)
    return lines, list(by_name.values())


def whites(pairs: Iterable[Pair], editor: Editor, look: Look) -> list[tuple[float, float]]:
    """`flaws.clean_white` of every capture that has clipped areas."""
    made = ((pair, relight(pair.image, proposals(pair.image, editor, look, 1)[0], threads=2)) for pair in pairs)
    found = (flaws.clean_white(pair.image, picture.astype(np.uint8)) for pair, picture in made)
    return [white for white in found if white is not None]


def write_sheets(found: Judged, out: Path) -> None:
    """A JPEG for each measure that applies: its worst twelve pictures, each as capture, made and reference."""
    out.mkdir(parents=True, exist_ok=True)
    for measure, badness in _BADNESS.items():
        order = [(value, n) for n, row in enumerate(found.rows) if (value := row[measure]) is not None]
        order.sort(key=lambda one: badness(one[0]), reverse=True)
        strips = [_strip(found.pairs[n], found.made[n], measure, value) for value, n in order[:WORST]]
        if strips:
            path = out / f"{found.name.replace(' ', '_')}_{measure}.jpg"
            cv2.imwrite(str(path), _two_columns(strips)[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])


def _strip(pair: Pair, made: U8, measure: str, value: float) -> U8:
    """Capture, made and reference with a label; of blocks the detail that shows them, enlarged without smoothing."""
    shown, how = [pair.image, made, pair.reference], cv2.INTER_AREA
    if measure == "blockiness":
        shown = [picture[flaws.most_lifted(pair.image, made, _CLOSE_PX)] for picture in shown]
        how = cv2.INTER_NEAREST
    width = round(_TILE_PX * shown[0].shape[1] / shown[0].shape[0])
    strip = np.hstack([cv2.resize(picture, (width, _TILE_PX), interpolation=how) for picture in shown])
    strip[:24] = 0
    text = f"{pair.name} {measure} {value:.4g}"
    cv2.putText(strip, text, (8, 17), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (255, 255, 255), 1, cv2.LINE_AA)
    return np.asarray(strip, np.uint8)


def _two_columns(strips: Sequence[U8]) -> U8:
    """The first half beside the second; shorter ones are filled with black."""
    width, half = max(strip.shape[1] for strip in strips), -(-len(strips) // 2)
    wide = [np.pad(strip, ((0, 0), (0, width + 8 - strip.shape[1]), (0, 0))) for strip in strips]
    wide += [np.zeros_like(wide[0])] * (2 * half - len(wide))
    return np.hstack([np.vstack(wide[:half]), np.vstack(wide[half:])])


def table(by_model: dict[str, list[Line]]) -> str:
    """The verdict for people: a row for each bar, a column for each model."""
    rows = list(zip(*by_model.values(), strict=True))
    width = max(len(row[0]["bar"]) for row in rows) + 2
    column = max(18, *(len(name) + 2 for name in by_model))
    lines = [f"{'':<{width}}{'want':>10}" + "".join(f"{name:>{column}}" for name in by_model)]
    for row in rows:
        limit = f"{'>=' if row[0]['least'] else '<='} {row[0]['want']:g}"
        lines.append(f"{row[0]['bar']:<{width}}{limit:>10}" + "".join(f"{_have(line):>{column}}" for line in row))
    met = {name: sum(line["met"] for line in lines) for name, lines in by_model.items()}
    lines.append(f"{'met, of ' + str(len(rows)):<{width}}{'':>10}" + "".join(f"{n:>{column}}" for n in met.values()))
    return "\n".join(lines)


def _have(line: Line) -> str:
    have = "-" if line["have"] is None else f"{line['have']:.4g}"
    return have + ("  met   " if line["met"] else "  MISSED")


def main() -> None:
    """Judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--brackets", type=Path, required=True, help="folder with input/ and reference/")
    parser.add_argument("--photos", type=Path, help="folder of good photos")
    parser.add_argument("--panoramas", type=Path, help="folder of .exr panoramas, with split.json beside it")
    parser.add_argument("--cache", type=Path, metavar="FILE.npz", help="of --panoramas: keep the prepared views here")
    parser.add_argument(
        "--pipeline", type=named_folder, action="append", metavar="[NAME=]DIR", help="other weights than the shipped"
    )
    parser.add_argument("--look", default="natural", help="the default look")
    parser.add_argument("--seeds", type=int, default=4, help="of the best of N, in the default look")
    parser.add_argument("--only", default="*", help="a glob of brackets' names, without _under and _over")
    parser.add_argument("--sheets", type=Path, metavar="OUT", help="folder for the sheets of the worst")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    by_model, report = {}, []
    for name, folder in args.pipeline or [("shipped", None)]:
        lines, sets = judge_model(args, load_editor(pipeline=folder, threads=2))
        by_model[name] = lines
        report.append({"model": name, "bars": lines, "sets": {found.name: flaws.summary(found.rows) for found in sets}})
        if args.sheets:
            for found in sets:
                write_sheets(found, args.sheets / name if args.pipeline else args.sheets)
    print(json.dumps(report) if args.json else table(by_model))


if __name__ == "__main__":
    main()
