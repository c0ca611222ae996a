"""The looks that people made of words, from one run to the next: a file with a line of words for each."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from pathlib import Path

from camera_nano.atomic import write_atomically
from camera_nano.looks.palette import Palette

_MOST_BYTES = 64 * 1024


def with_kept(palette: Palette, path: Path | None) -> Palette:
    """The palette with the looks of a file; words that are not understood, and a file that cannot be read, are left."""
    for text in _lines(path) if path else ():
        with contextlib.suppress(ValueError):
            palette, _ = palette.with_words(text)
    return palette


def keep_words(texts: Mapping[str, str], path: Path | None) -> None:
    """Write the words of looks to a file. Raises OSError as `write_atomically`."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, "".join(f"{' '.join(text.split())}\n" for text in texts.values()).encode())


def _lines(path: Path) -> Iterable[str]:
    try:
        with path.open("rb") as file:
            return file.read(_MOST_BYTES).decode(errors="replace").splitlines()
    except OSError:
        return ()
