"""The command line. Imports happen inside the chosen command.

stdout is data, stderr is progress and errors. Exit codes: 0 all ok, 1 some files failed, 2 usage, 3 environment
(model, camera, port), 4 no space, 130 interrupted.
"""

from __future__ import annotations

import argparse
import errno
from collections.abc import Sequence

from camera_nano.arguments import labels_of, parser
from camera_nano.progress import print_json, say

OK, SOME_FAILED, USAGE, ENVIRONMENT, NO_SPACE, INTERRUPTED = 0, 1, 2, 3, 4, 130


def _live(args: argparse.Namespace) -> int:
    from camera_nano.live import run

    return NO_SPACE if run(args) else OK


def _batch(args: argparse.Namespace) -> int:
    from camera_nano.folders import run_batch

    summary = run_batch(args)
    if summary is None:
        return OK
    if summary.out_of_space:
        return NO_SPACE
    return INTERRUPTED if summary.is_interrupted else SOME_FAILED if summary.failed else OK


def _journal(args: argparse.Namespace) -> int:
    from camera_nano.folders import run_journal

    return SOME_FAILED if run_journal(args) else OK


def _enhance(args: argparse.Namespace) -> int:
    from camera_nano.decode import open_image
    from camera_nano.encode import format_of
    from camera_nano.engines import load_editor, model_digest
    from camera_nano.looks import choose_aloud
    from camera_nano.paths import pipeline_dir
    from camera_nano.photo import make
    from camera_nano.recipe import Recipe

    labels = labels_of(args)
    form = format_of(args.output, args.format)  # a wrong one is told before anything is loaded
    asked = args.format if form == "jpeg" else form  # a JPEG is one that can show what its input knew
    picture = open_image(args.input)
    editor = load_editor(args.engine, threads=2)
    [look] = choose_aloud(editor.looks, [args.look])
    model = f"{args.engine}:{model_digest(pipeline_dir())}"
    recipe = Recipe(look, args.strength, args.steps, asked, model, args.seed)
    for note in make(picture, args.input, args.output, recipe, editor, labels=labels, threads=2):
        say(note)
    return OK


def _recipe(args: argparse.Namespace) -> int:
    from camera_nano.decode import check_regular, open_image
    from camera_nano.engines import ENGINES, load_editor, model_digest
    from camera_nano.metadata import read_blocks
    from camera_nano.paths import pipeline_dir
    from camera_nano.photo import make
    from camera_nano.recipe import read_recipe

    labels = labels_of(args)
    check_regular(args.input)
    try:
        recipe = read_recipe(read_blocks(args.input.read_bytes()))
    except ValueError as error:
        raise ValueError(f"{args.input}: {error}") from error
    engine, _, model = recipe.model.partition(":")
    if model != model_digest(pipeline_dir()):
        say(f"{args.input} was made with other weights: done again it will look different")
    elif recipe.is_live:
        say(f"{args.input} was steadied over the frames before: done again it may differ a little")
    if args.redo:
        photo, output = args.redo
        editor = load_editor(engine if engine in ENGINES else "onnx", threads=2)
        for note in make(open_image(photo), photo, output, recipe, editor, labels=labels, threads=2):
            say(note)
    elif args.json:
        print_json(recipe.as_dict())
    else:
        for name, value in recipe.as_dict().items():
            print(f"{name:<10}{value!r}")
    return OK


def _inspect(args: argparse.Namespace) -> int:
    from camera_nano.inspect_file import inspect

    report = inspect(args.file)
    if args.json:
        print_json(report.as_dict())
    else:
        print(report)
    return SOME_FAILED if report.problems else OK


def _looks(args: argparse.Namespace) -> int:
    from camera_nano.looks import load_looks
    from camera_nano.paths import pipeline_dir
    from camera_nano.values import CONTROLS
    from camera_nano.words import known_phrases, parse

    named = load_looks(pipeline_dir())
    if args.words:
        known = known_phrases(named)
        print_json(known) if args.json else print(*known, sep="\n")
        return OK
    understood = None if args.text is None else parse(args.text, named)
    looks = list(named.values()) if understood is None else [understood.look]
    if args.json:
        print_json([look.as_dict() for look in looks] if understood is None else understood.as_dict())
        return OK
    if understood is not None:
        for words, effect in understood.parts:
            print(f"{words:<26}{effect}")
        print()
    width = max(12, *(len(look.name) + 2 for look in looks))
    print(f"{'look':<{width}}" + "".join(f"{name:>13}" for name in CONTROLS))
    for look in looks:
        print(f"{look.name:<{width}}" + "".join(f"{value:>13.2f}" for value in look.controls()))
    return OK


