"""Cameras, and what behaves like one. `open_source` is the only place that knows them all."""

from __future__ import annotations

from pathlib import Path

from camera_nano.errors import CameraLost
from camera_nano.seams import Source

CHOICES = "auto, camera, demo[:SCENE], v4l2:N, picamera2[:N], video:PATH, folder:PATH, browser"
_CAMERAS = ("camera", "v4l2", "picamera2")


def open_source(uri: str) -> Source:
    """Open what a --source argument names: `demo`, `v4l2:0`, `video:clip.avi`, `folder:photos` ...

    Raises:
        ValueError: there is no such kind of source, or what follows the colon makes no sense.
        CameraLost: the source cannot be opened.
    """
    scheme, colon, rest = uri.partition(":")
    match scheme:
        case "auto" if not colon:
            from camera_nano.sources.auto import camera_or_demo

            return camera_or_demo()
        case "camera" if not colon:
            from camera_nano.sources.auto import first_camera

            return first_camera()
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
    """As `open_source`, but a camera is watched while it runs, and opened again whenever it has gone away.

    A camera that is not there yet is waited for; with `must_be_there` that raises CameraLost instead. Until then `auto`
    shows the demo, unless it must be a camera: a picture that nobody looks at is not to be one of the demo.
    """
    if uri == "auto":
        try:
            return _watch("camera", open_source("camera"))
        except CameraLost:
            if must_be_there:
                raise
        from camera_nano.sources.auto import DemoUntilCamera

        return DemoUntilCamera(lambda camera: _watch("camera", camera))
    if uri.partition(":")[0] not in _CAMERAS:
        return open_source(uri)
    return _watch(uri, open_source(uri) if must_be_there else None)


def _watch(uri: str, first: Source | None) -> Source:
    from camera_nano.sources.watched import WatchedCamera

    def reopen() -> Source:
        nonlocal uri
        camera = open_source(uri)
        uri = getattr(camera, "stable_uri", uri)
        return camera

    uri = getattr(first, "stable_uri", first.name if first is not None else uri)
    return WatchedCamera(uri, reopen, first=first)


def _number(uri: str, text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"source {uri!r} needs a camera number; choose one of {CHOICES}")
    return int(text)


def _device(uri: str, text: str) -> int | str:
    return text if text.startswith("/") else _number(uri, text)
