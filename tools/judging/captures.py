"""Panoramas of true light -> captures by the training simulation, and what each look should have made of them.

The views and the captures depend on nothing but the panoramas and fixed seeds: every look, model and setting is
judged on the same ones.
"""

from __future__ import annotations

import json
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import scenes
import torch
from metrics import U8
from pairs import Pair
from scenes import F32, MOOD_EV, normalise_key, prepare, read_panorama, view, whitened

from camera_nano.color import srgb_oetf
from camera_nano.nn.grid import clipped_share
from camera_nano.nn.light import oetf
from camera_nano.nn.simulate import Scenes, capture, develop, natural_light
from camera_nano.nn.tone import white_of
from camera_nano.values import Look

VIEWS_PER_PANORAMA = 8
BRIGHTEST_EV = 1.5  # of the simulated exposures, from -5.5 EV
VIEW_HW = (180, 240)
SEED = 11
_EXPOSURES_EV = np.arange(-10, 6.01, 0.25)

Arrays = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True, eq=False)
class Capture:
    """One simulated capture: the picture, and the scene it was taken of (`Scenes` of one row, float32)."""

    name: str
    group: str
    scene: Scenes
    image: U8
    exposure_ev: float


def split_names(split: str) -> list[str]:
    """SPLIT.json:KEY -> the file names under that key."""
    path, key = split.rsplit(":", 1)
    return list(json.loads(Path(path).read_text())[key])


def prepared_views(paths: Sequence[Path], cache: Path | None = None) -> Arrays:
    """Views of each panorama ready for development, stacked as in `Scenes`.

    The edge-aware base layer takes most of the time, so the views are kept in the file `cache` if one is given;
    views of other panoramas, or made by another version of `make_data.py`, are made anew.
    """
    maker = zlib.crc32(Path(scenes.MAKER).read_bytes())
    key = json.dumps([[path.name, path.stat().st_size] for path in paths] + [VIEWS_PER_PANORAMA, *VIEW_HW, SEED, maker])
    if cache is not None and cache.exists():
        with np.load(cache) as kept:
            if str(kept["key"]) == key:
                return {name: kept[name] for name in kept.files if name != "key"}
    rng = np.random.default_rng(SEED)
    rows = []
    for path in paths:
        pano = read_panorama(path)
        for _ in range(VIEWS_PER_PANORAMA):
            rows.append(prepare(normalise_key(view(pano, rng, VIEW_HW)), MOOD_EV.get(path.stem, 0.0)))
            print(f"\r{len(rows)} of {len(paths) * VIEWS_PER_PANORAMA} views", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    arrays = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    if cache is not None:
        np.savez(cache, allow_pickle=False, key=np.array(key), **arrays)
    return arrays


def apparent_exposure_ev(image: U8, light: F32) -> float:
    """The EV at which an ideal sRGB camera would have given the capture's mean code value, -10..6.

    It includes the capture's tone curve, so it says how dark the picture looks, not how long the shutter was open.
    """
    light, mean = light[::4, ::4], image[::4, ::4].mean() / 255
    means = [srgb_oetf(np.clip(light * 2.0**ev, 0, 1)).mean() for ev in _EXPOSURES_EV]
    return float(np.interp(mean, means, _EXPOSURES_EV))


def simulated_captures(folder: Path, only: str | None = None, cache: Path | None = None) -> list[Capture]:
    """Views of each panorama of the folder (or those of SPLIT.json:KEY), captured with a fixed seed.

    Raises:
        ValueError: there is no panorama.
    """
    names = set(split_names(only)) if only else None
    paths = [path for path in sorted(folder.glob("*.exr")) if names is None or {path.name, path.stem} & names]
    if not paths:
        raise ValueError(f"{folder} holds no .exr panorama to judge on")
    arrays = prepared_views(paths, cache)
    rng = torch.Generator().manual_seed(SEED)
    captures = []
    for i in range(len(arrays["light"])):
        rows = {f.name: torch.from_numpy(arrays[f.name][i : i + 1]) for f in fields(Scenes)}
        rows |= {name: rows[name].float() for name in ("light", "base_ev", "percentiles_ev")}
        scene = Scenes(**rows | {"fused": rows["fused"].float() / 255})
        shot, _ = capture(scene, rng, BRIGHTEST_EV)
        image = _to_u8(shot)
        stem, number = paths[i // VIEWS_PER_PANORAMA].stem, i % VIEWS_PER_PANORAMA
        exposure_ev = apparent_exposure_ev(image, _to_image(scene.light))
        captures.append(Capture(f"{stem}_{number}", stem, scene, image, exposure_ev))
    return captures


def overexposed(taken: Capture, ev: float) -> Capture:
    """The same view by an ideal sRGB camera, `ev` over the right exposure, without noise: to judge whites."""
    image = _to_u8(oetf((taken.scene.light * 2.0**ev).clamp(0, 1)))
    return replace(taken, image=image, exposure_ev=ev)


def developed(taken: Capture, look: Look) -> Pair:
    """The capture with what the look should have made of it; where it is clipped, that is the look's own white.

    `open_light` is the true light for an HDR display. It is developed without controls, so only a look without any
    (`natural`) has it.
    """
    controls = torch.from_numpy(look.controls())[None]
    wanted, headroom = develop(taken.scene, controls)
    shot = torch.from_numpy(taken.image).permute(2, 0, 1)[None] / 255
    wanted, _ = whitened(wanted, headroom, clipped_share(shot), white_of(controls))
    bracket = [_to_u8(oetf((taken.scene.light * 2.0**ev).clamp(0, 1))) for ev in (-2, 0, 2)]
    open_light = None if look.controls().any() else _to_image(natural_light(taken.scene))
    return Pair(taken.name, taken.image, _to_u8(wanted), tuple(bracket), taken.group, taken.exposure_ev, open_light)


def _to_image(picture: torch.Tensor) -> F32:
    return picture[0].permute(1, 2, 0).numpy()


def _to_u8(picture: torch.Tensor) -> U8:
    return np.asarray((picture[0].permute(1, 2, 0) * 255).round().byte().numpy(), np.uint8)
