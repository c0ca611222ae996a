"""A camera that comes back: watched while it runs, and opened again when it falls silent.

Many failures of a camera raise no exception: a read blocks for ever, or returns the last picture again and again after
the cable was pulled out. So every run of a camera has a thread of its own; one that hangs is left behind.
"""

from __future__ import annotations

import logging
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from camera_nano.seams import Adjustable, Bracketing, Control, Metering, Source
from camera_nano.values import Frame

_log = logging.getLogger(__name__)

OPEN_S = 10.0  # some cameras take seconds to start
STALL_S = 2.0
_MOST_SAME_S = 64.0  # the longest that one and the same picture is accepted
_FIRST_RETRY_S, _LAST_RETRY_S = 0.5, 2.0  # a camera that is plugged in again is there within five seconds
_MOST_GIVEN_UP = 4  # threads that hang in a driver: each still holds a device


class WatchedCamera:
    """A camera that may stop, hang or go away, and is opened again then. Its frame numbers never start again."""

    def __init__(
        self, name: str, open_camera: Callable[[], Source], *, first: Source | None = None, stall_s: float = STALL_S
    ) -> None:
        """`open_camera` may raise or hang; `first` is a camera that is already open.

        A camera that sends nothing for `stall_s` seconds, or the same picture for as long, is opened again.
        """
        self._name, self._open, self._stall_s = name, open_camera, stall_s
        self._run: _Run | None = _Run(lambda: first) if first is not None else None
        self._given_up: list[_Run] = []
        self._reason: str | None = None
        self._retry_at_s = 0.0
        self._closed = threading.Event()
        # a picture that is still the same after a restart is what the camera really sees, no fault: such a scene may
        # stay the same for twice as long before the next restart
        self._still, self._same_s = 0, stall_s

    @property
    def name(self) -> str:
        """What the camera calls itself, as soon as it has been open."""
        source = self._run.source if self._run else None
        if source is not None:
            self._name = source.name
        return self._name

    @property
    def trouble(self) -> str | None:
        """Why no frames come, and when the next try is; None while they come."""
        if self._reason is None:
            return None
        wait_s = self._retry_at_s - time.monotonic()
        return f"{self._reason}; trying again" + (f" in {wait_s:.0f} s" if wait_s >= 0.5 else " ...")

    def controls(self) -> Sequence[Control]:
        """The camera's controls; none while it is away."""
        source = self._run.source if self._run else None
        return source.controls() if isinstance(source, Adjustable) else ()

    def adjust(self, name: str, value: float) -> None:
        """Set one of the camera's controls. Raises ValueError where it is away or has no such control."""
        source = self._run.source if self._run else None
        if not isinstance(source, Adjustable):
            raise ValueError(f"{self._name} has nothing that can be set right now")
        source.adjust(name, value)

    def bracket(self, offsets_ev: Sequence[float]) -> bool:
        """Frames at other exposures; as in `seams.Bracketing`. Not while the camera is away."""
        source = self._run.source if self._run else None
        return isinstance(source, Bracketing) and source.bracket(offsets_ev)

    def meter(self, x: float, y: float) -> None:
        """Let the camera meter at a point. Raises ValueError where it is away or cannot."""
        source = self._run.source if self._run else None
        if not isinstance(source, Metering):
            raise ValueError(f"{self._name} cannot meter at a point")
        source.meter(x, y)

    def frames(self) -> Iterator[Frame]:
        """Frames until this is closed, however often the camera goes away.

        Raises:
            ValueError: `open_camera` has raised it; trying again would not help.
        """
        retry_s, n_frames = _FIRST_RETRY_S, 0
        while not self._closed.is_set():
            self._given_up = [run for run in self._given_up if run.is_alive]
            run = self._run = self._run or (_Run(self._open) if len(self._given_up) < _MOST_GIVEN_UP else None)
            if run is not None:
                for frame in self._watched(run):
                    self._reason, retry_s = None, _FIRST_RETRY_S
                    yield replace(frame, id=n_frames)
                    n_frames += 1
                run.give_up()
                self._given_up.append(run)
                self._run = None
            if self._closed.is_set():
                return
            _log.warning("%s; trying again in %.1f s", self._reason, retry_s)
            self._retry_at_s = time.monotonic() + retry_s
            self._closed.wait(retry_s)
            retry_s = min(2 * retry_s, _LAST_RETRY_S)

    def _watched(self, run: _Run) -> Iterator[Frame]:
        """The frames of one run, until it ends, hangs or repeats itself; `_reason` says which."""
        patience_s, seen, changed_s = OPEN_S, None, time.monotonic()
        while not self._closed.is_set():
            frame = run.take(patience_s, self._closed)
            if frame is None:
                if isinstance(run.error, ValueError):
                    raise run.error
                if not self._closed.is_set():
                    ended = str(run.error or "") or f"{self.name} has ended"
                    self._reason = ended if run.is_over else f"{self.name} does not answer: check its cable"
                return
            patience_s, now_s = self._stall_s, time.monotonic()
            # noise makes every picture of a sensor different; one pixel in a thousand is enough to see that
            picture = zlib.crc32(frame.pixels[::31, ::31].tobytes())
            if picture != seen:
                if seen is None and picture == self._still:
                    self._same_s = min(2 * self._same_s, _MOST_SAME_S)
                seen, changed_s = picture, now_s
            elif now_s - changed_s > self._same_s and picture != self._still:
                self._still = picture
                self._reason = f"{self.name} sends the same picture over and over: check its cable"
                if frame.held is not None:
                    frame.held.release()
                return
            yield frame

    def close(self) -> None:
        """Free the camera; safe to call twice, and from another thread."""
        self._closed.set()
        for run in (self._run, *self._given_up):
            if run is not None:
                run.give_up()
        if self._run is not None:
            self._run.join(1.0)


