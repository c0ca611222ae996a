"""A shutter button and a light on the header of a Raspberry Pi, by gpiozero."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

_BOUNCE_S = 0.05  # a cheap switch closes several times within some milliseconds


class MissingDevice(RuntimeError):
    """There is no header here, or no library for it; one line."""


class Button:
    """Calls `press` whenever the button is pressed; `light` says that a picture is being saved."""

    def __init__(self, pin: int, led_pin: int | None, press: Callable[[], None]) -> None:
        """Pins by their BCM number. Raises MissingDevice."""
        try:
            import gpiozero  # only there on a Pi
        except ImportError as error:
            raise MissingDevice(
                'a GPIO button needs gpiozero: sudo apt install python3-gpiozero, or pip install "camera-nano[gpio]"'
            ) from error
        self._parts = ExitStack()
        try:
            button = self._parts.enter_context(gpiozero.Button(pin, bounce_time=_BOUNCE_S))
            self._led: Any = None if led_pin is None else self._parts.enter_context(gpiozero.LED(led_pin))
        except gpiozero.GPIOZeroError as error:
            self._parts.close()
            raise MissingDevice(f"GPIO {pin} cannot be used ({error}): check the pin, and run this on a Pi") from error
        button.when_pressed = press

    def light(self, is_on: bool) -> None:
        """Switch the light."""
        if self._led is not None:
            self._led.value = is_on

    def close(self) -> None:
        """Free the pins; safe to call twice."""
        self._parts.close()
