"""Noise that an edit would lift is calmed in proportion to the lift; what is not lifted stays bit for bit.

It works on the rendered picture, where lifted shadows have more than the few codes the capture gave them. Natural
pictures hold little fine colour, so fine colour in lifted regions is taken for noise and measured there; luminance
noise follows from it, since a sensor's channels are noisy alike.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np

from camera_nano.color import Floats, srgb_eotf
from camera_nano.field import guide, slice_field
from camera_nano.values import F32, EditField, Pixels

_BLOCK_PX, _MOST_BLOCKS = 16, 128  # least side of a block, most blocks along a side
_LIFT_EV = (0.5, 2.0)  # calmed from here, in full from there
_LEAST_NOISE = 1.5  # codes of 255 in chroma: calmed in full from here, not at all below half of it
_CHROMA_TO_LUMA = 1.07  # of independent equal noise in R, G, B: root of sums of squares of the BT.601 rows
_LUMA_EDGE = 1.8  # local deviations up to this many noise deviations count as noise
_GRAIN = 0.3  # share of luminance noise that stays: a picture without any looks like plastic
_CHROMA_EDGE = 4.0  # codes of luminance over which colour may change freely
_STRIP_ROWS = 32  # small enough to stay in the cache
_HALO_ROWS = 4  # two boxes of radius 2
_GREY = np.float32(0.5)  # OpenCV's zero of float chroma


def denoise(made: Pixels, pixels: Pixels, field: EditField, *, threads: int = 1) -> Pixels:
    """The rendering `made` of `pixels` through `field`, calmed where the field lifted noise; the same kind of pixels.

    Colour follows luminance edges (fast guided filter: He and Sun 2015), luminance is smoothed where it varies no more
    than its noise (guided filter: He, Sun, Tang 2010). Returns `made` itself when there is nothing to do; else a new
    picture.
    """
    limit = float(np.iinfo(made.dtype).max)
    noise = _lifted_noise(made, pixels, field, 255 / limit)
    if noise.max() < _LEAST_NOISE:
        return made
    height, width = made.shape[:2]
    scale = 4 if max(height, width) >= 1000 else 2
    lines = _colour_by_luminance(made, max(1, width // scale), max(1, height // scale), 255 / limit)
    out = np.empty_like(made)

    def strip(first: int) -> None:
        last = min(first + _STRIP_ROWS, height)
        top, bottom = max(0, first - _HALO_ROWS), min(height, last + _HALO_ROWS)
        rgb = made[top:bottom].astype(np.float32) * np.float32(255 / limit)
        luma, red, blue = cv2.split(cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb))
        sigma = _rows(noise, top, bottom, height, width)
        slope_red, slope_blue, offset_red, offset_blue = cv2.split(_rows(lines, top, bottom, height, width))
        calm = _calmed(luma, np.float32(_CHROMA_TO_LUMA) * sigma)
        share = sigma * sigma
        share /= share + np.float32(_LEAST_NOISE**2)
        d_red, d_blue = share * (slope_red * calm + offset_red - red), share * (slope_blue * calm + offset_blue - blue)
        # OpenCV puts float chroma around 0.5; the conversion is linear, so it takes differences too
        change = cv2.merge([np.float32(1 - _GRAIN) * (calm - luma), d_red + _GREY, d_blue + _GREY])
        change = cv2.cvtColor(change, cv2.COLOR_YCrCb2RGB)[first - top : last - top] * np.float32(limit / 255)
        cv2.add(made[first:last], change, out[first:last], dtype=cv2.CV_8U if limit == 255 else cv2.CV_16U)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(strip, range(0, height, _STRIP_ROWS)))
    return out


def _lifted_noise(made: Pixels, pixels: Pixels, field: EditField, to_codes: float) -> F32:
    """Deviation of chroma noise in codes of 255 by block, (rows, columns), times the share by which it was lifted."""
    height, width = made.shape[:2]
    block_px = max(_BLOCK_PX, max(height, width) // _MOST_BLOCKS)
    grid_wh = (max(1, width // block_px), max(1, height // block_px))
    if width < 2:
        return np.zeros(grid_wh[::-1], np.float32)
    small = cv2.resize(np.ascontiguousarray(pixels[:: block_px // 4, ::4]), grid_wh, interpolation=cv2.INTER_AREA)
    gain_ev = slice_field(field, guide(srgb_eotf(small / np.iinfo(pixels.dtype).max)))[..., :3].mean(2)
    share = np.clip((gain_ev - _LIFT_EV[0]) / (_LIFT_EV[1] - _LIFT_EV[0]), 0, 1)
    if not share.any():
        return np.zeros(grid_wh[::-1], np.float32)
    rows = made[min(block_px // 2, height - 1) :: block_px].astype(np.float32) * np.float32(to_codes)
    colour = cv2.cvtColor(rows, cv2.COLOR_RGB2YCrCb)[..., 1:]
    # neighbours differ by noise: mean |d| of a normal is 2 sigma / sqrt(pi), d having twice the variance
    step = cv2.absdiff(colour[:, 1:], colour[:, :-1])
    sigma = cv2.resize(step, grid_wh, interpolation=cv2.INTER_AREA).mean(2) * np.float32(np.sqrt(np.pi) / 2)
    sigma = cv2.erode(sigma, np.ones((3, 3), np.uint8))  # a coloured edge is not noise
    sigma = cv2.GaussianBlur(sigma, (0, 0), 1.0)
    share *= np.clip(2 * sigma / _LEAST_NOISE - 1, 0, 1)
    return (sigma * share).astype(np.float32)  # type: ignore[no-any-return]


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


def _calmed(luma: Any, sigma: Floats) -> Floats:
    """Luminance (h, w) with what varies no more than its noise smoothed: a guided filter of itself, radius 2."""
    size = (5, 5)
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
