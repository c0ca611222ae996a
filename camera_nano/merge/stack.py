"""Captures -> one linear picture: aligned to the reference, and averaged where they agree with it.

`align` says where the pixels of one lie in another, `average` how much each counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from camera_nano.color import srgb_eotf
from camera_nano.merge.align import Flow, align
from camera_nano.merge.average import COMPARED, Layer, average
from camera_nano.merge.capture import LEAST_MERGED_SHARE, Capture, Merged
from camera_nano.merge.curve import N_CODES, Pair, fit_curve
from camera_nano.merge.noise import BAND_PX, Noise, measure_noise
from camera_nano.opencv import cv2
from camera_nano.values import F32

_ALIGNED_PX = 720  # longer sides are halved before tiles are matched
_NOISE_PX = 1 << 16  # of a capture that are looked at for its noise
_SAMPLES, _FEWEST = 2500, 100  # pixels at which exposures are compared
_GOOD = (0.02, 0.6)  # light that is well exposed
_LEAST_BRACKET_EV, _FLAT = 0.5, 0.1  # less tells nothing of a curve; codes of a patch are within that share
_GAIN_LIMIT_EV = 1.0  # between what was said of an exposure and what is measured


def merge(captures: Sequence[Capture], reference: int = 0, *, threads: int = 1) -> Merged:
    """Merge captures of one scene into one linear picture, seen from where the reference was taken.

    Where a capture does not agree with the reference, since something moved or it could not be aligned, it does not
    count; where none agrees, the light is the reference's own. One capture is its own merge.

    Args:
        captures: of equal sizes; of any exposures.
        reference: index of the capture that says where things are.
        threads: of the kernel.

    Raises:
        ValueError: no captures, no such reference, or sizes differ.
    """
    if not 0 <= reference < len(captures):
        raise ValueError(f"there is no capture {reference} to be the reference, of {len(captures)}")
    sizes = {f"{capture.pixels.shape[1]}x{capture.pixels.shape[0]}" for capture in captures}
    if len(sizes) > 1:
        raise ValueError(f"captures of one scene have one size, not {', '.join(sorted(sizes))}")
    own = captures[reference]
    others = [replace(c, ev=c.ev - own.ev) for c in (*captures[:reference], *captures[reference + 1 :])]
    own = replace(own, ev=0.0)
    greys = {ev: grey(own, *compared(own, ev)) for ev in {other.ev for other in others}}
    with ThreadPoolExecutor(threads) as pool:
        flows = [*pool.map(partial(_placed, own, greys), others)]
        own, *others = by_one_curve([own, *others], flows)
        measured = pool.submit(lambda: measure_noise(_bands(own)))
        gains = [*pool.map(partial(_gain, own), others, flows)]
        noise = measured.result()
    layers = [_layer(own, noise, *each) for each in zip(others, flows, gains, strict=True)]
    made = average([_reference(own, noise), *layers], threads)
    used = made.shares >= LEAST_MERGED_SHARE
    shifts = [float(np.median(np.hypot(*np.moveaxis(layer.flow.shift_px, 2, 0)))) for layer in layers]
    return Merged(
        light=made.light,
        n_captures=len(captures),
        n_used=1 + int(used.sum()),
        merged_share=made.merged_share,
        range_ev=float(np.log2(max(float(made.light.max()), 1.0))),
        moved_px=max((shift for shift, is_used in zip(shifts, used, strict=True) if is_used), default=0.0),
        noise=(noise.a, noise.b),
        curve=own.curve,
    )


@cache
def _linear(limit: int) -> F32:
    """Light of every code, up to `limit`."""
    return srgb_eotf(np.arange(limit + 1) / limit).astype(np.float32)


def _table(capture: Capture) -> F32 | None:
    """Linear light by code; None where the pixels are linear."""
    if capture.pixels.dtype == np.float32 or capture.curve is not None:
        return capture.curve
    return _linear(capture.limit)


def light_of(capture: Capture, pixels: npt.NDArray[Any]) -> F32:
    """Linear light of some of a capture's pixels."""
    table = _table(capture)
    return np.asarray(pixels if table is None else table[pixels], np.float32)


