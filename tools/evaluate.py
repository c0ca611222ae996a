"""Judge the shipped model beside the classical methods, on paired folders or on panoramas of true light.

--pairs: every input is enhanced with one look and compared with the reference of the same file stem.
--hdr: each panorama is photographed at fixed exposures (-5..+2 EV) and what the look should have been is known.

Metrics: PSNR and SSIM (Wang et al. 2004) on sRGB codes, CIE Delta-E 2000, fidelity = SSIM of grey output against grey
input after matching its histogram to the output's (did anything but light change), best-of-N = best PSNR of N seeds.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000, rgb2gray, rgb2lab
from skimage.exposure import match_histograms
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from camera_nano.conditioning import condition
from camera_nano.decode import open_image
from camera_nano.engines import load_editor
from camera_nano.render import render
from camera_nano.values import Editor, Frame, Look

U8 = NDArray[np.uint8]
VIEWS_PER_PANORAMA = 8
VIEW_HW = (180, 240)


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A capture and what it should have been; a bracket of the same view where one exists."""

    name: str
    image: U8
    reference: U8
    bracket: tuple[U8, ...] = ()


def paired_folders(inputs: Path, references: Path) -> Iterator[Pair]:
    """Pictures matched by stem; references of another size are scaled to the input's."""
    by_stem = {path.stem: path for path in sorted(references.iterdir())}
    found = [path for path in sorted(inputs.iterdir()) if path.stem in by_stem]
    if not found:
        raise ValueError(f"{inputs} and {references} have no file stem in common")
    for path in found:
        image = open_image(path).frame.pixels
        reference = open_image(by_stem[path.stem]).frame.pixels
        if reference.shape != image.shape:
            reference = np.asarray(cv2.resize(reference, image.shape[1::-1], interpolation=cv2.INTER_AREA), image.dtype)
        yield Pair(path.stem, image.astype(np.uint8), reference.astype(np.uint8))


def simulated_captures(folder: Path, controls: NDArray[np.float32], names: list[str] | None) -> Iterator[Pair]:
    """Views of each panorama, captured by the training simulation with a fixed seed; the truth is developed light."""
    import torch
    from make_data import normalise_key, prepare, read_panorama, view

    from camera_nano.nn.light import oetf
    from camera_nano.nn.simulate import Scenes, capture, develop

    paths = [path for path in sorted(folder.glob("*.exr")) if names is None or path.name in names]
    if not paths:
        raise ValueError(f"{folder} holds no .exr panorama to judge on")
    rng, torch_rng = np.random.default_rng(11), torch.Generator().manual_seed(11)
    for path in paths:
        pano = read_panorama(path)
        for i in range(VIEWS_PER_PANORAMA):
            row = prepare(normalise_key(view(pano, rng, VIEW_HW)))
            light, base_ev, fused, ends = (torch.from_numpy(value)[None].float() for value in row.values())
            scene = Scenes(light, base_ev, fused / 255, ends, torch.tensor([False]))
            shot = capture(scene, torch_rng)
            wanted, _ = develop(scene, torch.from_numpy(controls)[None])
            bracket = [oetf((scene.light * 2.0**ev).clamp(0, 1)) for ev in (-2, 0, 2)]
            to_u8 = [(x[0].permute(1, 2, 0) * 255).round().byte().numpy() for x in (shot, wanted, *bracket)]
            yield Pair(f"{path.stem}_{i}", to_u8[0], to_u8[1], tuple(to_u8[2:]))


def clahe(image: U8) -> U8:
    """Contrast-limited adaptive histogram equalisation of L (Zuiderveld 1994), OpenCV's usual setting."""
    lab = cv2.cvtColor(image, cv2.COLOR_RGB2LAB)
    lab[..., 0] = cv2.createCLAHE(2.0, (8, 8)).apply(lab[..., 0])
    return np.asarray(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), np.uint8)


def auto_gamma(image: U8) -> U8:
    """The power of code values that brings their mean to 0.45."""
    unit = image / 255
    gamma = np.log(0.45) / np.log(np.clip(rgb2gray(unit).mean(), 0.01, 0.99))
    return np.asarray(np.rint(255 * unit**gamma), np.uint8)


def auto_levels(image: U8) -> U8:
    """Each channel stretched so that half a percent clips at either end."""
    low, high = np.percentile(image, (0.5, 99.5), axis=(0, 1))
    return np.asarray(np.rint(255 * np.clip((image - low) / np.maximum(high - low, 1), 0, 1)), np.uint8)


def fidelity(made: U8, image: U8) -> float:
    """SSIM of grey pictures after matching the input's histogram to the output's: 1 = only light was changed."""
    grey_made, grey_input = rgb2gray(made), rgb2gray(image)
    return float(structural_similarity(grey_made, match_histograms(grey_input, grey_made), data_range=1.0))


def score(made: U8, pair: Pair) -> dict[str, float]:
    """The metrics of one picture."""
    de00 = deltaE_ciede2000(rgb2lab(made), rgb2lab(pair.reference))
    return {
        "psnr": float(peak_signal_noise_ratio(pair.reference, made)) if (made != pair.reference).any() else 100.0,
        "ssim": float(structural_similarity(made, pair.reference, channel_axis=2)),
        "de00": float(de00.mean()),
        "fidelity": fidelity(made, pair.image),
    }


