"""A virtual HDR camera: it pans through a panorama of true scene light with an auto-exposure that lags.

Until somebody sets a control, every frame is a pure function of its number, so that what the product shows can be
compared with what was there.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from camera_nano.color import LUMINANCE_709, srgb_eotf, srgb_oetf
from camera_nano.paths import scenes_dir
from camera_nano.values import F32, Control, Exposure, Frame

U8 = npt.NDArray[np.uint8]

KEY = 0.18  # where auto-exposure puts the mean log luminance; 1 = SDR white
AE_SECONDS = 0.7  # time constant of its lag
FOV_DEG = 68.0  # horizontal
BIAS_LIMIT_EV = 3.0
PAN_SECONDS = 24.0  # there and back
_PHASES = 4  # maps per panorama pixel, so that a slow pan does not step


@dataclass(frozen=True, slots=True, eq=False)
class Panorama:
    """Scene light, (H, W, 3) float32: the square root of linear light, in equirectangular projection.

    In the square root, exposure is a factor and shot noise has one size (Anscombe 1948), so that a whole
    sensor is one multiply-add. Float, because OpenCV remaps it faster than uint16.
    """

    root: F32
    px_per_deg: float
    horizon_px: float  # row of elevation 0


@cache
def scene_names() -> tuple[str, ...]:
    """The scenes that are installed, the default first."""
    return tuple(sorted((p.stem for p in scenes_dir().glob("*.json")), key=lambda name: (name != "room", name)))


def load_panorama(folder: Path, name: str) -> Panorama:
    """NAME.json, NAME.webp (8-bit sRGB base) and NAME_gain.png (log2 gain, 8-bit) -> scene light.

    light = srgb_eotf(base) * 2^(lo + gain * (hi - lo)), the gain enlarged bicubically; `tools/make_scenes.py`
    writes them.
    """
    about = json.loads((folder / f"{name}.json").read_text())
    with Image.open(folder / f"{name}.webp") as image:
        base = np.array(image.convert("RGB"))
    with Image.open(folder / f"{name}_gain.png") as image:
        gain = np.array(image.convert("L"))
    lo, hi = about["gain_ev"]
    wide = decode_gain(gain, (base.shape[1], base.shape[0]), lo, hi)
    # in strips that stay in the cache: half a second less to the first view
    table = np.sqrt(srgb_eotf(np.arange(256) / 255)).astype(np.float32)
    root = np.empty(base.shape, np.float32)
    for top in range(0, len(base), 16):
        rows = slice(top, top + 16)
        np.multiply(cv2.LUT(base[rows], table), np.exp2(wide[rows] * 0.5)[..., None], out=root[rows])
    px_per_deg = base.shape[1] / about["span_deg"][0]
    horizon_px = (0.5 + about["tilt_deg"] / about["span_deg"][1]) * base.shape[0]
    return Panorama(root, px_per_deg, horizon_px)


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


class DemoCamera:
    """A camera that looks around a scene with far more range than its sensor holds.

    Sensor: shot noise (Gaussian of one size in the square-root domain; Anscombe 1948) with read noise folded in at
    5 % of white, both by ISO; clipping; 8-bit sRGB. Auto-exposure: first order in the log domain, metered on what
    the sensor sees, `AE_SECONDS` behind.

    Args:
        scene: one of `scene_names()`.
        size_wh: width and height of a frame in pixels.
        fps: frames per second.
        seed: of the noise and of where the pan starts.
        pace: False gives every frame at once, in order.
        noise: False for an ideal sensor.
    """

    is_camera = False  # what it shows was not taken now

    def __init__(
        self,
        scene: str = "room",
        size_wh: tuple[int, int] = (1280, 720),
        fps: float = 30,
        seed: int = 0,
        *,
        pace: bool = True,
        noise: bool = True,
    ) -> None:
        if scene not in scene_names():
            raise ValueError(f"unknown demo scene {scene!r}; choose one of {', '.join(scene_names())}")
        self.name = f"demo:{scene}"
        self.fps = fps
        self._panorama = load_panorama(scenes_dir(), scene)
        self._lens = Lens(self._panorama, size_wh)
        self._meter = Lens(_small(self._panorama), _METER_WH)
        self._size_wh, self._pace, self._noise = size_wh, pace, noise
        self._seed = seed
        self._grain = _grain(seed, size_wh) if noise else None
        self._to_srgb = np.rint(srgb_oetf((np.arange(256) / 255) ** 2) * 255).astype(np.uint8)
        self._bias_ev, self._is_locked = 0.0, False
        self._gains_ev = [self._ideal_ev(0)]  # exposure of each frame so far, log2 of light -> SDR white
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def yaw_deg(self, n: int) -> float:
        """Where frame n looks."""
        turn = 2 * np.pi * (n / (self.fps * PAN_SECONDS) + (self._seed * 0.381966) % 1)
        return float(np.sin(turn) * min(self._lens.reach_deg, self._meter.reach_deg))

    def gain(self, n: int) -> float:
        """Exposure of frame n: the factor from scene light to 1 = SDR white."""
        with self._lock:
            while len(self._gains_ev) <= n:
                self._gains_ev.append(self._next_ev(len(self._gains_ev) - 1))
            return float(2 ** self._gains_ev[n])

    def radiance(self, n: int) -> F32:
        """True light of frame n, (H, W, 3) float32 linear; 1 = SDR white at the frame's exposure, more is lost."""
        root = self._lens.view(self.yaw_deg(n))
        return np.asarray(root * root * np.float32(self.gain(n)), np.float32)

    def frame(self, n: int, t_ns: int = 0) -> Frame:
        """Frame n; the same scene, size, rate, seed and n give the same bytes."""
        exposure = self._exposure(n)
        root = self._lens.view(self.yaw_deg(n))
        to_byte = 255 * self.gain(n) ** 0.5
        if self._grain is None:
            sensed = cv2.addWeighted(root, to_byte, root, 0, 0, dtype=cv2.CV_8U)
        else:
            width, height = self._size_wh
            dx, dy = (n * 131) % 257, (n * 197) % 263
            grain = self._grain[dy : dy + height, dx : dx + width]
            sigma = 255 * _noise(exposure.iso or 100)
            sensed = cv2.addWeighted(root, to_byte, grain, sigma, 0, dtype=cv2.CV_8U)
        return Frame(np.asarray(cv2.LUT(sensed, self._to_srgb), np.uint8), n, t_ns, exposure)

    def frames(self) -> Iterator[Frame]:
        """Frames at `fps`, numbers skipped when the caller is late; without `pace` all of them at once."""
        start_ns, n = time.monotonic_ns(), 0
        while not self._closed.is_set():
            due_ns = start_ns + int(n * 1e9 / self.fps)
            if self._pace:
                late = int((time.monotonic_ns() - due_ns) * self.fps / 1e9)
                if late > 0:
                    n += late
                    due_ns = start_ns + int(n * 1e9 / self.fps)
                if self._closed.wait(max(0, due_ns - time.monotonic_ns()) / 1e9):
                    return
            yield self.frame(n, due_ns)
            n += 1

    def close(self) -> None:
        """End the pan; safe to call twice, and from another thread."""
        self._closed.set()

    def controls(self) -> list[Control]:
        """Exposure compensation and lock, as they are."""
        with self._lock:
            return [
                Control("ev", "range", self._bias_ev, -BIAS_LIMIT_EV, BIAS_LIMIT_EV, 1 / 3),
                Control("exposure_lock", "switch", float(self._is_locked)),
            ]

    def adjust(self, name: str, value: float) -> None:
        """Set a control for the frames to come. Raises ValueError for another one, or out of range."""
        with self._lock:
            if name == "ev" and abs(value) <= BIAS_LIMIT_EV:
                self._bias_ev = value
            elif name == "exposure_lock" and value in (0, 1):
                self._is_locked = bool(value)
            else:
                raise ValueError(
                    f"{self.name} takes ev from -{BIAS_LIMIT_EV} to {BIAS_LIMIT_EV} and exposure_lock 0 or 1"
                )

    def _metered(self, n: int) -> F32:
        """Luminance of a thumbnail of frame n's view, scene light."""
        root = self._meter.view(self.yaw_deg(n))
        light = (root * root) @ np.array(LUMINANCE_709, np.float32)
        return np.asarray(np.maximum(light, 1e-6), np.float32)

    def _ideal_ev(self, n: int) -> float:
        """The exposure that would put the centre-weighted mean log luminance of frame n's view at the key."""
        return float(np.log2(KEY) - (np.log2(self._metered(n)) * _CENTRE).sum())

    def _next_ev(self, n: int) -> float:
        """Auto-exposure of frame n + 1 from what the sensor saw in frame n."""
        ev = self._gains_ev[n]
        if self._is_locked:
            return ev
        seen = np.clip(np.log2(self._metered(n)) + ev, -8, 0)  # the sensor clips and its blacks are noise
        error = np.log2(KEY) + self._bias_ev - float((seen * _CENTRE).sum())
        return float(np.clip(ev + error * (1 - np.exp(-1 / (AE_SECONDS * self.fps))), -10, 12))

    def _exposure(self, n: int) -> Exposure:
        """Longest exposure first, then ISO; `ev` is against the exposure that would meet the key."""
        gain = self.gain(n)
        wanted_ms = gain * 8.0  # at ISO 100: a room's shade takes a thirtieth of a second at about ISO 400
        time_ms = min(wanted_ms, 1000 / self.fps)
        iso = float(np.clip(100 * wanted_ms / time_ms, 100, 3200))
        return Exposure(time_ms=time_ms, iso=iso, ev=float(np.log2(gain) - self._ideal_ev(n)))


