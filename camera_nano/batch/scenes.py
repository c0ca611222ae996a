"""The photos that were found, and beside them the brackets and bursts that are to be merged."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from camera_nano.batch.groups import Shot, find_groups
from camera_nano.batch.journal import Journal
from camera_nano.batch.likeness import SIDE_PX, small
from camera_nano.batch.plan import PhotoAt
from camera_nano.batch.storage import LOCAL
from camera_nano.files import Decoder, Taken
from camera_nano.values import Pixels

# as what a journal remembers them; another number makes it forget what an earlier version has found out
_TAKEN, _SMALL = "taken 1", "small 1"
_DECODED_SIDE_PX = 4 * SIDE_PX

Stamps = dict[str, tuple[int, int]]


class Scenes(NamedTuple):
    """What `add_groups` returns."""

    photos: list[PhotoAt[Path]]
    doubts: list[str]  # groups that are not sure, a line each for people


def add_groups(
    photos: Sequence[PhotoAt[Path]],
    journal: Journal,
    *,
    threads: int = 2,
    is_over: Callable[[], bool] = lambda: False,
) -> Scenes:
    """The photos, and one more for each group of them that surely is of one scene: those are merged into it.

    How photos were taken, and the small pictures of those that may be a group, are read once: the journal remembers
    them. Where `is_over` says that the run ends, there are no groups.

    Raises:
        NoDecoder: as `Decoder.open`.
    """
    by_place = {os.fspath(photo.place): photo for photo in photos}
    stamps = {place: stamp for place in by_place if (stamp := _stamp(place)) is not None}
    with Decoder() as decoder:
        taken = _taken(stamps, journal, decoder, threads, is_over)
        shots = [Shot(place, found) for place, found in taken.items()]
        groups = [] if is_over() else find_groups(shots, lambda place: _small(place, stamps, journal, decoder))
    sure = [_as_photo([by_place[place] for place in group.places], stamps) for group in groups if not group.doubt]
    return Scenes([*photos, *sure], [group.told for group in groups if group.doubt])


def _as_photo(members: Sequence[PhotoAt[Path]], stamps: Stamps) -> PhotoAt[Path]:
    first, *others = members
    facts = [(other.place.name, *stamps[os.fspath(other.place)]) for other in others]
    name = first.name.with_stem(f"{first.name.stem}-merged")
    of = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
    return PhotoAt(first.place, name, first.root, tuple(other.place for other in others), of)


def _stamp(place: str) -> tuple[int, int] | None:
    try:
        return LOCAL.stamp(place)
    except OSError:  # gone, or not to be read: the run says so
        return None


def _taken(
    stamps: Stamps, journal: Journal, decoder: Decoder, threads: int, is_over: Callable[[], bool]
) -> dict[str, Taken]:
    """How each photo was taken, as remembered or read."""
    known = {place: journal.recall(place, _TAKEN, stamp) for place, stamp in stamps.items()}
    found = {place: _of_json(text) for place, text in known.items() if text is not None}
    left = [place for place in stamps if place not in found]
    with ThreadPoolExecutor(threads) as pool:
        for place, read in zip(left, pool.map(lambda place: _read(decoder, place, is_over), left), strict=True):
            if read is not None:
                found[place] = read
    news = {place: json.dumps(asdict(found[place])).encode() for place in left if place in found}
    journal.remember(_TAKEN, stamps, news)
    return found


def _read(decoder: Decoder, place: str, is_over: Callable[[], bool]) -> Taken | None:
    try:
        return None if is_over() else decoder.taken(place)
    except (OSError, ValueError):  # the run says what is wrong with it
        return None


def _of_json(text: bytes) -> Taken:
    values = json.loads(text)
    return Taken(**values | {"size_wh": tuple(values["size_wh"])})


def _small(place: str, stamps: Stamps, journal: Journal, decoder: Decoder) -> Pixels:
    """A small picture to compare, as remembered or read. Raises as `Decoder.thumbnail`."""
    if (kept := journal.recall(place, _SMALL, stamps[place])) is not None:
        height, width = kept[:2]
        return np.frombuffer(kept, np.uint8, offset=2).reshape(height, width, 3)
    picture = small(decoder.thumbnail(place, _DECODED_SIDE_PX))
    journal.remember(_SMALL, stamps, {place: bytes(picture.shape[:2]) + picture.tobytes()})
    return picture
