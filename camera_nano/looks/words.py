"""Words for light, from a small fixed vocabulary -> a look.

A word that is not in the vocabulary is refused, not guessed, and the result says what every word did.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

from camera_nano.looks.vocabulary import CHANGES, DEGREES, DIRECTIONS, FILLERS, NOUNS, RANGES, SYNONYMS, Change
from camera_nano.values import CONTROLS, Look

_NAME_LENGTH = 48
_NO_DIRECTION = "left out: this model changes the colour and strength of light, not its direction"
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
    """A phrase of the text; its kind is look, change, noun, direction, degree, number or between."""

    kind: str
    words: str
    change: Change
    amount: float = 1.0
    unit: str = ""

    def takes(self, unit: str) -> bool:
        """Whether a number with this unit can be the amount of this phrase."""
        if self.kind == "look":
            return unit == "%"
        if len(self.change) != 1 or self.kind not in ("change", "noun"):
            return False
        return self.kind == "noun" if not unit else bool(self.change.keys() & _TAKES.get(unit, set()))


def parse(text: str, looks: Mapping[str, Look]) -> Understood:
    """Words for light -> a look: names, synonyms, changes with degrees or numbers, and mixtures of these.

    "golden", "warm evening light", "slightly darker with open shadows", "+0.5 EV, saturation -20%", "half dramatic",
    "between natural and golden". Their changes add up, within `RANGES`. The look is named after the text. A direction
    of light is kept in the look, but has no effect: `parts` says so.

    Raises:
        ValueError: a word is not known or contradicts another, or a number is out of range or belongs to no word.
    """
    if text in looks:
        return Understood(looks[text], ((text, _effect(_controls(looks[text]))),))
    items = _with_amounts(_items(text, looks), text)
    total, parts = _added_up(items, text)
    if items and all(item.kind == "direction" for item in items):
        raise ValueError(f"{text!r}: this model changes the colour and strength of light, not where it comes from")
    if not parts:
        raise ValueError(f"{text!r} says nothing about light; there are {', '.join(looks)}, warm, darker, vivid ...")
    held = {control: min(max(total[control], low), high) for control, (low, high, _) in RANGES.items()}
    beyond = {control: value for control, value in held.items() if value != total[control]}
    if beyond:
        parts.append(("as far as the model goes", ", ".join(f"{c} {v:+.2g}" for c, v in beyond.items())))
    direction = {name: value for item in items if item.kind == "direction" for name, value in item.change.items()}
    look = Look(_slug(text), **{control: round(value, 4) for control, value in held.items()}, **direction)
    named = looks.get(look.name)
    if named is not None and replace(named, name="") != replace(look, name=""):
        look = replace(look, name=f"{look.name}-as-said")
    return Understood(look, tuple(parts))


def _added_up(items: Sequence[_Item], text: str) -> tuple[Change, list[tuple[str, str]]]:
    """The sum of all changes by control, and what each phrase did. Raises ValueError for two that contradict."""
    total = dict.fromkeys(CONTROLS, 0.0)
    pushed: dict[tuple[str, bool], str] = {}  # control and whether upwards -> the last words that did it
    parts = []
    for item in items:
        if item.kind == "direction":
            parts.append((item.words, _NO_DIRECTION))
            continue
        change = {control: item.amount * value for control, value in item.change.items() if value}
        for control, value in change.items():
            total[control] += value
            if item.kind != "look":  # a look may be corrected: "golden, slightly cooler"
                pushed[control, value > 0] = item.words
                if (control, value <= 0) in pushed:
                    raise ValueError(f"{text!r}: {pushed[control, value <= 0]!r} and {item.words!r} contradict")
        parts.append((item.words, _effect(change)))
    return total, parts


def known_phrases(looks: Mapping[str, Look]) -> list[str]:
    """Every look, change and noun that `parse` understands."""
    return sorted(name for name, item in _phrases(looks).items() if item.kind in ("look", "change", "noun"))


def _controls(look: Look) -> Change:
    return {control: float(getattr(look, control)) for control in CONTROLS if getattr(look, control)}


def _effect(change: Mapping[str, float]) -> str:
    return ", ".join(f"{control} {value:+.2g}" for control, value in change.items()) or "as it is, well lit"


def _slug(text: str) -> str:
    """A name made from the text, safe in any file name."""
    words = re.sub(r"\+(?=\d)", "plus ", re.sub(r"(?<![\w])-(?=\d)", "minus ", text.lower()))
    return re.sub(r"[^a-z0-9.]+", "-", words).strip("-.")[:_NAME_LENGTH].strip("-.") or "look"


def _phrases(looks: Mapping[str, Look]) -> dict[str, _Item]:
    """Every phrase, its words separated by single spaces -> its item."""
    found = {words: _Item("degree", words, {}, amount) for words, amount in DEGREES.items()}
    found |= {words: _Item("noun", words, change) for words, change in NOUNS.items()}
    found |= {words: _Item("change", words, change) for words, change in CHANGES.items()}
    found |= {words: _Item("direction", words, change) for words, change in DIRECTIONS.items()}
    for name, look in looks.items():
        names = [name.replace("-", " "), *SYNONYMS.get(name, "").split(", ")]
        found |= {words: _Item("look", words, _controls(look)) for words in names if words}
    return found | {"between": _Item("between", "between", {})}


def _items(text: str, looks: Mapping[str, Look]) -> list[_Item]:
    """The phrases of the text in order, without fillers; where two fit, the longer. ValueError for other words."""
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


def _with_amounts(items: Sequence[_Item], text: str) -> list[_Item]:
    """The looks, changes, nouns and directions among the items, with the degrees and numbers that belong to them."""
    amounts = _Amounts(text)
    for item, following in zip_longest(items, items[1:]):
        match item.kind:
            case "degree":
                amounts.take_degree(item)
            case "between":
                amounts.n_between = 2
            case "number":
                amounts.take_number(item, following)
            case _:
                amounts.take_phrase(item)
    return amounts.finished()


class _Amounts:
    """Phrases of one text, which are completed while its items are read from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._phrases: list[_Item] = []
        self._has_number = False  # the last phrase
        self.n_between = 0  # how many of the two looks after "between" are still to come
        self._wait_for_phrase()

    def _wait_for_phrase(self) -> None:
        """What is read before a phrase and belongs to it: degrees, and a number."""
        self._degree, self._degree_words = 1.0, ""
        self._number: _Item | None = None

    def take_degree(self, item: _Item) -> None:
        self._degree *= item.amount
        self._degree_words += f"{item.words} "

    def take_number(self, item: _Item, following: _Item | None) -> None:
        """A number belongs to the phrase before it, else to that after it, else to the control that has its unit."""
        if item.unit == "K":
            raise ValueError(f"{item.words!r}: how warm a light looks depends on the scene; ask for a shift in mired")
        fits_next = following is not None and following.takes(item.unit)
        fits_last = bool(self._phrases) and not self._has_number and self._phrases[-1].takes(item.unit)
        if fits_last and (self._phrases[-1].kind == "noun" or not fits_next):
            self._phrases[-1] = _with_number(self._phrases[-1], item)
            self._has_number = True
        elif fits_next:
            self._number = item
        elif item.unit in ("EV", "mired"):
            control = "ev" if item.unit == "EV" else "temperature"
            self._phrases.append(_with_number(_Item("noun", "", {control: 1.0}), item))
            self._has_number = True
        else:
            raise ValueError(
                f"{item.words!r} in {self._text!r} belongs to nothing: say of what, such as 'saturation +20%'"
            )

    def take_phrase(self, item: _Item) -> None:
        words = self._degree_words + item.words
        if item.kind == "look" and self._degree < 0:
            raise ValueError(f"{words!r}: say how much of it, such as 'half {item.words}'")
        if self.n_between and item.kind != "look":
            raise ValueError(f"{self._text!r}: between which two looks?")
        item = replace(item, words=words, amount=self._degree * (0.5 if self.n_between else 1.0))
        self.n_between = max(self.n_between - 1, 0)
        self._phrases.append(item if self._number is None else _with_number(item, self._number))
        self._has_number = self._number is not None
        self._wait_for_phrase()

    def finished(self) -> list[_Item]:
        """The phrases. Raises ValueError where one is missing at the end."""
        if self.n_between:
            raise ValueError(f"{self._text!r}: between which two looks?")
        if self._degree_words:
            raise ValueError(f"{self._text!r}: {self._degree_words.strip()!r} what?")
        return [replace(item, words=item.words.strip()) for item in self._phrases]


def _with_number(item: _Item, number: _Item) -> _Item:
    """A phrase that a number belongs to. Raises ValueError for a number out of the control's range."""
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
