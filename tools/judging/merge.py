"""What merging gains, beside one frame and OpenCV's own ways; scenes of true light, and the captures simulated.

    python tools/judging/merge.py [--scenes DIR] [--json FILE] [--sheet FILE.jpg]

Scenes are views of the demo camera's room and the EXRs of a folder. Each is taken by a sensor with shot and read noise,
clipping and 8-bit sRGB codes. `night`: 8 captures from a tripod. `hand`: 8 from a shaking hand, with turns, and in the
room with parallax by the distance of its walls. `moving`: a thing crosses the scene, and the ghosts that it leaves are
measured where it was, but is not in the reference. `bracket`: 0, -2 and -4 EV from a shaking hand. Figures are in dB.

OpenCV's MergeMertens makes no light but a picture to look at, so `picture_*` judges all by one: the 8-bit picture that
people see of the bracket, beside that of the true light. Light is drawn with its highlights rolled off, `rolled_off`. A
fusion has its own brightness and contrast, so those of the whole picture are first set as the truth has them; then the
luminance of a screen with white at 203 cd/m2 is compared over the whole frame (PU21-PSNR).
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from metrics import U8, pu21_psnr
from PIL import Image, ImageDraw
from scenes import F32, normalise_key, read_panorama
from sensor import sensed

from camera_nano.color import SDR_WHITE_NITS, luminance, srgb_codes, srgb_eotf
from camera_nano.merge import Capture, Merged, merge
from camera_nano.sources.demo import DemoCamera
from camera_nano.sources.panorama import FOV_DEG

N_FRAMES, BRACKET_EV = 8, (0.0, -2.0, -4.0)
ISO, BRACKET_ISO = 1600, 200
SCENE_WH = (960, 640)
ROOM_YAWS = (40, 260, 500)  # numbers of frames of the demo camera: window, sofa, dark side
SHAKE_PX, SHAKE_DEG, SHAKE_MM = 8.0, 0.4, 6.0  # deviation from frame to frame
CLIPPED = 0.9  # light from which a single frame's sensor may be full
BARS = {"night_gain": 7.0, "hand_gain": 5.0, "moving_ghost": -0.2, "bracket_gain": 6.0}
# what the demo's room is inside: x, y, z in metres from and to, and where its camera stands (`render_room.py`)
_WALLS, _EYE = ((-3.3, 3.6), (-2.5, 3.4), (0.0, 2.9)), (0.0, 0.0, 1.45)

Row = dict[str, float | str]


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """True light (H, W, 3), 1 = SDR white of the reference; `near` (H, W) is 1 / metres, 0 where nobody knows."""

    name: str
    light: F32
    near: F32


def room_scenes() -> Iterator[Scene]:
    """Views of the demo camera at its own exposure, with the distance of the walls."""
    camera = DemoCamera(size_wh=SCENE_WH, pace=False, noise=False)
    width, height = SCENE_WH
    focal = width / 2 / np.tan(np.deg2rad(FOV_DEG / 2))
    x, y = np.meshgrid(np.arange(width) - width / 2, np.arange(height) - height / 2)
    for n in ROOM_YAWS:
        yaw, tilt = np.deg2rad(camera.yaw_deg(n)), np.deg2rad(-6.0)
        ahead, up = focal * np.cos(tilt) + y * np.sin(tilt), focal * np.sin(tilt) - y * np.cos(tilt)
        rays = np.stack([x * np.cos(yaw) + ahead * np.sin(yaw), ahead * np.cos(yaw) - x * np.sin(yaw), up], 2)
        with np.errstate(divide="ignore"):
            ends = [np.where(rays[..., i] > 0, _WALLS[i][1] - _EYE[i], _WALLS[i][0] - _EYE[i]) for i in range(3)]
            share = np.min([end / rays[..., i] for i, end in enumerate(ends)], axis=0)
        yield Scene(f"room {n}", camera.radiance(n), (1 / (share * focal)).astype(np.float32))


def file_scenes(folder: Path) -> Iterator[Scene]:
    """EXRs of scene light, at the exposure that puts their mean log luminance at 0.18."""
    for path in sorted(folder.glob("*.exr")):
        light = read_panorama(path)
        scale = SCENE_WH[0] / max(light.shape[:2])
        if scale < 1:
            light = cv2.resize(light, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
        yield Scene(path.stem, normalise_key(light), np.zeros(light.shape[:2], np.float32))


def taken(light: F32, rng: np.random.Generator, iso: float, ev: float = 0.0) -> Capture:
    """A frame with the sensor's noise; clipped, 8-bit sRGB."""
    return Capture(srgb_codes(sensed(light * np.float32(2.0**ev), rng, iso)), ev, iso)


