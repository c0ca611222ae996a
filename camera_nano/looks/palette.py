"""The looks on offer in a live session: named ones, ones made from words, and two tone sliders that change them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from camera_nano.looks.named import choose
from camera_nano.looks.vocabulary import RANGES
from camera_nano.looks.words import Understood, parse
from camera_nano.values import Look

TONE_LIMIT_EV = 1.5
_MOST_WORDED = 6  # each takes as much time as a named one


@dataclass(frozen=True, slots=True)
class Palette:
    """The named looks of the model, the looks that are shown, and the tone. A change gives a new palette."""

    known: Mapping[str, Look]
    looks: tuple[Look, ...]  # those shown, in order, before the tone is applied
    texts: Mapping[str, str] = field(default_factory=dict)  # the words of each look that was made from words here
    highlights_ev: float = 0.0
    shadows_ev: float = 0.0
    seeds: Mapping[str, int] = field(default_factory=dict)  # of the looks for which people have picked a take

    @classmethod
    def of(cls, known: Mapping[str, Look], names: Sequence[str] | None) -> Palette:
        """A palette of the looks that `names` ask for, all known ones for None. Raises ValueError as `choose`."""
        return cls(known, tuple(choose(known, names)))

    @property
    def offered(self) -> list[dict[str, Any]]:
        """The looks for pages, ready for JSON: names, the words that they were made of, controls before the tone."""
        return [
            {"name": look.name, "words": self.texts.get(look.name), "controls": look.named_controls()}
            for look in self.looks
        ]

    def toned(self) -> list[Look]:
        """The looks with the tone applied; controls stay in the range that the model was trained on."""
        return [
            replace(
                look,
                highlights=_held("highlights", look.highlights + self.highlights_ev),
                shadows=_held("shadows", look.shadows + self.shadows_ev),
            )
            for look in self.looks
        ]

    def with_tone(self, highlights_ev: float, shadows_ev: float) -> Palette:
        """The palette with other slider values, in stops.

        Raises:
            ValueError: one is beyond +-1.5.
        """
        if not all(abs(value) <= TONE_LIMIT_EV for value in (highlights_ev, shadows_ev)):  # also refuses NaN
            raise ValueError(f"highlights and shadows go from -{TONE_LIMIT_EV} to {TONE_LIMIT_EV} stops")
        return replace(self, highlights_ev=highlights_ev, shadows_ev=shadows_ev)

    def with_words(self, text: str) -> tuple[Palette, Understood]:
        """The palette with one more look, made from words; and how they were understood.

        Raises:
            ValueError: the words are not understood, another look has this name, or six looks were made from words.
        """
        understood = parse(text, self.known)
        look = understood.look
        for there in self.looks:
            if there.name == look.name:
                if there != look:
                    raise ValueError(f"another look is already called {look.name!r}: word it differently")
                return self, understood
        if len(self.texts) >= _MOST_WORDED:
            raise ValueError(f"there are {_MOST_WORDED} looks made of words already: remove one first")
        added = replace(self, looks=(*self.looks, look), texts={**self.texts, look.name: text})
        return added, understood

    def without(self, name: str) -> Palette:
        """The palette without a look that was made from words here.

        Raises:
            ValueError: there is none with this name.
        """
        if name not in self.texts:
            raise ValueError(f"{name!r} is not a look made of words here; only those can be removed")
        texts = {other: text for other, text in self.texts.items() if other != name}
        kept = tuple(look for look in self.looks if look.name != name)
        return replace(self.with_seed(name, None), looks=kept, texts=texts)

    def with_seed(self, name: str, seed: int | None) -> Palette:
        """The palette with a look's answers from this seed; None gives it that of the session again.

        Raises:
            ValueError: there is no look of this name.
        """
        if name not in [look.name for look in self.looks]:
            raise ValueError(f"there is no look named {name!r}")
        others = {other: kept for other, kept in self.seeds.items() if other != name}
        return replace(self, seeds=others if seed is None else {**others, name: seed})


def _held(control: str, value: float) -> float:
    low, high, _ = RANGES[control]
    return min(max(value, low), high)
