"""Takes: different answers of the model to one look of one frame, to pick from. Seeds differ in exposure first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from camera_nano.color import luminance, srgb_eotf, to_8_bit
from camera_nano.light import shrink
from camera_nano.light.render import render
from camera_nano.values import EditField, Pixels

TAKES = 4
SEEDS_A_TURN = 8  # that are tried: those are offered that differ most
TAKES_WIDTH_PX = 640
_DARKEST = 2.0**-10  # of what counts as exposure: blacks that are a little less black look the same


@dataclass(frozen=True, slots=True, eq=False)
class Take:
    """One answer: its seed, its picture (h, w, 3) at most 640 px wide, and how bright it is beside that of now."""

    seed: int
    pixels: Pixels
    ev: float  # stops, of the mean log luminance
    is_now: bool  # whether the look has this seed already


def make_takes(
    pixels: Pixels, answer: Callable[[int], EditField], now: int, first_seed: int, strength: float = 1.0
) -> list[Take]:
    """Four answers, darker ones first, the one of seed `now` among them.

    Args:
        pixels: of the frame, (H, W, 3), or of what it was merged to.
        answer: seed -> field.
        now: the seed that the look has.
        first_seed: eight seeds from here on are tried.
        strength: of the look, 0..1.
    """
    small = shrink(pixels, TAKES_WIDTH_PX)
    seeds = [now, *(seed for seed in range(first_seed, first_seed + SEEDS_A_TURN) if seed != now)][:SEEDS_A_TURN]
    pictures = [to_8_bit(render(small, answer(seed) * strength)) for seed in seeds]
    evs = [_exposure_ev(picture) for picture in pictures]
    chosen = sorted(spread(evs, TAKES), key=lambda i: evs[i])
    return [Take(seeds[i], pictures[i], evs[i] - evs[0], i == 0) for i in chosen]


def spread(values: Sequence[float], n: int) -> list[int]:
    """The places of the first value and of n - 1 others: each time the one furthest from those taken."""
    taken = [0]
    while len(taken) < min(n, len(values)):
        left = [i for i in range(len(values)) if i not in taken]
        taken.append(max(left, key=lambda i: min(abs(values[i] - values[j]) for j in taken)))
    return taken


def _exposure_ev(pixels: Pixels) -> float:
    light = luminance(srgb_eotf(pixels[::4, ::4] / np.iinfo(pixels.dtype).max))
    return float(np.log2(light + _DARKEST).mean())
