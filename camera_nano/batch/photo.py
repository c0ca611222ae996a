"""One photo through one or more recipes: what `batch`, `enhance` and `recipe --redo` share."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from camera_nano.atomic import sweep, write_atomically
from camera_nano.files import Decoder, Original, Picture, from_headroom, shared_decoder
from camera_nano.formats import FORMATS, format_of
from camera_nano.light import cut_look, draw_gain_map, enhance_frame, mean_light
from camera_nano.recipe import Labels, Recipe
from camera_nano.seams import Editor
from camera_nano.values import Alternative, Assume, GainMap

OFF_METER_EV = 1.5  # photographers ask for less in a photo they keep
MIDDLE_GREY, SHOWN_EV = 0.18, 0.75
LEFT_AS_IT_IS = "left as it is: it looks finished; --assume captured gives it new light all the same"


@dataclass(frozen=True, slots=True)
class Maker:
    """All that turns photos into looks."""

    editor: Editor
    recipes: Sequence[Recipe]  # one for each look, in the order of the outputs of a job
    decoder: Decoder
    labels: Labels = Labels()
    keep_times: bool = False  # the looks get the time of the photo's last change

    @property
    def keys(self) -> list[str]:
        """By which a journal knows the recipes, see `Labels.key`."""
        return [self.labels.key(recipe) for recipe in self.recipes]


class LookFile(NamedTuple):
    """A look as it is written."""

    data: bytes
    notes: list[str]  # for people, a line each
    looks_finished: bool  # so the model left the photo's light as it is


def make_look(
    picture: Picture,
    origin: Path,
    output: Path,
    recipe: Recipe,
    editor: Editor,
    *,
    labels: Labels = Labels(),
    threads: int = 1,
    keep_times: bool = False,
) -> list[str]:
    """Write one look of a decoded photo, whose file is `origin`. Returns notes for people, a line each.

    With `keep_times` it gets the time of the photo's last change.

    Raises:
        ValueError: the output is the photo itself; otherwise as `looks_of`.
        OSError: as `write_atomically`.
    """
    check_other(output, origin)
    sweep(output.parent)
    [made] = looks_of(picture, origin, [(output.name, recipe)], editor, labels=labels, threads=threads)
    write_atomically(output, made.data, origin.stat().st_mtime_ns if keep_times else None)
    return [*made.notes, f"{origin.name}: {LEFT_AS_IT_IS}"] if made.looks_finished else made.notes


def check_other(output: Path, origin: Path) -> None:
    """Raises ValueError where the output is the photo itself."""
    if output.exists() and origin.exists() and output.samefile(origin):
        raise ValueError(f"{output} is the input itself: originals are never overwritten, choose another --out")


def looks_of(
    picture: Picture,
    origin: Path,
    wanted: Sequence[tuple[str, Recipe]],
    editor: Editor,
    *,
    labels: Labels = Labels(),
    threads: int = 1,
    decoder: Decoder | None = None,
) -> Iterator[LookFile]:
    """A file for each name and recipe; each is made when it is asked for.

    Args:
        picture: the decoded photo.
        origin: its file.
        wanted: at least one; the recipes differ in their looks alone.
        editor: the model.
        labels: what the files say beside the pixels.
        threads: of the renderer.
        decoder: writes the files, whose metadata is foreign; that of the process by default.

    Raises:
        ValueError: as `deliver`, or a name's suffix is not one of the recipe's format.
        OSError: as `deliver`.
    """
    first = wanted[0][1]
    alternatives = enhance_frame(
        picture.frame,
        editor,
        [recipe.look for _, recipe in wanted],
        strength=first.strength,
        n_steps=first.n_steps,
        seed=first.seed,
        threads=threads,
        assume=assumed(first, picture),
    )
    for (name, recipe), alternative in zip(wanted, alternatives, strict=True):
        yield _file(name, alternative, picture, origin, recipe, labels, decoder or shared_decoder())


def assumed(recipe: Recipe, picture: Picture) -> Assume:
    """What the model is told that a photo is: what the recipe says, and where that is "auto", what EXIF makes certain.

    A photo that missed its meter by `OFF_METER_EV` or more, and is as dark or bright as that sounds, is a mistake or
    one of a bracket. Nobody has finished it, however much its tones look like it.
    """
    if recipe.assume != "auto" or abs(picture.off_meter_ev) < OFF_METER_EV:
        return recipe.assume
    key_ev = math.log2(max(mean_light(picture.frame.pixels), 2.0**-12) / MIDDLE_GREY)
    shown_ev = key_ev if picture.off_meter_ev > 0 else -key_ev
    return "captured" if shown_ev >= SHOWN_EV else "auto"


def _file(
    name: str,
    alternative: Alternative,
    picture: Picture,
    origin: Path,
    recipe: Recipe,
    labels: Labels,
    decoder: Decoder,
) -> LookFile:
    format, gain = _format_and_gain(Path(name), recipe.format, picture, alternative)
    image, gain = cut_look(alternative.image, gain, recipe.aspect)
    data, unkept = decoder.deliver(
        image,
        Original(origin, picture.format, picture.frame.pixels, picture.metadata),
        recipe,
        name=name,
        format=format,
        labels=labels,
        alpha=picture.alpha,
        gain=gain,
    )
    notes = [f"{origin.name}: {note}" for note in (*picture.notes, *unkept)]
    if picture.alpha is not None and FORMATS[format].container == "jpeg" and picture.alpha.min() < picture.alpha.max():
        notes.append(f"{origin.name} is transparent in part, and is laid on white for {format}: png keeps it")
    if picture.headroom_ev is not None and not FORMATS[format].headroom:
        notes.append(f"{origin.name} has light above white, which {format} files cannot hold: use --format ultrahdr")
    elif gain is None and (picture.headroom_ev is not None or _asks_for_headroom(recipe.format)):
        notes.append(f"{name}: nothing is clearly brighter than white here, so this is a plain SDR picture")
    return LookFile(data, notes, alternative.field.is_left)


def _format_and_gain(path: Path, asked: str, picture: Picture, alternative: Alternative) -> tuple[str, GainMap | None]:
    """The format to write, and the light above white: the photo's own, or else what the model sees there.

    With "auto", a JPEG becomes an Ultra HDR where its photo has light above white, and stays a JPEG otherwise.
    """
    format = format_of(path, asked)
    if picture.headroom_ev is not None:
        format = "ultrahdr" if (asked, format) == ("auto", "jpeg") else format
        return format, from_headroom(picture.headroom_ev) if FORMATS[format].headroom else None
    return format, draw_gain_map(picture.frame.pixels, alternative.field) if _asks_for_headroom(asked) else None


def _asks_for_headroom(asked: str) -> bool:
    return asked != "auto" and FORMATS[asked].headroom
