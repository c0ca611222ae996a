"""The `enhance` and `recipe` commands: one photo, and how its look was made."""

from __future__ import annotations

import argparse
import errno
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from camera_nano.batch import make_look, open_photos
from camera_nano.cli.parser import labels_of
from camera_nano.console import print_json, say
from camera_nano.engines import ENGINES, load_editor, model_digest, model_id
from camera_nano.errors import ExitCode, UnreadableImage
from camera_nano.files import open_image, photo_digest, samples_of, shared_decoder
from camera_nano.formats import format_of
from camera_nano.looks import choose_aloud
from camera_nano.paths import pipeline_dir
from camera_nano.recipe import Recipe

_THREADS = 2


def enhance(args: argparse.Namespace) -> ExitCode:
    """Write one look of one photo.

    Raises:
        ValueError: the look, the output's name or its format makes no sense.
        CameraNanoError, OSError: the photo cannot be read, the model not run, or the output not written.
    """
    labels = labels_of(args)
    format = format_of(args.output, args.format)  # a wrong name fails here, before anything is loaded
    if not args.output.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(args.output.parent))
    if format == "jpeg":
        format = args.format  # with "auto" it may become an Ultra HDR, where the photo has light above white
    with ThreadPoolExecutor(1) as pool:  # the process that decodes starts while the model is loaded
        opened = pool.submit(open_image, args.input)
        editor = load_editor(args.engine, threads=_THREADS)
        picture = opened.result()
    [look] = choose_aloud(editor.looks, [args.look])
    recipe = Recipe(
        look, args.strength, args.steps, format, model_id(args.engine, pipeline_dir()), args.seed, assume=args.assume
    )
    for note in make_look(
        picture, args.input, args.output, recipe, editor, labels=labels, threads=_THREADS, keep_times=args.keep_times
    ):
        say(note)
    return ExitCode.OK


def recipe(args: argparse.Namespace) -> ExitCode:
    """Print the recipe that a look's file carries, or follow it once more.

    Raises:
        ValueError: the file carries no recipe.
        CameraNanoError, OSError: as `enhance`.
    """
    labels = labels_of(args)
    found = _recipe_in(args.input)
    engine, _, model = found.model.partition(":")
    if model != model_digest(pipeline_dir()):
        say(f"{args.input} was made with other weights: made again, it will look different")
    elif found.is_live:
        say(f"{args.input} was smoothed over the frames before it: made again, it may differ a little")
    if found.merging and not found.merging.photos:
        say(f"{args.input} was {found.merging.told}: made again, it is of the one photo")
    if args.redo:
        *photos, output = _to_redo(args.input, found, args.redo)
        editor = load_editor(engine if engine in ENGINES else "onnx", threads=_THREADS)
        opened = open_photos(photos, shared_decoder(), threads=_THREADS)
        if found.photo and photo_digest(samples_of(opened.picture.frame.pixels)) != found.photo:
            names = ", ".join(map(str, photos))
            what = "is not the photo" if len(photos) == 1 else "are not the photos"
            say(f"{names} {what} that {args.input} was made of: its look is made all the same")
        again = opened.recipe(replace(found, photo="", merging=None))
        for note in make_look(
            opened.picture, opened.origin, output, again, editor,
            labels=labels, threads=_THREADS, keep_times=args.keep_times,
        ):  # fmt: skip
            say(note)
    elif args.json:
        print_json(found.as_dict())
    else:
        for name, value in found.as_dict().items():
            print(f"{name:<9} {value!r}")
    return ExitCode.OK


def _to_redo(file: Path, recipe: Recipe, given: list[Path]) -> list[Path]:
    """The photos to do the same to, in the order in which they were merged, and the output.

    Raises:
        ValueError: there are too few of them, or too many.
    """
    *photos, output = given
    names = [name for name, _ in recipe.merging.photos] if recipe.merging and recipe.merging.photos else [""]
    if len(photos) == 1 < len(names) and all(photos[0].with_name(name).exists() for name in names):
        photos = [photos[0].with_name(name) for name in names]
    if len(photos) != len(names):
        what = (
            f"was merged from {', '.join(names)}: give them all" if len(names) > 1 else "was made of one photo: give it"
        )
        raise ValueError(f"{file} {what}, and then the file to write, after --redo")
    by_name = {photo.name: photo for photo in photos}
    return [*([by_name[name] for name in names] if by_name.keys() == set(names) else photos), output]


def _recipe_in(path: Path) -> Recipe:
    try:
        return shared_decoder().read_recipe(path)
    except UnreadableImage:  # its text names the file
        raise
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
