"""Faults that people see in a relit picture, as numbers. A picture that looks worse cannot score better.

PSNR likes fog: an even grey in place of a clipped sky is nearer to most references than the white that people want.
Each measure here finds one fault. All take pictures (H, W, 3) uint8 sRGB of one size; None is "does not apply here".
Lights are in EV, log2 of relative luminance. `figures` has all of them for a picture, `summary` for a set.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from metrics import CLIPPED, CRUSHED, EQUAL_DB, F64, U8, de00, lab, psnr, within_width
from numpy.typing import NDArray
from parts import LIGHT, PARTS, WORK_PX, decomposed

from camera_nano.color import luminance

Mask = NDArray[np.bool_]
Figures = dict[str, float | None]

LOW_DB = 14  # a picture below that is not what anybody wanted
# green below the first, blocky above the second: where people see it in an enlarged picture
GREEN_A, BLOCKY = -1.0, 1.5
LEAST_SHARE = 0.002  # of the picture: a smaller area is not judged
_FLOOR = 2.0**-12  # of light: below an 8-bit code
_NEAR = 0.03  # of the width: how far apart two places are that should look alike
_VISIBLE_EV = 0.3  # a difference between them that people see at once
_EDGE_EV = 0.25  # a difference between them that is an edge
_BADLY_EXPOSED = 16  # codes between the mean of a capture and that of its reference
_DEEP_EV, _LIFTED_EV = -7.0, 3.0  # 8 bits and JPEG have little colour below code 24; three stops on, it shows
_BLOCK_PX = 8  # of JPEG
_PARTLY = 238  # a pixel with a channel below that is no clipped grey


def light_ev(picture: U8) -> F64:
    """(H, W, 3) -> (H, W) in EV, 0 at SDR white."""
    return np.asarray(np.log2(luminance(LIGHT[picture]) + _FLOOR))


def held(capture: U8) -> Mask:
    """Pixels (H, W) whose light the capture holds: no channel clipped, none crushed."""
    return np.asarray((capture.max(2) < CLIPPED - 2) & (capture.min(2) >= CRUSHED))


def psnr_held(capture: U8, made: U8, reference: U8) -> float | None:
    """PSNR in dB over the pixels of `held`, whose light is known; clipped light could only be guessed."""
    known = held(capture)
    if known.mean() < LEAST_SHARE:
        return None
    error = float(np.square(made[known].astype(np.float64) - reference[known]).mean())
    return min(EQUAL_DB, float(10 * np.log10(255**2 / error))) if error else EQUAL_DB


def clean_white(capture: U8, made: U8) -> tuple[float, float] | None:
    """Standard deviation in EV and mean code 0..255 inside clipped areas, away from their edges.

    The capture is one flat white there, so the output should be flat too; grey clouds are the fault. Clipped: every
    channel at `CLIPPED` or above. Edges are a hundredth of the width.
    """
    radius = max(2, capture.shape[1] // 100)
    white = np.asarray(capture.min(2) >= CLIPPED, np.uint8)
    inside = cv2.erode(white, np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)) > 0
    if inside.mean() < LEAST_SHARE:
        return None
    return float(light_ev(made)[inside].std()), float(made[inside].mean())


def smudge(capture: U8, made: U8) -> float | None:
    """Share 0..1 of flat input area across which the output's light changes by over 0.3 EV within 3 % of the width.

    Flat: no channel's codes differ by more than 3 within that distance, away from black, where a code is most of an EV.
    """
    seen, shown = within_width(capture, WORK_PX), within_width(made, WORK_PX)
    reach = max(2, round(_NEAR * seen.shape[1]))
    window = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    spread = cv2.dilate(seen, window).astype(int) - cv2.erode(seen, window)
    flat = np.asarray((spread.max(2) <= 3) & (seen.max(2) >= 24))
    if flat.mean() < LEAST_SHARE:
        return None
    ev = light_ev(shown)
    return float(np.mean([_far_apart(ev, flat, reach, axis) for axis in (0, 1)]))


def _far_apart(ev: F64, flat: Mask, reach: int, axis: int) -> float:
    """Share of flat places whose light differs visibly from the light `reach` pixels further on."""
    here, there = (np.moveaxis(ev, axis, 0)[part] for part in (slice(None, -reach), slice(reach, None)))
    among = np.moveaxis(flat, axis, 0)[:-reach]
    return float((np.abs(here - there) > _VISIBLE_EV)[among].mean()) if among.any() else 0.0


def reversals(capture: U8, made: U8) -> float | None:
    """Share 0..1 of the input's edges (over 0.25 EV within 3 % of the width) that the output inverts or flattens.

    Flattened: less than a tenth of the input's step is left, for instance where highlights become white. Steps that
    begin or end below code 16 do not count, since they may be noise.
    """
    seen, shown = within_width(capture, WORK_PX), within_width(made, WORK_PX)
    before, after = _calm(light_ev(seen)), _calm(light_ev(shown))
    dark = before < np.log2(LIGHT[16] + _FLOOR)
    reach = max(2, round(_NEAR * seen.shape[1]))
    n_edges = n_lost = 0
    for axis in (0, 1):
        step_in, step_out = (
            np.moveaxis(x, axis, 0)[reach:] - np.moveaxis(x, axis, 0)[:-reach] for x in (before, after)
        )
        unsure = np.moveaxis(dark, axis, 0)
        is_edge = (np.abs(step_in) > _EDGE_EV) & ~unsure[reach:] & ~unsure[:-reach]
        n_edges += int(is_edge.sum())
        n_lost += int((is_edge & (step_out * np.sign(step_in) < 0.1 * np.abs(step_in))).sum())
    return n_lost / n_edges if n_edges > 50 else None


def way(capture: U8, made: U8, reference: U8) -> float | None:
    """How far the output went from a badly exposed capture towards its reference, by the mean code value.

    0 is not changed, 1 is right, more is too far; below a half the picture counts as left alone. None where the capture
    is within `_BADLY_EXPOSED` codes of the reference.
    """
    wanted = float(reference.mean()) - float(capture.mean())
    return (float(made.mean()) - float(capture.mean())) / wanted if abs(wanted) >= _BADLY_EXPOSED else None


def way_held(capture: U8, made: U8, reference: U8) -> float | None:
    """`way` over the pixels of `held`.

    Clipped areas are white whatever else is done, and count in `way` as if they had been left alone: of a picture half
    of which is clipped, the rest would have to become twice too dark. None where less than `LEAST_SHARE` is held.
    """
    known = held(capture)
    return way(capture[known], made[known], reference[known]) if known.mean() >= LEAST_SHARE else None


def gain_db(capture: U8, made: U8, reference: U8) -> float | None:
    """PSNR of the output less that of the input, in dB: below 0 doing nothing would have been better.

    None where the input is the reference, as with good photos.
    """
    return None if np.array_equal(capture, reference) else psnr(made, reference) - psnr(capture, reference)


def lifted(capture: U8, made: U8) -> Mask:
    """Pixels (H, W) of deep shadows (below code 24) that became over 3 EV brighter; light is smoothed first."""
    before, after = (_calm(light_ev(x)) for x in (capture, made))
    return np.asarray((before < _DEEP_EV) & (after - before > _LIFTED_EV))


def most_lifted(capture: U8, made: U8, size: int) -> tuple[slice, slice]:
    """The square of `size` pixels a side, or of the whole height or width, with the most lifted shadow."""
    lift = cv2.boxFilter(lifted(capture, made).astype(np.float32), -1, (size, size))
    centre = np.unravel_index(int(lift.argmax()), lift.shape)
    starts = [int(np.clip(at - size // 2, 0, max(0, n - size))) for at, n in zip(centre, lift.shape, strict=True)]
    return slice(starts[0], starts[0] + size), slice(starts[1], starts[1] + size)


def green(capture: U8, made: U8, reference: U8) -> float | None:
    """Mean a* of the output less that of the reference in lifted shadows: below 0 is greener."""
    where = lifted(capture, made)
    if where.mean() < LEAST_SHARE:
        return None
    ours, theirs = (lab(picture[where][None])[..., 1].mean() for picture in (made, reference))
    return float(ours - theirs)


def blockiness(capture: U8, made: U8, reference: U8) -> float | None:
    """How much stronger steps are at the 8 x 8 grid of JPEG than between it, in lifted shadows, beside the reference's.

    1 is as blocky as the reference. Pictures must have the pixel grid of their files.
    """
    where = lifted(capture, made)
    if where.mean() < LEAST_SHARE:
        return None
    return _grid_steps(made, where) / _grid_steps(reference, where)


def _grid_steps(picture: U8, where: Mask) -> float:
    luma = picture.astype(np.float64).mean(2)
    on, off = [], []
    for axis in (0, 1):
        steps = np.abs(np.diff(luma, axis=axis))
        inside = where[:-1] & where[1:] if axis == 0 else where[:, :-1] & where[:, 1:]
        place = np.arange(steps.shape[axis]) % _BLOCK_PX == _BLOCK_PX - 1
        at = place[:, None] if axis == 0 else place[None, :]
        on.append(steps[inside & at])
        off.append(steps[inside & ~at])
    return float((np.concatenate(on).mean() + 0.1) / (np.concatenate(off).mean() + 0.1))


def tint(capture: U8, made: U8, reference: U8) -> float | None:
    """Mean Delta-E 2000 of colour alone, lightness made equal, where the capture clips one or two channels of three.

    Of these it does not know the hue. A sky whose blue is clipped comes down as teal, a sunset as green.
    """
    seen, shown, wanted = (within_width(picture, WORK_PX) for picture in (capture, made, reference))
    partly = np.asarray((seen.max(2) >= CLIPPED) & (seen.min(2) < _PARTLY) & (seen.min(2) >= CRUSHED))
    if partly.mean() < LEAST_SHARE:
        return None
    ours, theirs = (lab(picture[partly][None]) for picture in (shown, wanted))
    theirs[..., 0] = ours[..., 0]
    return de00(ours, theirs)


def whites(made: U8) -> float:
    """99th percentile of the code values 0..255: a picture without white looks dull."""
    return float(np.percentile(made.max(2), 99))


def figures(capture: U8, made: U8, reference: U8) -> Figures:
    """All measures of one picture, by name; the parts of the squared error as `error_exposure` and so on."""
    white = clean_white(capture, made)
    return {
        "psnr": psnr(made, reference),
        "psnr_held": psnr_held(capture, made, reference),
        "de00": de00(lab(made), lab(reference)),
        "white_std_ev": white and white[0],
        "white_code": white and white[1],
        "smudge": smudge(capture, made),
        "reversals": reversals(capture, made),
        "way": way(capture, made, reference),
        "way_held": way_held(capture, made, reference),
        "gain_db": gain_db(capture, made, reference),
        "green": green(capture, made, reference),
        "blockiness": blockiness(capture, made, reference),
        "tint": tint(capture, made, reference),
        "whites": whites(made),
        **{f"error_{part}": error for part, error in decomposed(made, reference).items()},
    }


def known(rows: Sequence[Figures], measure: str) -> list[float]:
    """The values of a measure where it applies."""
    return [value for row in rows if (value := row[measure]) is not None]


def mean_of_known(rows: Sequence[Figures], measure: str) -> float | None:
    """Rounded to 4 places; None where the measure applies nowhere."""
    values = known(rows, measure)
    return round(float(np.mean(values)), 4) if values else None


def counts(rows: Sequence[Figures]) -> dict[str, int]:
    """How many pictures of a set have which fault."""
    return {
        "low": sum(value < LOW_DB for value in known(rows, "psnr")),
        "left_alone": sum(value < 0.5 for value in known(rows, "way")),
        "left_alone_held": sum(value < 0.5 for value in known(rows, "way_held")),
        "worse_than_input": sum(value < 0 for value in known(rows, "gain_db")),
        "green": sum(value < GREEN_A for value in known(rows, "green")),
        "green_or_blocky": sum((row["green"] or 0) < GREEN_A or (row["blockiness"] or 0) > BLOCKY for row in rows),
    }


def summary(rows: Sequence[Figures]) -> dict[str, Any]:
    """A set for JSON: each measure's mean and of how many pictures it is, counts, shares of the squared error."""
    errors = {part: sum(known(rows, f"error_{part}")) for part in PARTS}
    whole = sum(errors.values())
    return {
        "n": len(rows),
        "means": {name: mean_of_known(rows, name) for name in rows[0] if not name.startswith("error_")},
        "applies_to": {name: len(known(rows, name)) for name in rows[0] if not name.startswith("error_")},
        "counts": counts(rows),
        "error_shares": {part: round(error / whole, 4) if whole else 0.0 for part, error in errors.items()},
    }


def _calm(ev: F64) -> F64:
    return np.asarray(cv2.GaussianBlur(ev, (0, 0), max(1.0, ev.shape[1] / 200)), np.float64)
