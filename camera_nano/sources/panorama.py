"""A scene in every direction: true light, as a panorama, and what a lens sees of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from camera_nano.color import srgb_eotf
from camera_nano.opencv import cv2
from camera_nano.values import F32

U8 = npt.NDArray[np.uint8]

FOV_DEG = 68.0  # horizontal
_PHASES = 4  # maps per panorama pixel, so that a slow pan does not step


@dataclass(frozen=True, slots=True, eq=False)
class Panorama:
    """Scene light, (H, W, 3) float32: the square root of linear light, in equirectangular projection.

    In the square root exposure is a factor, and shot noise has the same size everywhere (Anscombe 1948); so exposure
    and noise of a whole sensor are one multiply-add. Float, because OpenCV remaps it faster than uint16.
    """

    root: F32
    px_per_deg: float
    horizon_px: float  # row of elevation 0


def load_panorama(folder: Path, name: str) -> Panorama:
    """NAME.json, NAME.webp (8-bit sRGB base) and NAME_gain.png (log2 gain, 8-bit) -> scene light.

    light = srgb_eotf(base) * 2^(lo + gain * (hi - lo)), the gain enlarged bicubically; `tools/pictures/make_scenes.py`
    writes them.
    """
    about = json.loads((folder / f"{name}.json").read_text())
    base = _picture(folder / f"{name}.webp", cv2.IMREAD_COLOR_RGB)
    gain = _picture(folder / f"{name}_gain.png", cv2.IMREAD_GRAYSCALE)
    lo, hi = about["gain_ev"]
    wide = decode_gain(gain, (base.shape[1], base.shape[0]), lo, hi)
    # in strips, small enough for the processor's cache: the first view comes half a second sooner
    table = np.sqrt(srgb_eotf(np.arange(256) / 255)).astype(np.float32)
    root = np.empty(base.shape, np.float32)
    for top in range(0, len(base), 16):
        rows = slice(top, top + 16)
        np.multiply(cv2.LUT(base[rows], table), np.exp2(wide[rows] * 0.5)[..., None], out=root[rows])
    px_per_deg = base.shape[1] / about["span_deg"][0]
    horizon_px = (0.5 + about["tilt_deg"] / about["span_deg"][1]) * base.shape[0]
    return Panorama(root, px_per_deg, horizon_px)


def _picture(path: Path, mode: int) -> U8:
    return np.asarray(cv2.imdecode(np.fromfile(path, np.uint8), mode))


def decode_gain(gain: U8, size_wh: tuple[int, int], lo_ev: float, hi_ev: float) -> F32:
    """Gain map (h, w) uint8 -> log2 gain (H, W) float32."""
    ev = gain.astype(np.float32) * np.float32((hi_ev - lo_ev) / 255) + np.float32(lo_ev)
    return np.asarray(cv2.resize(ev, size_wh, interpolation=cv2.INTER_CUBIC), np.float32)


class Lens:
    """Rectilinear views of a panorama; the camera turns about the vertical only, so one map serves every view."""

    def __init__(self, panorama: Panorama, size_wh: tuple[int, int], tilt_deg: float = -6.0) -> None:
        self._panorama = panorama
        width, height = size_wh
        focal = width / 2 / np.tan(np.deg2rad(FOV_DEG / 2))
        x, y = np.meshgrid(np.arange(width) + 0.5 - width / 2, np.arange(height) + 0.5 - height / 2)
        tilt = np.deg2rad(tilt_deg)
        forward, up = focal * np.cos(tilt) + y * np.sin(tilt), focal * np.sin(tilt) - y * np.cos(tilt)
        azimuth = np.rad2deg(np.arctan2(x, forward))
        elevation = np.rad2deg(np.arctan2(up, np.hypot(x, forward)))
        columns = azimuth * panorama.px_per_deg - 0.5
        rows = (panorama.horizon_px - elevation * panorama.px_per_deg - 0.5).astype(np.float32)
        # a margin of two pixels for the widest phase and the interpolation's far neighbour
        self._left, self._right = int(np.floor(columns.min())) - 1, int(np.ceil(columns.max())) + 3
        self._maps = [((columns - self._left + phase / _PHASES).astype(np.float32), rows) for phase in range(_PHASES)]
        half = panorama.root.shape[1] / 2
        self.reach_deg = float((half - max(-self._left, self._right)) / panorama.px_per_deg)

    def view(self, yaw_deg: float) -> F32:
        """What lies in the direction `yaw_deg` (positive is right): square root of light, (H, W, 3) float32."""
        root = self._panorama.root
        quarter = round((root.shape[1] / 2 + yaw_deg * self._panorama.px_per_deg) * _PHASES)
        centre, phase = divmod(quarter, _PHASES)
        strip = root[:, centre + self._left : centre + self._right]
        x, y = self._maps[phase]
        picture = cv2.remap(strip, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(picture, np.float32)


def sixteenth(panorama: Panorama) -> Panorama:
    """The panorama for metering: 16 times smaller, averaged as light."""
    full_height, full_width = panorama.root.shape[:2]
    height, width = max(8, full_height // 16), max(8, full_width // 16)
    # averaged 4 to 1 as square roots first: neighbours hardly differ, and squaring every pixel takes a quarter second
    light = np.square(cv2.resize(panorama.root, (4 * width, 4 * height), interpolation=cv2.INTER_AREA))
    root = np.sqrt(cv2.resize(light, (width, height), interpolation=cv2.INTER_AREA)).astype(np.float32)
    scale = width / full_width
    return Panorama(root, panorama.px_per_deg * scale, panorama.horizon_px * scale)
