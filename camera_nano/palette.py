"""The looks on offer in a session: the named ones, ones made of words, and two tone sliders laid on all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from camera_nano.looks import choose
from camera_nano.values import Look
from camera_nano.vocabulary import RANGES
from camera_nano.words import Understood, parse

TONE_LIMIT_EV = 1.5
_MOST_WORDED = 6  # each costs the model as much as a named one


@dataclass(frozen=True, slots=True)
class Palette:
    """What the model knows, what of it is shown, and how it is toned. Changes give a new palette."""

    known: Mapping[str, Look]
    looks: tuple[Look, ...]  # in the order of the strip, before the tone
    texts: Mapping[str, str] = field(default_factory=dict)  # of those that people made of words here
    highlights_ev: float = 0.0
    shadows_ev: float = 0.0

    @classmethod
    def of(cls, known: Mapping[str, Look], names: Sequence[str] | None) -> Palette:
        """The looks named or worded in `names`, all the known ones for None. Raises ValueError as `looks.choose`."""
        return cls(known, tuple(choose(known, names)))

    def toned(self) -> list[Look]:
        """The looks as the model is to make them; controls stay in the range it was trained on."""
        return [
            replace(
                look,
                highlights=_held("highlights", look.highlights + self.highlights_ev),
                shadows=_held("shadows", look.shadows + self.shadows_ev),
            )
            for look in self.looks
        ]

    def with_tone(self, highlights_ev: float, shadows_ev: float) -> Palette:
        """Other sliders, in stops.

        Raises:
            ValueError: one is beyond +-1.5.
        """
        if not all(abs(value) <= TONE_LIMIT_EV for value in (highlights_ev, shadows_ev)):  # also refuses NaN
            raise ValueError(f"highlights and shadows go from -{TONE_LIMIT_EV} to {TONE_LIMIT_EV} stops")
        return replace(self, highlights_ev=highlights_ev, shadows_ev=shadows_ev)

    def with_words(self, text: str) -> tuple[Palette, Understood]:
        """One look more, made of words.

        Raises:
            ValueError: the words are not understood, or there are enough such looks already.
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
        """Without a look that was made of words here.

        Raises:
            ValueError: there is none of that name.
        """
        if name not in self.texts:
            raise ValueError(f"{name!r} is not a look made of words here; only those can be removed")
        texts = {other: text for other, text in self.texts.items() if other != name}
        return replace(self, looks=tuple(look for look in self.looks if look.name != name), texts=texts)


def _held(control: str, value: float) -> float:
    low, high, _ = RANGES[control]
    return min(max(value, low), high)