def _doctor(args: argparse.Namespace) -> int:
    from camera_nano.doctor import examine

    findings = examine()
    if args.json:
        print_json([finding.as_dict() for finding in findings])
    else:
        for finding in findings:
            print(finding)
    return OK if all(finding.ok or finding.optional for finding in findings) else ENVIRONMENT


def _bench(args: argparse.Namespace) -> int:
    if args.target:
        from camera_nano.bench_cost import TARGETS, count_cost, estimate, estimate_table

        guess = estimate(TARGETS[args.target], count_cost())
        if args.json:
            print_json(guess)
        else:
            print(estimate_table(guess))
        return OK
    if args.plot and args.plot.suffix.lower() != ".png":
        raise ValueError(f"{args.plot}: the plot is a PNG, give it a name that ends in .png")
    if args.plot:
        from camera_nano.paths import check_writable

        check_writable(args.plot.parent)
    from camera_nano.bench import measure
    from camera_nano.bench_report import table

    scale = args.scale or args.plot is not None
    report = measure(quick=args.quick, live=args.live, scale=scale, say=lambda name: say(f"measuring {name} ..."))
    if args.plot:
        from camera_nano.bench_plot import plot

        plot(report).save(args.plot)
        say(f"drawn: {args.plot}")
    if args.json:
        print_json(report)
    else:
        print(table(report))
    return OK


def _model(args: argparse.Namespace) -> int:
    from camera_nano.engines import verify
    from camera_nano.paths import pipeline_dir

    for name in verify(pipeline_dir()):
        print(f"ok  {name}")
    return OK


_COMMANDS = {
    "live": _live,
    "batch": _batch,
    "journal": _journal,
    "enhance": _enhance,
    "inspect": _inspect,
    "recipe": _recipe,
    "looks": _looks,
    "doctor": _doctor,
    "bench": _bench,
    "model": _model,
}


def _explain(error: OSError) -> str:
    """One line: the thing, the cause, the way out."""
    ways_out = {
        errno.EADDRINUSE: "choose another --port, or end the program that has it",
        errno.ENOSPC: "free some space and start again: finished files are kept",
        errno.EROFS: "choose a folder that can be written with --out",
        errno.EACCES: "choose a folder that can be written, or change its permissions",
        errno.ENOENT: "check the path",
        errno.ENOTDIR: "choose a folder, not a file",
        errno.EEXIST: "choose a folder, not a file",
    }
    thing = f"{error.filename}: " if error.filename else ""
    hint = f"; {ways_out[error.errno]}" if error.errno in ways_out else ""
    return f"{thing}{error.strerror or error}{hint}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code, prints errors as one line."""
    try:
        args = parser().parse_args(argv)
    except SystemExit as done:  # argparse exits 2 for usage, 0 for --help
        return int(done.code or 0)
    from camera_nano.engines import ModelError
    from camera_nano.gpio import MissingDevice
    from camera_nano.journal import JournalError
    from camera_nano.sources import CameraLost

    try:
        return _COMMANDS[args.command](args)
    except KeyboardInterrupt:
        say("camera-nano: interrupted")
        return INTERRUPTED
    except (ModelError, CameraLost, MissingDevice, JournalError) as error:
        say(f"camera-nano: {error}")
        return ENVIRONMENT
    except OSError as error:
        say(f"camera-nano: {_explain(error)}")
        if error.errno == errno.ENOSPC:
            return NO_SPACE
        return SOME_FAILED if args.command in ("enhance", "batch", "inspect", "recipe") else ENVIRONMENT
    except ValueError as error:
        from camera_nano.decode import UnreadableImage  # loads libvips: only here

        say(f"camera-nano: {error}")
        return SOME_FAILED if isinstance(error, UnreadableImage) else USAGE
