"""One photo through one recipe: what batch, `enhance` and a recipe that is done again share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from camera_nano.decode import Picture
from camera_nano.encode import WITH_HEADROOM, encode, format_of, write_atomically
from camera_nano.enhance import enhance_frame
from camera_nano.gainmap import GainMap, draw, from_headroom
from camera_nano.metadata import without_location
from camera_nano.recipe import Recipe, marked
from camera_nano.values import Alternative, Editor


@dataclass(frozen=True, slots=True)
class Labels:
    """What goes into a file beside the pixels."""

    location: bool = True  # where the photo was taken, if it says so


def make(
    picture: Picture,
    origin: Path,
    output: Path,
    recipe: Recipe,
    editor: Editor,
    *,
    labels: Labels = Labels(),
    threads: int = 1,
) -> list[str]:
    """Make one output of a decoded photo. Returns what people should know about it, a line each.

    Raises:
        ValueError: as `write`.
        OSError: as `encode.write_atomically`.
    """
    [alternative] = enhance_frame(
        picture.frame,
        editor,
        [recipe.look],
        strength=recipe.strength,
        n_steps=recipe.n_steps,
        seed=recipe.seed,
        threads=threads,
    )
    return write(output, alternative, picture, origin, recipe, labels=labels)


def write(
    output: Path,
    alternative: Alternative,
    picture: Picture,
    origin: Path,
    recipe: Recipe,
    *,
    labels: Labels = Labels(),
) -> list[str]:
    """Write a look, with the photo's metadata and what was done to it. Returns notes as `make`.

    Raises:
        ValueError: the output is the photo itself, or its name does not fit the format.
        OSError: as `encode.write_atomically`.
    """
    if output.exists() and origin.exists() and output.samefile(origin):
        raise ValueError(f"{output} is the input itself: originals are never overwritten, choose another --out")
    data, notes = encoded(output.name, alternative, picture, origin.name, recipe, labels=labels)
    write_atomically(output, data)
    return notes


def encoded(
    name: str, alternative: Alternative, picture: Picture, origin: str, recipe: Recipe, *, labels: Labels = Labels()
) -> tuple[bytes, list[str]]:
    """A look as the bytes of a file called `name`, and what people should know about it; `origin` is the photo's name.

    Raises:
        ValueError: as `encode.encode`, or the name does not fit the format.
    """
    form, gain = _headroom(Path(name), recipe.format, picture, alternative)
    kept = picture.metadata if labels.location else without_location(picture.metadata)
    told = marked(kept, recipe, origin)
    data = encode(alternative.image, format=form, metadata=told, alpha=picture.alpha, gain=gain)
    notes = [f"{origin}: {note}" for note in picture.notes]
    if picture.headroom_ev is not None and form not in WITH_HEADROOM:
        notes.append(f"{origin} has light above white, which {form} files cannot hold: use --format ultrahdr")
    elif gain is None and (recipe.format in WITH_HEADROOM or picture.headroom_ev is not None):
        notes.append(f"{name}: nothing is clearly brighter than white here, so this is a plain SDR picture")
    return data, notes


def _headroom(path: Path, asked: str, picture: Picture, alternative: Alternative) -> tuple[str, GainMap | None]:
    """The format to write, and what goes above white: what the file knew, else what the model sees there.

    With "auto" a JPEG has a gain map where its input knew of headroom, and stays a plain one otherwise.
    """
    form = format_of(path, asked)
    if picture.headroom_ev is not None:
        form = "ultrahdr" if (asked, form) == ("auto", "jpeg") else form
        return form, from_headroom(picture.headroom_ev) if form in WITH_HEADROOM else None
    is_asked = form in WITH_HEADROOM and asked != "auto"
    return form, draw(picture.frame.pixels, alternative.field) if is_asked else None
