"""A page's own camera: the browser takes the pictures and sends them here as JPEGs."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator, Sequence

import numpy as np
import simplejpeg

from camera_nano.values import Exposure, Frame

_log = logging.getLogger(__name__)

_LONGEST_SIDE_PX = 4096
_BRACKET_EVERY = 60  # pictures: at another exposure, the next one takes half a second
_FED_S = 2.0  # after so long without a picture, no page lends its camera any more


class BrowserCamera:
    """A camera that shows the newest picture a page has sent.

    Its JPEG frames are decoded in this process: the page is paired, and a live frame has no time for another.
    """

    name = "browser"

    def __init__(self) -> None:
        self._jpeg: tuple[bytes, int, float] | None = None
        self._offsets_ev: tuple[float, ...] = ()
        self._can_bracket, self._n_put = True, 0
        self._put_s = -_FED_S
        self._changed = threading.Condition()
        self._closed = False

    @property
    def is_fed(self) -> bool:
        """Whether a page lends its camera right now."""
        return time.monotonic() - self._put_s < _FED_S

    @property
    def trouble(self) -> str | None:
        """What to do while no page lends its camera; None while one does."""
        return None if self.is_fed else "open this page where the camera is, and lend it with the button"

    def bracket(self, offsets_ev: Sequence[float]) -> bool:
        """Ask the page now and then for a picture at one of these exposures; as in `seams.Bracketing`."""
        self._offsets_ev = tuple(offsets_ev) if self._can_bracket else ()
        return self._can_bracket

    def next_bracket_ev(self) -> float:
        """The exposure that the next picture is to have, in stops against the usual one."""
        turn, rest = divmod(self._n_put, _BRACKET_EVERY)
        offsets_ev = self._offsets_ev
        return offsets_ev[turn % len(offsets_ev)] if offsets_ev and self._n_put and not rest else 0.0

    def take_brackets(self, can: bool) -> None:
        """Whether the page's camera may have other exposures: as long as it has not said that it cannot."""
        self._can_bracket = can
        if not can:
            self._offsets_ev = ()

    def put(self, jpeg: bytes, t_ns: int, bracket_ev: float = 0.0) -> None:
        """Make this the newest picture, taken at `t_ns` on the monotonic clock; an older one not yet read is dropped.

        `bracket_ev` is as in `Exposure`.

        Raises:
            ValueError: it is no JPEG, or has more than 4096 pixels a side.
        """
        height, width, *_ = simplejpeg.decode_jpeg_header(jpeg, strict=True)
        if not max(height, width) <= _LONGEST_SIDE_PX:
            raise ValueError(f"a picture has at most {_LONGEST_SIDE_PX} pixels a side, not {width}x{height}")
        with self._changed:
            self._jpeg, self._put_s = (jpeg, t_ns, bracket_ev), time.monotonic()
            self._n_put += 1
            self._changed.notify_all()

    def frames(self) -> Iterator[Frame]:
        """Frames as the page sends them; damaged pictures are skipped."""
        number = 0
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._jpeg or self._closed)
                if self._closed or self._jpeg is None:
                    return
                (jpeg, t_ns, bracket_ev), self._jpeg = self._jpeg, None
            try:
                pixels = np.asarray(simplejpeg.decode_jpeg(jpeg, colorspace="RGB", strict=True))
            except ValueError as error:
                _log.info("a lent picture was damaged: %s", error)
                continue
            yield Frame(pixels, number, t_ns, Exposure(bracket_ev=bracket_ev))
            number += 1

    def close(self) -> None:
        """End the frames; safe to call twice, and from another thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
