"""A camera that a page lends: the browser takes the pictures, and they come in as JPEGs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator

import numpy as np
import simplejpeg

from camera_nano.values import Frame

_log = logging.getLogger(__name__)

_LONGEST_SIDE_PX = 4096
_FED_S = 2.0  # without a picture for so long, nobody lends a camera


class BrowserCamera:
    """The newest picture that a page has put here."""

    name = "browser"

    def __init__(self) -> None:
        self._jpeg: tuple[bytes, int] | None = None
        self._put_s = -_FED_S
        self._changed = threading.Condition()
        self._closed = False

    @property
    def is_fed(self) -> bool:
        """Whether a page lends its camera."""
        return time.monotonic() - self._put_s < _FED_S

    @property
    def trouble(self) -> str | None:
        """What is missing while nobody does."""
        return None if self.is_fed else "open this page where the camera is, and lend it with the button"

    def put(self, jpeg: bytes, t_ns: int) -> None:
        """The newest picture, taken at `t_ns` on the monotonic clock; one that was not read yet is dropped.

        Raises:
            ValueError: it is no JPEG, or larger than 4096 pixels a side.
        """
        height, width, *_ = simplejpeg.decode_jpeg_header(jpeg, strict=True)
        if not max(height, width) <= _LONGEST_SIDE_PX:
            raise ValueError(f"a picture has at most {_LONGEST_SIDE_PX} pixels a side, not {width}x{height}")
        with self._changed:
            self._jpeg, self._put_s = (jpeg, t_ns), time.monotonic()
            self._changed.notify_all()

    def frames(self) -> Iterator[Frame]:
        """Frames as pages send them; a damaged one is passed over."""
        number = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jpeg or self._closed)
                if self._closed or self._jpeg is None:
                    return
                (jpeg, t_ns), self._jpeg = self._jpeg, None
            try:
                pixels = np.asarray(simplejpeg.decode_jpeg(jpeg, colorspace="RGB", strict=True))
            except ValueError as error:
                _log.info("a lent picture was damaged: %s", error)
                continue
            yield Frame(pixels, number, t_ns)
            number += 1

    def close(self) -> None:
        """End it; safe to call twice, and from another thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
