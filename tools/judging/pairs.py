"""What is judged: a picture and what it should have been. Folders of photos; `captures.py` simulates the rest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from metrics import U8
from numpy.typing import NDArray

from camera_nano.color import to_8_bit
from camera_nano.files import open_image

_PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff"}


@dataclass(frozen=True, slots=True, eq=False)
class Pair:
    """A capture (H, W, 3) and what it should have been; what else is known where the capture is simulated."""

    name: str
    image: U8
    reference: U8
    bracket: tuple[U8, ...] = ()  # captures of the same view, two stops apart
    group: str = ""  # pairs of one group are not independent of each other
    exposure_ev: float | None = None  # apparent exposure, 0 = a mean log luminance of 0.18
    open_light: NDArray[np.float32] | None = None  # the reference before the display's shoulder, 1 = SDR white


def paired_folders(inputs: Path, references: Path, only: str = "*") -> Iterator[Pair]:
    """Pictures matched by stem, inputs by the glob `only`; references of another size are scaled to the input's.

    Raises:
        ValueError: no input has a reference.
    """
    by_stem = {path.stem: path for path in sorted(references.iterdir())}
    found = [path for path in sorted(inputs.iterdir()) if path.stem in by_stem and Path(path.stem).match(only)]
    if not found:
        raise ValueError(f"{inputs} and {references} have no file stem in common")
    for path in found:
        image, reference = read_u8(path), read_u8(by_stem[path.stem])
        if reference.shape != image.shape:
            reference = np.asarray(cv2.resize(reference, image.shape[1::-1], interpolation=cv2.INTER_AREA), np.uint8)
        yield Pair(path.stem, image, reference, group=path.stem)


def named_folder(text: str) -> tuple[str, Path]:
    """NAME=DIR, or DIR under its own name."""
    name, _, folder = text.rpartition("=")
    return (name or Path(folder).name), Path(folder)


def photo_paths(folder: Path, held_out: bool = False, only: str = "*") -> list[Path]:
    """Pictures of the folder and below; `held_out` takes only those that training never sees.

    Raises:
        ValueError: there is none.
    """
    if held_out:
        from scenes import split_photos

        paths = split_photos(folder)[1]
    else:
        paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _PICTURES)
    paths = [path for path in paths if Path(path.stem).match(only)]
    if not paths:
        raise ValueError(f"{folder} holds no photo to judge")
    return paths


def read_u8(path: Path) -> U8:
    """A picture file -> (H, W, 3) uint8, upright."""
    return to_8_bit(open_image(path).frame.pixels)
