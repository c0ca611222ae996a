"""How long stages take and how often things happen, lately; and the throttle that follows from it."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np


class StageTimes:
    """The last 120 durations of each named stage, in milliseconds."""

    def __init__(self) -> None:
        self._ms: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=120))

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Record how long the body takes."""
        started_ns = time.monotonic_ns()
        yield
        self._ms[name].append((time.monotonic_ns() - started_ns) / 1e6)

    def summary(self) -> dict[str, dict[str, float]]:
        """Median and 95th percentile per stage, in milliseconds."""
        return {
            name: {"p50_ms": round(float(np.median(ms)), 2), "p95_ms": round(float(np.percentile(ms, 95)), 2)}
            for name, ms in self._ms.copy().items()
        }


class Rate:
    """Events per second over the last two seconds."""

    def __init__(self) -> None:
        self._at_ns: deque[int] = deque(maxlen=240)

    def tick(self) -> None:
        """Count one event, now."""
        self._at_ns.append(time.monotonic_ns())

    def per_s(self) -> float:
        """Events per second."""
        since = time.monotonic_ns() - 2_000_000_000
        return sum(at > since for at in self._at_ns.copy()) / 2


class Throttle:
    """Slows the model down where it would slow the camera down: on a small or hot machine the view stays smooth.

    While fewer frames a second come than at the camera's best, the model rests longer after every proposal, until
    there is one proposal a second; once the frames are back, so are the proposals, up to `most_per_s`.
    """

    def __init__(self, most_per_s: float = 12.0) -> None:
        self._shortest_s = 1 / most_per_s
        self._interval_s = self._shortest_s
        self._best_fps = 0.0

    @property
    def is_held_back(self) -> bool:
        """Whether proposals come clearly less often than `most_per_s`, to spare the view."""
        return self._interval_s > 1.5 * self._shortest_s

    def rest_s(self, busy_s: float, camera_fps: float) -> float:
        """Seconds to rest after a proposal that took `busy_s`, with `camera_fps` now. Call it after each one."""
        self._best_fps = max(self._best_fps * 0.999, camera_fps)  # a camera may have changed to a slower mode for good
        if camera_fps < 0.85 * self._best_fps:
            self._interval_s = min(1.0, 1.15 * max(self._interval_s, busy_s))
        else:
            self._interval_s = max(self._shortest_s, 0.95 * self._interval_s)
        return max(0.0, self._interval_s - busy_s)
