"""A panorama of linear light -> a scene of the demo camera: 8-bit base, gain map, description.

The base is the light divided by a blurred local maximum, so that 8 bits are enough everywhere and nothing bands;
the base is made against the gain map as it will be decoded, so that the gain's own 8 bits cancel out.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from camera_nano.color import srgb_codes
from camera_nano.sources.panorama import decode_gain

SHRINK = 16  # panorama pixels per gain pixel


def encode(light: npt.NDArray[np.float32], folder: Path, name: str, span: tuple[float, float], tilt: float) -> None:
    """Linear light (H, W, 3), equirectangular, span (wide, high) degrees -> three files of `folder`."""
    height, width = light.shape[:2]
    light = np.clip(light, 2.0**-12, 2.0**9)
    brightest = light.max(2)
    local = cv2.dilate(brightest, np.ones((SHRINK * 2 + 1,) * 2))
    small = cv2.resize(np.log2(local), (width // SHRINK, height // SHRINK), interpolation=cv2.INTER_AREA)
    small = cv2.GaussianBlur(cv2.dilate(small, np.ones((3, 3))), (0, 0), 1.0) + 0.1
    lo, hi = float(np.floor(small.min())), float(np.ceil(small.max()))
    gain = np.rint((small - lo) / (hi - lo) * 255).clip(0, 255).astype(np.uint8)
    base = light / np.exp2(decode_gain(gain, (width, height), lo, hi))[..., None]
    print(f"{name}: {100 * float((base > 1).mean()):.3f} % of the base clips")
    codes = srgb_codes(base)
    Image.fromarray(codes).save(folder / f"{name}.webp", quality=93, method=5)
    Image.fromarray(gain).save(folder / f"{name}_gain.png", optimize=True)
    about = {"gain_ev": [lo, hi], "span_deg": list(span), "tilt_deg": tilt}
    (folder / f"{name}.json").write_text(json.dumps(about, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("input", type=Path, help="a .npy of linear light (H, W, 3), of render_room.py")
    parser.add_argument("name")
    parser.add_argument("--out", type=Path, default=Path(__file__).parents[2] / "assets" / "scenes")
    parser.add_argument("--span", type=float, nargs=2, default=(270.0, 47.25), metavar=("WIDE_DEG", "HIGH_DEG"))
    parser.add_argument("--tilt", type=float, default=-4.0, help="elevation of the middle row, degrees")
    args = parser.parse_args()
    encode(np.load(args.input).astype(np.float32), args.out, args.name, tuple(args.span), args.tilt)
