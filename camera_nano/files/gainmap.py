"""Gain maps: made from headroom, turned back into headroom, and applied to a picture.

Terms and formula are those of ISO 21496-1:2025, clauses 5 and 6: base and map give the alternate picture. Here the base
is the SDR look, the map holds log2 gains, and the alternate is the light of the scene.
"""

from __future__ import annotations

import numpy as np

from camera_nano.color import LUMINANCE_709, STRIP_ROWS, srgb_eotf
from camera_nano.opencv import cv2
from camera_nano.values import F32, LEAST_HEADROOM_EV, GainMap, Pixels

_TINY = np.float32(1e-6)  # of light, so that black has a ratio too


def from_headroom(headroom_ev: F32) -> GainMap | None:
    """Headroom (H, W) in EV, the light of the scene over that of the base -> a gain map of half the width and height.

    None where there is hardly any headroom. Negative headroom counts as 0: our gain maps only brighten.
    """
    height, width = headroom_ev.shape
    small = cv2.resize(headroom_ev, (-(-width // 2), -(-height // 2)), interpolation=cv2.INTER_AREA)
    most_ev = float(small.max())
    if not most_ev >= LEAST_HEADROOM_EV:
        return None
    codes = np.rint(np.clip(small / most_ev, 0, 1) * 255).astype(np.uint8)
    return GainMap(codes, (most_ev,), most_ev)


def apply(light: F32, gain: GainMap, *, first_row: int = 0, height: int | None = None) -> F32:
    """Base light (H, W, 3), 1 = SDR white -> alternate light of the same shape, float32, never below 0.

    `first_row` and `height` are given where these rows are part of a taller picture.
    """
    width = light.shape[1]
    gain_ev = _gain_ev(gain, first_row, first_row + len(light), height or len(light), width)
    base_offset, alternate_offset = (np.array(v, np.float32) for v in (gain.base_offset, gain.alternate_offset))
    return np.asarray(np.maximum((light + base_offset) * np.exp2(gain_ev) - alternate_offset, 0), np.float32)


def headroom_ev(pixels: Pixels, gain: GainMap) -> F32:
    """Base pixels (H, W, 3) and their gain map -> headroom (H, W) float32 in EV, at least 0, by luminance.

    All 0 where the base is the brighter picture of the two.
    """
    out = np.zeros(pixels.shape[:2], np.float32)
    if gain.base_headroom_ev > gain.headroom_ev:
        return out
    limit = int(np.iinfo(pixels.dtype).max)
    light_of_code = srgb_eotf(np.arange(limit + 1) / limit).astype(np.float32)
    weights = np.array(LUMINANCE_709, np.float32)
    for first in range(0, len(pixels), STRIP_ROWS):
        light = light_of_code[pixels[first : first + STRIP_ROWS]]
        base, seen = light @ weights, apply(light, gain, first_row=first, height=len(pixels)) @ weights
        out[first : first + len(light)] = np.log2(np.maximum((seen + _TINY) / (base + _TINY), 1))
    return out


def _gain_ev(gain: GainMap, first: int, last: int, height: int, width: int) -> F32:
    """The map scaled to (height, width), of which rows first to last, as (rows, width, 1 or 3) in EV."""
    codes = gain.codes.astype(np.float32) / np.float32(255)
    down, across = codes.shape[0] / height, codes.shape[1] / width
    # the centre of each pixel -> its place on the map
    place = np.array([[across, 0, across / 2 - 0.5], [0, down, (first + 0.5) * down - 0.5]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    share = cv2.warpAffine(codes, place, (width, last - first), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    share = share.reshape(last - first, width, -1)
    gamma, low, high = (np.array(v, np.float32) for v in (gain.gamma, gain.min_ev, gain.max_ev))
    return np.asarray(low + (high - low) * share ** (1 / gamma), np.float32)
