"""Render the demo camera's room: a path-traced panorama of true scene light, for `make_scenes.py`.

Needs packages that the product does not: mitsuba, mitsuba-oidn, scikit-image (its public-domain photos hang on
the wall). The sky outside is a Poly Haven HDR map, given by its path. Azimuth 0 looks at the sofa, windows are to
the left, the dark side of the room to the right.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import cv2
import drjit as dr  # type: ignore[import-not-found]
import mitsuba as mi  # type: ignore[import-not-found]
import mitsuba_oidn  # type: ignore[import-not-found]
import numpy as np
import skimage.data
from room_furniture import hangings, plant, seats, shelves, table
from room_shapes import Node, ball, box, matte, place, planks, satin, texture, tinted

PHOTOS: Any = skimage.data  # it has no types
EYE = (0.0, 0.0, 1.45)
TILT_DEG = -4.0  # elevation of the middle row: more table, less ceiling
BAND = 448  # rows at a time: tracing the program costs seconds, so the fewer the better


def shell() -> Node:
    """Floor, walls with two windows and a door, ceiling, the lawn outside."""
    rng = np.random.default_rng(3)
    white, trim = matte((0.78, 0.75, 0.70)), satin((0.82, 0.82, 0.80))
    brick = {
        "type": "twosided",
        "b": {
            "type": "diffuse",
            "reflectance": texture(tinted(np.rot90(PHOTOS.brick()), (70, 40, 34), (212, 150, 120)), (3.4, 1.45)),
        },
    }
    wood = {"type": "principled", "base_color": texture(planks(rng), (2, 2)), "roughness": 0.3, "specular": 0.5}
    green = matte((0.22, 0.33, 0.33))
    return {
        "floor": {"type": "rectangle", "to_world": place(at=(0.2, 0.5, 0), size=(3.6, 3.6, 1)), "bsdf": wood},
        "ceiling": box((0.2, 0.5, 2.95), (3.6, 3.4, 0.05), white),
        "front": {
            "type": "rectangle",
            "to_world": mi.ScalarTransform4f().translate([0.2, 3.4, 1.45]).rotate([1, 0, 0], 90).scale([3.6, 1.45, 1]),
            "bsdf": brick,
        },
        "front2": box((0.2, 3.52, 1.45), (3.6, 0.1, 1.5), white),
        "right_a": box((3.7, 1.9, 1.45), (0.1, 1.7, 1.5), green),
        "right_b": box((3.7, -2.3, 1.45), (0.1, 1.5, 1.5), green),
        "right_top": box((3.7, -0.3, 2.55), (0.1, 0.51, 0.4), green),
        **corridor(white),
        "back": box((0.2, -2.6, 1.45), (3.6, 0.1, 1.5), white),
        "lawn": {
            "type": "rectangle",
            "to_world": place(at=(-150, 0, -0.6), size=(148, 200, 1)),
            "bsdf": matte((0.10, 0.17, 0.05)),
        },
        "skirting": box((0.2, 3.385, 0.06), (3.4, 0.02, 0.06), trim),
        **window_wall(white, trim),
    }


def corridor(white: Node) -> Node:
    """What is behind the door."""
    return {
        "corridor": box((5.6, -0.3, 1.45), (0.1, 2, 1.5), matte((0.45, 0.3, 0.22))),
        "corridor_floor": box((4.6, -0.3, -0.05), (1.0, 1.4, 0.05), matte((0.3, 0.2, 0.12))),
        "corridor_f": box((4.6, 1.0, 1.45), (1.0, 0.1, 1.5), white),
        "corridor_b": box((4.6, -1.6, 1.45), (1.0, 0.1, 1.5), white),
        "corridor_t": box((4.6, -0.3, 2.95), (1.0, 1.4, 0.05), white),
    }


def window_wall(white: Node, trim: Node) -> Node:
    """The wall around two openings, y in [-1.5, 0.3] and [0.9, 2.7], z in [0.75, 2.5], and the frames in them."""
    out: Node = {}
    for name, y, half in (("w0", -2.0, 0.5), ("w1", 0.6, 0.3), ("w2", 3.05, 0.35)):
        out[name] = box((-3.3, y, 1.45), (0.12, half, 1.5), white)
    for i, y in enumerate((-0.6, 1.8)):
        out[f"sill{i}"] = box((-3.3, y, 0.36), (0.12, 0.9, 0.37), white)
        out[f"board{i}"] = box((-3.2, y, 0.75), (0.2, 0.95, 0.025), trim)
        out[f"lintel{i}"] = box((-3.3, y, 2.72), (0.12, 0.9, 0.22), white)
        for j, (dy, hy, z, hz) in enumerate(
            (
                (-0.88, 0.03, 1.62, 0.88),
                (0, 0.03, 1.62, 0.88),
                (0.88, 0.03, 1.62, 0.88),
                (0, 0.9, 2.47, 0.03),
                (0, 0.9, 1.95, 0.02),
                (0, 0.9, 0.79, 0.03),
            )
        ):
            out[f"frame{i}{j}"] = box((-3.3, y + dy, z), (0.03, hy, hz), trim)
    return out


def garden(rng: np.random.Generator) -> Node:
    """Bushes and trees outside the windows."""
    out: Node = {}
    leaves = [
        {
            "type": "diffuse",
            "reflectance": texture(tinted(cv2.equalizeHist(PHOTOS.grass()), (14, 26, 8), high), (7, 4)),
        }
        for high in ((120, 150, 60), (84, 130, 56), (150, 150, 70))
    ]
    for i in range(260):
        far = rng.uniform(9, 26)
        y = rng.uniform(-1.1, 1.1) * far
        tall = rng.uniform(0.4, 1.0) * (1 if rng.random() < 0.7 else 2.6)
        at = (-3.5 - far, y, -0.6 + tall * rng.uniform(0.3, 1.2))
        out[f"bush{i}"] = ball(at, float(tall), leaves[i % 3])
    return out


def lamps(night: bool) -> Node:
    """A floor lamp beside the armchair; its light matters at night and in the dark corner."""
    power = 1.0 if night else 0.55
    return {
        "pole": {
            "type": "cylinder",
            "p0": [2.95, 2.75, 0],
            "p1": [2.95, 2.75, 1.5],
            "radius": 0.015,
            "bsdf": satin((0.6, 0.45, 0.15), 0.2),
        },
        "shade": {
            "type": "cylinder",
            "p0": [2.95, 2.75, 1.4],
            "p1": [2.95, 2.75, 1.75],
            "radius": 0.2,
            "bsdf": matte((0.8, 0.7, 0.5)),
            "emitter": {
                "type": "area",
                "radiance": {"type": "rgb", "value": [9 * power, 5.6 * power, 2.6 * power]},
            },
        },
        "bulb": {
            "type": "sphere",
            "center": [2.95, 2.75, 1.6],
            "radius": 0.05,
            "emitter": {
                "type": "area",
                "radiance": {"type": "rgb", "value": [300 * power, 190 * power, 95 * power]},
            },
        },
    }


def sky(path: Path, night: bool) -> Node:
    """The Poly Haven sky without its sun disc, which is a light of its own so that it can shine in."""
    light: Any = np.asarray(cv2.imread(str(path), cv2.IMREAD_UNCHANGED), np.float32)[..., ::-1]
    light = cv2.resize(light, (2048, 1024), interpolation=cv2.INTER_AREA)
    light = np.minimum(light, 30.0) * (np.array([0.006, 0.009, 0.018], np.float32) if night else 2.2)
    # mitsuba's maps are y-up: stand it up, and turn the sun's side away from the windows
    upright = mi.ScalarTransform4f().rotate([0, 0, 1], 60).rotate([1, 0, 0], 90)
    out: Node = {
        "sky": {
            "type": "envmap",
            "bitmap": mi.Bitmap(np.ascontiguousarray(light, np.float32)),
            "to_world": upright,
        }
    }
    if not night:
        out["sun"] = {
            "type": "directional",
            "direction": [0.75, 0.42, -0.52],
            "irradiance": {"type": "rgb", "value": [62, 52, 38]},
        }
    return out


def build(sky_path: Path, night: bool) -> Any:
    """The whole room as a mitsuba scene."""
    rng = np.random.default_rng(11)
    return mi.load_dict(
        {
            "type": "scene",
            **shell(),
            **garden(rng),
            **hangings(),
            **seats(),
            **table(),
            **shelves(rng),
            **plant(rng, (-2.7, 2.85), 1.25),
            **plant(rng, (1.85, 3.0), 0.8),
            **lamps(night),
            **sky(sky_path, night),
        }
    )


def rays(width: int, rows: Any, height: int, span_deg: float, rise_deg: float, seed: int) -> tuple[Any, Any]:
    """Jittered rays for image rows of a panorama span_deg wide and rise_deg high, and their sampler."""
    n = width * len(rows)
    sampler = mi.load_dict({"type": "independent"})
    sampler.seed(dr.opaque(mi.UInt32, seed), n)
    index = dr.arange(mi.UInt32, n)
    x = mi.Float(index % width) + sampler.next_1d()
    y = mi.Float(index // width) + dr.opaque(mi.Float, float(rows[0])) + sampler.next_1d()
    azimuth = (x / width - 0.5) * np.deg2rad(span_deg)
    elevation = (0.5 - y / height) * np.deg2rad(rise_deg) + np.deg2rad(TILT_DEG)
    flat = dr.cos(elevation)
    direction = mi.Vector3f(flat * dr.sin(azimuth), flat * dr.cos(azimuth), dr.sin(elevation))
    return mi.RayDifferential3f(mi.Point3f(*EYE), direction), sampler


def render(scene: Any, wh: tuple[int, int], span: tuple[float, float], n_samples: int, seconds: float) -> Any:
    """Linear light (H, W, 3) float32, denoised with first-hit albedo and normals."""
    width, height = wh
    path = mi.load_dict(
        {"type": "aov", "aovs": "albedo:albedo,normal:sh_normal", "img": {"type": "path", "max_depth": 9}}
    )
    start = time.monotonic()
    total = np.zeros((height, width, 9), np.float64)
    for k in range(n_samples):
        for top in range(0, height, BAND):
            rows = range(top, min(top + BAND, height))
            ray, sampler = rays(width, rows, height, *span, seed=top * 1000 + k)
            light, _, aovs = path.sample(scene, sampler, ray)
            planes = np.stack([np.array(c) for c in [*light, *aovs[-6:]]], -1)
            planes[:, :3] = np.clip(np.nan_to_num(planes[:, :3]), 0, 400)
            total[top : rows[-1] + 1] += planes.reshape(len(rows), width, 9)
        print(f"sample {k}: {time.monotonic() - start:.0f} s", flush=True)
        if time.monotonic() - start > seconds:
            n_samples = k + 1
            break
    mean = np.ascontiguousarray((total / n_samples).astype(np.float32))
    light, albedo, normal = (np.ascontiguousarray(mean[..., i : i + 3]) for i in (0, 3, 6))
    return mitsuba_oidn.denoise(light, albedo=np.clip(albedo, 0, 1), normal=normal, hdr=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sky", type=Path, help="autumn_field_puresky_4k.hdr (Poly Haven, CC0)")
    parser.add_argument("out", type=Path, help="a .npy of linear light (H, W, 3) float16")
    parser.add_argument("--size", type=int, nargs=2, default=(5120, 896), metavar=("W", "H"))
    parser.add_argument("--span", type=float, nargs=2, default=(270.0, 47.25), metavar=("WIDE_DEG", "HIGH_DEG"))
    parser.add_argument("--samples", type=int, default=24)
    parser.add_argument("--seconds", type=float, default=1e9, help="stop after this long with what there is")
    parser.add_argument("--night", action="store_true")
    args = parser.parse_args()
    picture = render(build(args.sky, args.night), tuple(args.size), tuple(args.span), args.samples, args.seconds)
    np.save(args.out, picture.astype(np.float16))
