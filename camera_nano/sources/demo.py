"""A virtual HDR camera: it pans through a panorama of true scene light with an auto-exposure that lags.

Until a control is set, a frame depends on nothing but its number. So what camera_nano makes of it can be compared with
the true light of the scene.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from camera_nano.color import LUMINANCE_709, srgb_oetf
from camera_nano.opencv import cv2
from camera_nano.paths import scenes_dir
from camera_nano.seams import Control
from camera_nano.sources.panorama import Lens, load_panorama, sixteenth
from camera_nano.values import F32, Exposure, Frame

KEY = 0.18  # where auto-exposure puts the mean log luminance; 1 = SDR white
AE_SECONDS = 0.7  # time constant of its lag
BIAS_LIMIT_EV = 3.0
PAN_SECONDS = 24.0  # there and back
MOST_ISO = 3200
BRACKET_EVERY = 6  # frames
_KEY_MS = 8.0  # time of a gain of 1 at ISO 100; so a room's shade gets a thirtieth of a second at about ISO 400
_KEPT_GAINS = 1 << 14  # of frames that may be asked for again
_MOST_EV = float(np.log2(MOST_ISO / 100 * 1000 / 30 / _KEY_MS))  # the largest gain: a thirtieth of a second


@dataclass(frozen=True, slots=True)
class HandHeld:
    """A part of a panorama, as a hand holds the camera on it: it sways, and trembles by a pixel or two."""

    panorama: str
    yaw_deg: float
    dim_ev: float = 0.0  # stops that there is less light
    sway_deg: float = 2.0
    tremor_deg: float = 0.07

    def yaw_at(self, turn: float, n: int) -> float:
        """Direction of view of frame n in degrees; `turn` is the angle of the sway, in radians."""
        return self.yaw_deg + self.sway_deg * float(np.sin(turn)) + self.tremor_deg * float(np.sin(n * 0.9))


HAND_HELD = {"backlit": HandHeld("room", -36.0), "night": HandHeld("room", 72.0, dim_ev=-5.0)}


@cache
def scene_names() -> tuple[str, ...]:
    """The scenes that are installed, the default first; `HAND_HELD` are parts of them."""
    installed = sorted((p.stem for p in scenes_dir().glob("*.json")), key=lambda name: (name != "room", name))
    return *installed, *(name for name, held in HAND_HELD.items() if held.panorama in installed)


class DemoCamera:
    """A camera that looks around a scene with far more range than its sensor holds, or is held on a part of one.

    Sensor: shot noise (Gaussian, of the same size everywhere in the square-root domain; Anscombe 1948) that includes
    the read noise at 5 % of white, both by ISO; clipping; 8-bit sRGB. Auto-exposure: a first-order lag of `AE_SECONDS`
    in the log domain, metered on what the sensor sees.

    Args:
        scene: one of `scene_names()`.
        size_wh: width and height of a frame in pixels.
        fps: frames per second.
        seed: of the noise and of where the pan starts.
        pace: False gives every frame in order, as fast as they are asked for.
        noise: False gives an ideal sensor.
    """

    is_camera = False  # its frames were not taken now

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
        self._held = HAND_HELD.get(scene)
        self._panorama = load_panorama(scenes_dir(), self._held.panorama if self._held else scene)
        if self._held:
            np.multiply(self._panorama.root, np.float32(2 ** (self._held.dim_ev / 2)), out=self._panorama.root)
        self._lens = Lens(self._panorama, size_wh)
        self._meter = Lens(sixteenth(self._panorama), _METER_WH)
        self._size_wh, self._pace, self._noise = size_wh, pace, noise
        self._seed = seed
        self._grain = _grain(seed, size_wh) if noise else None
        self._to_srgb = np.rint(srgb_oetf((np.arange(256) / 255) ** 2) * 255).astype(np.uint8)
        self._bias_ev, self._is_locked, self._weights = 0.0, False, _CENTRE
        self._offsets_ev: tuple[float, ...] = ()  # of the frames that are taken darker or brighter
        # log2 of `gain` for the frames so far; each follows from the one before
        self._gains_ev, self._n_gains = deque([min(self._ideal_ev(0), _MOST_EV)], _KEPT_GAINS), 1
        self._lock = threading.Lock()
        self._closed = threading.Event()

    def yaw_deg(self, n: int) -> float:
        """Direction of view of frame n in degrees; positive is right."""
        turn = 2 * np.pi * (n / (self.fps * PAN_SECONDS) + (self._seed * 0.381966) % 1)
        if self._held:
            return self._held.yaw_at(turn, n)
        return float(np.sin(turn) * min(self._lens.reach_deg, self._meter.reach_deg))

    def gain(self, n: int) -> float:
        """Exposure of frame n: the factor from scene light to 1 = SDR white. LookupError nine minutes later."""
        with self._lock:
            while self._n_gains <= n:
                self._gains_ev.append(self._next_ev(self._n_gains - 1))
                self._n_gains += 1
            if self._n_gains - n > len(self._gains_ev):
                raise LookupError(f"frame {n} of {self.name} has passed")
            return float(2 ** self._gains_ev[n - self._n_gains])

    def radiance(self, n: int) -> F32:
        """True light of frame n, (H, W, 3) float32 linear; 1 = SDR white at its exposure, and the frame clips there."""
        root = self._lens.view(self.yaw_deg(n))
        return np.asarray(root * root * np.float32(self.gain(n)), np.float32)

    def frame(self, n: int, t_ns: int = 0, bracket_ev: float = 0.0) -> Frame:
        """Frame n, `bracket_ev` stops brighter. The same scene, size, rate, seed, n and stops give the same bytes."""
        exposure = self._exposure(n, bracket_ev)
        root = self._lens.view(self.yaw_deg(n))
        to_byte = 255 * (self.gain(n) * 2**bracket_ev) ** 0.5
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
        """Frames at `fps`; numbers are skipped when the caller is late. Without `pace`, every frame, without a wait."""
        start_ns, n = time.monotonic_ns(), 0
        n_given = n_bracketed = 0
        while not self._closed.is_set():
            due_ns = start_ns + int(n * 1e9 / self.fps)
            if self._pace:
                late = int((time.monotonic_ns() - due_ns) * self.fps / 1e9)
                if late > 0:
                    n += late
                    due_ns = start_ns + int(n * 1e9 / self.fps)
                if self._closed.wait(max(0, due_ns - time.monotonic_ns()) / 1e9):
                    return
            offsets_ev, offset_ev = self._offsets_ev, 0.0
            n_given += 1
            if offsets_ev and n_given % BRACKET_EVERY == 0:
                offset_ev = offsets_ev[n_bracketed % len(offsets_ev)]
                n_bracketed += 1
            yield self.frame(n, due_ns, offset_ev)
            n += 1

    def close(self) -> None:
        """End the pan; safe to call twice, and from another thread."""
        self._closed.set()

    def bracket(self, offsets_ev: Sequence[float]) -> bool:
        """Take every sixth frame darker or brighter by these stops, in turn; as in `seams.Bracketing`."""
        self._offsets_ev = tuple(offsets_ev)
        return True

    def controls(self) -> list[Control]:
        """Exposure compensation and exposure lock, with their values now."""
        with self._lock:
            return [
                Control("ev", "range", self._bias_ev, -BIAS_LIMIT_EV, BIAS_LIMIT_EV, 1 / 3),
                Control("exposure_lock", "switch", float(self._is_locked)),
            ]

    def adjust(self, name: str, value: float) -> None:
        """Set a control for the frames to come. Raises ValueError for an unknown one, or a value out of range."""
        with self._lock:
            if name == "ev" and abs(value) <= BIAS_LIMIT_EV:
                self._bias_ev = value
            elif name == "exposure_lock" and value in (0, 1):
                self._is_locked = bool(value)
            else:
                raise ValueError(
                    f"{self.name} takes ev from -{BIAS_LIMIT_EV} to {BIAS_LIMIT_EV} and exposure_lock 0 or 1"
                )

    def meter(self, x: float, y: float) -> None:
        """Expose for what is at this point of the frames to come, 0..1; the middle is how it starts."""
        is_middle = abs(x - 0.5) < 0.05 and abs(y - 0.5) < 0.05
        with self._lock:
            self._weights = _CENTRE if is_middle else _weights_at(x, y, _SPOT)

    def _metered(self, n: int) -> F32:
        """What the meter sees at frame n: luminance of scene light, (36, 64) float32."""
        root = self._meter.view(self.yaw_deg(n))
        light = (root * root) @ np.array(LUMINANCE_709, np.float32)
        return np.asarray(np.maximum(light, 1e-6), np.float32)

    def _ideal_ev(self, n: int) -> float:
        """The exposure in EV that would put the centre-weighted mean log luminance of frame n at `KEY`."""
        return float(np.log2(KEY) - (np.log2(self._metered(n)) * _CENTRE).sum())

    def _next_ev(self, n: int) -> float:
        """Auto-exposure of frame n + 1, in EV, from what the sensor saw in frame n, the last."""
        ev = self._gains_ev[-1]
        if self._is_locked:
            return ev
        seen = np.clip(np.log2(self._metered(n)) + ev, -8, 0)  # the sensor clips and its blacks are noise
        error = np.log2(KEY) + self._bias_ev - float((seen * self._weights).sum())
        return float(np.clip(ev + error * (1 - np.exp(-1 / (AE_SECONDS * self.fps))), -10, _MOST_EV))

    def _exposure(self, n: int, bracket_ev: float = 0.0) -> Exposure:
        """A longer exposure first, then a higher ISO; `ev` is relative to the exposure that would meet `KEY`."""
        gain = self.gain(n) * 2**bracket_ev
        wanted_ms = gain * _KEY_MS
        time_ms = min(wanted_ms, 1000 / self.fps)
        iso = float(np.clip(100 * wanted_ms / time_ms, 100, 4 * MOST_ISO))
        ev = float(np.log2(gain) - self._ideal_ev(n))
        return Exposure(time_ms=time_ms, iso=iso, ev=ev, bracket_ev=bracket_ev)


def _weights_at(x: float, y: float, sigma: float) -> F32:
    """How much each point of the meter counts: a Gaussian about a point, 0..1. (h, w) float32, their sum is 1."""
    across, down = (np.linspace(-1, 1, side, dtype=np.float32) for side in _METER_WH)
    weights = np.exp(-((down[:, None] - (2 * y - 1)) ** 2 + (across - (2 * x - 1)) ** 2) / (2 * sigma**2))
    return np.asarray(weights / weights.sum(), np.float32)


_METER_WH = (64, 36)
_CENTRE, _SPOT = _weights_at(0.5, 0.5, 0.4), 0.15


def _noise(iso: float) -> float:
    """Standard deviation in the square-root domain, white = 1: sqrt(electrons) has variance 1/4.

    A small sensor: 6000 electrons at white at ISO 100; 2.5 electrons of read noise, taken at 5 % of white.
    """
    white = 6000 * 100 / iso
    return float(np.sqrt((1 + 2.5**2 / (0.05 * white)) / (4 * white)))


@cache
def _grain(seed: int, size_wh: tuple[int, int]) -> F32:
    """Normal noise of unit variance, (H + 263, W + 257, 3) float32: each frame cuts another piece out of it."""
    width, height = size_wh
    rng = np.random.default_rng(seed)
    return rng.standard_normal((height + 263, width + 257, 3), np.float32)
