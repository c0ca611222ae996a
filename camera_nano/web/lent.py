"""A page lends its own camera: pictures come over a WebSocket, and the page sends the next one after each "ready"."""

from __future__ import annotations

import json
import threading
import time
from typing import Any, Protocol, runtime_checkable

from starlette.status import WS_1008_POLICY_VIOLATION, WS_1009_MESSAGE_TOO_BIG, WS_1013_TRY_AGAIN_LATER
from starlette.websockets import WebSocket

from camera_nano.live import Session

_MOST_BYTES = 4 << 20
_MOST_EV = 4


@runtime_checkable
class Lendable(Protocol):
    """A source whose pictures come from outside, as JPEGs."""

    def put(self, jpeg: bytes, t_ns: int, bracket_ev: float = 0.0) -> None:
        """Take the newest picture, of `t_ns` on the monotonic clock. Raises ValueError if it is no JPEG."""
        ...

    def next_bracket_ev(self) -> float:
        """The exposure of the next picture, in stops against the usual one."""
        ...

    def take_brackets(self, can: bool) -> None:
        """Whether the page's camera may have other exposures; a page that comes, or changes its camera, may."""
        ...


class LentCamera:
    """Where a page lends its camera; one page at a time."""

    def __init__(self, session: Session) -> None:
        self._session, self._taken = session, threading.Lock()

    async def serve(self, websocket: WebSocket) -> None:
        """Hand the page's pictures to the source until the page leaves."""
        source = self._session.source
        await websocket.accept()
        if not isinstance(source, Lendable):
            await websocket.close(WS_1008_POLICY_VIOLATION, f"the camera is {source.name}; start with --source browser")
            return
        if not self._taken.acquire(blocking=False):
            await websocket.close(WS_1013_TRY_AGAIN_LATER, "another page lends its camera already")
            return
        try:
            source.take_brackets(True)
            await websocket.send_json({"type": "ready", "bracket_ev": 0.0})
            bracket_ev = 0.0
            while (event := await websocket.receive())["type"] == "websocket.receive":
                if (text := event.get("text")) is not None:  # of the picture that comes next
                    bracket_ev = _bracket_ev(said := _said(text))
                    if not bracket_ev:
                        source.take_brackets(said == {"type": "camera"})
                    continue
                picture = event.get("bytes") or b""
                if len(picture) > _MOST_BYTES:
                    await websocket.close(WS_1009_MESSAGE_TOO_BIG, "a picture is at most 4 MB")
                    return
                try:
                    source.put(picture, time.monotonic_ns(), bracket_ev)
                except ValueError as error:
                    await websocket.send_json({"type": "error", "message": str(error)})
                bracket_ev = 0.0
                await websocket.send_json({"type": "ready", "bracket_ev": source.next_bracket_ev()})
        finally:
            self._taken.release()


def _said(text: str) -> Any:
    """A message of the page; None where it is no JSON."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _bracket_ev(said: Any) -> float:
    """The stops of a "bracket" message; 0 for any other."""
    match said:
        case {"type": "bracket", "ev": float() | int() as ev} if abs(ev) <= _MOST_EV:
            return float(ev)
    return 0.0
