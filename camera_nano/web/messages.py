"""What a page may say: each message checked once, here, and typed from then on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

_NAME_CHARS = 64


@dataclass(frozen=True, slots=True)
class Ready:
    """The last view is on the screen."""


@dataclass(frozen=True, slots=True)
class Choose:
    """Show this look; None is the original."""

    look: str | None


@dataclass(frozen=True, slots=True)
class Strength:
    """How much of the look, 0..1."""

    value: float


@dataclass(frozen=True, slots=True)
class Compare:
    """Show the original while this is on."""

    on: bool


@dataclass(frozen=True, slots=True)
class Shoot:
    """Save what was on that screen."""

    frame_id: int
    proposal_id: int | None
    look: str | None
    strength: float


Said = Ready | Choose | Strength | Compare | Shoot


def parse(text: str | None) -> Said:
    """A text message -> what it means.

    Raises:
        ValueError: it means nothing; the message says why.
    """
    if text is None:
        raise ValueError("a message is text, not binary")
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("a message is JSON") from None
    if not isinstance(said, dict):
        raise ValueError("a message is a JSON object")
    match said.get("type"):
        case "ready":
            return Ready()
        case "choose":
            return Choose(_name(said, "look"))
        case "strength":
            return Strength(_unit(said, "value"))
        case "compare":
            on = _get(said, "on")
            if not isinstance(on, bool):
                raise ValueError("'on' is true or false")
            return Compare(on)
        case "shoot":
            proposal_id = None if _get(said, "proposal_id") is None else _count(said, "proposal_id")
            return Shoot(_count(said, "frame_id"), proposal_id, _name(said, "look"), _unit(said, "strength"))
    raise ValueError("'type' is one of ready, choose, strength, compare, shoot")


def _get(said: dict[str, Any], key: str) -> Any:
    if key not in said:
        raise ValueError(f"{key!r} is missing")
    return said[key]


def _name(said: dict[str, Any], key: str) -> str | None:
    value = _get(said, key)
    if value is None or (isinstance(value, str) and len(value) <= _NAME_CHARS):
        return value
    raise ValueError(f"{key!r} is the name of a look, or null")


def _unit(said: dict[str, Any], key: str) -> float:
    value = _get(said, key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"{key!r} is a number from 0 to 1")
    return float(value)


def _count(said: dict[str, Any], key: str) -> int:
    value = _get(said, key)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 63:
        raise ValueError(f"{key!r} is a whole number from 0")
    return value
