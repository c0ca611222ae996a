"""Several photos of one scene -> one picture, as if a camera of more range and less noise had taken it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from camera_nano.batch.groups import agree
from camera_nano.batch.likeness import compare, small
from camera_nano.errors import UnlikePhotos
from camera_nano.files import Decoder, Picture, Taken, photo_digest, samples_of
from camera_nano.merge import Capture, Merged, expose, merge
from camera_nano.opencv import cv2
from camera_nano.recipe import Merging, Recipe
from camera_nano.values import F32, Pixels

_LEAST_RANGE_EV = 0.25  # a bracket, not a burst
_FOCUS_CELLS, _FOCUS_SHARE = 8, 0.1  # a side; of the cells
_one_at_a_time = threading.Lock()  # all photos of a merge are in memory


@dataclass(frozen=True, slots=True, eq=False)
class Opened:
    """A photo to make looks of: a file, or several merged into one picture."""

    picture: Picture
    origin: Path  # the file that it has its metadata from
    merging: Merging | None = None

    def recipe(self, recipe: Recipe) -> Recipe:
        """The recipe for it: what was merged is a camera's, and looks dark only since highlights need room."""
        if self.merging is None:
            return recipe
        return replace(recipe, merging=self.merging, assume="captured" if recipe.assume == "auto" else recipe.assume)


@dataclass(frozen=True, slots=True, eq=False)
class MergedPhotos:
    """What `merge_photos` returns; `reference` is the picture of `origin`, which says where things are."""

    merged: Merged
    reference: Picture
    origin: Path
    merging: Merging
    notes: tuple[str, ...]  # for people, a line each


def open_photos(paths: Sequence[Path], decoder: Decoder, *, threads: int = 1) -> Opened:
    """One photo as it is, or several merged. Raises as `Decoder.open` and `merge_photos`."""
    if len(paths) == 1:
        return Opened(decoder.open(paths[0]), paths[0])
    with _one_at_a_time:
        return developed(merge_photos(paths, decoder, threads=threads))


def developed(found: MergedPhotos) -> Opened:
    """Merged light as a picture for the model and the looks, with the light above white that was measured."""
    exposed = expose(found.merged)
    reference = found.reference
    picture = replace(
        reference,
        frame=replace(reference.frame, pixels=exposed.pixels),
        alpha=None,
        headroom_ev=exposed.headroom_ev,
        notes=found.notes,
    )
    return Opened(picture, found.origin, found.merging)


def merge_photos(
    paths: Sequence[Path], decoder: Decoder, *, threads: int = 1, on_read: Callable[[], None] = lambda: None
) -> MergedPhotos:
    """Read photos of one scene and merge them. Raw files keep their linear light, and share one white balance.

    Args:
        paths: two or more, in any order, of one camera and size.
        decoder: reads them.
        threads: of the kernel.
        on_read: called after each photo.

    Raises:
        ValueError: they are not of one size, camera or kind.
        UnlikePhotos: nothing in them fits.
        OSError, NoDecoder: as `Decoder.open`.
    """
    taken = [decoder.taken(path) for path in paths]
    if len(cameras := {t.camera for t in taken if t.camera}) > 1:
        raise ValueError(f"{_names(paths)} are of {' and '.join(sorted(cameras))}: give photos of one camera")
    pictures: list[Picture] = []
    for path in paths:
        pictures.append(decoder.open_capture(path, pictures[0].white_balance if pictures else ()))
        _check_like(pictures[0], pictures[-1], paths[0], path)
        on_read()
    smalls = [small(picture.frame.pixels) for picture in pictures]
    evs, notes, are_alike = exposures_ev(paths, taken, smalls)
    may_be_stack = are_alike and max(evs) - min(evs) < _LEAST_RANGE_EV
    if may_be_stack and is_focus_stack([picture.frame.pixels for picture in pictures]):
        raise UnlikePhotos(f"{_names(paths)} are sharp in other places, as a focus stack is: that is not merged here")
    number = reference_of(evs, [picture.frame.pixels for picture in pictures])
    captures = [Capture(p.frame.pixels, ev, t.iso) for p, ev, t in zip(pictures, evs, taken, strict=True)]
    merged = merge(captures, number, threads=threads)
    if not merged.is_merged:
        raise UnlikePhotos(f"{_names(paths)}: nothing in them fits, so there is nothing to merge; choose other photos")
    photos = tuple((path.name, digest_of(picture)) for path, picture in zip(paths, pictures, strict=True))
    merging = Merging(merged.n_used, round(merged.range_ev, 2), photos)
    of_each = tuple(note for picture in pictures for note in picture.notes)
    return MergedPhotos(merged, pictures[number], paths[number], merging, (*dict.fromkeys(of_each), *notes))


