"""Cameras and things that behave like one; `open_source` is the one registry."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

from camera_nano.values import Adjustable, Control, Frame, Source

_log = logging.getLogger(__name__)

CHOICES = "auto, demo[:SCENE], v4l2:N, picamera2[:N], video:PATH, folder:PATH, browser"


_CAMERAS = ("v4l2", "picamera2")


class CameraLost(RuntimeError):
    """A camera that stopped or cannot be opened; one line with the thing, the cause and the way out."""


def open_source(uri: str) -> Source:
    """Open what a --source argument names: `demo`, `v4l2:0`, `video:clip.avi`, `folder:photos` ...

    Raises:
        ValueError: the scheme is unknown, or its argument is not legal.
        CameraLost: it is known but cannot be opened.
    """
    scheme, colon, rest = uri.partition(":")
    match scheme:
        case "auto" if not colon:
            return _first_camera()
        case "demo":
            from camera_nano.sources.demo import DemoCamera

            return DemoCamera(scene=rest) if rest else DemoCamera()
        case "v4l2":
            from camera_nano.sources.opencv import V4L2Camera

            return V4L2Camera(_device(uri, rest or "0"))
        case "picamera2":
            from camera_nano.sources.picamera2 import PiCamera

            return PiCamera(_number(uri, rest or "0"))
        case "video" if rest:
            from camera_nano.sources.opencv import VideoFile

            return VideoFile(Path(rest).expanduser())
        case "folder" if rest:
            from camera_nano.sources.files import PhotoFolder

            return PhotoFolder(Path(rest).expanduser())
        case "browser" if not colon:
            from camera_nano.sources.browser import BrowserCamera

            return BrowserCamera()
        case _:
            raise ValueError(f"unknown source {uri!r}; choose one of {CHOICES}")


def open_watched(uri: str, *, must_be_there: bool = False) -> Source:
    """As `open_source`, but a camera is watched, and opened again whenever it goes away.

    A camera that is not there is waited for, unless it `must_be_there` at the start: then CameraLost is raised.
    """
    if uri.partition(":")[0] not in _CAMERAS and uri != "auto":
        return open_source(uri)
    from camera_nano.sources.supervised import Supervised

    first = open_source(uri) if uri == "auto" or must_be_there else None
    if uri == "auto" and first is not None and first.name.startswith("demo"):
        return first

    def again() -> Source:
        nonlocal uri
        camera = open_source(uri)
        uri = getattr(camera, "stable_uri", uri)
        return camera

    uri = getattr(first, "stable_uri", first.name if first is not None else uri)
    return Supervised(uri, again, first=first)


def _number(uri: str, text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"source {uri!r} needs a camera number; choose one of {CHOICES}")
    return int(text)


def _device(uri: str, text: str) -> int | str:
    return text if text.startswith("/") else _number(uri, text)


def _first_camera() -> Source:
    """The first camera that delivers a frame, else the demo."""
    candidates = ["picamera2"] if find_spec("picamera2") else []
    nodes = sorted(Path("/dev").glob("video*"), key=lambda node: (len(node.name), node.name))
    candidates += [f"v4l2:{node}" for node in nodes]
    for uri in candidates:
        try:
            return _Proven(open_source(uri))
        except CameraLost as error:
            _log.info("auto: %s", error)
    from camera_nano.sources.demo import DemoCamera

    demo = DemoCamera()
    demo.name = "demo (no camera found)"
    return demo


class _Proven:
    """A source whose first frame has been seen, so that "auto" never settles on a dead device."""

    def __init__(self, source: Source) -> None:
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
        """The frame already seen, then the rest; later calls start afresh."""
        if self._first:
            return chain([self._first.pop()], self._frames)
        return chain(self._source.frames())

    def controls(self) -> Sequence[Control]:
        """Those of the camera."""
        return self._source.controls() if isinstance(self._source, Adjustable) else ()

    def adjust(self, name: str, value: float) -> None:
        """Pass it on. Raises ValueError where the camera has no such control."""
        if not isinstance(self._source, Adjustable):
            raise ValueError(f"{self.name} has nothing that can be set")
        self._source.adjust(name, value)

    def close(self) -> None:
        """Free the device."""
        self._source.close()
