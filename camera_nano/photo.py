"""One photo through one recipe: what batch, `enhance` and a recipe that is done again share."""

from __future__ import annotations

from pathlib import Path

from camera_nano.decode import Picture
from camera_nano.encode import WITH_HEADROOM, format_of, save
from camera_nano.enhance import enhance_frame
from camera_nano.gainmap import GainMap, draw, from_headroom
from camera_nano.metadata import without_location
from camera_nano.recipe import Recipe, marked
from camera_nano.values import Alternative, Editor


def make(
    picture: Picture,
    origin: Path,
    output: Path,
    recipe: Recipe,
    editor: Editor,
    *,
    strip_location: bool = False,
    threads: int = 1,
) -> str | None:
    """Make one output of a decoded photo. Returns what people should know about it, one line, or None.

    Raises:
        ValueError: as `write`.
        OSError: as `encode.save`.
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
    return write(output, alternative, picture, origin, recipe, strip_location=strip_location)


def write(
    output: Path,
    alternative: Alternative,
    picture: Picture,
    origin: Path,
    recipe: Recipe,
    *,
    strip_location: bool = False,
) -> str | None:
    """Write a look, with the photo's metadata and what was done to it. Returns a note as `make`.

    Raises:
        ValueError: the output is the photo itself, or its name does not fit the format.
        OSError: as `encode.save`.
    """
    if output.exists() and origin.exists() and output.samefile(origin):
        raise ValueError(f"{output} is the input itself: originals are never overwritten, choose another --out")
    form, gain = _headroom(output, recipe.format, picture, alternative)
    kept = without_location(picture.metadata) if strip_location else picture.metadata
    told = marked(kept, recipe, origin.name)
    save(output, alternative.image, format=form, metadata=told, alpha=picture.alpha, gain=gain)
    if picture.headroom_ev is not None and form not in WITH_HEADROOM:
        return f"{origin} has light above white, which {form} files cannot hold: use --format ultrahdr"
    if recipe.format in WITH_HEADROOM and gain is None:
        return f"{output}: nothing is brighter than white here, so this is a plain SDR picture"
    return None


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
