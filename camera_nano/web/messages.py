"""The messages a page may send. Each is checked once, here; from then on it is a typed value."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, cast

from camera_nano.recipe import ASPECTS, SEEDS
from camera_nano.values import ASSUMED, Assume

_NAME_CHARS = 64
_WORDS_CHARS = 200
_MOST = 1e9  # no number of ours is that large; whole numbers of 400 digits fit no float


@dataclass(frozen=True, slots=True)
class Ready:
    """The last view is on the screen: send the next one."""


@dataclass(frozen=True, slots=True)
class Choose:
    """Show this look; None shows the original."""

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
class Draw:
    """Send frames and fields while this is on: the page draws looks and tiles of them itself."""

    on: bool


@dataclass(frozen=True, slots=True)
class Tone:
    """Lighten or darken the bright and the dark parts of every look, in stops."""

    highlights_ev: float
    shadows_ev: float


@dataclass(frozen=True, slots=True)
class Words:
    """Offer a look made of these words."""

    text: str


@dataclass(frozen=True, slots=True)
class Forget:
    """No longer offer a look that was made of words."""

    look: str


@dataclass(frozen=True, slots=True)
class PickTake:
    """Let a look have the answers of this seed; None lets go."""

    look: str
    seed: int | None


@dataclass(frozen=True, slots=True)
class TakeFor:
    """Take the frames for captured ones, or for finished ones; "auto" lets the model judge where it is no camera."""

    value: Assume


@dataclass(frozen=True, slots=True)
class Adjust:
    """Set a control of the camera."""

    control: str
    value: float


@dataclass(frozen=True, slots=True)
class Meter:
    """Let the camera meter at a point, 0..1 from the left and the top of the frame."""

    x: float
    y: float


@dataclass(frozen=True, slots=True)
class Shoot:
    """Save what was on the page's screen."""

    frame_id: int
    proposal_id: int | None
    look: str | None
    strength: float
    aspect: str = ""  # of the look, one of `recipe.ASPECTS`
    is_ahead: bool = False  # it was shown with the tone of now, which the proposal has not


Message = (
    Ready
    | Choose
    | Strength
    | Compare
    | Split
    | Draw
    | Tone
    | Words
    | Forget
    | PickTake
    | TakeFor
    | Adjust
    | Meter
    | Shoot
)


def parse(text: str | None) -> Message:
    """The text of a message, None for a binary one -> the message.

    Raises:
        ValueError: it is none of ours; the error says why.
    """
    fields = _object(text)
    match fields.get("type"):
        case "ready":
            return Ready()
        case "choose":
            return Choose(_name(fields, "look"))
        case "strength":
            return Strength(_unit(fields, "value"))
        case "compare":
            return Compare(_switch(fields, "on"))
        case "split":
            return Split(_switch(fields, "on"))
        case "draw":
            return Draw(_switch(fields, "on"))
        case "tone":
            return Tone(_number(fields, "highlights"), _number(fields, "shadows"))
        case "words":
            return Words(_text(fields, "text", _WORDS_CHARS))
        case "forget":
            return Forget(_text(fields, "look", _NAME_CHARS))
        case "take":
            seed = None if _get(fields, "seed") is None else _count(fields, "seed", SEEDS)
            return PickTake(_text(fields, "look", _NAME_CHARS), seed)
        case "assume":
            return TakeFor(_assume(fields, "value"))
        case "adjust":
            return Adjust(_text(fields, "control", _NAME_CHARS), _number(fields, "value"))
        case "meter":
            return Meter(_unit(fields, "x"), _unit(fields, "y"))
        case "shoot":
            proposal_id = None if _get(fields, "proposal_id") is None else _count(fields, "proposal_id")
            how = _unit(fields, "strength"), _aspect(fields), "is_ahead" in fields and _switch(fields, "is_ahead")
            return Shoot(_count(fields, "frame_id"), proposal_id, _name(fields, "look"), *how)
    known = "ready, choose, strength, compare, split, draw, tone, words, forget, take, assume, adjust, meter, shoot"
    raise ValueError(f"'type' is one of {known}")


def _object(text: str | None) -> dict[str, Any]:
    if text is None:
        raise ValueError("a message is text, not binary")
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError("a message is JSON") from None
    if not isinstance(fields, dict):
        raise ValueError("a message is a JSON object")
    return fields


def _get(fields: dict[str, Any], key: str) -> Any:
    if key not in fields:
        raise ValueError(f"{key!r} is missing")
    return fields[key]


def _switch(fields: dict[str, Any], key: str) -> bool:
    value = _get(fields, key)
    if not isinstance(value, bool):
        raise ValueError(f"{key!r} is true or false")
    return value


def _assume(fields: dict[str, Any], key: str) -> Assume:
    value = _get(fields, key)
    if value not in ASSUMED:
        raise ValueError(f"{key!r} is one of {', '.join(ASSUMED)}")
    return cast(Assume, value)


def _aspect(fields: dict[str, Any]) -> str:
    value = fields.get("aspect", "")
    if value not in ASPECTS:
        raise ValueError(f"'aspect' is one of {', '.join(map(repr, ASPECTS))}")
    return cast(str, value)


def _name(fields: dict[str, Any], key: str) -> str | None:
    return None if _get(fields, key) is None else _text(fields, key, _NAME_CHARS)


def _text(fields: dict[str, Any], key: str, n_chars: int) -> str:
    value = _get(fields, key)
    if not isinstance(value, str) or not 0 < len(value) <= n_chars:
        raise ValueError(f"{key!r} is text of at most {n_chars} characters")
    return value


def _number(fields: dict[str, Any], key: str) -> float:
    value = _get(fields, key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= _MOST:
        raise ValueError(f"{key!r} is a number")
    return float(value)


def _unit(fields: dict[str, Any], key: str) -> float:
    value = _number(fields, key)
    if not 0 <= value <= 1:
        raise ValueError(f"{key!r} is a number from 0 to 1")
    return value


def _count(fields: dict[str, Any], key: str, end: int = 1 << 63) -> int:
    value = _get(fields, key)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < end:
        raise ValueError(f"{key!r} is a whole number from 0")
    return value
