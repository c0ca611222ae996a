"""Named looks are data: `looks.json`, beside the weights. What people ask for is a name from there, or words."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from camera_nano.console import say
from camera_nano.looks.words import parse
from camera_nano.values import Look


def load_looks(pipeline: Path) -> dict[str, Look]:
    """The named looks in a pipeline's folder, in the order of the file.

    Raises:
        ValueError: the file is not a table of looks.
    """
    path = pipeline / "looks.json"
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        return {name: Look(name, **controls) for name, controls in table.items()}
    except (TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not a table of looks: {error}") from error


def choose(looks: Mapping[str, Look], names: Sequence[str] | None) -> list[Look]:
    """The looks that were asked for by name or in words, in that order; all named looks for None.

    Raises:
        ValueError: a text is not understood (see `words.parse`), or two different looks would get the same name.
    """
    if names is None:
        return list(looks.values())
    if not names:
        raise ValueError(f"no look is named; there are {', '.join(looks)}")
    chosen: dict[str, Look] = {}
    for name in names:
        look = parse(name, looks).look
        if chosen.setdefault(look.name, look) != look:
            raise ValueError(f"two different looks would both be called {look.name!r}: word one of them differently")
    return list(chosen.values())


def choose_aloud(looks: Mapping[str, Look], names: Sequence[str] | None) -> list[Look]:
    """`choose`, and print on stderr how words were understood."""
    chosen = choose(looks, names)
    for text in names or ():
        if text not in looks:
            say(f"{text}: {parse(text, looks)}")
    return chosen