class _Run:
    """One run of a camera, from opening to its end, on a thread of its own. It keeps the newest frame, no other."""

    def __init__(self, open_camera: Callable[[], Source]) -> None:
        self.source: Source | None = None
        self.error: Exception | None = None
        self.is_over = self._is_given_up = False
        self._box: Frame | None = None
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._work, args=(open_camera,), name="camera", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether its thread has not ended yet."""
        return self._thread.is_alive()

    def _work(self, open_camera: Callable[[], Source]) -> None:
        source = None
        try:
            source = open_camera()
            with self._changed:
                self.source = source
                if self._is_given_up:
                    return
            for frame in source.frames():
                with self._changed:
                    dropped, self._box = (frame, None) if self._is_given_up else (self._box, frame)
                    _release(dropped)
                    self._changed.notify_all()
                    if self._is_given_up:
                        return
        except Exception as error:  # the top of a thread: whoever takes the next frame sees it
            self.error = error
        finally:
            if source is not None:
                _close(source)
            with self._changed:
                self.is_over = True
                self._changed.notify_all()

    def take(self, patience_s: float, closed: threading.Event) -> Frame | None:
        """The next frame; None if the run ends or is given up, or no frame comes in `patience_s` seconds."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._box or self.is_over or self._is_given_up or closed.is_set(), patience_s
            )
            frame, self._box = self._box, None
            return frame

    def give_up(self) -> None:
        """Leave it: later frames are dropped, and a thread of its own closes the camera, since that may hang."""
        with self._changed:
            was, self._is_given_up = self._is_given_up, True
            _release(self._box)
            self._box = None
            self._changed.notify_all()
        if not was and self.source is not None:
            threading.Thread(target=_close, args=(self.source,), name="camera-close", daemon=True).start()

    def join(self, timeout_s: float) -> None:
        """Wait for the thread, at most `timeout_s` seconds."""
        if self._thread is not threading.current_thread():
            self._thread.join(timeout_s)


def _close(source: Source) -> None:
    try:
        source.close()
    except Exception as error:  # the driver of a camera that is gone may raise anything
        _log.info("%s did not close (%s)", source.name, error)


def _release(frame: Frame | None) -> None:
    if frame is not None and frame.held is not None:
        frame.held.release()