def _bands(capture: Capture) -> F32:
    """Some of a capture as linear light, (n, `BAND_PX`, W, 3)."""
    height, width = capture.pixels.shape[:2]
    n = max(1, min(height // BAND_PX, _NOISE_PX // (width * BAND_PX)))
    first = np.linspace(0, max(0, height - BAND_PX), n).astype(int)
    rows = np.minimum(first[:, None] + np.arange(BAND_PX), height - 1)
    return light_of(capture, capture.pixels[rows])


def compared(own: Capture, ev: float) -> tuple[float, float]:
    """The light up to which the reference and a capture of `ev` stops are alike, and up to which they are matched."""
    white = COMPARED * min(1.0, 2**-ev)
    some = own.pixels[:: max(1, own.pixels.shape[0] // 64), :: max(1, own.pixels.shape[1] // 64)]
    return white, min(white, 2 * float(np.percentile(light_of(own, some), 95)) + 1e-3)


def grey(capture: Capture, white: float, brightest: float) -> npt.NDArray[np.uint8]:
    """The capture as (h, w) uint8 for matching: root of its light, 0 to `brightest`, clipped at `white`."""
    pixels = capture.pixels
    if _scale(capture) == 2:
        size_wh = (pixels.shape[1] // 2, pixels.shape[0] // 2)
        pixels = cv2.resize(pixels, size_wh, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    table = _table(capture)
    light = np.float32(2**-capture.ev) * (pixels if table is None else table)
    # each channel by itself: of a blue sky only one clips
    root = np.sqrt(np.clip(light, 0, white) * np.float32(255**2 / brightest)).clip(0, 255).astype(np.uint8)
    if table is not None:
        root = cv2.LUT(pixels, root) if len(root) == 256 else root[pixels]
    return np.asarray(cv2.cvtColor(root, cv2.COLOR_RGB2GRAY), np.uint8)


def _scale(capture: Capture) -> int:
    """Pixels of a capture to one of what is matched."""
    return 2 if max(capture.pixels.shape[:2]) > _ALIGNED_PX else 1


def _reference(own: Capture, noise: Noise) -> Layer:
    still = Flow(np.zeros((2, 2, 2), np.float32), 1, 0)
    return Layer(own.pixels, _table(own), np.ones(3, np.float32), 1.0, still, noise)


def _placed(own: Capture, greys: Mapping[float, npt.NDArray[np.uint8]], other: Capture) -> Flow:
    """Where the reference's pixels lie in a capture."""
    return align(greys[other.ev], grey(other, *compared(own, other.ev))).enlarged(_scale(own))


def by_one_curve(captures: Sequence[Capture], flows: Sequence[Flow]) -> list[Capture]:
    """Captures of one camera, the reference first, with the tone curve that those of other exposures tell, if any."""
    own, dtype = captures[0], captures[0].pixels.dtype
    if any(capture.curve is not None or capture.pixels.dtype != dtype or dtype == np.float32 for capture in captures):
        return [*captures]
    limit, pairs = own.limit, list[Pair]()
    for other, flow in zip(captures[1:], flows, strict=True):
        if abs(other.ev) >= _LEAST_BRACKET_EV:
            each = _patches(own, other, flow)
            flat = np.ptp(each[0], axis=0).max(1) < _FLAT * limit
            ours, theirs = (patches[:, flat].mean(0) / limit for patches in each)
            pairs.append((ours, theirs, -other.ev) if other.ev < 0 else (theirs, ours, other.ev))
    curve = fit_curve(pairs)
    if curve is None:
        return [*captures]
    codes = np.linspace(0, N_CODES - 1, limit + 1)
    table = np.interp(codes, np.arange(N_CODES), curve).astype(np.float32)
    return [replace(capture, curve=table) for capture in captures]


def _gain(own: Capture, other: Capture, flow: Flow) -> F32:
    """(3,): to the reference's exposure, as told and then as measured."""
    return np.float32(2**-other.ev) * measured_gain(own, other, flow)


def _layer(own: Capture, noise: Noise, other: Capture, flow: Flow, gain: F32) -> Layer:
    """A capture as it is averaged; `noise` is that of the reference."""
    ratio = float(gain.mean())
    if other.iso and own.iso:  # shot noise grows with the gain of the sensor, read noise with its square
        noise = replace(noise, a=noise.a * other.iso / own.iso, b=noise.b * (other.iso / own.iso) ** 2)
    noise = replace(noise, a=noise.a * ratio, b=noise.b * ratio**2)
    return Layer(other.pixels, _table(other), gain, ratio, flow, noise)


def measured_gain(own: Capture, other: Capture, flow: Flow) -> F32:
    """(3,): what the light of R, G and B must be multiplied by beside what its exposure says.

    The median ratio of means of 3 x 3 pixels that are well exposed in both and flat, as the reference and what was said
    of the exposure tell. What the noisier capture holds must not choose them: its bright errors would be preferred.
    """
    each, theirs = (light_of(c, patches) for c, patches in zip((own, other), _patches(own, other, flow), strict=True))
    ours, varied, theirs = each.mean(0), np.ptp(each, axis=0), theirs.mean(0)
    expected = ours * np.float32(2**other.ev)
    known = (np.minimum(ours, expected) > _GOOD[0]) & (np.maximum(each.max(0), expected) < _GOOD[1]) & (theirs > 0)
    gain = np.ones(3, np.float32)
    for channel in range(3):
        good = known[:, channel]
        if good.sum() >= _FEWEST:
            flat = varied[:, channel] / np.maximum(ours[:, channel], _GOOD[0])
            good &= flat <= np.median(flat[good])
            ev = np.log2(ours[good, channel] / theirs[good, channel]) + other.ev
            gain[channel] = 2 ** np.clip(np.median(ev), -_GAIN_LIMIT_EV, _GAIN_LIMIT_EV)
    return gain


def _patches(own: Capture, other: Capture, flow: Flow) -> list[npt.NDArray[Any]]:
    """Codes (9, n, 3) of 3 x 3 pixels in the reference, here and there, and where they lie in the other."""
    height, width = own.pixels.shape[:2]
    step = max(1, int(np.sqrt(height * width / _SAMPLES)))
    y, x = (p.ravel() for p in np.mgrid[0 : max(0, height - 2) : step, 0 : max(0, width - 2) : step])
    u, v = np.rint(flow.at(x, y)).astype(int).T
    inside = (x + u >= 0) & (x + u < width - 2) & (y + v >= 0) & (y + v < height - 2)
    x, y, u, v = (p[inside] for p in (x, y, u, v))
    near = [(i, j) for i in range(3) for j in range(3)]
    return [
        np.stack([own.pixels[y + i, x + j] for i, j in near]),
        np.stack([other.pixels[y + v + i, x + u + j] for i, j in near]),
    ]