def digest_of(picture: Picture) -> str:
    """What tells a photo from others in the recipe of what was merged from it."""
    return photo_digest(samples_of(picture.frame.pixels))


def _names(paths: Sequence[Path]) -> str:
    return ", ".join(path.name for path in paths)


def _check_like(first: Picture, other: Picture, first_path: Path, path: Path) -> None:
    """Raises ValueError where two pictures cannot be of one scene and camera, by size, kind or colours."""
    sizes = [f"{p.frame.pixels.shape[1]}x{p.frame.pixels.shape[0]}" for p in (first, other)]
    if sizes[0] != sizes[1]:
        raise ValueError(f"{path} is {sizes[1]}, and {first_path} is {sizes[0]}: give photos of one size")
    if bool(first.white_balance) != bool(other.white_balance):
        raise ValueError(f"{path} and {first_path}: one is a raw file, one is not; give photos of one kind")
    if first.metadata.icc != other.metadata.icc:
        raise ValueError(f"{path} and {first_path} have other colour profiles: export them with the same one")


def exposures_ev(
    paths: Sequence[Path], taken: Sequence[Taken], thumbs: Sequence[Pixels]
) -> tuple[list[float], list[str], bool]:
    """Exposures against the first photo, in stops, a note where EXIF and pictures differ, and whether all are alike.

    Each is compared with the one before it in exposure, though `groups` may have compared them when it found them: that
    was by thumbnails, and these are the pixels to merge.

    Neither is trusted alone: EXIF rounds (1/15 s is 1/16), may be missing or copied; pictures have tone curves, clip,
    and may show nothing that both hold. Where they agree EXIF counts: `merge` measures the rest, and tells tone curves
    by it. Where they do not, the pictures count if they are surely alike, else EXIF.

    Raises:
        UnlikePhotos: neither says it.
    """
    said = [t.ev for t in taken]
    has_said = None not in said
    order = sorted(range(len(paths)), key=lambda k: (said[k] or 0.0) if has_said else float(thumbs[k].mean()))
    evs, notes, are_alike = {order[0]: 0.0}, list[str](), True
    for one, other in pairwise(order):
        seen = compare(thumbs[one], thumbs[other])
        step = (said[other] or 0.0) - (said[one] or 0.0) if has_said else None
        if not seen.is_alike:
            if step is None:
                text = "are not alike, and do not say how they were exposed"
                raise UnlikePhotos(f"{paths[one].name} and {paths[other].name} {text}: choose other photos")
            evs[other], are_alike = evs[one] + step, False
            continue
        if step is not None and agree(step, seen.ev):
            evs[other] = evs[one] + step
            continue
        evs[other] = evs[one] + seen.ev
        if step is not None:
            text = f"differ by {seen.ev:.1f} EV in light, not by {step:.1f} EV as they say"
            notes.append(f"{paths[one].name} and {paths[other].name} {text}")
    return [evs[k] - evs[0] for k in range(len(paths))], notes, are_alike


def reference_of(evs: Sequence[float], pictures: Sequence[Pixels]) -> int:
    """Which capture says where things are: the middle exposure of a bracket, the sharpest of a burst."""
    if max(evs) - min(evs) < _LEAST_RANGE_EV:
        return max(range(len(evs)), key=lambda k: _sharpness(pictures[k]))
    ranked = sorted(range(len(evs)), key=lambda k: evs[k])
    return ranked[(len(ranked) - 1) // 2]


def is_focus_stack(pictures: Sequence[Pixels]) -> bool:
    """Whether some parts are far sharper in the first picture, and others in another one."""
    cells = (_FOCUS_CELLS, _FOCUS_CELLS)
    found = []
    for pixels in pictures:
        size_wh = max(_FOCUS_CELLS, pixels.shape[1] // 4), max(_FOCUS_CELLS, pixels.shape[0] // 4)
        green = cv2.resize(np.ascontiguousarray(pixels[..., 1]), size_wh, interpolation=cv2.INTER_AREA)  # without noise
        found.append(np.log2(cv2.resize(_contrast(green), cells, interpolation=cv2.INTER_AREA) + 1e-6))
    steps = [each - found[0] for each in found[1:]]
    return any(min((step > 2).mean(), (step < -2).mean()) >= _FOCUS_SHARE for step in steps)


def _sharpness(pixels: Pixels) -> float:
    """Contrast in the middle of the picture, as Hasinoff et al. 2016, section 4, choose theirs."""
    height, width = pixels.shape[:2]
    return float(_contrast(pixels[height // 4 : -(-3 * height // 4), width // 4 : -(-3 * width // 4), 1]).mean())


def _contrast(grey: npt.NDArray[Any]) -> F32:
    """Squared differences of neighbours, of code values."""
    codes = grey.astype(np.float32)
    down, across = np.gradient(codes)
    return np.asarray(down**2 + across**2, np.float32)
