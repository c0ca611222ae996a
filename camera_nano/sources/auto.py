"""The sources "camera", the first one that works, and "auto": the demo for as long as there is none."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from itertools import chain, count
from pathlib import Path

from camera_nano.errors import CameraLost
from camera_nano.seams import Adjustable, Bracketing, Control, Metering, Recovering, Source
from camera_nano.values import Frame

_log = logging.getLogger(__name__)


_LOOK_S = 3.0


def first_camera() -> Source:
    """The first camera that delivers a frame. Raises CameraLost where none does."""
    for open_camera in _cameras():
        try:
            return _Proven(open_camera())
        except CameraLost as error:
            _log.info("%s", error)
    raise CameraLost("no camera works here: plug one in, or choose another --source")


def camera_or_demo() -> Source:
    """The first camera that delivers a frame, else the demo."""
    try:
        return first_camera()
    except CameraLost:
        return _demo()


def _demo() -> Source:
    from camera_nano.sources.demo import DemoCamera

    demo = DemoCamera()
    demo.name = "demo (no camera found)"
    return demo


def _cameras() -> Iterator[Callable[[], Source]]:
    """How to open each camera that may be there: the Pi's first, then USB cameras by their number."""
    if find_spec("picamera2"):
        from camera_nano.sources.picamera2 import PiCamera

        yield PiCamera
    for node in sorted(Path("/dev").glob("video*"), key=lambda node: (len(node.name), node.name)):
        from camera_nano.sources.opencv import V4L2Camera

        yield partial(V4L2Camera, str(node))


class _Adjusted:
    """The controls of the source behind another."""

    _source: Source

    def controls(self) -> Sequence[Control]:
        """Those of what is shown now."""
        return self._source.controls() if isinstance(self._source, Adjustable) else ()

    def adjust(self, name: str, value: float) -> None:
        """Set one of them. Raises ValueError where there is none of this name."""
        if not isinstance(self._source, Adjustable):
            raise ValueError(f"{self._source.name} has nothing that can be set")
        self._source.adjust(name, value)

    def bracket(self, offsets_ev: Sequence[float]) -> bool:
        """Frames at other exposures, of what is shown now; as in `seams.Bracketing`."""
        return isinstance(self._source, Bracketing) and self._source.bracket(offsets_ev)

    def meter(self, x: float, y: float) -> None:
        """Let it meter at a point. Raises ValueError where it cannot."""
        if not isinstance(self._source, Metering):
            raise ValueError(f"{self._source.name} cannot meter at a point")
        self._source.meter(x, y)


class DemoUntilCamera(_Adjusted):
    """The demo, until a camera is there and takes its place. Frame numbers go on."""

    def __init__(self, watch: Callable[[Source], Source]) -> None:
        """`watch` makes what is shown of the camera that was found."""
        self._source, self._watch = _demo(), watch
        self._found: Source | None = None
        self._closed, self._lock = threading.Event(), threading.Lock()

    @property
    def name(self) -> str:
        """What is shown now."""
        return self._source.name

    @property
    def is_camera(self) -> bool:
        """Whether its frames are taken now."""
        return getattr(self._source, "is_camera", True)

    @property
    def trouble(self) -> str | None:
        """Why no frames come; None while they do."""
        return self._source.trouble if isinstance(self._source, Recovering) else None

    def frames(self) -> Iterator[Frame]:
        """Frames until this is closed."""
        threading.Thread(target=self._look, name="look for a camera", daemon=True).start()
        numbers = count()
        for frame in self._source.frames():
            yield replace(frame, id=next(numbers))
            if self._found is not None:
                break
        with self._lock:
            if self._found is None or self._closed.is_set():
                return
            self._source.close()
            self._source, self._found = self._watch(self._found), None
        for frame in self._source.frames():
            yield replace(frame, id=next(numbers))

    def _look(self) -> None:
        while not self._closed.wait(_LOOK_S):
            try:
                found = first_camera()
            except CameraLost:
                continue
            with self._lock:
                self._found = found
                if self._closed.is_set():
                    found.close()
            return

    def close(self) -> None:
        """Free what is shown, and the camera that was found; safe to call twice."""
        self._closed.set()
        with self._lock:
            self._source.close()
            if self._found is not None:
                self._found.close()


class _Proven(_Adjusted):
    """A camera whose first frame has come, so that "auto" never settles on one that opens but sends nothing."""

    def __init__(self, source: Source) -> None:
        """Waits for the first frame. Raises CameraLost where there is none; the camera is closed then."""
        self._source = source
        self.name = source.name
        self.stable_uri = getattr(source, "stable_uri", source.name)
        self._frames = source.frames()
        try:
            first = next(self._frames, None)
        except BaseException:
            source.close()
            raise
        if first is None:
            source.close()
            raise CameraLost(f"{source.name} ended before its first frame: choose another --source")
        self._first: list[Frame] = [first]

    def frames(self) -> chain[Frame]:
        """The first call gives the frame that has come already, then the rest; later calls start afresh."""
        if self._first:
            return chain([self._first.pop()], self._frames)
        return chain(self._source.frames())

    def close(self) -> None:
        """Free the device."""
        self._source.close()
