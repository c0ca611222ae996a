"""Does the light hold still? A model's fields over the frames of a noisy camera: at rest, in a pan, after a step.

At rest only the sensor's shot and read noise changes from frame to frame, so if the field moves, the model moved it.
Figures are in EV of the field's gains: as the model gives them, and after the smoothing of the live loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from metrics import U8
from numpy.typing import NDArray
from sensor import sensed

from camera_nano.color import srgb_codes, srgb_eotf
from camera_nano.light.condition import condition
from camera_nano.light.field import guide, slice_field
from camera_nano.light.temporal import newest_share, smooth
from camera_nano.seams import Editor
from camera_nano.values import F32, Condition, EditField, Frame, Look

N_FRAMES = 60
FRAME_WH = (640, 360)
ISO = 800
STEP_EV = -1.0  # of the light, a third of the way through
FRAME_BAR_EV, CELL_BAR_EV = 0.02, 0.05
SETTLED_EV = 0.1
_PAN_FPS = 90  # of the demo camera: about a quarter of a degree a frame

Fields = list[list[EditField]]  # by frame, then by look


@dataclass(frozen=True, slots=True, eq=False)
class Moving:
    """Light (H, W, 3) at the sensor, 1 = SDR white: a still scene, and the frames of a slow pan over it."""

    still: F32
    pan: list[F32]


def shot(light: F32, rng: np.random.Generator) -> U8:
    """Light (H, W, 3) -> sRGB uint8 with fresh noise."""
    return srgb_codes(sensed(light, rng, ISO))


def room() -> Moving:
    """The scene of the demo camera; its pan comes with the auto-exposure of that camera."""
    from camera_nano.sources.demo import DemoCamera

    camera = DemoCamera(size_wh=FRAME_WH, fps=_PAN_FPS, pace=False, noise=False)
    return Moving(camera.radiance(0), [camera.radiance(n) for n in range(N_FRAMES)])


def panorama(path: Path) -> Moving:
    """One view of an equirectangular panorama at its key, and a pan of one column a frame."""
    from scenes import normalise_key, read_panorama, view

    pano = read_panorama(path)
    still, *pan = (
        view(np.roll(pano, -n, axis=1), np.random.default_rng(0), FRAME_WH[::-1], 60.0) for n in (0, *range(N_FRAMES))
    )
    key = float(normalise_key(still).sum() / still.sum())
    return Moving(still * np.float32(key), [light * np.float32(key) for light in pan])


def fields_over_time(editor: Editor, looks: Sequence[Look], lights: Sequence[F32], **settings: Any) -> Track:
    """Each light captured with its own noise, the same in every call, and a field proposed for it with one seed.

    As in the live loop, the model is told that a camera's frames are captured: nobody has finished them.
    """
    rng = np.random.default_rng(0)
    seen = [condition(Frame(shot(light, rng))) for light in lights]
    return Track(seen, [editor.propose(one, looks, assume="captured", **settings) for one in seen])


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """What the model saw and what it proposed, frame by frame."""

    seen: list[Condition]
    fields: Fields

    def smoothed(self) -> Track:
        """The same after the live loop's smoothing."""
        out = self.fields[:1]
        for before, now, fields in zip(self.seen, self.seen[1:], self.fields[1:], strict=False):
            out.append(smooth(out[-1], fields, newest_share(before, now)))
        return Track(self.seen, out)

    def mean_gain_ev(self, look: int) -> NDArray[np.float64]:
        """Gain averaged over each frame's pixels and channels, (n_frames,)."""
        light = (srgb_eotf(one.thumbnail) for one in self.seen)
        return np.array(
            [slice_field(f[look], guide(x))[..., :3].mean() for x, f in zip(light, self.fields, strict=True)]
        )


def reached(seen: Condition, grid_hwd: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Cells (gh, gw, gd) that the slice of this picture reads; the others have no effect."""
    g = guide(srgb_eotf(seen.thumbnail))
    positions = [
        np.clip((np.arange(n) + 0.5) * cells / n - 0.5, 0, cells - 1)
        for n, cells in zip(g.shape, grid_hwd, strict=False)
    ]
    y, x, z = positions[0][:, None], positions[1][None], np.clip(g * grid_hwd[2] - 0.5, 0, grid_hwd[2] - 1)
    found = np.zeros(grid_hwd, bool)
    corner: Sequence[Callable[..., NDArray[np.float64]]] = (np.floor, np.ceil)
    for a, b, c in product(corner, repeat=3):
        found[a(y).astype(int), b(x).astype(int), c(z).astype(int)] = True
    return found


def at_rest(track: Track, look: int) -> dict[str, Any]:
    """Standard deviation over time: of the frame's mean gain, and of each cell that the picture reads."""
    grids = np.stack([fields[look].gain_ev for fields in track.fields])
    cells = grids.std(0)[reached(track.seen[0], grids.shape[1:4])]
    frame_ev, p99_ev = float(track.mean_gain_ev(look).std()), float(np.percentile(cells, 99))
    return {
        "frame_std_ev": round(frame_ev, 5),
        "cell_std_p99_ev": round(p99_ev, 5),
        "cell_std_max_ev": round(float(cells.max()), 5),
        "steady": frame_ev <= FRAME_BAR_EV and p99_ev <= CELL_BAR_EV,
    }


def after_step(track: Track, look: int) -> dict[str, Any]:
    """Frames until the mean gain stays within `SETTLED_EV` of where it ends, and how far it shot beyond that."""
    gains = track.mean_gain_ev(look)
    start, end = gains[: N_FRAMES // 3].mean(), gains[-10:].mean()
    after = gains[N_FRAMES // 3 :]
    away = np.flatnonzero(np.abs(after - end) > SETTLED_EV)
    beyond = (after - end) * np.sign(end - start)
    return {
        "settled_frames": int(away[-1]) + 1 if len(away) else 0,
        "overshoot_ev": round(max(0.0, float(beyond.max())), 4),
        "change_ev": round(float(end - start), 3),
    }


def stability(editor: Editor, looks: Sequence[Look], moving: Moving, **settings: int) -> list[dict[str, Any]]:
    """One report for each look: at rest, in a slow pan and after a step of light, raw and smoothed."""
    before = N_FRAMES // 3
    stepped = [moving.still] * before + [moving.still * np.float32(2.0**STEP_EV)] * (N_FRAMES - before)
    scenes = {"rest": [moving.still] * N_FRAMES, "pan": moving.pan, "step": stepped}
    tracks = {name: fields_over_time(editor, looks, lights, **settings) for name, lights in scenes.items()}
    both = {"raw": tracks, "smoothed": {name: track.smoothed() for name, track in tracks.items()}}
    reports = []
    for i, look in enumerate(looks):
        report: dict[str, Any] = {"look": look.name, "n_frames": N_FRAMES}
        report["bars"] = {"frame_std_ev": FRAME_BAR_EV, "cell_std_p99_ev": CELL_BAR_EV}
        for name, found in both.items():
            pan = float(np.abs(np.diff(found["pan"].mean_gain_ev(i))).mean())
            report[name] = at_rest(found["rest"], i) | {"pan_ev_per_frame": round(pan, 5)}
            report[name]["step"] = after_step(found["step"], i)
        reports.append(report)
    return reports
