"""One press of the shutter on its way to the disk: what is wanted, and what the camera gave for it."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from camera_nano.live.companions import Companions, Progress, gather, raw_values
from camera_nano.merge import Capture, RawCapture
from camera_nano.recipe import Recipe
from camera_nano.values import EditField, Frame, Held


@dataclass(frozen=True, slots=True, eq=False)
class Press:
    """What is wanted of a frame."""

    number: int
    at: datetime  # of the exposure
    fields: Mapping[str, EditField]
    recipes: Mapping[str, Recipe]
    companions: Companions | None
    progress: Progress


class Fetched(NamedTuple):
    """What a press needs of the camera, which has its buffers back."""

    frame: Frame  # with pixels at the size to save
    dng: bytes | None
    captures: Sequence[Capture | RawCapture]  # all to merge; none where one frame is enough

    @property
    def n_bytes(self) -> int:
        """What it takes in memory until it is saved."""
        n_bytes = sum(capture.n_bytes for capture in self.captures)
        return max(n_bytes, self.frame.pixels.nbytes) + len(self.dng or b"")


def fetch(press: Press, frame: Frame, *, with_dng: bool) -> Fetched:
    """Fetch what the camera still holds, and the companions' pixels; releases the `held` of all frames.

    Waits for companions that are still to come.
    """
    dng = raw = None
    if frame.held is not None:
        try:
            pixels, dng = frame.held.full_pixels(), _dng(frame.held) if with_dng else None
            raw = raw_values(frame.held) if press.companions is not None and press.companions.want_raw else None
        finally:
            frame.held.release()
        frame = replace(frame, pixels=pixels, held=None)
    if raw is not None and raw.mosaic.shape != frame.pixels.shape[:2]:
        raw = None
    captures = () if press.companions is None else gather(frame, raw, press.companions, press.progress)
    return Fetched(frame, dng, captures)


def _dng(held: Held) -> bytes | None:
    """The sensor's values as a DNG; None where the camera gives none."""
    with tempfile.TemporaryDirectory(prefix="camera_nano-") as folder:
        path = Path(folder) / "frame.dng"
        try:
            held.save_dng(path)
        except LookupError:
            return None
        return path.read_bytes()
