"""What travels between the session and a page: views and tiles out, controls and shutter presses in.

A view is one binary message: a 4-byte big-endian length, a JSON header of that length, then the JPEGs the header
points into. The page answers each drawn view with `ready`; until then no other is sent, and the next one shows the
newest frame. So a slow page sees fewer frames, never older ones, and never slows another.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import struct
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import simplejpeg
from starlette.websockets import WebSocket, WebSocketDisconnect

from camera_nano.render import render
from camera_nano.session import TILE_WIDTH_PX, Proposal, Session, shrink
from camera_nano.values import Frame, Pixels
from camera_nano.web.messages import Choose, Compare, Ready, Said, Shoot, Strength, parse

log = logging.getLogger(__name__)

VIEW_WIDTH_PX = 1280
MJPEG_BOUNDARY = "camera-nano-frame"
_VIEW_QUALITY = 85
_RENDER_THREADS = max(1, min(4, (os.cpu_count() or 1) - 1))  # one core is left to the model
_TILE_QUALITY = 80
_STATUS_EVERY_NS = 1_000_000_000
_WAIT_S = 0.1  # for a frame; also how late a choice is seen when the camera is slow
_T = TypeVar("_T")
_PENDING_SHOTS = 16  # per page; each holds a full-size frame


def pack(header: dict[str, Any], jpegs: Sequence[bytes]) -> bytes:
    """Header and pictures -> one binary message."""
    text = json.dumps(header, allow_nan=False).encode()
    return b"".join((struct.pack(">I", len(text)), text, *jpegs))


def jpeg(pixels: Pixels, quality: int) -> bytes:
    """Pixels (H, W, 3) RGB uint8 -> JPEG with halved chroma."""
    return bytes(
        simplejpeg.encode_jpeg(
            np.ascontiguousarray(pixels),
            quality=quality,
            colorspace="RGB",
            colorsubsampling="420",
            fastdct=True,
        )
    )


@dataclass(frozen=True, slots=True)
class Wish:
    """What a page asks to see."""

    look: str | None = None
    strength: float = 1.0
    is_comparing: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """What a page was sent last."""

    frame_id: int = -1
    proposal_id: int = 0
    wish: Wish = Wish()


def age_ms(t_ns: int) -> int:
    """Milliseconds from the start of exposure to now."""
    return (time.monotonic_ns() - t_ns) // 1_000_000


def make_view(
    frame: Frame, proposal: Proposal | None, wish: Wish, *, with_tiles: bool, status: dict[str, Any] | None
) -> bytes:
    """Render and encode what is asked of a frame. Takes milliseconds: never on the event loop."""
    look = None if wish.is_comparing or proposal is None or wish.look not in proposal.fields else wish.look
    picture = shrink(frame.pixels, VIEW_WIDTH_PX)
    if look is not None and proposal is not None:
        picture = render(picture, proposal.fields[look] * wish.strength, threads=_RENDER_THREADS)
    jpegs = [jpeg(picture, _VIEW_QUALITY)]
    header: dict[str, Any] = {
        "type": "view",
        "frame_id": frame.id,
        "proposal_id": proposal.id if proposal else None,
        "look": look,
        "strength": wish.strength,
        "jpeg": [0, len(jpegs[0])],
    }
    if proposal is not None and with_tiles:
        header["tiles"] = _add_tiles(frame, proposal, jpegs)
    if status is not None:
        header["status"] = status
    header["age_ms"] = age_ms(frame.t_ns)  # last: rendering and encoding are part of it
    header["tile_ages"] = {name: age_ms(proposal.t_ns) for name in proposal.fields} if proposal else {}
    return pack(header, jpegs)


def _add_tiles(frame: Frame, proposal: Proposal, jpegs: list[bytes]) -> list[dict[str, Any]]:
    """Encode the original (look null) and every look's tile onto `jpegs`; where each lies."""
    pictures: list[tuple[str | None, Pixels, int, int]] = [
        (None, shrink(frame.pixels, TILE_WIDTH_PX), frame.id, frame.t_ns)
    ]
    pictures += [(name, tile, proposal.frame_id, proposal.t_ns) for name, tile in proposal.tiles.items()]
    offset, tiles = sum(map(len, jpegs)), []
    for name, pixels, frame_id, t_ns in pictures:
        data = jpeg(pixels, _TILE_QUALITY)
        place = {"offset": offset, "length": len(data)}
        tiles.append({"look": name, "frame_id": frame_id, "age_ms": age_ms(t_ns), **place})
        jpegs.append(data)
        offset += len(data)
    return tiles


class Client:
    """One connected page: what it wishes, what it has, and whether it can take another view."""

    def __init__(self, session: Session, websocket: WebSocket) -> None:
        self._session, self._socket = session, websocket
        self._wish, self._shown = Wish(), Shown()
        self._is_ready = asyncio.Event()
        self._is_ready.set()
        self._pending_shots = 0
        self._status_ns = 0

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
            try:
                self._obey(parse(event.get("text")), tasks)
            except ValueError as error:
                await self._send({"type": "error", "message": str(error)})

    def _obey(self, message: Said, tasks: asyncio.TaskGroup) -> None:
        match message:
            case Ready():
                self._is_ready.set()
            case Choose(look):
                proposal = self._session.proposal()
                if look is not None and proposal is not None and look not in proposal.fields:
                    raise ValueError(f"no look named {look!r}; there are {', '.join(proposal.fields)}")
                self._wish = replace(self._wish, look=look)
            case Strength(value):
                self._wish = replace(self._wish, strength=value)
            case Compare(on):
                self._wish = replace(self._wish, is_comparing=on)
            case Shoot():
                tasks.create_task(self._shoot(message))

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
        self._shown = Shown(frame.id, proposal.id if proposal else 0, wish)
        return view

    def _status(self) -> dict[str, Any]:
        self._status_ns = time.monotonic_ns()
        return {"type": "status", **self._session.status()}

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
    data = jpeg(shrink(frame.pixels, VIEW_WIDTH_PX), _VIEW_QUALITY)
    head = f"Content-Type: image/jpeg\r\nContent-Length: {len(data)}\r\nX-Frame-Id: {frame.id}\r\n\r\n".encode()
    # the boundary follows at once: browsers show a part only when they see its end
    return frame.id, head + data + f"\r\n--{MJPEG_BOUNDARY}\r\n".encode()
