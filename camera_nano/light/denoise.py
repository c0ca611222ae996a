"""Smooths the noise that an edit brightens, as far as it is brightened; what is not brightened stays bit for bit.

It works on the rendered picture, in which brightened ("lifted") shadows spread over more codes than in the capture.
Natural pictures have little fine colour, so fine colour in lifted regions counts as noise and is measured there. The
luminance noise follows from it, since all channels of a sensor have similar noise.

In an 8-bit picture the steps between codes are lifted too, and so are the blocks of a JPEG, which differ by a code or
two in the dark. Differences as small as that hold no information, so they are smoothed.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from camera_nano.color import Floats, srgb_eotf, srgb_oetf
from camera_nano.light.field import guide, slice_field
from camera_nano.opencv import cv2
from camera_nano.values import F32, EditField, Pixels

_BLOCK_PX, _MOST_BLOCKS = 16, 128  # least side of a block, most blocks along a side
_LIFT_EV = (0.5, 2.0)  # smoothing begins at the first, is full at the second
_LEAST_NOISE = 1.5  # codes of 255 in chroma: full smoothing from here, none below half of it
_CHROMA_TO_LUMA = 1.07  # of independent equal noise in R, G, B: root of sums of squares of the BT.601 rows
_LUMA_EDGE = 1.8  # local deviations up to this many noise deviations count as noise
_GRAIN = 0.3  # share of luminance noise that stays: without any, a picture looks like plastic
_CHROMA_EDGE = 4.0  # codes of luminance: across a larger step colour may change freely
_STEP = 1.1  # codes of the capture: a difference of two neighbours within that says nothing
# how many codes one code of the capture became: smoothing begins at the first, is full at the second
_STEPS_SEEN = (1.5, 4.0)
_STRIP_ROWS = 32  # small enough to stay in the cache
_NOISE_PX, _BLOCKS_PX = 2, 4  # radius of the boxes for noise, and for the 8 x 8 blocks of JPEG
_GREY = np.float32(0.5)  # OpenCV's zero of float chroma


def denoise(made: Pixels, pixels: Pixels, field: EditField, *, threads: int = 1) -> Pixels:
    """The rendering `made` of `pixels` through `field`, calmed where the field lifted noise; the same kind of pixels.

    Colour follows luminance edges (fast guided filter: He and Sun 2015), luminance is smoothed where it varies no more
    than its noise (guided filter: He, Sun, Tang 2010). Returns `made` itself when there is nothing to do; else a new
    picture.
    """
    limit = float(np.iinfo(made.dtype).max)
    noise, steps = _lifted(made, pixels, field, 255 / limit)
    if max(noise.max(), steps.max()) < _LEAST_NOISE:
        return made
    height, width = made.shape[:2]
    scale = 4 if max(height, width) >= 1000 else 2
    lines = _colour_by_luminance(made, max(1, width // scale), max(1, height // scale), 255 / limit)
    out = np.empty_like(made)
    halo = 2 * (_NOISE_PX + _BLOCKS_PX)  # each of the two filters is two boxes

    def strip(first: int) -> None:
        last = min(first + _STRIP_ROWS, height)
        top, bottom = max(0, first - halo), min(height, last + halo)
        rgb = made[top:bottom].astype(np.float32) * np.float32(255 / limit)
        luma, red, blue = cv2.split(cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb))
        sigma, step = (_rows(each, top, bottom, height, width) for each in (noise, steps))
        slope_red, slope_blue, offset_red, offset_blue = cv2.split(_rows(lines, top, bottom, height, width))
        quiet = _calmed(luma, np.float32(_CHROMA_TO_LUMA) * sigma, _NOISE_PX)
        calm = _calmed(quiet, step, _BLOCKS_PX) if step.any() else quiet
        share = np.maximum(sigma, step) ** 2
        share /= share + np.float32(_LEAST_NOISE**2)
        d_red, d_blue = share * (slope_red * calm + offset_red - red), share * (slope_blue * calm + offset_blue - blue)
        d_luma = np.float32(1 - _GRAIN) * (quiet - luma) + (calm - quiet)
        # OpenCV puts float chroma around 0.5; the conversion is linear, so it takes differences too
        change = cv2.cvtColor(cv2.merge([d_luma, d_red + _GREY, d_blue + _GREY]), cv2.COLOR_YCrCb2RGB)
        change = change[first - top : last - top] * np.float32(limit / 255)
        cv2.add(made[first:last], change, out[first:last], dtype=cv2.CV_8U if limit == 255 else cv2.CV_16U)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(strip, range(0, height, _STRIP_ROWS)))
    return out


def _lifted(made: Pixels, pixels: Pixels, field: EditField, to_codes: float) -> tuple[F32, F32]:
    """Noise and code steps that were lifted, by block (rows, columns), in codes of 255 times how far they were lifted.

    Of the noise the standard deviation in chroma; of the steps what a difference of `_STEP` in the capture became.
    """
    height, width = made.shape[:2]
    block_px = max(_BLOCK_PX, max(height, width) // _MOST_BLOCKS)
    grid_wh = (max(1, width // block_px), max(1, height // block_px))
    nothing = np.zeros(grid_wh[::-1], np.float32)
    if width < 2:
        return nothing, nothing
    small = cv2.resize(np.ascontiguousarray(pixels[:: block_px // 4, ::4]), grid_wh, interpolation=cv2.INTER_AREA)
    code = small / np.iinfo(pixels.dtype).max
    gain_ev = slice_field(field, guide(srgb_eotf(code)))[..., :3].mean(2)
    share = np.clip((gain_ev - _LIFT_EV[0]) / (_LIFT_EV[1] - _LIFT_EV[0]), 0, 1)
    if not share.any():
        return nothing, nothing
    steps = nothing
    if pixels.dtype == np.uint8:
        ends = (code.mean(2) + side / 255 for side in (0.0, 1.0))
        darker, brighter = (srgb_oetf(srgb_eotf(end) * np.exp2(gain_ev)) for end in ends)
        became = 255 * (brighter - darker)
        seen = np.clip((became - _STEPS_SEEN[0]) / (_STEPS_SEEN[1] - _STEPS_SEEN[0]), 0, 1)
        steps = (_STEP * became * seen * share).astype(np.float32)
    rows = made[min(block_px // 2, height - 1) :: block_px].astype(np.float32) * np.float32(to_codes)
    colour = cv2.cvtColor(rows, cv2.COLOR_RGB2YCrCb)[..., 1:]
    # neighbours differ by noise: mean |d| of a normal is 2 sigma / sqrt(pi), d having twice the variance
    step = cv2.absdiff(colour[:, 1:], colour[:, :-1])
    sigma = cv2.resize(step, grid_wh, interpolation=cv2.INTER_AREA).mean(2) * np.float32(np.sqrt(np.pi) / 2)
    sigma = cv2.erode(sigma, np.ones((3, 3), np.uint8))  # a coloured edge is not noise
    sigma = cv2.GaussianBlur(sigma, (0, 0), 1.0)
    share *= np.clip(2 * sigma / _LEAST_NOISE - 1, 0, 1)
    return (sigma * share).astype(np.float32), steps


def _colour_by_luminance(made: Pixels, width: int, height: int, to_codes: float) -> F32:
    """Local line from luminance to each of Cr and Cb, at low resolution: slopes, then offsets, (height, width, 4)."""
    small = cv2.resize(made, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) * np.float32(to_codes)
    ycc = cv2.cvtColor(small, cv2.COLOR_RGB2YCrCb)
    luma, colour = ycc[..., :1], ycc[..., 1:]

    def mean(x: Any) -> Any:
        return cv2.blur(x, (7, 7)).reshape(x.shape)

    mean_luma, mean_colour = mean(luma), mean(colour)
    variance = mean(luma * luma) - mean_luma**2
    slope = (mean(luma * colour) - mean_luma * mean_colour) / (variance + np.float32(_CHROMA_EDGE**2))
    return np.concatenate([mean(slope), mean(mean_colour - slope * mean_luma)], 2, dtype=np.float32)


def _calmed(luma: Any, sigma: Floats, radius: int) -> Floats:
    """Luminance (h, w), smoothed where it varies no more than its noise `sigma`: a guided filter of itself."""
    size = (2 * radius + 1, 2 * radius + 1)
    mean = cv2.blur(luma, size)
    variance = np.maximum(cv2.blur(luma * luma, size) - mean * mean, 0)
    a = variance / (variance + np.float32(_LUMA_EDGE**2) * sigma * sigma + np.float32(1e-6))
    calm: Floats = cv2.blur(a, size) * luma + cv2.blur((1 - a) * mean, size)
    return calm


def _rows(small: F32, top: int, bottom: int, height: int, width: int) -> Floats:
    """Rows top..bottom of `small` interpolated up to (height, width), without making the rest."""
    down, across = small.shape[0] / height, small.shape[1] / width
    # pixel centres onto cell centres
    place = np.array([[across, 0, across / 2 - 0.5], [0, down, (top + 0.5) * down - 0.5]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(  # type: ignore[return-value]
        small, place, (width, bottom - top), flags=flags, borderMode=cv2.BORDER_REPLICATE
    )
