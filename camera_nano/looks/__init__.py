"""Named looks, and words for light. This is the door: other rooms take these names from here."""

from camera_nano.looks.kept import keep_words, with_kept
from camera_nano.looks.named import choose, choose_aloud, load_looks
from camera_nano.looks.palette import Palette
from camera_nano.looks.vocabulary import RANGES
from camera_nano.looks.words import Understood, known_phrases, parse

__all__ = [
    "RANGES",
    "Palette",
    "Understood",
    "choose",
    "choose_aloud",
    "keep_words",
    "known_phrases",
    "load_looks",
    "parse",
    "with_kept",
]
