"""The live view as a virtual camera for other programs, by v4l2loopback and pyvirtualcam."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import numpy as np

from camera_nano.color import to_8_bit
from camera_nano.errors import MissingDevice
from camera_nano.light import shrink
from camera_nano.light.render import render
from camera_nano.live.brackets import filled_view
from camera_nano.live.session import Session

_log = logging.getLogger(__name__)

WIDTH_PX = 1280
_FPS = 30


class Loopback:
    """While its context is open, writes every new frame to a loopback device, in one look."""

    def __init__(self, session: Session, device: str, look: str | None = None) -> None:
        """`device` is its path; `look` None gives the original. Raises MissingDevice where one is not there."""
        if not Path(device).exists():
            raise MissingDevice(f"{device} is not there: sudo modprobe v4l2loopback, or check the name")
        try:
            import pyvirtualcam
        except ImportError as error:
            raise MissingDevice('a virtual camera needs pyvirtualcam: pip install "camera-nano[loopback]"') from error
        self._make, self._session, self._device, self._look = pyvirtualcam.Camera, session, device, look
        self._stop, self._thread = threading.Event(), threading.Thread(target=self._run, name="loopback", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join(5)

    def _run(self) -> None:
        try:
            self._write_frames()
        except Exception as error:  # the top of a thread; the camera itself goes on
            _log.warning("the virtual camera %s has ended: %s", self._device, error)

    def _write_frames(self) -> None:
        camera, frame_id, session = None, -1, self._session
        try:
            while not self._stop.is_set():
                frame = session.ring.wait_newer(frame_id, 0.5)
                if frame is None:
                    continue
                frame_id, proposal = frame.id, session.proposal()
                picture = shrink(frame.pixels, WIDTH_PX)
                field = proposal.fields.get(self._look or "") if proposal is not None else None
                if field is not None and proposal is not None:
                    if proposal.merged_ev is not None:
                        picture = filled_view(session.ring, frame, WIDTH_PX).expose(proposal.merged_ev)
                    picture = to_8_bit(render(picture, field))
                height, width = picture.shape[:2]
                if camera is None:
                    camera = self._make(width=width, height=height, fps=_FPS, device=self._device)
                camera.send(np.ascontiguousarray(picture))
        finally:
            if camera is not None:
                camera.close()
