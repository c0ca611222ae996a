"""Brackets as a hand-held camera would take them, for tests: files with EXIF, of light that is known."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image

from camera_nano.color import srgb_codes, srgb_eotf
from camera_nano.values import F32, Pixels

AROUND = (0.0, -2.0, 2.0)


def scene(photo: Pixels) -> F32:
    """A photo (H, W, 3) uint8 as light, 1 = SDR white, with a lamp in it that is stops above white."""
    light = srgb_eotf(photo / 255).astype(np.float32)
    y, x = np.mgrid[: light.shape[0], : light.shape[1]]
    lamp = 2 ** (1 + np.sin(x / 9) * np.sin(y / 9) / 2) * np.exp(-((x - 330) ** 2 + (y - 90) ** 2) / 60**2)
    return np.asarray(light + lamp[..., None], np.float32)


def capture(light: F32, ev: float = 0.0, *, shift_px: float = 0.0, noise: float = 0.004, seed: int = 0) -> Pixels:
    """Light as a camera of 8 bits gives it, moved by a hand."""
    rng = np.random.default_rng(seed)
    move = np.array([[1, 0, shift_px], [0, 1, shift_px / 2]], np.float32)
    seen = cv2.warpAffine(light, move, light.shape[1::-1], borderMode=cv2.BORDER_REFLECT) * 2.0**ev
    seen = seen + rng.normal(0, noise, seen.shape) * np.sqrt(np.clip(seen, 0.01, 1))
    return srgb_codes(seen)


def exif(at_s: float, ev: float, *, mode: int = 2, time_s: float | None = None, **texts: Any) -> Image.Exif:
    """As a camera writes it that was set to bracket (`mode` 2); `texts` are its tags by number, as in t272="Model"."""
    tags = Image.Exif()
    tags[271], tags[272], tags[274] = "Maker", "Model 1", 1
    photo = tags.get_ifd(0x8769)
    photo[0x9003] = f"2026:06:01 12:{int(at_s) // 60:02}:{int(at_s) % 60:02}"
    photo[0x9291] = f"{at_s % 1:.2f}"[2:]
    photo[0x829A], photo[0x829D], photo[0x8827] = time_s or 2.0**ev / 60, 8.0, 100
    photo[0x9204], photo[0xA402] = ev, mode
    for name, value in texts.items():
        tags[int(name[1:])] = value
    return tags


def shoot(
    folder: Path, light: F32, evs: Sequence[float] = AROUND, *, first: int = 1, at_s: float = 0, **tags: Any
) -> list[Path]:
    """JPEGs of a scene, IMG_0001.jpg and so on, 0.4 s apart."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"IMG_{first + k:04}.jpg" for k in range(len(evs))]
    for k, (path, ev) in enumerate(zip(paths, evs, strict=True)):
        pixels = capture(light, ev, shift_px=1.5 * k, seed=first + k)
        Image.fromarray(pixels).save(path, quality=95, subsampling=0, exif=exif(at_s + 0.4 * k, ev, **tags))
    return paths
