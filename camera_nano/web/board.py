"""The session's status, looked up once for all pages."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from camera_nano.live import Session

_STATUS_FRESH_NS = 500_000_000


class Board:
    """The session's status for all pages: looked up once for those that ask within half a second of each other."""

    def __init__(self, session: Session, **more: Any) -> None:
        """`more` is what the status also says: of the page, which the session knows nothing of."""
        self._session, self._more = session, more
        self._made: asyncio.Task[dict[str, Any]] | None = None
        self._made_ns = 0

    def now(self) -> dict[str, Any]:
        """The status, looked up anew."""
        return self._session.status() | self._more

    async def status(self) -> dict[str, Any]:
        """The status as it is now, or was half a second ago; whoever changes it makes a copy."""
        now_ns = time.monotonic_ns()
        if self._made is None or now_ns - self._made_ns > _STATUS_FRESH_NS:
            self._made_ns, self._made = now_ns, asyncio.create_task(asyncio.to_thread(self.now))
        return await asyncio.shield(self._made)  # a page that leaves does not take it from others

    def wipe(self) -> None:
        """A page has done something: what was looked up before counts no more."""
        self._made = None