def shaken(scene: Scene, rng: np.random.Generator) -> F32:
    """The scene as a hand that moved sees it: shifted, turned, and near things shifted more."""
    height, width = scene.light.shape[:2]
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), rng.normal(0, SHAKE_DEG), 1)
    turn = turn + np.array([[0, 0, 1]]) * rng.normal(0, SHAKE_PX, (2, 1))
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    focal = width / 2 / np.tan(np.deg2rad(FOV_DEG / 2))
    nearer = scene.near * np.float32(focal * rng.normal(0, SHAKE_MM) / 1000)
    from_x = (turn[0, 0] * x + turn[0, 1] * y + turn[0, 2] + nearer).astype(np.float32)
    from_y = (turn[1, 0] * x + turn[1, 1] * y + turn[1, 2]).astype(np.float32)
    root = cv2.remap(np.sqrt(scene.light), from_x, from_y, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT)
    return np.asarray(np.square(np.maximum(root, 0)), np.float32)


def with_thing(light: F32, step: int) -> tuple[F32, F32]:
    """A striped disc on its way through the scene, and where it is, (H, W) 0..1."""
    height, width = light.shape[:2]
    x, y = np.meshgrid(np.arange(width), np.arange(height))
    radius = height / 8
    centre = width * (0.25 + 0.06 * step), height * 0.5
    inside = np.clip(radius - np.hypot(x - centre[0], y - centre[1]) + 0.5, 0, 1).astype(np.float32)[..., None]
    stripes = 0.15 + 0.35 * ((x - centre[0]) // 9 % 2)
    thing = stripes[..., None] * np.array([1.0, 0.35, 0.2])
    return np.asarray(light * (1 - inside) + thing * inside, np.float32), np.asarray(inside[..., 0], np.float32)


def gain_db(made: F32, one: F32, truth: F32, where: np.ndarray | None = None) -> float:
    """By how much the squared error of linear light fell from one frame to the merged picture."""
    known = truth.max(2) < 0.7 if where is None else where
    errors = [float(np.square(x - truth)[known].mean()) for x in (made, one)]
    return float(10 * np.log10(errors[1] / errors[0]))


def linear(capture: Capture) -> F32:
    """Light on the reference's scale."""
    return np.asarray(srgb_eotf(capture.pixels / 255) * 2.0**-capture.ev, np.float32)


def judged_burst(scene: Scene, frames: Sequence[F32], rng: np.random.Generator) -> tuple[float, float, Merged]:
    """dB gained over the first of the captures, by merging and by their mean; the merged picture."""
    captures = [taken(light, rng, ISO) for light in frames]
    made, one = merge(captures, 0, threads=2), linear(captures[0])
    mean = np.mean([linear(capture) for capture in captures], axis=0)
    return gain_db(made.light, one, frames[0]), gain_db(mean, one, frames[0]), made


def ghost_db(made: F32, one: F32, truth: F32, where: np.ndarray) -> float:
    """Error of means of 9 x 9 pixels, in which noise is small and ghosts are not: dB below that of one frame."""
    where = where & (cv2.dilate(truth.max(2), np.ones((9, 9))) < 0.7)
    made, one, truth = (np.asarray(cv2.blur(x, (9, 9)), np.float32) for x in (made, one, truth))
    return gain_db(made, one, truth, where)


def hdr_db(light: F32, truth: F32, where: np.ndarray) -> float:
    """PU21-PSNR of luminance in dB, white at 203 cd/m2."""
    made, wanted = (luminance(np.minimum(x, 16))[where] * SDR_WHITE_NITS for x in (light, truth))
    return pu21_psnr(made, wanted)


def debevec(captures: Sequence[Capture]) -> F32:
    """OpenCV's AlignMTB and MergeDebevec (with the true sRGB response), on the reference's scale."""
    pictures = aligned(captures)
    times = np.array([2.0 ** captures[i].ev for i in _order(len(captures))], np.float32)
    response = np.repeat(srgb_eotf(np.arange(256) / 255).astype(np.float32)[:, None, None], 3, 2)
    response = np.maximum(response, response[1] / 2)
    return np.asarray(cv2.createMergeDebevec().process(pictures, times, response), np.float32)


def _order(n: int) -> list[int]:
    """For AlignMTB: the one in the middle stays, and the others are moved."""
    return [1, 0, *range(2, n)]


def aligned(captures: Sequence[Capture]) -> list[U8]:
    """The captures after OpenCV's AlignMTB, the reference unmoved."""
    pictures = [np.asarray(captures[i].pixels, np.uint8) for i in _order(len(captures))]
    cv2.createAlignMTB().process(pictures, pictures)
    return pictures


def mertens(captures: Sequence[Capture]) -> U8:
    """OpenCV's AlignMTB and MergeMertens: a picture to look at, fused of the captures' own codes."""
    fused = cv2.createMergeMertens().process(aligned(captures))
    return np.rint(255 * np.clip(fused, 0, 1)).astype(np.uint8)


def rolled_off(light: F32) -> U8:
    """Light as a picture of 8 bits that shows 4 stops above white: Reinhard et al. 2002, equation 4, by luminance."""
    own = np.maximum(luminance(light), 1e-6)
    shown_light = own * (1 + own / 16**2) / (1 + own)
    return srgb_codes(light * (shown_light / own)[..., None])


def picture_db(made: U8, wanted: U8) -> float:
    """PU21-PSNR of two pictures on a screen, in dB, once the first has the brightness and contrast of the second."""
    ours, theirs = (luminance(srgb_eotf(picture / 255)) for picture in (made, wanted))
    ev, wanted_ev = (np.log2(np.maximum(x, 1e-3)) for x in (ours, theirs))
    set_ev = (ev - ev.mean()) * (wanted_ev.std() / ev.std()) + wanted_ev.mean()
    return pu21_psnr(np.minimum(2**set_ev, 1) * SDR_WHITE_NITS, theirs * SDR_WHITE_NITS)


def judged(scene: Scene, seed: int = 0) -> tuple[Row, list[tuple[str, U8]]]:
    """All trials of a scene: figures, and pictures for the sheet."""
    rng = np.random.default_rng(seed)
    night = judged_burst(scene, [scene.light] * N_FRAMES, rng)
    hand_frames = [scene.light, *(shaken(scene, rng) for _ in range(N_FRAMES - 1))]
    hand = judged_burst(scene, hand_frames, rng)
    row: Row = {
        "scene": scene.name,
        "night_gain": night[0],
        "night_mean": night[1],
        "hand_gain": hand[0],
        "hand_mean": hand[1],
    }
    moving, moving_pictures = judged_moving(scene, rng)
    bracket, bracket_pictures = judged_bracket(scene, hand_frames, rng)
    return row | moving | bracket, [*moving_pictures, ("merged, hand", srgb_codes(hand[2].light)), *bracket_pictures]


def judged_moving(scene: Scene, rng: np.random.Generator) -> tuple[Row, list[tuple[str, U8]]]:
    """A burst that a thing crosses: what is left of it, merged and as the mean."""
    things = [with_thing(scene.light, step) for step in (3, 0, 1, 2, 4, 5, 6, 7)]
    captures = [taken(light, rng, ISO) for light, _ in things]
    merged, one = merge(captures, 0, threads=2).light, linear(captures[0])
    mean = np.mean([linear(capture) for capture in captures], axis=0)
    swept = np.max([inside for _, inside in things[1:]], axis=0) > 0
    row: Row = {
        "moving_ghost": ghost_db(merged, one, things[0][0], swept),
        "moving_ghost_mean": ghost_db(mean, one, things[0][0], swept),
    }
    return row, [
        ("one frame", srgb_codes(one)),
        ("mean of 8", srgb_codes(mean)),
        ("merged, moving", srgb_codes(merged)),
    ]


def judged_bracket(scene: Scene, frames: Sequence[F32], rng: np.random.Generator) -> tuple[Row, list[tuple[str, U8]]]:
    """A hand-held bracket: how near the light comes to the true one where a single capture clips."""
    captures = [taken(light, rng, BRACKET_ISO, ev) for light, ev in zip(frames, BRACKET_EV, strict=False)]
    merged, one, cv = merge(captures, 0, threads=2), linear(captures[0]), debevec(captures)
    clipped = scene.light.max(2) >= CLIPPED
    row: Row = {"range_ev": merged.range_ev, "merged_share": merged.merged_share}
    if clipped.mean() > 0.01:
        of_one, of_merged, of_cv = (hdr_db(x, scene.light, clipped) for x in (one, merged.light, cv))
        row |= {"bracket_one": of_one, "bracket_gain": of_merged - of_one, "debevec_gain": of_cv - of_one}
    wanted, fused = rolled_off(scene.light), mertens(captures)
    drawn = {name: rolled_off(light) for name, light in (("one", one), ("merged", merged.light), ("debevec", cv))}
    row |= {f"picture_{name}": picture_db(picture, wanted) for name, picture in (drawn | {"mertens": fused}).items()}
    return row, [
        ("one frame, -2 EV", srgb_codes(one / 4)),
        ("bracket, -2 EV", srgb_codes(merged.light / 4)),
        ("MTB + Debevec", srgb_codes(cv / 4)),
        ("MTB + Mertens", fused),
        ("truth, -2 EV", srgb_codes(scene.light / 4)),
    ]


def sheet(rows: Sequence[tuple[str, list[tuple[str, U8]]]], width_px: int = 480) -> Image.Image:
    """Pictures of each scene, a scene a row."""
    height_px = width_px * 2 // 3
    picture = Image.new("RGB", (width_px * max(len(cells) for _, cells in rows), height_px * len(rows)))
    draw = ImageDraw.Draw(picture)
    for i, (name, cells) in enumerate(rows):
        for j, (what, pixels) in enumerate(cells):
            picture.paste(Image.fromarray(pixels).resize((width_px, height_px)), (width_px * j, height_px * i))
            draw.text(
                (width_px * j + 4, height_px * i + 4), f"{name}: {what}", "white", stroke_width=2, stroke_fill="black"
            )
    return picture


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scenes", type=Path, metavar="DIR", help="EXRs of scene light, beside the demo's room")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--sheet", type=Path, metavar="FILE.jpg")
    args = parser.parse_args()
    rows, pictures = [], []
    for scene in (*room_scenes(), *(file_scenes(args.scenes) if args.scenes else ())):
        row, cells = judged(scene)
        print("  ".join(f"{k} {v:.2f}" if isinstance(v, float) else f"{v:<18}" for k, v in row.items()), flush=True)
        rows.append(row)
        pictures.append((scene.name, cells))
    means = {k: float(np.mean([row[k] for row in rows if k in row])) for k in rows[0] | rows[-1] if k != "scene"}
    for name, bar in BARS.items():
        if name in means:
            print(f"{name}: {means[name]:.2f} dB of {bar:g}: {'ok' if means[name] >= bar else 'FAILS'}")
    if args.json:
        args.json.write_text(json.dumps({"scenes": rows, "means": means, "bars": BARS}, indent=1) + "\n")
    if args.sheet:
        sheet(pictures).save(args.sheet, quality=85)


if __name__ == "__main__":
    main()
