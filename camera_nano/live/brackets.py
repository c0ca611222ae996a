"""Darker frames between the others while the scene does not fit the sensor, and the view that is made of both."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace

from camera_nano.light import clipped_share, ratio_ev, shrink
from camera_nano.live.companions import capture_of, is_dark
from camera_nano.live.ring import FrameRing, release
from camera_nano.live.timing import StageTimes
from camera_nano.merge import Filled, Merged, expose, fill, merge
from camera_nano.seams import Bracketing, Source
from camera_nano.values import LEAST_HEADROOM_EV, Frame

_log = logging.getLogger(__name__)

DARKER_EV, BRIGHTER_EV = -2.0, 2.0
_CLIPPED = (0.02, 0.007)  # share of the frame that starts it, and that ends it: else it would come and go
_MOST_WAITED = 300  # frames after which a camera has had time to change its exposure
_SAME_EV = 0.5  # a merged view keeps its exposure while the best one is as near as that: else light would flicker
_MOST_REFUSED = 3  # frames in a row that were to differ and do not


class Brackets:
    """Asks a camera for frames at other exposures, for as long as they tell more than the others."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._offsets_ev: tuple[float, ...] = ()
        self._n_waited = self._n_refused = 0
        self._merged_ev: float | None = None  # of the last scene
        self._lock = threading.Lock()  # the thread that captures gives up, the one that edits asks
        self.note: str | None = None  # why there are none, while light clips and this camera has shown that it cannot

    @property
    def is_on(self) -> bool:
        """Whether the camera is asked for other exposures right now."""
        return bool(self._offsets_ev)

    def scene(self, ring: FrameRing, frame: Frame, width_px: int, times: StageTimes) -> tuple[Frame, float | None]:
        """What the model sees: the frame, or it merged with darker ones, and then its exposure in stops against it.

        Call it with one frame of the usual exposure after the other: the exposure stays while it is nearly right.
        """
        self.consider(frame, is_dark(frame))
        before_ev, self._merged_ev = self._merged_ev, None
        if not self.is_on:
            return frame, None
        with times.stage("merge view"):
            merged = merged_view(ring, frame, width_px)
            if merged.range_ev < LEAST_HEADROOM_EV:
                return frame, None
            exposed = expose(merged)
            if before_ev is not None and abs(exposed.ev - before_ev) < _SAME_EV:
                exposed = expose(merged, before_ev)
        self._merged_ev = exposed.ev
        return replace(frame, pixels=exposed.pixels), exposed.ev

    def consider(self, frame: Frame, is_dark: bool) -> None:
        """Ask the camera for what this frame lacks; call it now and then, with a frame of the usual exposure."""
        starts, ends = _CLIPPED
        is_clipped = clipped_share(frame.pixels) > (ends if self.is_on or self.note else starts)
        if not is_clipped:  # the next scene may be another camera's, or its exposure free again
            with self._lock:
                self.note, self._n_refused, self._n_waited = None, 0, 0
        self._ask(((DARKER_EV, BRIGHTER_EV) if is_dark else (DARKER_EV,)) if is_clipped else ())

    def follows(self, frame: Frame, last: Frame | None) -> bool:
        """Whether a frame that came is what it says it is; `last` is the one before of the usual exposure.

        A camera that does not change its exposure is asked no more.
        """
        asked_ev = frame.exposure.bracket_ev
        if not asked_ev:
            self._n_waited += self.is_on
            if self._n_waited > _MOST_WAITED:
                self._give_up()
            return True
        self._n_waited = 0
        seen_ev = None if last is None else ratio_ev(frame.pixels, last.pixels)
        refuses = seen_ev is not None and seen_ev / asked_ev < 1 / 3
        self._n_refused = self._n_refused + 1 if refuses else 0
        if self._n_refused >= _MOST_REFUSED:
            self._give_up()
        return not refuses

    def _ask(self, offsets_ev: tuple[float, ...]) -> None:
        """Also for the same again: a camera may have been opened anew."""
        with self._lock:
            if self.note is None and isinstance(self._source, Bracketing):
                self._offsets_ev = offsets_ev if self._source.bracket(offsets_ev) else ()

    def _give_up(self) -> None:
        with self._lock:
            if self.note is not None or not isinstance(self._source, Bracketing):
                return
            self.note = f"{self._source.name} does not change its exposure: light above white is estimated"
            self._offsets_ev = ()
            self._source.bracket(())
        _log.warning("%s", self.note)


def filled_view(ring: FrameRing, frame: Frame, width_px: int) -> Filled:
    """A frame, at most `width_px` wide, and the newest darker one, if there is any: as good as merged, and quicker."""
    beside = ring.brackets(frame.t_ns)
    try:
        others = [each for each in beside if each.exposure.bracket_ev < 0 and each.pixels.shape == frame.pixels.shape]
        other = others[0] if others else frame  # which fills nothing
        return fill(*(capture_of(each, shrink(each.pixels, width_px)) for each in (frame, other)))
    finally:
        release(beside)


def filled_scene(ring: FrameRing, frame: Frame, ev: float | None, width_px: int) -> Frame:
    """The frame as fields for an exposure of `ev` want it, as `filled_view`; as it is where they are for no other."""
    return frame if ev is None else replace(frame, pixels=filled_view(ring, frame, width_px).expose(ev))


def merged_view(ring: FrameRing, frame: Frame, width_px: int, *, threads: int = 1) -> Merged:
    """A frame merged with those at other exposures beside it, at most `width_px` wide."""
    beside = ring.brackets(frame.t_ns)
    try:
        views = [replace(each, pixels=shrink(each.pixels, width_px)) for each in (frame, *beside)]
        like = [view for view in views if view.pixels.shape == views[0].pixels.shape]
        return merge([capture_of(view, view.pixels) for view in like], threads=threads)
    finally:
        release(beside)
