"""Being asked to end, from anywhere: from another thread, or by a signal."""

from __future__ import annotations

import contextlib
from queue import Empty, SimpleQueue


class Stop:
    """A flag that stays set, for one that waits and any number that look.

    Not an Event: that has a lock, and the handler of a signal may find it held by the very thread that it interrupts.
    Nor an exception raised by the handler: it would strike in the midst of a library's bookkeeping, or in a destructor,
    where it is lost.
    """

    def __init__(self, also: Stop | None = None) -> None:
        """Set when `also` is, too; that does not wake who waits."""
        self._asked, self._also, self._wake = False, also, SimpleQueue[None]()

    def set(self) -> None:
        """May be called by the handler of a signal, and again."""
        self._asked = True
        self._wake.put(None)  # the one queue that is made to be entered twice

    def is_set(self) -> bool:
        """Whether to end."""
        return self._asked or (self._also is not None and self._also.is_set())

    def wait(self, timeout_s: float) -> bool:
        """Until it is set, but not longer; whether it is."""
        if not self.is_set():
            with contextlib.suppress(Empty):
                self._wake.get(timeout=timeout_s)
        return self.is_set()
