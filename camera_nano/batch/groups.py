"""Which photos of a folder are a bracket or a burst of one scene, to be merged into one picture.

A wrong group is worse than none: a group is sure where its EXIF and its pictures say the same. One that is not gets a
`doubt`, which is told, and its photos stay single.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import PurePath
from typing import Literal

from camera_nano.batch.likeness import LEAST_SHARE, compare
from camera_nano.files import Taken
from camera_nano.values import Pixels

_PAUSE_S, _BURST_PAUSE_S = 2.0, 0.5  # the longest between the end of an exposure and the next one
_MOST_IN_BRACKET, _MOST_IN_BURST = 9, 15
_LEAST_IN_BURST = 3
_LEAST_STEP_EV, _LARGEST_STEP_EV = 0.25, 4.0  # between neighbouring exposures of a bracket
_WIDE_STEP_EV = 0.6  # exposures so far apart are no accident
_SAME_EV = 0.1
_DARK_ISO = 800  # from here on noise is seen, so that a burst is worth merging
_HAND_HELD_S = 1.0
_ALIKE_IN_BURST = 0.88  # a score: nothing but noise and the hand differ
_NUMBER = re.compile(r"(.*?)(\d{1,6})$")


@dataclass(frozen=True, slots=True)
class Shot:
    """A photo, and how it was taken."""

    place: str  # path or URL
    taken: Taken

    @property
    def path(self) -> PurePath:
        """Its name and folder."""
        return PurePath(self.place)


@dataclass(frozen=True, slots=True)
class Group:
    """Photos of one scene, in the order they were taken."""

    kind: Literal["bracket", "burst"]
    places: tuple[str, ...]
    doubt: str = ""  # why it is not merged; empty where it is sure

    @property
    def told(self) -> str:
        """One line for people, where there is a doubt."""
        names = [PurePath(place).name for place in self.places]
        look = f"{', '.join(names)} look like a {self.kind}, but {self.doubt}: each stays single"
        return f"{look} (camera-nano merge {' '.join(names)} -o OUT merges them)"


def find_groups(shots: Iterable[Shot], small: Callable[[str], Pixels]) -> list[Group]:
    """The brackets and bursts among photos, in doubt or not; each photo is in one of them at most.

    Args:
        shots: in any order.
        small: gives the small picture of a photo, (h, w, 3) uint8, sRGB-encoded; it is asked for the photos of
            possible groups only. Where it raises OSError or ValueError, that group is in doubt.
    """
    found = []
    for group, taken in likely_groups(shots):
        seen = checked(replace(group, doubt=""), taken, small)
        is_told = group.kind == "bracket" and (not group.doubt or taken[group.places[0]].is_bracket)
        if not seen.doubt or is_told:  # what only followed each other is no news
            found.append(group if group.doubt else seen)
    return without_twins(found)


def likely_groups(shots: Iterable[Shot]) -> Iterator[tuple[Group, dict[str, Taken]]]:
    """Groups by EXIF alone, with how their photos were taken: what `checked` then compares with the pictures."""
    rows: dict[tuple[object, ...], list[Shot]] = defaultdict(list)
    for shot in shots:
        if (t := shot.taken).at_s is not None and t.ev is not None and t.camera:
            of_camera = t.camera, t.size_wh, t.orientation, t.focal_mm, t.f_number
            rows[shot.path.parent, shot.path.suffix.lower(), *of_camera].append(shot)
    for row in rows.values():
        for run in _runs(_without_copies(sorted(row, key=_order))):
            taken = {shot.place: shot.taken for shot in run}
            for group in (*_brackets(run), *_bursts(run)):
                yield group, taken


def without_twins(groups: Sequence[Group]) -> list[Group]:
    """Of groups of the same names, as raw files and their JPEGs are, the sure one with the most data: not a JPEG's."""

    def names(group: Group) -> frozenset[PurePath]:
        return frozenset(PurePath(place).with_suffix("") for place in group.places)

    best: dict[frozenset[PurePath], Group] = {}
    for group in groups:
        other = best.get(names(group))
        if other is None or (bool(other.doubt), _is_jpeg(other)) > (bool(group.doubt), _is_jpeg(group)):
            best[names(group)] = group
    return list(best.values())


def _is_jpeg(group: Group) -> bool:
    return PurePath(group.places[0]).suffix.lower() in (".jpg", ".jpeg")


def _order(shot: Shot) -> tuple[float, list[tuple[int, str]]]:
    """By time, and by name where seconds are all that is known: IMG_9 comes before IMG_10."""
    parts = re.split(r"(\d+)", shot.path.stem)
    return shot.taken.at_s or 0.0, [(int(part), "") if part.isdecimal() else (0, part) for part in parts]


def _without_copies(shots: Sequence[Shot]) -> list[Shot]:
    """One of each moment: a camera does not take two photos in the same hundredth of a second."""
    kept: list[Shot] = []
    for shot in shots:
        if not (kept and shot.taken.is_exact and shot.taken.at_s == kept[-1].taken.at_s):
            kept.append(shot)
    return kept


def _runs(shots: Sequence[Shot]) -> Iterator[list[Shot]]:
    """Photos that follow each other without a pause."""
    run: list[Shot] = []
    for shot in shots:
        if run and _pause_s(run[-1].taken, shot.taken) > _PAUSE_S:
            yield run
            run = []
        run.append(shot)
    if run:
        yield run


def _pause_s(one: Taken, other: Taken) -> float:
    # some cameras note when an exposure ends
    return (other.at_s or 0) - (one.at_s or 0) - max(one.time_s or 0, other.time_s or 0)


