"""What a camera's own tone curve costs a bracket, and what raw values give a night shot; of the demo room's true light.

    python tools/judging/cameras.py

`tones`: a hand-held bracket of 0, -2 and -4 EV by cameras of several curves, merged as if they were sRGB's and as
`merge` tells them: PU21-PSNR around the join of exposures at -2.5 EV, drawn as the camera would, how far shares of R, G
and B are off there (per cent), and light above white (stops, mean). `raw`: 8 captures behind colour filters, with a
lens's shading and a curve of more contrast; one finished frame, finished ones merged, raw ones merged: PU21-PSNR, and
Delta-E (CIE 1976) of means of 9 x 9 pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import cv2
import numpy as np
from merge import BRACKET_EV, N_FRAMES, Scene, room_scenes, shaken, taken
from metrics import U8, pu21_psnr
from scenes import F32
from sensor import sensed

from camera_nano.color import SDR_WHITE_NITS, XYZ_TO_RGB, Floats, luminance, srgb_eotf, srgb_oetf
from camera_nano.merge import Capture, RawCapture, expose, merge, merge_raw
from camera_nano.merge.curve import drawing
from camera_nano.values import Raw

Tones = Callable[[Floats], Floats]
GAINS, BLACK, WHITE = (1.9, 1.0, 1.6), 64.0, 1023.0
MATRIX = np.array([[1.75, -0.55, -0.2], [-0.35, 1.6, -0.25], [-0.05, -0.65, 1.7]], np.float32)
SHOWN_EV, LINEAR = -2.5, np.arange(256) / 255


def eilertsen(n: float, s: float) -> Tones:
    """Camera curves of Eilertsen et al. 2017."""
    return lambda light: (1 + s) * light**n / (light**n + s)


def contrast(bend: float, power: float = 1.0) -> Tones:
    """A power and an S-curve on sRGB's codes."""

    def tones(light: Floats) -> Floats:
        code = srgb_oetf(light) ** power
        return np.asarray(code + bend * (code * code * (3 - 2 * code) - code))

    return tones


CURVES = {
    "sRGB": srgb_oetf,
    "Eilertsen .9 .6": eilertsen(0.9, 0.6),
    "Eilertsen .8 .5": eilertsen(0.8, 0.5),
    "Eilertsen 1 .7": eilertsen(1.0, 0.7),
    "S": contrast(0.5),
    "soft S": contrast(0.3, 0.8),
    "gamma": contrast(0, 1.25),
}


def light_by_code(tones: Tones) -> F32:
    """A camera's true curve, (256,)."""
    light = np.linspace(0, 1, 1 << 17)
    return np.interp(LINEAR, tones(light), light).astype(np.float32)


def judged_tones(scene: Scene, tones: Tones) -> Iterator[tuple[str, float, float, float]]:
    """For sRGB's curve and the one that is told: PSNR and shares at the join, stops above white."""
    rng = np.random.default_rng(0)
    lights = [scene.light, *(shaken(scene, rng) for _ in BRACKET_EV[1:])]
    frames = [taken(light, rng, 200, ev) for light, ev in zip(lights, BRACKET_EV, strict=True)]
    redraw = np.rint(255 * tones(srgb_eotf(LINEAR))).astype(np.uint8)
    captures = [replace(capture, pixels=redraw[capture.pixels.astype(int)]) for capture in frames]
    peak, near = scene.light.max(2), np.ones((15, 15), np.uint8)
    clipped = (peak > 0.9).astype(np.uint8)
    join = np.logical_and(cv2.dilate(clipped, near), cv2.dilate(1 - clipped, near))
    shown = drawing(light_by_code(tones))(scene.light.copy()) * np.float32(2**SHOWN_EV)
    shown /= np.maximum(shown.max(2, keepdims=True), 1)
    srgb = srgb_eotf(LINEAR).astype(np.float32)
    for name, curve in (("as sRGB", srgb), ("as told", None)):
        merged = merge([replace(capture, curve=curve) for capture in captures], threads=2)
        light = srgb_eotf(expose(merged, SHOWN_EV).pixels / 65535)
        psnr = pu21_psnr(*(luminance(x)[join] * SDR_WHITE_NITS for x in (light, shown)))
        shares = [x / np.maximum(x.sum(2, keepdims=True), 1e-6) for x in (light, shown)]
        above = (peak > 1.2) & (peak < 8)
        stops = np.log2(merged.light.max(2)[above] / peak[above]).mean()
        yield name, psnr, float(100 * np.abs(shares[0] - shares[1]).max(2)[join].mean()), float(stops)


