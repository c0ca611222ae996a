"""How long stages take: a rolling record on the monotonic clock."""

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