def _brackets(run: Sequence[Shot]) -> Iterator[Group]:
    """Each ends where an exposure comes again, or the photos stop being of one."""
    pieces: list[list[Shot]] = []
    for shot in run:
        piece = pieces[-1] if pieces else []
        if not piece or piece[-1].taken.is_bracket != shot.taken.is_bracket or _is_in(shot, piece):
            pieces.append(piece := [])
        piece.append(shot)
    told = [piece for piece in pieces if len(piece) > 1 and piece[0].taken.is_bracket]
    usual = max(map(len, told), default=0)
    for piece in pieces:
        if len(piece) > 1:
            doubt = _doubt_of_bracket(piece, usual)
            if doubt is not None:
                yield Group("bracket", tuple(shot.place for shot in piece), doubt)


def _is_in(shot: Shot, piece: Sequence[Shot]) -> bool:
    return any(abs(_ev(shot) - _ev(other)) < _LEAST_STEP_EV for other in piece)


def _ev(shot: Shot) -> float:
    return shot.taken.ev or 0.0


def _doubt_of_bracket(piece: Sequence[Shot], usual: int) -> str | None:
    """Why photos of different exposures are not surely a bracket; None where they only follow the light."""
    evs = sorted(_ev(shot) for shot in piece)
    steps = [after - before for before, after in pairwise(evs)]
    is_told = piece[0].taken.is_bracket
    biases = [shot.taken.bias_ev for shot in piece]
    if not is_told and not _follow(biases, [_ev(shot) for shot in piece]):
        is_likely = len(piece) > 2 and min(steps) > _WIDE_STEP_EV and max(steps) - min(steps) < _WIDE_STEP_EV
        return "the camera does not say that it bracketed" if is_likely else None
    if max(steps) > _LARGEST_STEP_EV:
        return "a photo between them is missing"
    if len(piece) > _MOST_IN_BRACKET:
        return f"there are {len(piece)} of them"
    if len(piece) < usual:
        return f"it was broken off after {len(piece)} of {usual}"
    return _doubt_of_names(piece)


def _follow(biases: Sequence[float | None], evs: Sequence[float]) -> bool:
    """Whether at least three exposures differ by even steps of what was asked for, and of nothing else."""
    asked = sorted(bias for bias in biases if bias is not None)
    if len(asked) < max(3, len(biases)):
        return False
    steps = [after - before for before, after in pairwise(asked)]
    of_metered = [ev - (bias or 0) for ev, bias in zip(evs, biases, strict=True)]
    is_even = min(steps) >= _LEAST_STEP_EV and max(steps) - min(steps) < _LEAST_STEP_EV
    return is_even and max(of_metered) - min(of_metered) < _LEAST_STEP_EV * 2


def _doubt_of_names(piece: Sequence[Shot]) -> str:
    """Cameras count: where names are numbered alike, the numbers follow each other."""
    found = [_NUMBER.fullmatch(shot.path.stem) for shot in piece]
    if any(each is None for each in found) or len({each[1] for each in found if each}) > 1:
        return ""
    numbers = [int(each[2]) for each in found if each]
    is_counted = all(after - before == 1 or (before, after) == (9999, 1) for before, after in pairwise(numbers))
    return "" if is_counted else "their numbers do not follow each other"


def _bursts(run: Sequence[Shot]) -> Iterator[Group]:
    """Photos of one exposure in quick succession, where it was so dark that merging them is worth it."""
    piece: list[Shot] = []
    for shot in (*run, None):
        if shot is not None and (not piece or _goes_on(piece[-1].taken, shot.taken)):
            piece.append(shot)
            continue
        if _LEAST_IN_BURST <= len(piece) <= _MOST_IN_BURST and _is_dark(piece[0].taken) and not _doubt_of_names(piece):
            yield Group("burst", tuple(each.place for each in piece))
        piece = [] if shot is None else [shot]


def _goes_on(one: Taken, other: Taken) -> bool:
    def settings(t: Taken) -> tuple[object, ...]:
        return t.time_s, t.iso, t.bias_ev, t.distance_m, t.is_exact, t.is_bracket

    return settings(one) == settings(other) and _pause_s(one, other) <= _BURST_PAUSE_S


def _is_dark(taken: Taken) -> bool:
    is_shot = taken.is_exact and not taken.is_bracket and (taken.time_s or 0) <= _HAND_HELD_S
    return is_shot and (taken.iso or 0) >= _DARK_ISO


def checked(group: Group, taken: dict[str, Taken], small: Callable[[str], Pixels]) -> Group:
    """The group, in doubt where its pictures are not alike, or differ in exposure by other than their EXIF says."""
    is_bracket = group.kind == "bracket"
    try:
        pictures = {place: small(place) for place in group.places}
    except (OSError, ValueError) as error:
        return replace(group, doubt=f"one cannot be read ({error})")
    by_ev = sorted(group.places, key=lambda place: taken[place].ev or 0)
    first, *others = group.places
    for one, other in pairwise(by_ev) if is_bracket else [(first, each) for each in others]:
        found = compare(pictures[one], pictures[other])
        said_ev = (taken[other].ev or 0) - (taken[one].ev or 0)
        names = f"{PurePath(one).name} and {PurePath(other).name}"
        if found.share < LEAST_SHARE:
            return replace(group, doubt=f"{names} have too little in common")
        if not found.is_alike or (not is_bracket and found.score < _ALIKE_IN_BURST):
            return replace(group, doubt=f"{names} are not alike")
        if not agree(said_ev, found.ev):
            doubt = f"{names} differ by {found.ev:.1f} EV in light, and by {said_ev:.1f} EV as they say"
            return replace(group, doubt=doubt)
    return group


def agree(said_ev: float, seen_ev: float) -> bool:
    """Whether a difference in exposure that is seen may be the one that EXIF says: tone curves stretch it."""
    return abs(seen_ev - said_ev) <= 0.5 + 0.4 * abs(said_ev)
