"""The `merge` command: a bracket or a burst to one picture."""

from __future__ import annotations

import argparse
import errno
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from camera_nano import batch
from camera_nano.atomic import write_atomically
from camera_nano.cli.parser import labels_of
from camera_nano.console import Progress, print_json, say
from camera_nano.engines import load_editor, model_id
from camera_nano.errors import ExitCode
from camera_nano.files import LIGHT_SUFFIXES, Original, codes_of_light, exr_of_light, require_exr, shared_decoder
from camera_nano.formats import format_of
from camera_nano.looks import choose_aloud
from camera_nano.paths import pipeline_dir
from camera_nano.recipe import Labels, Recipe

_THREADS = 2


def merge(args: argparse.Namespace) -> ExitCode:
    """Merge photos of one scene, and write linear light, or looks of it.

    Raises:
        ValueError: the names make no sense, or the photos do not belong together.
        CameraNanoError, OSError: a photo cannot be read, the model not run, or the output not written.
    """
    labels, is_light = labels_of(args), args.looks is None and args.out.suffix.lower() in LIGHT_SUFFIXES
    _check(args, is_light)
    progress = Progress(len(args.inputs) + 1)
    try:
        found = batch.merge_photos(args.inputs, shared_decoder(), threads=_THREADS, on_read=progress.step)
        progress.step()
    finally:
        progress.close()
    made = _light(found, args.out, args.keep_times, labels) if is_light else _looks(found, args, labels)
    for note in dict.fromkeys(note for notes in made.values() for note in notes):
        say(note)
    if args.json:
        print_json(_as_dict(args.inputs, found, made))
    else:
        say(f"{found.merging.told}, seen from where {found.origin.name} was taken")
    return ExitCode.OK


def _check(args: argparse.Namespace, is_light: bool) -> None:
    """Raises what is wrong with the names, before anything is read."""
    if len(args.inputs) < 2:
        raise ValueError(f"{args.inputs[0]} is one photo: give two or more of one scene")
    for number, photo in enumerate(args.inputs):
        if not photo.exists():
            raise FileNotFoundError(errno.ENOENT, "there is no such file", str(photo))
        if any(photo.samefile(other) for other in args.inputs[:number]):
            raise ValueError(f"{photo} is given twice: name each photo once")
        batch.check_other(args.out, photo)
    if not args.out.parent.is_dir():
        raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(args.out.parent))
    if not is_light:
        format_of(args.out)
    elif args.out.suffix.lower() == ".exr":
        require_exr()


def _light(found: batch.MergedPhotos, out: Path, keep_times: bool, labels: Labels) -> dict[Path, list[str]]:
    """Write linear light, white as in the reference. Returns notes for the file."""
    notes = list(found.notes)
    if out.suffix.lower() == ".exr":
        data = exr_of_light(found.merged.light, found.reference.metadata.icc)
        notes.append("EXR files keep no metadata")
    else:
        codes, metadata, down_ev = codes_of_light(found.merged.light, found.reference.metadata)
        original = Original(found.origin, found.reference.format, found.reference.frame.pixels, metadata)
        data, unkept = shared_decoder().deliver(
            codes, original, None, name=out.name, format="tiff", labels=labels, merging=found.merging
        )
        notes += unkept
        notes += [f"it is {down_ev:.0f} EV darker than {found.origin.name}, to hold the highlights"] if down_ev else []
    write_atomically(out, data, found.origin.stat().st_mtime_ns if keep_times else None)
    return {out: [f"{out.name}: {note}" for note in notes]}


def _looks(found: batch.MergedPhotos, args: argparse.Namespace, labels: Labels) -> dict[Path, list[str]]:
    """Write a file for each look, by its name where there are several. Returns notes for each."""
    editor, opened = load_editor(args.engine, threads=_THREADS), batch.developed(found)
    chosen, made = choose_aloud(editor.looks, args.looks or ["natural"]), dict[Path, list[str]]()
    for look in chosen:
        output = args.out if len(chosen) == 1 else args.out.with_stem(f"{args.out.stem}_{look.name}")
        recipe = Recipe(look, args.strength, args.steps, "auto", model_id(args.engine, pipeline_dir()), args.seed)
        made[output] = batch.make_look(
            opened.picture, opened.origin, output, opened.recipe(recipe), editor,
            labels=labels, threads=_THREADS, keep_times=args.keep_times,
        )  # fmt: skip
    return made


def _as_dict(inputs: Sequence[Path], found: batch.MergedPhotos, made: dict[Path, list[str]]) -> dict[str, Any]:
    return {
        "inputs": [str(photo) for photo in inputs],
        "outputs": [str(path) for path in made],
        "reference": str(found.origin),
        "n_used": found.merging.n_used,
        "measured_ev": found.merging.range_ev,
        "merged_share": round(found.merged.merged_share, 3),
        "moved_px": round(found.merged.moved_px, 2),
        "notes": [note for notes in made.values() for note in notes],
    }
