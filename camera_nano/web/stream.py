"""What travels between the session and a page: views out, controls and shutter presses in.

The page answers each drawn view with `ready`; until then no other is sent, and the next one shows the
newest frame. So a slow page sees fewer frames, never older ones, and never slows another.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, TypeVar

from starlette.websockets import WebSocket, WebSocketDisconnect

from camera_nano.conditioning import shrink
from camera_nano.session import Session
from camera_nano.values import Adjustable, Frame
from camera_nano.web.messages import (
    Adjust,
    Choose,
    Compare,
    Forget,
    Ready,
    Said,
    Shoot,
    Split,
    Strength,
    Tone,
    Words,
    parse,
)
from camera_nano.web.view import VIEW_WIDTH_PX, Wish, jpeg, make_view

log = logging.getLogger(__name__)

MJPEG_BOUNDARY = "camera-nano-frame"
_STATUS_EVERY_NS = 1_000_000_000
_WAIT_S = 0.1  # for a frame; also how late a choice is seen when the camera is slow
_T = TypeVar("_T")
_MOMENTS_MS, _MOST_MOMENTS = 700, 6
_MESSAGE_CHARS = 64 * 1024
_TOO_BIG = 1009  # RFC 6455, 7.4.1
_PENDING_SHOTS = 16  # per page; each holds a full-size frame


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page was sent last."""

    frame_id: int = -1
    proposal_id: int = 0
    wish: Wish = field(default_factory=Wish)


