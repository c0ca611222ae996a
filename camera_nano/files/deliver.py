"""A finished look -> the bytes of its file, marked, encoded and signed: what the batch and the live app share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from camera_nano.console import printable
from camera_nano.files.encode import encode
from camera_nano.files.marking import marked, marked_merge, samples_of
from camera_nano.files.metadata import Metadata, unkept, without_location
from camera_nano.files.signing import CREDENTIALS, Key, own_key, sign
from camera_nano.recipe import Labels, Merging, Recipe
from camera_nano.values import GainMap, Pixels


@dataclass(frozen=True, slots=True, eq=False)
class Original:
    """The picture that a look is made from."""

    path: Path  # the file's name goes into the look's history, and its bytes into a signature
    format: str
    pixels: Pixels  # (H, W, 3)
    metadata: Metadata


def deliver(
    image: Pixels,
    original: Original,
    recipe: Recipe | None,
    *,
    name: str,
    format: str,
    labels: Labels = Labels(),
    quality: int = 92,
    alpha: Pixels | None = None,
    gain: GainMap | None = None,
) -> tuple[bytes, tuple[str, ...]]:
    """A look's pixels -> the bytes of the file `name`, and what of the metadata it cannot keep, a line each.

    The caller writes them: to a disk, to an object store, or nowhere where only their number is asked for. Without a
    recipe there is nothing to mark or sign. `image`, `format`, `quality`, `alpha` and `gain` are as in `encode`.

    This parses the metadata in this process: it is for frames of our own cameras, whose metadata we made, and for which
    a shot should not wait. For foreign photos there is `Decoder.deliver`.

    Raises:
        ValueError: as `encode` and `sign`; or a signature would carry on where the photo was taken, against `labels`.
        OSError: the original's file, which a signature names, or the signing key cannot be read.
    """
    source = key = None
    if recipe is not None and labels.signature:
        source, key = original.path.read_bytes(), own_key()
    return finish(
        image, of_samples(original), recipe,
        name=name, format=format, labels=labels, quality=quality, alpha=alpha, gain=gain, source=source, key=key,
    )  # fmt: skip


def of_samples(original: Original) -> Original:
    """The original with the few of its pixels that a file's ids are made from."""
    return replace(original, pixels=samples_of(original.pixels))


def finish(
    image: Pixels,
    original: Original,
    recipe: Recipe | None,
    *,
    name: str,
    format: str,
    labels: Labels = Labels(),
    quality: int = 92,
    alpha: Pixels | None = None,
    gain: GainMap | None = None,
    merging: Merging | None = None,
    source: bytes | None = None,
    key: Key | None = None,
) -> tuple[bytes, tuple[str, ...]]:
    """As `deliver`, from what can be sent to another process: `original` as `of_samples` gives it.

    `merging` is for linear light, which has no recipe. Where it is to be signed, `source` is the bytes of the
    original's file, and `key` that of this device.
    """
    metadata = original.metadata if labels.location else without_location(original.metadata)
    if recipe is not None and labels.marking:
        metadata = marked(metadata, recipe, printable(original.path.name), original.pixels)
    elif merging is not None and labels.marking:
        metadata = marked_merge(metadata, merging)
    data = encode(image, format=format, quality=quality, metadata=metadata, alpha=alpha, gain=gain)
    if recipe is not None and source is not None and key is not None:
        if not labels.location and CREDENTIALS in source:
            text = "is made of a photo with signed credentials, which may tell its place: no --sign here"
            raise ValueError(f"{name} {text}")
        data = sign(
            data, format, title=name, source_type=recipe.source_type, original=source,
            original_format=original.format, key=key,
        )  # fmt: skip
    return data, (*metadata.problems, *unkept(metadata, format))
