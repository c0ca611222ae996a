"""The `looks` and `model` commands: what the model can be asked for, and whether its files are whole."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from camera_nano.console import print_json
from camera_nano.engines import verify
from camera_nano.errors import ExitCode
from camera_nano.looks import known_phrases, load_looks, parse
from camera_nano.paths import pipeline_dir
from camera_nano.values import CONTROLS, Look


def looks(args: argparse.Namespace) -> ExitCode:
    """Print the looks, or the words for light, or what a text of such words is understood as.

    Raises:
        ValueError: the text is not understood.
        ModelError: the looks cannot be read.
    """
    named = load_looks(pipeline_dir())
    if args.words:
        known = known_phrases(named)
        print_json(known) if args.json else print(*known, sep="\n")
    elif args.text is None:
        _print_looks(list(named.values()), as_json=args.json)
    else:
        understood = parse(args.text, named)
        if args.json:
            print_json(understood.as_dict())
        else:
            for words, effect in understood.parts:
                print(f"{words:<26}{effect}")
            print()
            _print_looks([understood.look])
    return ExitCode.OK


def _print_looks(looks: Sequence[Look], *, as_json: bool = False) -> None:
    if as_json:
        print_json([look.as_dict() for look in looks])
        return
    width = max(12, *(len(look.name) + 2 for look in looks))
    print(f"{'look':<{width}}" + "".join(f"{name:>13}" for name in CONTROLS))
    for look in looks:
        print(f"{look.name:<{width}}" + "".join(f"{value:>13.2f}" for value in look.controls()))


def verify_model(args: argparse.Namespace) -> ExitCode:
    """Check the model's files; raises ModelError for the first that is missing or has changed."""
    for name in verify(pipeline_dir()):
        print(f"ok  {name}")
    return ExitCode.OK
