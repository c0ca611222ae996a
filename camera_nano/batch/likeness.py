"""How alike two small pictures are once their exposures are taken out, and by how much these differ."""

from __future__ import annotations

from functools import cache
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from camera_nano.color import luminance, srgb_eotf, srgb_oetf, to_8_bit
from camera_nano.opencv import cv2
from camera_nano.values import Pixels

SIDE_PX = 64  # of the pictures to compare: shake and noise are small there, scenes are not
_REACH_PX = 4  # how far a hand may have moved meanwhile
_HELD = 8, 245  # codes that hold light: below is noise, above it is clipped
_DETAIL_PX = 15  # what is larger, as sky above and ground below, many pictures have in common
_LEAST_CONTRAST = 0.01  # of detail, in codes 0..1: what has less looks like anything
_FEWEST_PX = 16
# five of a hundred hand-held brackets of three stops score less, and no other scenes or views do so much
_ALIKE = 0.83
LEAST_SHARE = 0.1  # of a picture: with less in common, nothing can be said


class Likeness(NamedTuple):
    """How a picture compares with another.

    score: -1..1, how well one foretells the detail of the other, clipped where that clips, at the best shift.
    ev: by how many stops it is brighter.
    share: 0..1 of the picture, what both hold: neither black nor clipped.
    """

    score: float
    ev: float
    share: float

    @property
    def is_alike(self) -> bool:
        """Whether both surely show one scene."""
        return self.score >= _ALIKE and self.share >= LEAST_SHARE


def small(pixels: Pixels) -> Pixels:
    """Pixels (H, W, 3) uint8 or uint16 -> (h, w, 3) uint8 of at most `SIDE_PX` a side."""
    scale = SIDE_PX / max(pixels.shape[:2])
    size_wh = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
    reduced: Pixels = cv2.resize(pixels, size_wh, interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    return to_8_bit(reduced)


def compare(one: Pixels, other: Pixels) -> Likeness:
    """How `other` compares with `one`: two pictures of equal size, (h, w, 3) uint8, sRGB-encoded."""
    if one.shape != other.shape or min(one.shape[:2]) <= 2 * _REACH_PX:
        return Likeness(-1.0, 0.0, 0.0)
    ev, _ = _step_ev(one, other)
    details = [
        _detail(srgb_oetf(np.minimum(_linear()[each] * 2.0 ** max(up, 0), 1))) for each, up in ((one, ev), (other, -ev))
    ]

    def score(shift: tuple[int, ...]) -> float:
        a, b = (_moved(detail, by) for detail, by in zip(details, ((0, 0), shift), strict=True))
        spread = a.std() * b.std()
        return float(((a - a.mean()) * (b - b.mean())).mean() / spread) if spread > _LEAST_CONTRAST**2 else 0.0

    reach = range(-_REACH_PX, _REACH_PX + 1)
    near = max(product(reach[::2], repeat=2), key=score)
    around = [(near[0] + y, near[1] + x) for y, x in product((-1, 0, 1), repeat=2)]
    best = max((shift for shift in around if max(map(abs, shift)) <= _REACH_PX), key=score)
    return Likeness(score(best), *_step_ev(_moved(one, (0, 0)), _moved(other, best)))


def _moved(picture: Any, by: tuple[int, ...]) -> Any:
    """The inner part of a picture that was moved by so many pixels down and right."""
    y, x = (_REACH_PX + each for each in by)
    return picture[y : y + picture.shape[0] - 2 * _REACH_PX, x : x + picture.shape[1] - 2 * _REACH_PX]


def _step_ev(one: Pixels, other: Pixels) -> tuple[float, float]:
    """By how many stops the other is brighter in what both hold, and how large a share of the picture that is."""
    peaks = one.max(axis=2), other.max(axis=2)
    both = (np.minimum(*peaks) >= _HELD[0]) & (np.maximum(*peaks) <= _HELD[1])
    if both.sum() < _FEWEST_PX:
        return 0.0, 0.0
    # beside what clips, only those of the moved pixels are left that are darker
    inner = cv2.erode(both.astype(np.uint8), np.ones((3, 3), np.uint8), borderValue=1).astype(bool)
    seen = inner if inner.sum() >= _FEWEST_PX else both
    light = [luminance(_linear()[each[seen]]) for each in (one, other)]
    return float(np.median(np.log2(light[1] / light[0]))), float(both.mean())


def _detail(codes: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    grey = codes.mean(axis=2)
    return np.asarray(grey - cv2.blur(grey, (_DETAIL_PX, _DETAIL_PX)))


@cache
def _linear() -> npt.NDArray[np.float64]:
    return np.asarray(srgb_eotf(np.arange(256) / 255))