def shading(hw: tuple[int, ...]) -> F32:
    """What a lens leaves of the light."""
    y, x = (np.linspace(-1, 1, side) ** 2 for side in hw)
    far = ((y[:, None] + x) / 2)[..., None]
    return (1 / (1 + far * (0.9, 0.6, 0.7) + 0.3 * far**2)).astype(np.float32)


def sensor(light: F32, rng: np.random.Generator, iso: float) -> Raw:
    """10 bits behind filters of RGGB."""
    seen = np.maximum(light @ np.linalg.inv(MATRIX).T, 0) / GAINS * shading(light.shape[:2])
    mosaic = seen[..., 1].copy()
    mosaic[::2, ::2], mosaic[1::2, 1::2] = seen[::2, ::2, 0], seen[1::2, 1::2, 2]
    values = np.rint(np.clip(sensed(mosaic, rng, iso) * (WHITE - BLACK) + BLACK, 0, WHITE)).astype(np.uint16)
    return Raw(values, "RGGB", (BLACK,) * 4, WHITE, GAINS, MATRIX)


def finished(raw: Raw, tones: Tones) -> U8:
    """The camera's own picture, without noise reduction or sharpening."""
    capture = RawCapture(raw).developed()
    assert capture.curve is not None
    light = np.clip(capture.curve[capture.pixels.astype(int)] / shading(raw.mosaic.shape), 0, 1)
    return np.rint(255 * tones(np.clip(light @ MATRIX.T, 0, 1))).astype(np.uint8)


def lab(light: Floats) -> Floats:
    """CIE 1976 L*a*b* of linear light, white D65."""
    xyz = light @ np.linalg.inv(XYZ_TO_RGB).T / np.array([0.9505, 1, 1.089])
    f = np.where(xyz > 0.008856, np.cbrt(np.maximum(xyz, 1e-9)), 7.787 * xyz + 16 / 116)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], 2)


def judged_raw(scene: Scene, iso: float, is_held: bool) -> Iterator[tuple[str, float, float]]:
    """PSNR and Delta-E of one frame, of finished frames merged, and of raw ones."""
    rng, tones = np.random.default_rng(1), contrast(0.35)
    steady = replace(scene, light=np.minimum(scene.light, 8))
    lights = [steady.light, *(shaken(steady, rng) if is_held else steady.light for _ in range(N_FRAMES - 1))]
    raws = [sensor(light, rng, iso) for light in lights]
    frames = [finished(raw, tones) for raw in raws]
    of_raw = merge_raw([RawCapture(raw, 0, iso) for raw in raws], frames[0], threads=2)
    of_frames = merge([Capture(frame, 0, iso) for frame in frames], threads=2)
    wanted = srgb_eotf(tones(np.clip(scene.light, 0, 1)))
    pictures = {"one": frames[0] / 255, "finished": expose(of_frames, 0).pixels / 65535}
    for name, codes in (pictures | {"raw": expose(of_raw, 0).pixels / 65535}).items():
        light = srgb_eotf(codes)
        wide = [lab(np.asarray(cv2.blur(x, (9, 9)), np.float64)) for x in (light, wanted)]
        delta_e = float(np.sqrt(np.square(wide[0] - wide[1]).sum(2)).mean())
        yield name, pu21_psnr(luminance(light) * SDR_WHITE_NITS, luminance(wanted) * SDR_WHITE_NITS), delta_e


def main() -> None:
    """Print both tables."""
    scenes = [scene for scene in room_scenes() if scene.name != "room 260"]
    for curve, tones in CURVES.items():
        for name, psnr, shares, stops in judged_tones(scenes[0], tones):
            print(
                f"tones {curve:<16} {name}: {psnr:.1f} dB, shares {shares:.1f}, above white {stops:+.2f} EV", flush=True
            )
    for iso, is_held in ((1600, False), (1600, True), (6400, True)):
        for scene in scenes:
            for name, psnr, delta_e in judged_raw(scene, iso, is_held):
                how = "hand" if is_held else "tripod"
                print(f"raw ISO {iso} {how} {scene.name} {name:<8}: {psnr:.1f} dB, dE {delta_e:.1f}", flush=True)


if __name__ == "__main__":
    main()
