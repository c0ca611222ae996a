"""Panoramas of scene light and well-exposed photos -> scenes that `tools/training/train.py` exposes and develops.

A crop is a whole picture for the model: 64 x 64 pixels whatever its aspect. `camera_nano.nn.simulate` captures it anew
at every training step (exposure, white balance, noise, clipping, tone curve, 8 bit). The slow parts are done here,
once: projection, the edge-aware base layer, and exposure fusion of a true bracket.
"""

from __future__ import annotations

import argparse
import json
import time
import zlib
from pathlib import Path

import cv2
import numpy as np
import OpenEXR
from numpy.typing import NDArray
from PIL import Image

from camera_nano.color import luminance, srgb_codes, srgb_eotf

F32 = NDArray[np.float32]
SIZE_PX = 64
EPS = 2.0**-14
# Panoramas hold no absolute light: how much darker or brighter than a usual day these scenes should look, in EV.
MOOD_EV = {
    "dikhololo_night": -1.9,
    "satara_night": -2.0,
    "vignaioli_night": -2.0,
    "st_peters_square_night": -1.6,
    "moonless_golf": -2.0,
    "narrow_moonlit_road": -1.8,
    "shanghai_bund": -1.3,
    "GoldenGate": -1.4,
    "CandleGlass": -1.5,
    "StillLife": -0.8,
    "fireplace": -0.7,
    "neon_photostudio": -0.8,
    "urban_alley_01": -0.5,
    "circus_arena": -0.5,
    "venice": -0.4,
    "venice_sunset": -0.3,
    "industrial_sunset_puresky": -0.4,
    "evening_road_01_puresky": -0.3,
    "astc_bellparkpier": -0.3,
    "kiara_1_dawn": -0.3,
    "blouberg_sunrise_2": -0.3,
    "snowy_field": 0.4,
    "snowy_forest_path_01": 0.4,
}


def read_panorama(path: Path) -> F32:
    """EXR of scene light, a panorama (equirectangular) or a photo -> (H, W, 3) linear float32."""
    with OpenEXR.File(str(path)) as exr:
        light = np.asarray(exr.channels()["RGB"].pixels, np.float32)
    return np.nan_to_num(np.maximum(light, np.float32(0)), nan=0.0, posinf=65504.0)  # a few suns overflow half float


def split_photos(folder: Path, n_held_out: int = 200) -> tuple[list[Path], list[Path]]:
    """Photos to train on and photos for judging only; the split depends on nothing but their names."""
    ranked = sorted(folder.glob("*/*.jpg"), key=lambda path: zlib.crc32(path.name.encode()))
    return ranked[n_held_out:], ranked[:n_held_out]


