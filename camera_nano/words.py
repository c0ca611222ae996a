"""Words for light: a phrase of a small fixed vocabulary -> a look.

What the vocabulary does not hold is refused rather than guessed, and what every word did is told.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from camera_nano.values import CONTROLS, Look
from camera_nano.vocabulary import CHANGES, DEGREES, DIRECTIONS, FILLERS, NOUNS, RANGES, SYNONYMS, Change

_NAME_LENGTH = 48
_UNITS = {"ev": "EV", "stop": "EV", "stops": "EV", "%": "%", "percent": "%", "mired": "mired", "k": "K", "": ""}
_TAKES = {"EV": {"ev", "highlights", "shadows"}, "mired": {"temperature"}, "%": {"contrast", "saturation", "hdr"}}
_TOKEN = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*(ev|stops?|%|percent|mired|k)?(?![a-z\d])|([a-z]+(?:'[a-z]+)?)|(\S)")


@dataclass(frozen=True, slots=True)
class Understood:
    """A look, and what each part of the text did for it: (words, effect)."""

    look: Look
    parts: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return "; ".join(f"{words} -> {effect}" for words, effect in self.parts)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        parts = [{"words": words, "effect": effect} for words, effect in self.parts]
        return {"look": self.look.as_dict(), "understood": parts}


@dataclass(frozen=True, slots=True)
class _Item:
    """A phrase of the text, of one kind: look, change, noun, direction, degree, number, between."""

    kind: str
    words: str
    change: Change
    amount: float = 1.0
    unit: str = ""

    def takes(self, unit: str) -> bool:
        """Whether a number with this unit can say how much of it is meant."""
        if self.kind == "look":
            return unit == "%"
        if len(self.change) != 1 or self.kind not in ("change", "noun"):
            return False
        return self.kind == "noun" if not unit else bool(self.change.keys() & _TAKES.get(unit, set()))


def parse(text: str, looks: Mapping[str, Look]) -> Understood:
    """Words for light -> a look: names, synonyms, changes with degrees or numbers, and mixtures of these.

    "golden", "warm evening light", "slightly darker with open shadows", "+0.5 EV, saturation -20%", "half dramatic",
    "between natural and golden". Parts add up; the sum is held to `RANGES`. The look is named after the text. A
    direction of light is kept in the look, and the parts say that this model cannot turn light.

    Raises:
        ValueError: a word is not known or contradicts another, or a number is out of range or has nothing to
            belong to.
    """
    if text in looks:
        return Understood(looks[text], ((text, _effect(_controls(looks[text]))),))
    items = _amounts(_items(text, looks), text)
    total = dict.fromkeys(CONTROLS, 0.0)
    direction: Change = {}
    pushed: dict[tuple[str, bool], str] = {}
    parts = []
    for item in items:
        if item.kind == "direction":
            direction |= item.change
            parts.append(
                (item.words, "left out: this model changes the colour and strength of light, not its direction")
            )
            continue
        change = {control: item.amount * value for control, value in item.change.items() if value}
        for control, value in change.items():
            total[control] += value
            if item.kind != "look":  # a look may be corrected: "golden, slightly cooler"
                pushed[control, value > 0] = item.words
                if (control, value <= 0) in pushed:
                    raise ValueError(f"{text!r}: {pushed[control, value <= 0]!r} and {item.words!r} contradict")
        parts.append((item.words, _effect(change)))
    if items and all(item.kind == "direction" for item in items):
        raise ValueError(f"{text!r}: this model changes the colour and strength of light, not where it comes from")
    if not parts:
        raise ValueError(f"{text!r} says nothing about light; there are {', '.join(looks)}, warm, darker, vivid ...")
    held = {control: min(max(total[control], low), high) for control, (low, high, _) in RANGES.items()}
    beyond = {control: value for control, value in held.items() if value != total[control]}
    if beyond:
        parts.append(("as far as the model goes", ", ".join(f"{c} {v:+.2g}" for c, v in beyond.items())))
    look = Look(_slug(text), **{control: round(value, 4) for control, value in held.items()}, **direction)
    named = looks.get(look.name)
    if named is not None and replace(named, name="") != replace(look, name=""):
        look = replace(look, name=f"{look.name}-as-said")
    return Understood(look, tuple(parts))


def known_phrases(looks: Mapping[str, Look]) -> list[str]:
    """Every phrase that `parse` understands by itself."""
    return sorted(name for name, item in _phrases(looks).items() if item.kind in ("look", "change", "noun"))


def _controls(look: Look) -> Change:
    return {control: float(getattr(look, control)) for control in CONTROLS if getattr(look, control)}


def _effect(change: Mapping[str, float]) -> str:
    return ", ".join(f"{control} {value:+.2g}" for control, value in change.items()) or "as it is, well lit"


def _slug(text: str) -> str:
    """A name that is safe in any file name."""
    said = re.sub(r"\+(?=\d)", "plus ", re.sub(r"(?<![\w])-(?=\d)", "minus ", text.lower()))
    return re.sub(r"[^a-z0-9.]+", "-", said).strip("-.")[:_NAME_LENGTH].strip("-.") or "look"


def _phrases(looks: Mapping[str, Look]) -> dict[str, _Item]:
    """Words with single spaces between -> what they are; of longer and shorter phrases the longer is meant."""
    found = {words: _Item("degree", words, {}, amount) for words, amount in DEGREES.items()}
    found |= {words: _Item("noun", words, change) for words, change in NOUNS.items()}
    found |= {words: _Item("change", words, change) for words, change in CHANGES.items()}
    found |= {words: _Item("direction", words, change) for words, change in DIRECTIONS.items()}
    for name, look in looks.items():
        said = [name.replace("-", " "), *SYNONYMS.get(name, "").split(", ")]
        found |= {words: _Item("look", words, _controls(look)) for words in said if words}
    return found | {"between": _Item("between", "between", {})}


def _items(text: str, looks: Mapping[str, Look]) -> list[_Item]:
    """The text's phrases in order, fillers left out."""
    phrases = _phrases(looks)
    tokens = list(_TOKEN.finditer(text.lower().replace("−", "-").replace("-hour", " hour").replace("-key", " key")))
    words = [token[3] or "" for token in tokens]
    items: list[_Item] = []
    unknown: list[str] = []
    i = 0
    while i < len(tokens):
        number, unit, word, mark = tokens[i].groups()
        length = next((n for n in (3, 2, 1) if " ".join(words[i : i + n]) in phrases and all(words[i : i + n])), 0)
        if number:
            items.append(_Item("number", tokens[i][0], {}, float(number), _UNITS[unit or ""]))
        elif length:
            items.append(phrases[" ".join(words[i : i + length])])
        elif (word and word not in FILLERS) or (mark and mark not in ",;.&-+/!'\""):
            unknown.append(word or mark)
        i += max(1, length)
    if unknown:
        known = sorted({word for phrase in phrases for word in phrase.split()})
        near = {match: None for word in unknown for match in difflib.get_close_matches(word, known, 2, 0.7)}
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise ValueError(f"{', '.join(map(repr, unknown))} in {text!r} is no word for light that is known here; {hint}"
                         f"looks are {', '.join(looks)}; `camera-nano looks --words` lists the words")  # fmt: skip
    return items


