"""How a run is asked to end: a flag that another thread or a signal sets, and the handler that sets it."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from queue import Empty, SimpleQueue
from types import FrameType


class Stop:
    """A flag that stays set once it is. One thread may wait for it, and any number may look at it.

    It is no Event: an Event has a lock, and a signal's handler may interrupt the very thread that holds it. Nor does
    the handler raise an exception: that would interrupt a library halfway through a change, or be lost in a destructor.
    """

    def __init__(self, also: Stop | None = None) -> None:
        """Counts as set when `also` is set, too; but setting `also` does not wake the thread that waits here."""
        self._asked, self._also, self._wake = False, also, SimpleQueue[None]()

    def set(self) -> None:
        """Set it; a signal's handler may do so, and more than once."""
        self._asked = True
        self._wake.put(None)  # the one queue whose `put` may be interrupted by another `put` of the same thread

    def is_set(self) -> bool:
        """Whether to end."""
        return self._asked or (self._also is not None and self._also.is_set())

    def wait(self, timeout_s: float) -> bool:
        """Wait until it is set, at most `timeout_s` seconds; whether it is."""
        if not self.is_set():
            with contextlib.suppress(Empty):
                self._wake.get(timeout=timeout_s)
        return self.is_set()


@contextmanager
def on_signals(
    handler: Callable[[int, FrameType | None], object] | None,
    numbers: Sequence[int] = (signal.SIGINT, signal.SIGTERM),
) -> Iterator[None]:
    """Let `handler` take these signals inside the context; at its end the handlers are what they were before.

    With None they stay as they are, and are put back at the end: for a library that sets its own. Only the main thread
    may set handlers; in any other this does nothing. A SIGHUP that is ignored, as under nohup, stays ignored.
    """
    is_main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in numbers} if is_main else {}
    if before.get(signal.SIGHUP) is signal.SIG_IGN:
        del before[signal.SIGHUP]
    try:
        for number in before:
            if handler is not None:
                signal.signal(number, handler)
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
