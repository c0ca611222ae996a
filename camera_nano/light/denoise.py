"""Smooths the noise and the steps that an edit makes visible; what it neither lifts nor spreads stays bit for bit.

It works on the rendered picture, in which brightened ("lifted") shadows spread over more codes than in the capture.
Natural pictures have little fine colour, so fine colour in lifted regions counts as noise and is measured there. The
luminance noise follows from it, since all channels of a sensor have similar noise.

In an 8-bit picture the steps between codes grow where an edit is steep, in lifted shadows or just below white.
Differences of about a code hold no information, so they are smoothed there. JPEG rounds more coarsely than that: where
its grid of 8 x 8 blocks is found in a picture, the jumps across its lines are spread, too; other pictures have no grid.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from camera_nano.color import Floats, srgb_eotf, srgb_oetf
from camera_nano.light.field import guide, slice_field
from camera_nano.light.render import render
from camera_nano.opencv import cv2
from camera_nano.values import F32, EditField, Pixels

_BLOCK_PX, _MOST_BLOCKS = 16, 128  # least side of a block, most blocks along a side
_LIFT_EV = (0.5, 2.0)  # smoothing begins at the first, is full at the second
_LEAST_NOISE = 1.5  # codes of 255 in chroma: full smoothing from here, none below half of it
_CHROMA_TO_LUMA = 1.07  # of independent equal noise in R, G, B: root of sums of squares of the BT.601 rows
_LUMA_EDGE = 1.8  # local deviations up to this many noise deviations count as noise
_GRAIN = 0.3  # share of luminance noise that stays: without any, a picture looks like plastic
_CHROMA_EDGE = 4.0  # codes of luminance: across a larger step colour may change freely
_CHROMA_STEPS = 3.0  # and of what `_STEP` became: JPEG rounds colour more coarsely
_STEP = 1.1  # codes of the capture: a difference of two neighbours within that says nothing
_STEEP_CODES = 4  # over so many codes the slope is measured: rounding would hide that of one
# how many codes one code of the capture became: smoothing begins at the first, is full at the second
_STEPS_SEEN = (1.5, 4.0)
_GRID_PX, _GRID_STEPS = 8, 4.0  # of JPEG; jumps at its lines of up to about so many steps are its own
_GRID_SEEN, _GRID_CODES = 1.1, 3  # a grid: its lines have so much of the mean steps up to so many codes
_GRID_LINES, _GRID_LEAST = 256, 10_000  # of pixels that are looked at, and the least number of steps among them
# what a jump of 1 between the middle two of eight pixels adds to them, so that they rise evenly
_SPREAD = np.array([1, 3, 5, 7, -7, -5, -3, -1], np.float32) / 16
_STRIP_ROWS = 128  # few enough for the cache, many beside the rows around them
_NOISE_PX, _BLOCKS_PX = 2, 4  # radius of the boxes for noise, and for the 8 x 8 blocks of JPEG
_GREY = np.float32(0.5)  # OpenCV's zero of float chroma


def denoise(made: Pixels, pixels: Pixels, field: EditField, *, threads: int = 1) -> Pixels:
    """The rendering `made` of `pixels` through `field`, calmed where it shows noise or steps; the same kind of pixels.

    Colour follows luminance edges (fast guided filter: He and Sun 2015), luminance is smoothed where it varies no more
    than its noise (guided filter: He, Sun, Tang 2010), after jumps at JPEG's grid were spread, like the in-loop filter
    of H.264 does (List et al. 2003). Returns `made` itself when there is nothing to do; else a new picture.
    """
    limit = float(np.iinfo(made.dtype).max)
    noise, steps = _lifted(made, pixels, field, 255 / limit)
    if max(noise.max(), steps.max()) < _LEAST_NOISE:
        return made
    row, column = (_grid_line(pixels, steps, axis) for axis in (0, 1))
    height, width = made.shape[:2]
    scale = 4 if max(height, width) >= 1000 else 2
    lines = _colour_by_luminance(made, steps, max(1, width // scale), max(1, height // scale), 255 / limit)
    out = np.empty_like(made)
    halo = 2 * (_NOISE_PX + _BLOCKS_PX) + _GRID_PX  # each of the two filters is two boxes

    def strip(first: int) -> None:
        last = min(first + _STRIP_ROWS, height)
        top, bottom = max(0, first - halo), min(height, last + halo)
        rgb = made[top:bottom].astype(np.float32) * np.float32(255 / limit)
        luma, red, blue = cv2.split(cv2.cvtColor(rgb, cv2.COLOR_RGB2YCrCb))
        sigma, step = (_rows(each, top, bottom, height, width) for each in (noise, steps))
        slope_red, slope_blue, offset_red, offset_blue = cv2.split(_rows(lines, top, bottom, height, width))
        whole = _whole(np.asarray(luma), step, row if row is None else row - top, column)
        quiet = _calmed(whole, np.float32(_CHROMA_TO_LUMA) * sigma, _NOISE_PX)
        calm = _calmed(quiet, step, _BLOCKS_PX) if step.any() else quiet
        share = np.maximum(sigma, step) ** 2
        share /= share + np.float32(_LEAST_NOISE**2)
        d_red, d_blue = share * (slope_red * calm + offset_red - red), share * (slope_blue * calm + offset_blue - blue)
        d_luma = calm - luma + np.float32(_GRAIN) * (whole - quiet)
        # OpenCV puts float chroma around 0.5; the conversion is linear, so it takes differences too
        change = cv2.cvtColor(cv2.merge([d_luma, d_red + _GREY, d_blue + _GREY]), cv2.COLOR_YCrCb2RGB)
        change = change[first - top : last - top] * np.float32(limit / 255)
        cv2.add(made[first:last], change, out[first:last], dtype=cv2.CV_8U if limit == 255 else cv2.CV_16U)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(strip, range(0, height, _STRIP_ROWS)))
    return out


def _lifted(made: Pixels, pixels: Pixels, field: EditField, to_codes: float) -> tuple[F32, F32]:
    """Noise that was lifted and code steps that grew, by block (rows, columns), in codes of 255 times how far they did.

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
    steps = _steps(np.asarray(small, np.uint8), field, gain_ev, share) if pixels.dtype == np.uint8 else nothing
    if not share.any():
        return nothing, steps
    rows = made[min(block_px // 2, height - 1) :: block_px].astype(np.float32) * np.float32(to_codes)
    colour = cv2.cvtColor(rows, cv2.COLOR_RGB2YCrCb)[..., 1:]
    # neighbours differ by noise: mean |d| of a normal is 2 sigma / sqrt(pi), d having twice the variance
    step = cv2.absdiff(colour[:, 1:], colour[:, :-1])
    sigma = cv2.resize(step, grid_wh, interpolation=cv2.INTER_AREA).mean(2) * np.float32(np.sqrt(np.pi) / 2)
    sigma = _wide(sigma)
    share *= np.clip(2 * sigma / _LEAST_NOISE - 1, 0, 1)
    return (sigma * share).astype(np.float32), steps


def _steps(small: Pixels, field: EditField, gain_ev: Floats, lifted: Floats) -> F32:
    """What a difference of `_STEP` codes became, (H, W) in codes; 0 where the edit is not steep enough to show it.

    Where light was `lifted`, by the gain of the place, since blocks of shadow and light have a mean that no pixel has;
    elsewhere by the whole edit, which rises to white, where all around is as steep.
    """
    ends = (small.mean(2) / 255 + side / 255 for side in (0.0, 1.0))
    darker, brighter = (srgb_oetf(srgb_eotf(end) * np.exp2(gain_ev)) for end in ends)
    more = np.minimum(small, 255 - _STEEP_CODES) + np.uint8(_STEEP_CODES)
    steep = np.subtract(render(more, field), render(small, field), dtype=np.float32).mean(2) / _STEEP_CODES

    def seen(became: Floats) -> F32:
        share = np.clip((became - _STEPS_SEEN[0]) / (_STEPS_SEEN[1] - _STEPS_SEEN[0]), 0, 1)
        return np.asarray(_STEP * became * share, np.float32)

    return np.asarray(lifted * seen(255 * (brighter - darker)) + (1 - lifted) * _wide(seen(steep)), np.float32)


def _wide(found: F32) -> F32:
    """What is found in a block and all around it, without hard edges: a coloured edge, or a window, is not noise."""
    least = cv2.erode(found, np.ones((3, 3), np.uint8))
    return np.asarray(cv2.GaussianBlur(least, (0, 0), 1.0), np.float32)


def _grid_line(pixels: Pixels, steps: F32, axis: int) -> int | None:
    """The first line (0..7) of the grid that JPEG left across `axis` where `steps` shows; None if there is none."""
    every, n = max(1, pixels.shape[1 - axis] // _GRID_LINES), pixels.shape[axis] // _GRID_PX
    lines = np.moveaxis(pixels, axis, 1)[::every, : _GRID_PX * n].astype(np.int16).sum(2)
    rows, columns = (
        np.arange(m) * of // m for m, of in zip(lines.shape, np.moveaxis(steps, axis, 1).shape, strict=True)
    )
    shown = np.moveaxis(steps > 0, axis, 1)[np.ix_(rows, columns)][:, 1:]
    if shown.sum() < _GRID_LEAST:
        return None
    step = np.minimum(np.abs(np.diff(lines, axis=1)), 3 * _GRID_CODES) * shown
    found = np.pad(step.mean(0), (1, 0)).reshape(n, _GRID_PX)[1:].mean(0)  # by the place of the second pixel
    line = int(found.argmax())
    return line if (_GRID_PX - 1) * found[line] > _GRID_SEEN * (found.sum() - found[line]) else None


def _whole(luma: Floats, step: Floats, row: int | None, column: int | None) -> Floats:
    """Luminance (h, w) without the jumps at JPEG's grid, of which one line is at `row`, one at `column`."""
    if row is not None:
        luma = luma.copy()
        _spread_jumps(luma, step, row)
    if column is not None:
        across = np.array(luma.T, order="C")  # whole rows are quicker
        _spread_jumps(across, step.T, column)
        luma = np.ascontiguousarray(across.T)
    return luma


def _spread_jumps(luma: Floats, step: Floats, line: int) -> None:
    """Spreads, in place, the jump in luminance (h, w) at row `line` and every eighth from there over eight rows."""
    first = (line - _GRID_PX // 2) % _GRID_PX  # the line is in the middle of its eight rows
    n = (len(luma) - first) // _GRID_PX
    rows = luma[first : first + _GRID_PX * n].reshape(n, _GRID_PX, -1)
    most = (np.float32(_GRID_STEPS) * step[first + _GRID_PX // 2 :: _GRID_PX][:n]) ** 2
    # beyond what the slopes on both sides lead to
    jump = np.float32(1.5) * (rows[:, 4] - rows[:, 3]) - np.float32(0.5) * (rows[:, 5] - rows[:, 2])
    jump *= most / (most + jump * jump + np.float32(1e-6))
    for place, share in enumerate(_SPREAD):
        rows[:, place] += share * jump


def _colour_by_luminance(made: Pixels, steps: F32, width: int, height: int, to_codes: float) -> F32:
    """Local line from luminance to each of Cr and Cb, at low resolution: slopes, then offsets, (height, width, 4).

    Where luminance varies no more than `steps` the line is flat: colour is that of the surroundings.
    """
    small = cv2.resize(made, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) * np.float32(to_codes)
    ycc = cv2.cvtColor(small, cv2.COLOR_RGB2YCrCb)
    luma, colour = ycc[..., :1], ycc[..., 1:]

    def mean(x: Any) -> Any:
        return cv2.blur(x, (7, 7)).reshape(x.shape)

    mean_luma, mean_colour = mean(luma), mean(colour)
    variance = mean(luma * luma) - mean_luma**2
    edge = np.maximum(_CHROMA_EDGE, _CHROMA_STEPS * cv2.resize(steps, (width, height)))[..., None]
    slope = (mean(luma * colour) - mean_luma * mean_colour) / (variance + edge * edge)
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