def view(pano: F32, rng: np.random.Generator, out_hw: tuple[int, int], fov_deg: float | None = None) -> F32:
    """A rectilinear photo taken inside a panorama: random heading, pitch (sigma 15), roll (sigma 4), 40-95 degrees."""
    h, w = out_hw
    fov = np.radians(rng.uniform(40, 95) if fov_deg is None else fov_deg)
    yaw, pitch, roll = rng.uniform(0, 2 * np.pi), np.radians(rng.normal(0, 15)), np.radians(rng.normal(0, 4))
    half = np.tan(fov / 2)
    x, y = np.meshgrid(np.linspace(-half, half, w), np.linspace(-half * 0.75, half * 0.75, h))
    x, y = x * np.cos(roll) - y * np.sin(roll), x * np.sin(roll) + y * np.cos(roll)
    norm = np.sqrt(x * x + y * y + 1)
    up, ahead = -y * np.cos(pitch) + np.sin(pitch), np.cos(pitch) + y * np.sin(pitch)
    u = (np.arctan2(x, ahead) + yaw) / (2 * np.pi) % 1 * pano.shape[1]
    v = (0.5 - np.arcsin(np.clip(up / norm, -1, 1)) / np.pi) * pano.shape[0]
    # the seam is one column wide: repeating the first column at the right end closes it
    wrapped = cv2.copyMakeBorder(pano, 0, 0, 0, 1, cv2.BORDER_WRAP)
    seen = cv2.remap(
        wrapped, u.astype(np.float32), v.astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return np.asarray(seen, np.float32)


def normalise_key(light: F32) -> F32:
    """Scene light scaled so that its geometric mean luminance is 0.18 (Reinhard et al. 2002, Eq. 1)."""
    mean_log = np.log(luminance(light) + 1e-6).mean()
    return np.asarray(np.clip(light * (0.18 / np.exp(mean_log)), 0, 60000), np.float32)


def fuse_bracket(light: F32) -> NDArray[np.uint8]:
    """Exposure fusion (Mertens, Kautz, Van Reeth 2007) of seven captures 1 EV apart, sRGB uint8."""
    bracket = [srgb_codes(light * 2.0**ev) for ev in range(-3, 4)]
    fused = cv2.createMergeMertens().process(bracket)
    return np.rint(255 * np.clip(fused, 0, 1)).astype(np.uint8)


def prepare(light: F32, mood_ev: float = 0.0, *, is_photo: bool = False) -> dict[str, NDArray[np.generic]]:
    """Scene light (h, w, 3) -> the arrays of `camera_nano.nn.simulate.Scenes`, one row, channels first."""
    log_y = np.log2(luminance(light) + EPS).astype(np.float32)
    base = cv2.bilateralFilter(log_y, d=-1, sigmaColor=1.0, sigmaSpace=log_y.shape[1] / 10.7)
    return {
        "light": np.moveaxis(light, 2, 0).astype(np.float16),
        "base_ev": base[None].astype(np.float16),
        "fused": np.moveaxis(fuse_bracket(light), 2, 0),
        "percentiles_ev": np.percentile(base, (5, 50, 97)).astype(np.float32),
        "is_photo": np.array(is_photo),
        "mood_ev": np.array(mood_ev, np.float32),
    }


def panorama_scene(pano: F32, rng: np.random.Generator) -> F32:
    """One training crop: averaged from 3 x 3 times the model's size; its range is changed at random, by -15 to 25 %."""
    small = cv2.resize(view(pano, rng, (192, 192)), (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA)
    light = normalise_key(np.asarray(small, np.float32))
    y = np.maximum(luminance(light), EPS)[..., None]
    return normalise_key((light * (y / 0.18) ** rng.uniform(-0.15, 0.25)).astype(np.float32))


def photo_scene(photo: NDArray[np.uint8], rng: np.random.Generator) -> F32:
    """One training crop of a finished photo, display light 0..1: most of the frame, now and then all of it."""
    h, w = photo.shape[:2]
    scale = rng.uniform(0.55, 1.0)
    ch, cw = max(SIZE_PX, int(h * scale)), max(SIZE_PX, int(w * scale))
    top, left = rng.integers(0, h - ch + 1), rng.integers(0, w - cw + 1)
    crop = photo[top : top + ch, left : left + cw]
    return srgb_eotf(cv2.resize(crop, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA) / 255).astype(np.float32)


def framed_scene(picture: F32, rng: np.random.Generator) -> F32:
    """One training crop of a photograph of scene light: a photographer's framing, or most of it."""
    h, w = picture.shape[:2]
    ch, cw = (int(side * rng.uniform(0.5, 1.0)) for side in (h, w))
    top, left = rng.integers(0, h - ch + 1), rng.integers(0, w - cw + 1)
    crop = picture[top : top + ch, left : left + cw]
    return normalise_key(np.asarray(cv2.resize(crop, (SIZE_PX, SIZE_PX), interpolation=cv2.INTER_AREA), np.float32))


def make(data: Path, out: Path, split: str, views: int, crops: int, seed: int = 0) -> None:
    """Write the scenes of one split, as an .npz: `views` crops of each scene of light, `crops` of each photo.

    Portraits (the folder `interfaces`) get twice as many crops: there are few of them, and most pictures show people.
    """
    rng = np.random.default_rng(seed)
    names = json.loads((data / "split.json").read_text())
    lights = [("hdri", name) for name in names[f"hdri_{split}"]]
    lights += [("hdr_photos", name) for name in names.get(f"hdr_photos_{split}", [])]
    rows: list[dict[str, NDArray[np.generic]]] = []
    started = time.monotonic()
    for folder, name in lights:
        stem, scene = name.removesuffix(".exr"), panorama_scene if folder == "hdri" else framed_scene
        light = read_panorama(data / folder / f"{stem}.exr")
        rows += [prepare(scene(light, rng), MOOD_EV.get(stem, 0.0)) for _ in range(views)]
        print(f"{len(rows):6d} scenes  {time.monotonic() - started:5.0f} s  {name}", flush=True)
    for path in split_photos(data / "photos")[split == "dev"]:
        photo = np.asarray(Image.open(path).convert("RGB"))
        n = 2 * crops if path.parent.name == "interfaces" and split == "train" else crops
        rows += [prepare(photo_scene(photo, rng), is_photo=True) for _ in range(n)]
    arrays = {key: np.stack([row[key] for row in rows]) for key in rows[0]}
    out.parent.mkdir(parents=True, exist_ok=True)
    np.savez(out, allow_pickle=False, **arrays)
    print(f"{len(rows)} scenes in {out}, {out.stat().st_size / 2**20:.0f} MiB")


def main() -> None:
    """Write scenes.npz."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with hdri/, hdr_photos/, photos/, split.json")
    parser.add_argument("--out", type=Path, required=True, help="scenes.npz to write")
    parser.add_argument("--split", choices=["train", "dev"], default="train", help="which pictures; dev is for judging")
    parser.add_argument("--views", type=int, default=160, help="crops per panorama")
    parser.add_argument("--crops", type=int, default=8, help="crops per photo")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    make(args.data, args.out, args.split, args.views, args.crops, args.seed)


if __name__ == "__main__":
    main()
