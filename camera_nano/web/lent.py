"""A camera that a page lends: its pictures come in over a WebSocket, one for each credit."""

from __future__ import annotations

import threading
import time
from typing import Protocol, runtime_checkable

from starlette.websockets import WebSocket

from camera_nano.session import Session

_BUSY = 1013  # try again later; WebSocket close codes, IANA registry
_POLICY_VIOLATION, _TOO_BIG = 1008, 1009  # RFC 6455, 7.4.1
_MOST_BYTES = 4 << 20


@runtime_checkable
class Lendable(Protocol):
    """A source that is fed with JPEGs."""

    def put(self, jpeg: bytes, t_ns: int) -> None:
        """The newest picture. Raises ValueError for what is not a JPEG."""
        ...


class LentCamera:
    """The one place at which a page may lend its camera; one page at a time."""

    def __init__(self, session: Session) -> None:
        self._session, self._taken = session, threading.Lock()

    async def serve(self, websocket: WebSocket) -> None:
        """Take pictures until the page leaves."""
        source = self._session.source
        await websocket.accept()
        if not isinstance(source, Lendable):
            await websocket.close(_POLICY_VIOLATION, f"the camera is {source.name}; start with --source browser")
            return
        if not self._taken.acquire(blocking=False):
            await websocket.close(_BUSY, "another page lends its camera already")
            return
        try:
            await websocket.send_json({"type": "ready"})
            while (event := await websocket.receive())["type"] == "websocket.receive":
                picture = event.get("bytes") or b""
                if len(picture) > _MOST_BYTES:
                    await websocket.close(_TOO_BIG, "a picture is at most 4 MB")
                    return
                try:
                    source.put(picture, time.monotonic_ns())
                except ValueError as error:
                    await websocket.send_json({"type": "error", "message": str(error)})
                await websocket.send_json({"type": "ready"})
        finally:
            self._taken.release()