def _centre_weights(size_wh: tuple[int, int]) -> F32:
    """Centre-weighted metering, (h, w) float32 that sum to 1."""
    x, y = (np.linspace(-1, 1, side, dtype=np.float32) for side in size_wh)
    weights = np.exp(-(y[:, None] ** 2 + x**2) / (2 * 0.4**2))
    return np.asarray(weights / weights.sum(), np.float32)


_METER_WH = (64, 36)
_CENTRE = _centre_weights(_METER_WH)


def _small(panorama: Panorama) -> Panorama:
    """The panorama for metering: 16 times smaller, averaged as light."""
    full_height, full_width = panorama.root.shape[:2]
    height, width = max(8, full_height // 16), max(8, full_width // 16)
    # four by four as they are: they hardly differ, and the square of it all is a quarter of a second
    light = np.square(cv2.resize(panorama.root, (4 * width, 4 * height), interpolation=cv2.INTER_AREA))
    root = np.sqrt(cv2.resize(light, (width, height), interpolation=cv2.INTER_AREA)).astype(np.float32)
    scale = width / full_width
    return Panorama(root, panorama.px_per_deg * scale, panorama.horizon_px * scale)


def _noise(iso: float) -> float:
    """Standard deviation in the square-root domain, white = 1: sqrt(electrons) has variance 1/4.

    A small sensor: 6000 electrons at white at ISO 100; 2.5 electrons of read noise, taken at 5 % of white.
    """
    white = 6000 * 100 / iso
    return float(np.sqrt((1 + 2.5**2 / (0.05 * white)) / (4 * white)))


@cache
def _grain(seed: int, size_wh: tuple[int, int]) -> F32:
    """Normal noise of unit variance, larger than a frame so that it can be shifted."""
    width, height = size_wh
    rng = np.random.default_rng(seed)
    return rng.standard_normal((height + 263, width + 257, 3), np.float32)
