"""One photo through one recipe: what batch, `enhance` and a recipe that is done again share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from camera_nano.decode import Picture
from camera_nano.encode import WITH_HEADROOM, encode, format_of, write_atomically
from camera_nano.enhance import enhance_frame
from camera_nano.gainmap import GainMap, draw, from_headroom
from camera_nano.metadata import unkept, without_location
from camera_nano.provenance import CREDENTIALS, sign
from camera_nano.recipe import Recipe, marked
from camera_nano.values import Alternative, Editor


@dataclass(frozen=True, slots=True)
class Labels:
    """What goes into a file beside the pixels."""

    marking: bool = True  # source type, history and recipe
    location: bool = True  # where the photo was taken, if it says so
    signature: bool = False  # Content Credentials, by this device's own key (extra `c2pa`)


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
    source = origin.read_bytes() if labels.signature else b""
    data, notes = encoded(output.name, alternative, picture, origin.name, recipe, labels=labels, source=source)
    write_atomically(output, data)
    return notes


def encoded(
    name: str,
    alternative: Alternative,
    picture: Picture,
    origin: str,
    recipe: Recipe,
    *,
    labels: Labels = Labels(),
    source: bytes = b"",
) -> tuple[bytes, list[str]]:
    """A look as the bytes of a file called `name`, and what people should know about it; `origin` is the photo's name.

    `source` is the photo's file, which a signature names as what the look was made of.

    Raises:
        ValueError: as `encode.encode` and `provenance.sign`, the name does not fit the format, or labels that
            contradict each other.
    """
    form, gain = _headroom(Path(name), recipe.format, picture, alternative)
    kept = picture.metadata if labels.location else without_location(picture.metadata)
    if labels.marking:
        kept = marked(kept, recipe, origin, picture.frame.pixels)
    data = encode(alternative.image, format=form, metadata=kept, alpha=picture.alpha, gain=gain)
    if labels.signature:
        data = _signed(data, form, name, recipe, source, picture.format, labels)
    notes = [f"{origin}: {line}" for line in (*kept.problems, *unkept(kept, form))]
    if picture.headroom_ev is not None and form not in WITH_HEADROOM:
        notes.append(f"{origin} has light above white, which {form} files cannot hold: use --format ultrahdr")
    if recipe.format in WITH_HEADROOM and gain is None:
        notes.append(f"{name}: nothing is brighter than white here, so this is a plain SDR picture")
    return data, notes


def _signed(
    data: bytes, form: str, name: str, recipe: Recipe, source: bytes, source_format: str, labels: Labels
) -> bytes:
    if not labels.location and CREDENTIALS in source:
        raise ValueError(f"{name} is made of a photo with signed credentials, which may tell its place: no --sign here")
    return sign(
        data,
        form,
        title=name,
        source_type=recipe.source_type,
        original=source,
        original_format=source_format,
    )


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
