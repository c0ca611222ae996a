"""More frames than one for a shot: those around it where it is dark, darker ones where the light clips."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from camera_nano.light import draw_gain_map, map_of, mean_light, noise_level, relight
from camera_nano.live.ring import FrameRing, release
from camera_nano.machine import available_bytes
from camera_nano.merge import Capture, Exposed, expose, merge
from camera_nano.recipe import Merging, Recipe
from camera_nano.values import EditField, Frame, GainMap, Pixels

N_FRAMES = 8
_MORE_S = 1.5  # how long a shot waits for frames after the press
_DARK_LUX = 30.0  # a room with one lamp
_DARK_MS_ISO = 33.0 * 800  # about the same light, at f/2
_DARK_LIGHT, _DARK_NOISE = 0.03, 6 / 255  # mean light and noise of a frame whose camera says nothing
# of each pixel: a merge's light, and what is made of it until the look is a file; and one more capture
_WORK_BYTES, _CAPTURE_BYTES = 40, 3

Progress = Callable[[int, int], None]  # is told how many frames are there, and how many are to be


def is_dark(frame: Frame) -> bool:
    """Whether one frame of this scene holds more noise than people want: by what the camera says, else by the frame."""
    exposure = frame.exposure
    if exposure.lux is not None:
        return exposure.lux < _DARK_LUX
    if exposure.time_ms is not None and exposure.iso is not None:
        return exposure.time_ms * exposure.iso > _DARK_MS_ISO
    return mean_light(frame.pixels) < _DARK_LIGHT or noise_level(frame.pixels) > _DARK_NOISE


@dataclass(frozen=True, slots=True, eq=False)
class Companions:
    """The frames that a shot is merged with.

    Attributes:
        ring: where more of them come from.
        frames: those that are there, nearest first; the camera's buffers of each are ours, until `gather` has run.
        n_more: how many are still to come.
        ev: the exposure, in stops against the shot's frame, that its fields are for.
    """

    ring: FrameRing
    frames: Sequence[Frame] = ()
    n_more: int = 0
    ev: float = 0.0

    def release(self) -> None:
        """Give back what the camera lent, where nothing is gathered."""
        release(self.frames)


@dataclass(frozen=True, slots=True, eq=False)
class Developed:
    """A shot's frames as one picture, and what to say of it."""

    exposed: Exposed | None  # None: the shot's own frame, as it is
    n_merged: int = 1
    range_ev: float = 0.0  # stops above white that were measured
    note: str = ""

    def look(self, own: Pixels, field: EditField) -> tuple[Pixels, GainMap | None]:
        """A look of the picture, or of the shot's `own` pixels: (H, W, 3), and the light above its white."""
        if self.exposed is None:
            return relight(own, field), draw_gain_map(own, field)
        return relight(self.exposed.pixels, field), gain_map(self.exposed, field)

    @property
    def is_measured(self) -> bool:
        """Whether the light above white was captured; else the model estimates it."""
        return self.exposed is not None and self.exposed.headroom_ev is not None

    def told(self, recipe: Recipe | None) -> Recipe | None:
        """The recipe with what was merged."""
        return recipe and replace(recipe, merging=Merging(self.n_merged, self.range_ev) if self.exposed else None)


def gain_map(exposed: Exposed, field: EditField) -> GainMap | None:
    """The light above white of a look of `exposed`: as measured where it was, else as the field estimates it."""
    return draw_gain_map(exposed.pixels, field) if exposed.headroom_ev is None else map_of(exposed.headroom_ev)


def capture_of(frame: Frame, pixels: Pixels) -> Capture:
    """A frame, with pixels of the size to merge at."""
    return Capture(pixels, frame.exposure.bracket_ev, frame.exposure.iso)


def gather(own: Frame, companions: Companions, progress: Progress) -> tuple[Capture, ...]:
    """Captures at the full size of `own`, which comes first, as many as memory allows; waits for those to come."""
    n_px = own.pixels.size // 3
    n_fit = (available_bytes() // 2 - _WORK_BYTES * n_px) // (_CAPTURE_BYTES * own.pixels.itemsize * n_px)
    n = min(1 + len(companions.frames) + companions.n_more, max(1, n_fit))
    captures = [capture_of(own, own.pixels)]
    progress(1, n)
    for frame in _coming(own, companions, n - 1 - len(companions.frames)):
        if len(captures) < n:
            pixels = frame.held.full_pixels() if frame.held is not None else frame.pixels
            if pixels.shape == own.pixels.shape:
                captures.append(capture_of(frame, pixels))
                progress(len(captures), n)
        release([frame])
    return tuple(captures)


def _coming(own: Frame, companions: Companions, n_more: int) -> Iterator[Frame]:
    """The frames that are there, then those to come; each is the caller's to release."""
    yield from companions.frames
    last_id = max(frame.id for frame in (own, *companions.frames))
    until_s = time.monotonic() + _MORE_S
    for _ in range(n_more):
        newer = companions.ring.wait_newer(last_id, max(0.0, until_s - time.monotonic()))
        if newer is None:
            return
        frame = companions.ring.get(newer.id)
        last_id = max(newer.id, frame.id)
        yield frame


def develop(captures: Sequence[Capture], ev: float, *, threads: int) -> Developed:
    """Merge captures, the first of which says where things are, and expose them `ev` stops against it."""
    if len(captures) == 1 and not ev:
        return Developed(None, note="one frame: there is no memory for more")
    merged = merge(captures, threads=threads)
    if merged.n_used == 1 and not ev and not merged.range_ev:
        return Developed(None, note="one frame: the others could not be aligned, something moved")
    exposed = expose(merged, ev)
    return Developed(exposed, merged.n_used, 0.0 if exposed.headroom_ev is None else round(merged.range_ev, 2))
