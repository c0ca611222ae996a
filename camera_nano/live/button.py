"""A shutter button and a light on the header of a Raspberry Pi, by gpiozero."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import ExitStack
from typing import Any

from camera_nano.errors import MissingDevice
from camera_nano.live.session import Session
from camera_nano.live.shot import Shot

_BOUNCE_S = 0.05  # a cheap switch closes several times within some milliseconds


class ShutterButton:
    """Every press saves the frame that the newest looks belong to, with those looks; the light is on while it does."""

    def __init__(
        self,
        session: Session,
        pin: int,
        led_pin: int | None = None,
        strength: float = 1.0,
        *,
        taken: Callable[[Future[Shot]], None] = lambda shot: None,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        """`pin` and `led_pin` are BCM numbers. `taken` is called with each shot, `say` with the reason for none.

        Raises:
            MissingDevice: gpiozero is not installed, or a pin cannot be used.
        """
        try:
            import gpiozero  # only there on a Pi
        except ImportError as error:
            raise MissingDevice(
                'a GPIO button needs gpiozero: sudo apt install python3-gpiozero, or pip install "camera-nano[gpio]"'
            ) from error
        self._session, self._strength, self._taken, self._say = session, strength, taken, say
        self._n_saving, self._lock = 0, threading.Lock()
        self._parts, used = ExitStack(), pin
        try:
            button = self._parts.enter_context(gpiozero.Button(pin, bounce_time=_BOUNCE_S))
            self._led: Any = None
            if led_pin is not None:
                used = led_pin
                self._led = self._parts.enter_context(gpiozero.LED(led_pin))
        except gpiozero.GPIOZeroError as error:
            self._parts.close()
            cause = " ".join(str(error).split())
            raise MissingDevice(f"GPIO {used} cannot be used ({cause}): check the pin, and run this on a Pi") from error
        button.when_pressed = self._press

    def _press(self) -> None:
        try:
            proposal = self._session.proposal()
            if proposal is None:
                raise LookupError("the first looks are not there yet, wait for them")
            shot = self._session.commit(proposal.frame_id, proposal.id, list(proposal.fields), self._strength)
        except (LookupError, OSError) as error:
            self._say(f"the button took no picture: {error}")
            return
        self._count(+1)
        shot.add_done_callback(lambda _: self._count(-1))
        self._taken(shot)

    def _count(self, n: int) -> None:
        with self._lock:
            self._n_saving += n
            if self._led is not None and not self._led.closed:
                self._led.value = self._n_saving > 0

    def close(self) -> None:
        """Free the pins; safe to call twice."""
        with self._lock:
            self._parts.close()
