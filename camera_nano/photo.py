"""One photo through one recipe: what batch, `enhance` and a recipe that is done again share."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from camera_nano.decode import Picture
from camera_nano.encode import WITH_HEADROOM, encode, format_of, write_atomically
from camera_nano.enhance import enhance_frame
from camera_nano.gainmap import GainMap, draw, from_headroom
from camera_nano.metadata import unkept, without_location
from camera_nano.progress import printable
from camera_nano.provenance import CREDENTIALS, sign
from camera_nano.recipe import Recipe, marked
from camera_nano.values import Alternative, Editor


@dataclass(frozen=True, slots=True)
class Labels:
    """What goes into a file beside the pixels."""

    marking: bool = True  # source type, history and recipe
    location: bool = True  # where the photo was taken, if it says so
    signature: bool = False  # Content Credentials, by this device's own key (extra `c2pa`)

    def key(self, recipe: Recipe) -> str:
        """SHA-256, hex, of all that is asked of a file."""
        told = json.dumps([recipe.digest(), asdict(self)], sort_keys=True)
        return hashlib.sha256(told.encode()).hexdigest()


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
        ValueError: the output is the photo itself, or its name does not fit the format.
        OSError: as `encode.write_atomically`.
    """
    check_other(output, origin)
    [(data, notes)] = looks_of(picture, origin, [(output.name, recipe)], editor, labels=labels, threads=threads)
    write_atomically(output, data)
    return notes


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
) -> Iterator[tuple[bytes, list[str]]]:
    """The bytes of a file for each name and recipe, and notes on it; one after another, as they are asked for.

    Args:
        picture: the photo.
        origin: its file.
        wanted: at least one; recipes of one photo differ in their look alone.
        editor: the model.
        labels: of the files.
        threads: of the renderer.

    Raises:
        ValueError: as `encode.encode` and `provenance.sign`, a name does not fit the format, or labels that contradict
            each other.
        OSError: the photo's file, which a signature names as what a look was made of, cannot be read any more.
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
    )
    for (name, recipe), alternative in zip(wanted, alternatives, strict=True):
        yield _file(name, alternative, picture, origin, recipe, labels)


def _file(
    name: str, alternative: Alternative, picture: Picture, origin: Path, recipe: Recipe, labels: Labels
) -> tuple[bytes, list[str]]:
    form, gain = _headroom(Path(name), recipe.format, picture, alternative)
    kept = picture.metadata if labels.location else without_location(picture.metadata)
    if labels.marking:
        kept = marked(kept, recipe, printable(origin.name), picture.frame.pixels)
    data = encode(alternative.image, format=form, metadata=kept, alpha=picture.alpha, gain=gain)
    if labels.signature:
        data = _signed(data, form, name, recipe, origin.read_bytes(), picture.format, labels)
    notes = [f"{origin.name}: {note}" for note in (*picture.notes, *kept.problems, *unkept(kept, form))]
    if picture.headroom_ev is not None and form not in WITH_HEADROOM:
        notes.append(f"{origin.name} has light above white, which {form} files cannot hold: use --format ultrahdr")
    elif gain is None and (recipe.format in WITH_HEADROOM or picture.headroom_ev is not None):
        notes.append(f"{name}: nothing is clearly brighter than white here, so this is a plain SDR picture")
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
