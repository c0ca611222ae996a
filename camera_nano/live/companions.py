"""More frames than one for a shot: those around it where it is dark, darker ones where the light clips."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from camera_nano.light import draw_gain_map, map_of, mean_light, noise_level, relight
from camera_nano.live.ring import FrameRing, release
from camera_nano.machine import available_bytes
from camera_nano.merge import Capture, Exposed, Merged, RawCapture, expose, merge, merge_raw
from camera_nano.recipe import Merging, Recipe
from camera_nano.values import EditField, Frame, GainMap, Held, Pixels, Raw

N_FRAMES = 8
_MORE_S = 1.5  # how long a shot waits for frames after the press
_DARK_LUX = 30.0  # a room with one lamp
_DARK_MS_ISO = 33.0 * 800  # about the same light, at f/2
_DARK_LIGHT, _DARK_NOISE = 0.03, 6 / 255  # mean light and noise of a frame whose camera says nothing
# of each pixel: a merge's light, and what is made of it until the look is a file; one more capture, of 8 bits or raw
_WORK_BYTES, _CAPTURE_BYTES, _RAW_BYTES = 40, 3, 8

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
        want_raw: whether the sensor's own values are merged, where the camera gives them; else its finished frames.
    """

    ring: FrameRing
    frames: Sequence[Frame] = ()
    n_more: int = 0
    ev: float = 0.0
    want_raw: bool = False

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


def most_frames(n_px: int, *, is_raw: bool = False, n_bytes: int = 1) -> int:
    """How many frames of `n_px` pixels can be merged in the memory that is free; `n_bytes` are of a sample."""
    a_capture = _RAW_BYTES if is_raw else _CAPTURE_BYTES * n_bytes
    return max(1, (available_bytes() // 2 - _WORK_BYTES * n_px) // (a_capture * n_px))


def gather(own: Frame, raw: Raw | None, companions: Companions, progress: Progress) -> tuple[Capture | RawCapture, ...]:
    """Captures at the full size of `own`, which comes first, as many as memory allows; waits for those to come.

    With the `raw` values of `own`, those of all: frames that give none are left out.
    """
    n_fit = most_frames(own.pixels.size // 3, is_raw=raw is not None, n_bytes=own.pixels.itemsize)
    n = min(1 + len(companions.frames) + companions.n_more, n_fit)
    captures = [capture_of(own, own.pixels) if raw is None else _raw_capture(own, raw)]
    progress(1, n)
    for frame in _coming(own, companions, n - 1 - len(companions.frames)):
        if len(captures) < n and (capture := _like(captures[0], frame)) is not None:
            captures.append(capture)
            progress(len(captures), n)
        release([frame])
    return tuple(captures)


def _like(own: Capture | RawCapture, frame: Frame) -> Capture | RawCapture | None:
    """A frame at its full size, of the kind that `own` is; None where there is none."""
    if isinstance(own, RawCapture):
        raw = raw_values(frame.held)
        return _raw_capture(frame, raw) if raw is not None and raw.mosaic.shape == own.raw.mosaic.shape else None
    pixels = frame.held.full_pixels() if frame.held is not None else frame.pixels
    return capture_of(frame, pixels) if pixels.shape == own.pixels.shape else None


def raw_values(held: Held | None) -> Raw | None:
    """The sensor's own values; None where a frame has none that are understood."""
    try:
        return held.raw() if held is not None else None
    except LookupError:
        return None


def _raw_capture(frame: Frame, raw: Raw) -> RawCapture:
    return RawCapture(raw, frame.exposure.bracket_ev, frame.exposure.iso)


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


def develop(captures: Sequence[Capture | RawCapture], own: Pixels, ev: float, *, threads: int) -> Developed:
    """Merge captures, the first of which says where things are and was finished as `own`; expose them at `ev`."""
    if len(captures) == 1 and not ev:
        return Developed(None, note="one frame: there is no memory for more")
    try:
        merged = _merged(captures, own, threads)
    except ValueError as error:
        return Developed(None, note=f"one frame: {error}")
    if merged.n_used == 1 and not ev and not merged.range_ev:
        return Developed(None, note="one frame: the others could not be aligned, something moved")
    exposed = expose(merged, ev)
    return Developed(exposed, merged.n_used, 0.0 if exposed.headroom_ev is None else round(merged.range_ev, 2))


def _merged(captures: Sequence[Capture | RawCapture], own: Pixels, threads: int) -> Merged:
    raws = [capture for capture in captures if isinstance(capture, RawCapture)]
    if raws:
        return merge_raw(raws, own, threads=threads)
    return merge([capture for capture in captures if isinstance(capture, Capture)], threads=threads)
