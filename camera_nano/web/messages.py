"""What a page may say: each message checked once, here, and typed from then on."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

_NAME_CHARS = 64
_WORDS_CHARS = 200


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
class Split:
    """Send the original of the same frame beside the look while this is on."""

    on: bool


@dataclass(frozen=True, slots=True)
class Tone:
    """Lighten or darken what is bright and what is dark, in every look."""

    highlights_ev: float
    shadows_ev: float


@dataclass(frozen=True, slots=True)
class Words:
    """Offer a look made of these words."""

    text: str


@dataclass(frozen=True, slots=True)
class Forget:
    """Take a look made of words away."""

    look: str


@dataclass(frozen=True, slots=True)
class Adjust:
    """Set something on the camera."""

    control: str
    value: float


@dataclass(frozen=True, slots=True)
class Shoot:
    """Save what was on that screen."""

    frame_id: int
    proposal_id: int | None
    look: str | None
    strength: float


Said = Ready | Choose | Strength | Compare | Split | Tone | Words | Forget | Adjust | Shoot


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
            return Compare(_switch(said, "on"))
        case "split":
            return Split(_switch(said, "on"))
        case "tone":
            return Tone(_number(said, "highlights"), _number(said, "shadows"))
        case "words":
            return Words(_text(said, "text", _WORDS_CHARS))
        case "forget":
            return Forget(_text(said, "look", _NAME_CHARS))
        case "adjust":
            return Adjust(_text(said, "control", _NAME_CHARS), _number(said, "value"))
        case "shoot":
            proposal_id = None if _get(said, "proposal_id") is None else _count(said, "proposal_id")
            return Shoot(_count(said, "frame_id"), proposal_id, _name(said, "look"), _unit(said, "strength"))
    known = "ready, choose, strength, compare, split, tone, words, forget, adjust, shoot"
    raise ValueError(f"'type' is one of {known}")


def _get(said: dict[str, Any], key: str) -> Any:
    if key not in said:
        raise ValueError(f"{key!r} is missing")
    return said[key]


def _switch(said: dict[str, Any], key: str) -> bool:
    value = _get(said, key)
    if not isinstance(value, bool):
        raise ValueError(f"{key!r} is true or false")
    return value


def _name(said: dict[str, Any], key: str) -> str | None:
    return None if _get(said, key) is None else _text(said, key, _NAME_CHARS)


def _text(said: dict[str, Any], key: str, n_chars: int) -> str:
    value = _get(said, key)
    if not isinstance(value, str) or not 0 < len(value) <= n_chars:
        raise ValueError(f"{key!r} is text of at most {n_chars} characters")
    return value


def _number(said: dict[str, Any], key: str) -> float:
    value = _get(said, key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{key!r} is a number")
    return float(value)


def _unit(said: dict[str, Any], key: str) -> float:
    value = _number(said, key)
    if not 0 <= value <= 1:
        raise ValueError(f"{key!r} is a number from 0 to 1")
    return value


def _count(said: dict[str, Any], key: str) -> int:
    value = _get(said, key)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 63:
        raise ValueError(f"{key!r} is a whole number from 0")
    return value
