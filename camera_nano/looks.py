"""Looks as data: `looks.json` beside the weights."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from camera_nano.values import Look


def load_looks(pipeline: Path) -> dict[str, Look]:
    """Pipeline folder -> its named looks, in the order of the file.

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
    """The named looks in the asked order; all of them for None.

    Raises:
        ValueError: a name is unknown; the message lists the known ones.
    """
    if names is None:
        return list(looks.values())
    unknown = [name for name in names if name not in looks]
    if unknown or not names:
        raise ValueError(f"no look named {', '.join(unknown) or '(nothing)'}; there are {', '.join(looks)}")
    return [looks[name] for name in dict.fromkeys(names)]