def _amounts(items: Sequence[_Item], text: str) -> list[_Item]:
    """Looks, changes and nouns with their degrees and numbers taken in."""
    out: list[_Item] = []
    numbered: set[int] = set()  # positions in `out`
    degree, said, number = 1.0, "", None
    n_between = 0

    def with_number(item: _Item, number: _Item) -> _Item:
        words = f"{item.words} {number.words}".strip()
        if item.kind == "look":
            return replace(item, words=words, amount=item.amount * number.amount / 100)
        [(control, step)] = item.change.items()
        amount = number.amount
        if number.unit == "mired":
            amount /= 100
        elif number.unit == "%":
            amount = math.log2(max(1 + amount / 100, 0.01)) if control == "contrast" else amount / 100
        if item.kind == "change":  # "darker by 0.5 EV"
            amount = math.copysign(amount, step)
        low, high, unit = RANGES[control]
        if not low <= amount <= high:
            raise ValueError(f"{words!r}: {control} goes from {low:+g} to {f'{high:+g} {unit}'.strip()}")
        return replace(item, words=words, change={control: amount}, amount=1.0)

    for i, item in enumerate(items):
        following = items[i + 1] if i + 1 < len(items) else None
        if item.kind == "degree":
            degree, said = degree * item.amount, f"{said}{item.words} "
        elif item.kind == "between":
            n_between = 2
        elif item.kind == "number":
            if item.unit == "K":
                raise ValueError(
                    f"{item.words!r}: how warm a light looks depends on the scene; ask for a shift in mired"
                )
            previous = len(out) - 1
            free = out and previous not in numbered and out[previous].takes(item.unit)
            if free and (out[previous].kind == "noun" or following is None or not following.takes(item.unit)):
                out[previous] = with_number(out[previous], item)
                numbered.add(previous)
            elif following is not None and following.takes(item.unit):
                number = item
            elif item.unit in ("EV", "mired"):
                control = "ev" if item.unit == "EV" else "temperature"
                out.append(with_number(_Item("noun", "", {control: 1.0}), item))
                numbered.add(len(out) - 1)
            else:
                raise ValueError(
                    f"{item.words!r} in {text!r} belongs to nothing: say of what, such as 'saturation +20%'"
                )
        else:
            if item.kind == "look" and degree < 0:
                raise ValueError(f"{said + item.words!r}: say how much of it, such as 'half {item.words}'")
            item = replace(item, words=said + item.words, amount=degree * (0.5 if n_between else 1.0))
            if n_between:
                if item.kind != "look":
                    raise ValueError(f"{text!r}: between which two looks?")
                n_between -= 1
            if number is not None:
                item = with_number(item, number)
                numbered.add(len(out))
            out.append(item)
            degree, said, number = 1.0, "", None
    if said or n_between:
        raise ValueError(f"{text!r}: {'between which two looks?' if n_between else f'{said.strip()!r} what?'}")
    return [replace(item, words=item.words.strip()) for item in out]
