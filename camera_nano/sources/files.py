"""A folder of photos as a camera: it shows each photo for a while, then the next."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from camera_nano.errors import CameraLost
from camera_nano.files import open_image, shared_decoder
from camera_nano.light import shrink
from camera_nano.values import Frame, Pixels

_log = logging.getLogger(__name__)

EXTENSIONS = (".jpg", ".jpeg", ".png", ".webp", ".tif", ".tiff")
MAX_WIDTH_PX = 1920


class PhotoFolder:
    """The photos of a folder in the order of their names, over and over."""

    is_camera = False  # its frames were not taken now
    may_be_finished = True  # somebody may have developed them

    def __init__(self, path: Path, *, hold_s: float = 2.0, fps: float = 10.0, pace: bool = True) -> None:
        self.name = f"folder:{path.name or path}"
        if not path.is_dir():
            raise CameraLost(f"{self.name} is not there ({path} is not a folder): check the path")
        self._photos = sorted(p for p in path.iterdir() if p.suffix.lower() in EXTENSIONS and p.is_file())
        self._path, self._pace = path, pace
        self._n_repeats, self._period_ns = max(1, round(hold_s * fps)), round(1e9 / fps)
        self._broken: set[Path] = set()
        self._closed = threading.Event()
        self._next_id = 0

    def frames(self) -> Iterator[Frame]:
        """`hold_s * fps` frames of every photo, each frame with its own id and time, over and over.

        Raises:
            CameraLost: no file of the folder can be read.
        """
        due_ns = time.monotonic_ns()
        while not self._closed.is_set():
            playable = [p for p in self._photos if p not in self._broken]
            if not playable:
                raise CameraLost(
                    f"{self.name} has no readable photo: put a {', '.join(EXTENSIONS)} file in {self._path}"
                )
            for photo in playable:
                pixels = self._read(photo)
                if pixels is None:
                    continue
                for _ in range(self._n_repeats):
                    if self._pace:
                        due_ns = max(
                            due_ns, time.monotonic_ns() - self._period_ns
                        )  # no burst to catch up after a slow decode
                        self._closed.wait(max(0, due_ns - time.monotonic_ns()) / 1e9)
                    if self._closed.is_set():
                        return
                    yield Frame(pixels, self._next_id, due_ns)
                    self._next_id += 1
                    due_ns += self._period_ns

    def _read(self, photo: Path) -> Pixels | None:
        """(H, W, 3) RGB uint8, sRGB-encoded, upright, at most 1920 px wide; None if the file cannot be read."""
        try:
            picture = open_image(photo)
            pixels, icc = shrink(picture.frame.pixels, MAX_WIDTH_PX), picture.metadata.icc
            pixels = pixels if icc is None else shared_decoder().to_srgb(pixels, icc)
        except (OSError, ValueError) as error:
            _log.warning("skipped %s", error)
            self._broken.add(photo)
            return None
        pixels.flags.writeable = False  # many frames share it
        return pixels

    def close(self) -> None:
        """End the show; safe to call twice, and from another thread."""
        self._closed.set()