def offered(frames: Sequence[Frame], frame_id: int) -> list[dict[str, int]]:
    """A few of the frames around one, evenly spread: id, and milliseconds from it."""
    middle = next((frame for frame in frames if frame.id == frame_id), None)
    if middle is None:
        return []
    near = [(frame.id, round((frame.t_ns - middle.t_ns) / 1e6)) for frame in frames if frame.id != frame_id]
    near = [(number, ms) for number, ms in near if abs(ms) <= _MOMENTS_MS]
    step = -(-len(near) // _MOST_MOMENTS) or 1
    return [{"frame_id": number, "offset_ms": ms} for number, ms in near[::step]]


class Client:
    """One connected page: what it wishes, what it has, and whether it can take another view."""

    def __init__(self, session: Session, websocket: WebSocket) -> None:
        self._session, self._socket = session, websocket
        self._wish, self._shown = Wish(), Shown()
        self._is_ready = asyncio.Event()
        self._is_ready.set()
        self._pending_shots = 0
        self._status_ns = 0
        self._views_skipped = 0  # frames that came while this page was still drawing

    async def run(self) -> None:
        """Serve the page until it leaves."""
        await self._socket.accept()
        with contextlib.suppress(WebSocketDisconnect):
            await self._send(self._status())
        async with asyncio.TaskGroup() as tasks:
            sender = tasks.create_task(self._send_views())
            try:
                await self._receive(tasks)
            finally:
                sender.cancel()

    async def _receive(self, tasks: asyncio.TaskGroup) -> None:
        while (event := await self._socket.receive())["type"] == "websocket.receive":
            if len(event.get("text") or event.get("bytes") or "") > _MESSAGE_CHARS:
                await self._socket.close(_TOO_BIG, "a message is shorter than that")
                return
            try:
                await self._obey(parse(event.get("text")), tasks)
            except (ValueError, LookupError) as error:
                await self._send({"type": "error", "message": str(error)})

    async def _obey(self, message: Said, tasks: asyncio.TaskGroup) -> None:
        session = self._session
        match message:
            case Ready():
                self._is_ready.set()
            case Choose(look):
                self._check_look(look)
                self._wish = replace(self._wish, look=look)
            case Strength(value):
                self._wish = replace(self._wish, strength=value)
            case Compare(on):
                self._wish = replace(self._wish, is_comparing=on)
            case Split(on):
                self._wish = replace(self._wish, is_split=on)
            case Tone(highlights_ev, shadows_ev):
                session.set_tone(highlights_ev, shadows_ev)
            case Words(text):
                understood = session.add_look(text)
                await self._send({"type": "look", "name": understood.look.name, "parts": understood.parts})
                await self._send(self._status())  # the strip shows it before its first picture
            case Forget(look):
                session.forget_look(look)
                await self._send(self._status())
            case Adjust(control, value):
                if not isinstance(session.source, Adjustable):
                    raise ValueError(f"{session.source.name} has nothing that can be set")
                await asyncio.to_thread(session.source.adjust, control, value)
            case Shoot():
                tasks.create_task(self._shoot(message))

    def _check_look(self, name: str | None) -> None:
        try:
            names = [look.name for look in self._session.palette().looks]
        except LookupError:  # the model is loading; a page that comes back asks for what it had
            return
        if name is not None and name not in names:
            raise ValueError(f"no look named {name!r}; there are {', '.join(names)}")

    async def _shoot(self, shoot: Shoot) -> None:
        looks = [] if shoot.look is None else [shoot.look]
        answer: dict[str, Any] = {"asked_frame_id": shoot.frame_id}
        self._pending_shots += 1
        try:
            if self._pending_shots > _PENDING_SHOTS:
                raise ValueError(f"{_PENDING_SHOTS} shots are still being saved; wait for one")
            # not in a thread: it only takes references, and threads could overtake each other between two presses
            future = self._session.commit(shoot.frame_id, shoot.proposal_id, looks, shoot.strength)
            # shielded: a page that closes right after the press must not take its shot back
            shot = await asyncio.shield(asyncio.wrap_future(future))
            names = {name: path.name for name, path in shot.looks.items()}
            answer["exact"] = shot.frame_id == shoot.frame_id
            answer["moments"] = offered(self._session.moments(), shot.frame_id)
            answer |= {"type": "shot", **shot.as_dict(), "original": shot.original.name, "looks": names}
        except Exception as error:  # the top of a task: whatever it is, the photographer must know
            log.warning("a shot was not saved: %s", error)
            answer |= {"type": "error", "message": f"not saved: {error}"}
        finally:
            self._pending_shots -= 1
        await self._send(answer)

    async def _send_views(self) -> None:
        while True:
            try:
                async with asyncio.timeout(_STATUS_EVERY_NS / 1e9):
                    await self._is_ready.wait()
            except TimeoutError:
                pass
            else:
                view = await _off_loop(self._next_view)
                if view is not None:
                    self._is_ready.clear()
                    with contextlib.suppress(WebSocketDisconnect):
                        await self._socket.send_bytes(view)
                    continue
            await self._send_status_if_due()

    def _next_view(self) -> bytes | None:
        """The newest frame as this page wishes it; None when it has seen that. Waits, renders, encodes."""
        shown, ring = self._shown, self._session.ring
        frame = ring.wait_newer(shown.frame_id, _WAIT_S)
        wish, proposal = self._wish, self._session.proposal()
        has_new_tiles = proposal is not None and proposal.id > shown.proposal_id
        if frame is None:
            frame = ring.latest()
            if frame is None or (wish == shown.wish and not has_new_tiles):
                return None
        view = make_view(frame, proposal, wish, with_tiles=has_new_tiles, status=self._status_if_due())
        if shown.frame_id >= 0:
            self._views_skipped += max(0, frame.id - shown.frame_id - 1)
        self._shown = Shown(frame.id, proposal.id if proposal else 0, wish)
        return view

    def _status(self) -> dict[str, Any]:
        self._status_ns = time.monotonic_ns()
        status = self._session.status()
        status["dropped"]["views_skipped"] = self._views_skipped
        return {"type": "status", **status}

    def _status_if_due(self) -> dict[str, Any] | None:
        return self._status() if time.monotonic_ns() - self._status_ns >= _STATUS_EVERY_NS else None

    async def _send_status_if_due(self) -> None:
        status = await asyncio.to_thread(self._status_if_due)
        if status is not None:
            await self._send(status)

    async def _send(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(WebSocketDisconnect):  # the page left; `_receive` hears of it and ends
            await self._socket.send_json(message)


async def _off_loop(call: Callable[[], _T | None]) -> _T | None:
    """Run a blocking call in a thread. A None takes `_WAIT_S`: a lost camera's ring does not wait, and would spin."""
    started_s = time.monotonic()
    result = await asyncio.to_thread(call)
    if result is None:
        await asyncio.sleep(max(0.0, _WAIT_S - (time.monotonic() - started_s)))
    return result


async def mjpeg(session: Session, closing: asyncio.Event) -> AsyncIterator[bytes]:
    """The live original as multipart pictures, newest frame first, until the camera or the server ends."""
    frame_id = -1
    yield f"--{MJPEG_BOUNDARY}\r\n".encode()
    while not closing.is_set() and session.camera_error is None:
        part = await _off_loop(partial(_mjpeg_part, session, frame_id))
        if part is not None:
            frame_id, data = part
            yield data


def _mjpeg_part(session: Session, after_id: int) -> tuple[int, bytes] | None:
    frame = session.ring.wait_newer(after_id, _WAIT_S)
    if frame is None:
        return None
    data = jpeg(shrink(frame.pixels, VIEW_WIDTH_PX))
    head = f"Content-Type: image/jpeg\r\nContent-Length: {len(data)}\r\nX-Frame-Id: {frame.id}\r\n\r\n".encode()
    # the boundary follows at once: browsers show a part only when they see its end
    return frame.id, head + data + f"\r\n--{MJPEG_BOUNDARY}\r\n".encode()
