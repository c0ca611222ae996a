"""How much brighter than its SDR picture a scene was: gain maps drawn from a field, measured, and applied.

The terms and the formula are those of ISO 21496-1:2025, clauses 5 and 6: a base picture, a small map of log2 gains,
and an alternate picture, base and map together. Our base is the SDR look itself, our alternate is scene light.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from camera_nano.color import LUMINANCE_709, srgb_eotf
from camera_nano.render import slice_headroom
from camera_nano.values import F32, EditField, Pixels

LEAST_HEADROOM_EV = 0.25  # a lamp less than a fifth brighter than white is not worth a map
_LARGEST_NUMBER = 64  # stops no light has; 2 to it is still a float
_TO_8_BIT = 257
_STRIP_ROWS = 64  # what is worked on at a time stays in the cache
_TINY = np.float32(1e-6)  # of light: black has no ratio


@dataclass(frozen=True, slots=True, eq=False)
class GainMap:
    """Codes (h, w) or (h, w, 3) uint8, and what they mean; each tuple holds one number, or one for each of R, G, B.

    Alternate light is (base light + `base_offset`) * 2^gain - `alternate_offset`, where
    gain = `min_ev` + (`max_ev` - `min_ev`) * (code / 255)^(1 / `gamma`). It is meant for displays that show
    `headroom_ev` above SDR white, the base for those that show `base_headroom_ev`.
    """

    codes: Pixels
    max_ev: tuple[float, ...]
    headroom_ev: float
    min_ev: tuple[float, ...] = (0.0,)
    gamma: tuple[float, ...] = (1.0,)
    base_offset: tuple[float, ...] = (0.0,)
    alternate_offset: tuple[float, ...] = (0.0,)
    base_headroom_ev: float = 0.0
    kind: Literal["iso", "hdrgm", "apple"] = "iso"  # whose metadata it was read from

    def __post_init__(self) -> None:
        channels = (self.max_ev, self.min_ev, self.gamma, self.base_offset, self.alternate_offset)
        numbers = [self.headroom_ev, self.base_headroom_ev, *(v for values in channels for v in values)]
        if any(len(values) not in (1, 3) for values in channels) or not np.all(np.abs(numbers) <= _LARGEST_NUMBER):
            raise ValueError("a gain map has one or three sets of finite numbers")
        if min(self.gamma) <= 0 or np.any(np.subtract(self.max_ev, self.min_ev) < 0):
            raise ValueError(f"no gain map has gamma {self.gamma} and goes from {self.min_ev} to {self.max_ev} EV")


def draw(pixels: Pixels, field: EditField, *, threads: int = 1) -> GainMap | None:
    """The headroom of a field over the picture (H, W, 3) that the field was made for, at half its size.

    One gain for R, G and B keeps the hue. Nothing is divided, so no offsets are needed: black stays black and the
    hue is kept in the dark too. None where the scene shows no light above SDR white.
    """
    most_ev = float(field.headroom_ev.max())
    if most_ev < LEAST_HEADROOM_EV:
        return None
    size_wh = (-(-pixels.shape[1] // 2), -(-pixels.shape[0] // 2))
    small: Pixels = cv2.resize(pixels, size_wh, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    if small.dtype == np.uint16:
        small = ((small.astype(np.uint32) + _TO_8_BIT // 2) // _TO_8_BIT).astype(np.uint8)
    codes = slice_headroom(small, field, most_ev, threads=threads)
    seen_ev = most_ev * int(codes.max()) / 255
    if seen_ev < LEAST_HEADROOM_EV:
        return None
    if codes.max() < 250:  # the brightest cells of the field are not in the picture: use all codes for what is
        codes = slice_headroom(small, field, seen_ev, threads=threads)
    return GainMap(np.ascontiguousarray(codes), (seen_ev,), seen_ev)


def from_headroom(headroom_ev: F32) -> GainMap | None:
    """Headroom (H, W), EV of true light above the base picture -> its map at half the size; None where there is none.

    Light below the base is not kept: a gain map of ours only adds.
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

    `first_row` and `height` say that these rows are part of a taller picture.
    """
    width = light.shape[1]
    gain_ev = _gain_ev(gain, first_row, first_row + len(light), height or len(light), width)
    base_offset, alternate_offset = (np.array(v, np.float32) for v in (gain.base_offset, gain.alternate_offset))
    return np.asarray(np.maximum((light + base_offset) * np.exp2(gain_ev) - alternate_offset, 0), np.float32)


def hdr_light(pixels: Pixels, gain: GainMap) -> F32:
    """A base picture (H, W, 3), sRGB-encoded uint8 or uint16, and its map -> scene light (H, W, 3), 1 = SDR white.

    A base that is itself the HDR picture is returned as its own light.
    """
    limit = int(np.iinfo(pixels.dtype).max)
    light = srgb_eotf(np.arange(limit + 1) / limit).astype(np.float32)[pixels]
    return light if gain.base_headroom_ev > gain.headroom_ev else apply(light, gain)


def headroom_ev(pixels: Pixels, gain: GainMap) -> F32:
    """The same -> headroom (H, W) float32 in EV, at least 0: of the luminance of scene light above the base's."""
    out = np.zeros(pixels.shape[:2], np.float32)
    if gain.base_headroom_ev > gain.headroom_ev:
        return out
    limit = int(np.iinfo(pixels.dtype).max)
    light_of_code = srgb_eotf(np.arange(limit + 1) / limit).astype(np.float32)
    weights = np.array(LUMINANCE_709, np.float32)
    for first in range(0, len(pixels), _STRIP_ROWS):
        light = light_of_code[pixels[first : first + _STRIP_ROWS]]
        base, seen = light @ weights, apply(light, gain, first_row=first, height=len(pixels)) @ weights
        out[first : first + len(light)] = np.log2(np.maximum((seen + _TINY) / (base + _TINY), 1))
    return out


def _gain_ev(gain: GainMap, first: int, last: int, height: int, width: int) -> F32:
    """Rows first..last of the map laid over (height, width), (rows, width, 1 or 3) in EV."""
    codes = gain.codes.astype(np.float32) / np.float32(255)
    down, across = codes.shape[0] / height, codes.shape[1] / width
    # pixel centres onto the centres of the map's pixels
    place = np.array([[across, 0, across / 2 - 0.5], [0, down, (first + 0.5) * down - 0.5]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    share = cv2.warpAffine(codes, place, (width, last - first), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    share = share.reshape(last - first, width, -1)
    gamma, low, high = (np.array(v, np.float32) for v in (gain.gamma, gain.min_ev, gain.max_ev))
    return np.asarray(low + (high - low) * share ** (1 / gamma), np.float32)
