"""The seams that other code plugs into: a camera, what it may be told, and a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from camera_nano.values import Assume, Condition, EditField, Frame, Look


class Source(Protocol):
    """A camera or something that behaves like one."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    def frames(self) -> Iterator[Frame]:
        """Frames as they come, until the source ends or is closed."""
        ...

    def close(self) -> None:
        """Free the device; safe to call twice, and from another thread."""
        ...


@dataclass(frozen=True, slots=True)
class Control:
    """One thing a camera lets people set, as it is now."""

    name: Literal["ev", "exposure_lock", "autofocus"]
    kind: Literal["range", "switch", "trigger"]
    value: float = 0.0  # stops for a range; 0 or 1 for a switch; 1 while a trigger is at work
    low: float = 0.0
    high: float = 1.0
    step: float = 1.0


@runtime_checkable
class Adjustable(Protocol):
    """A source whose camera can be told something."""

    def controls(self) -> Sequence[Control]:
        """What can be set right now."""
        ...

    def adjust(self, name: str, value: float) -> None:
        """Set a control; from any thread. Raises ValueError for one that is not there or out of range."""
        ...


@runtime_checkable
class Bracketing(Protocol):
    """A source whose camera can take single frames at another exposure."""

    def bracket(self, offsets_ev: Sequence[float]) -> bool:
        """Take now and then a frame at each of these exposures, in stops against the others; without any, no more.

        Such frames come with all others, marked by `Exposure.bracket_ev`. Asking again for the same changes nothing.
        Any thread may ask. Returns whether this camera can.
        """
        ...


@runtime_checkable
class Metering(Protocol):
    """A source that may be told what to expose or focus on."""

    def meter(self, x: float, y: float) -> None:
        """Meter at a point, 0..1 from the left and the top of the frame; from any thread.

        Raises ValueError where this camera cannot.
        """
        ...


@runtime_checkable
class Recovering(Protocol):
    """A source that may fall silent, says why, and comes back by itself."""

    @property
    def trouble(self) -> str | None:
        """Why no frames come right now and what is done about it, one line; None while they come."""
        ...


class Editor(Protocol):
    """The model behind an engine."""

    @property
    def name(self) -> str:
        """Which engine this is."""
        ...

    @property
    def looks(self) -> Mapping[str, Look]:
        """The named looks that came with the weights."""
        ...

    def propose(
        self,
        condition: Condition,
        looks: Sequence[Look],
        *,
        seed: int = 0,
        n_steps: int = 2,
        assume: Assume = "auto",
    ) -> list[EditField]:
        """One field per look; the same condition, look, seed, steps and assumption give the same field.

        `EditField.settled` says how far the light was left as it is because the picture looks finished: never with
        "captured", always with "finished".
        """
        ...