def ours(pair: Pair, editor: Editor, look: Look, n_seeds: int) -> tuple[U8, list[float]]:
    """The picture of the first seed, and the PSNR of each."""
    seen = condition(Frame(pair.image))
    made = [
        render(pair.image, editor.propose(seen, [look], seed=seed)[0], threads=2).astype(np.uint8)
        for seed in range(n_seeds)
    ]
    return made[0], [float(peak_signal_noise_ratio(pair.reference, m)) for m in made]


BASELINES: dict[str, Callable[[Pair], U8 | None]] = {
    "identity": lambda pair: pair.image,
    "clahe": lambda pair: clahe(pair.image),
    "auto-gamma": lambda pair: auto_gamma(pair.image),
    "auto-levels": lambda pair: auto_levels(pair.image),
    "fusion of bracket": lambda pair: fuse(pair.bracket) if pair.bracket else None,
}


def fuse(bracket: Iterable[U8]) -> U8:
    """OpenCV's exposure fusion of a real bracket: it sees light that one capture does not hold."""
    fused = cv2.createMergeMertens().process(list(bracket))
    return np.rint(255 * np.clip(fused, 0, 1)).astype(np.uint8)


def mean_of(rows: list[dict[str, float]]) -> dict[str, float]:
    """Mean of each metric."""
    return {key: round(float(np.mean([row[key] for row in rows])), 4) for key in rows[0]}


def judge(
    pairs: Iterable[Pair], editor: Editor, look: Look, n_seeds: int
) -> tuple[dict[str, object], list[tuple[Pair, U8]]]:
    """The report of DESIGN's contract, and (pair, our picture) for the sheet."""
    our_rows: list[dict[str, float]] = []
    their_rows: dict[str, list[dict[str, float]]] = {}
    pictures = []
    for pair in pairs:
        made, psnrs = ours(pair, editor, look, n_seeds)
        our_rows.append(score(made, pair) | {"best_of_n_psnr": max(psnrs)})
        for name, method in BASELINES.items():
            if (theirs := method(pair)) is not None:
                their_rows.setdefault(name, []).append(score(theirs, pair))
        pictures.append((pair, made))
        print(f"\r{len(our_rows)} judged", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    baselines = {name: mean_of(rows) for name, rows in their_rows.items()}
    report = {
        "n": len(our_rows),
        "look": look.name,
        "n_seeds": n_seeds,
        "ours": mean_of(our_rows),
        "baselines": baselines,
    }
    return report, pictures


def table(report: dict[str, object]) -> str:
    """The report for people."""
    rows = {f"camera_nano {report['look']}": report["ours"]} | report["baselines"]  # type: ignore[operator]
    lines = [
        f"{report['n']} pictures",
        f"{'method':<22}{'PSNR':>8}{'SSIM':>8}{'dE00':>8}{'fidelity':>10}{'best of N':>11}",
    ]
    for name, row in rows.items():
        best = f"{row['best_of_n_psnr']:>11.2f}" if "best_of_n_psnr" in row else ""
        lines.append(
            f"{name:<22}{row['psnr']:>8.2f}{row['ssim']:>8.3f}{row['de00']:>8.2f}{row['fidelity']:>10.3f}{best}"
        )
    return "\n".join(lines)


def sheet(pictures: list[tuple[Pair, U8]], n_rows: int = 10) -> U8:
    """Rows of input, ours, reference; evenly spread over the set."""
    chosen = [pictures[i] for i in np.linspace(0, len(pictures) - 1, min(n_rows, len(pictures))).astype(int)]
    rows = [
        np.hstack([cv2.resize(x, (400, 300), interpolation=cv2.INTER_AREA) for x in (pair.image, made, pair.reference)])
        for pair, made in chosen
    ]
    return np.vstack(rows).astype(np.uint8)


def main() -> None:
    """Judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--pairs", nargs=2, type=Path, metavar=("INPUT_DIR", "REFERENCE_DIR"))
    what.add_argument("--hdr", type=Path, metavar="DIR_OF_HDR_PANORAMAS")
    parser.add_argument("--only", metavar="GLOB_OR_SPLIT", help="a glob of input names, or SPLIT.json:KEY for --hdr")
    parser.add_argument("--look", default="natural")
    parser.add_argument("--seeds", type=int, default=4, help="N of best-of-N")
    parser.add_argument("--engine", choices=["onnx", "torch"], default="onnx")
    parser.add_argument("--sheet", type=Path, metavar="FILE.png", help="input, ours and reference side by side")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()

    editor = load_editor(args.engine, threads=2)
    if args.look not in editor.looks:
        parser.error(f"no look named {args.look}; there are {', '.join(editor.looks)}")
    look = editor.looks[args.look]
    if args.pairs:
        pairs: Iterable[Pair] = paired_folders(*args.pairs)
        if args.only:
            pairs = (pair for pair in pairs if Path(pair.name).match(args.only))
    else:
        names = None
        if args.only:
            path, key = args.only.rsplit(":", 1)
            names = json.loads(Path(path).read_text())[key]
        pairs = simulated_captures(args.hdr, look.controls(), names)
    report, pictures = judge(pairs, editor, look, args.seeds)
    if args.sheet:
        cv2.imwrite(str(args.sheet), sheet(pictures)[..., ::-1])
    print(json.dumps(report) if args.json else table(report))


if __name__ == "__main__":
    main()
