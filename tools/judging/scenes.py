"""What judging shares with training: its panoramas and views, and which photos it never sees."""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "training"))

import make_data
from examples import whitened
from make_data import F32, MOOD_EV, normalise_key, prepare, read_panorama, split_photos, view

MAKER = make_data.__file__
__all__ = [
    "F32",
    "MAKER",
    "MOOD_EV",
    "normalise_key",
    "prepare",
    "read_panorama",
    "split_photos",
    "view",
    "whitened",
]
