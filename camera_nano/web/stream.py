"""Between the session and a page: views go out, controls and shutter presses come in.

The page answers `ready` once it has drawn a view; only then the next one is sent, and it shows the newest frame. So a
slow page sees fewer frames, but no older ones, and does not slow other pages. The last two views that were sent are
pinned: the page shows one of them, so its press finds frame and fields, however long it took or the page was hidden.

Every status says how many messages of this page were done before it was made. A page that has sent more shows what it
asked for until a status has caught up: a status that was on its way at the time never undoes an act.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from starlette.status import WS_1009_MESSAGE_TOO_BIG
from starlette.websockets import WebSocket, WebSocketDisconnect

from camera_nano.live import Progress, Session
from camera_nano.seams import Adjustable, Metering
from camera_nano.values import Frame
from camera_nano.web.board import Board
from camera_nano.web.darkroom import Darkroom
from camera_nano.web.messages import (
    Adjust,
    Choose,
    Compare,
    Draw,
    Forget,
    Message,
    Meter,
    PickTake,
    Ready,
    Shoot,
    Split,
    Strength,
    TakeFor,
    Tone,
    Words,
    parse,
)
from camera_nano.web.view import Prints, Wish, pack_view

log = logging.getLogger(__name__)

MJPEG_BOUNDARY = "camera-nano-frame"
_STATUS_EVERY_NS = 1_000_000_000
_MOMENTS_MS, _MOST_MOMENTS = 700, 6
_MESSAGE_CHARS = 64 * 1024
_GONE = (WebSocketDisconnect, RuntimeError)  # what a send raises when the page leaves, and once it has left
_CATCH_UP_S = 10.0  # for looks of a tone that was just set
_PENDING_SHOTS = 16  # per page, until they are answered; each holds a full-size frame


@dataclass(frozen=True, slots=True)
class Shown:
    """What was sent to a page last."""

    frame_id: int = -1
    proposal_id: int = 0
    wish: Wish = field(default_factory=Wish)


def wished(wish: Wish, message: Message) -> Wish:
    """What a page wants to see once it has sent this, which may change nothing of it."""
    match message:
        case Choose(look):
            return replace(wish, look=look)
        case Strength(value):
            return replace(wish, strength=value)
        case Compare(on):
            return replace(wish, is_comparing=on)
        case Split(on):
            return replace(wish, is_split=on)
        case Draw(on):
            return replace(wish, draws=on)
    return wish


def offered(frames: Sequence[Frame], frame_id: int) -> list[dict[str, int]]:
    """At most six of the frames around one, evenly spread: their ids, and their milliseconds after it."""
    middle = next((frame for frame in frames if frame.id == frame_id), None)
    if middle is None:
        return []
    near = [(frame.id, round((frame.t_ns - middle.t_ns) / 1e6)) for frame in frames if frame.id != frame_id]
    near = [(number, ms) for number, ms in near if abs(ms) <= _MOMENTS_MS]
    step = -(-len(near) // _MOST_MOMENTS) or 1
    return [{"frame_id": number, "offset_ms": ms} for number, ms in near[::step]]


class Client:
    """One connected page: what it wants to see, what it was sent, and whether it is ready for the next view."""

    def __init__(self, session: Session, darkroom: Darkroom, board: Board, websocket: WebSocket) -> None:
        self._session, self._darkroom, self._board, self._socket = session, darkroom, board, websocket
        self._wish, self._shown = Wish(), Shown()
        self._is_ready = asyncio.Event()
        self._is_ready.set()
        self._prints: Prints | None = None  # of the last view, for other pages that show the same
        self._pinned: tuple[tuple[int, int], ...] = ()  # frames and proposals of the last two views
        self._pending_shots = 0
        self._status_ns = 0
        self._n_done = 0  # messages of this page that were carried out or refused
        self._views_skipped = 0  # frames that came and went while this page was drawing

    async def run(self) -> None:
        """Serve the page until it leaves."""
        await self._socket.accept()
        self._board.wipe()
        await self._send(await self._status())
        async with asyncio.TaskGroup() as tasks:
            sender = tasks.create_task(self._send_views())
            try:
                await self._receive(tasks)
            finally:
                sender.cancel()
        self._session.pin(self, ())  # after its last press was taken

    async def _receive(self, tasks: asyncio.TaskGroup) -> None:
        while (event := await self._socket.receive())["type"] == "websocket.receive":
            if len(event.get("text") or event.get("bytes") or "") > _MESSAGE_CHARS:
                await self._socket.close(WS_1009_MESSAGE_TOO_BIG, f"a message has at most {_MESSAGE_CHARS} characters")
                return
            message, changes_looks = None, False
            try:
                message = parse(event.get("text"))
                changes_looks = await self._obey(message, tasks)
            except (ValueError, LookupError) as error:
                await self._send({"type": "error", "message": str(error)})
            self._n_done += 1
            if not isinstance(message, Ready):
                self._board.wipe()
            if changes_looks:  # the page shows a new look before it has a picture
                await self._send(await self._status())

    async def _obey(self, message: Message, tasks: asyncio.TaskGroup) -> bool:
        """Carry out a message; returns whether there are other looks now."""
        session = self._session
        if isinstance(message, Choose):
            self._check_look(message.look)
        self._wish = wished(self._wish, message)
        match message:
            case Ready():
                self._is_ready.set()
            case Tone(highlights_ev, shadows_ev):
                session.set_tone(highlights_ev, shadows_ev)
            case Words(text):
                understood = session.add_look(text)
                await self._send({"type": "look", "name": understood.look.name, "parts": understood.parts})
                return True
            case Forget(look):
                session.forget_look(look)
                return True
            case PickTake(look, seed):
                session.pick_take(look, seed)
                return True
            case TakeFor(value):
                session.assumed = value
            case Adjust(control, value):
                if not isinstance(session.source, Adjustable):
                    raise ValueError(f"{session.source.name} has nothing that can be set")
                await asyncio.to_thread(session.source.adjust, control, value)
            case Meter(x, y):
                if not isinstance(session.source, Metering):
                    raise ValueError(f"{session.source.name} cannot meter at a point")
                await asyncio.to_thread(session.source.meter, x, y)
            case Shoot():
                if self._pending_shots < _PENDING_SHOTS:
                    self._pending_shots += 1
                    tasks.create_task(self._shoot(message))
                else:  # said before the next message is read, so that a page that shoots and never reads has to wait
                    wait = f"not saved: {_PENDING_SHOTS} shots are still being saved; wait for one"
                    await self._send({"type": "error", "asked_frame_id": message.frame_id, "message": wait})
        return False

    def _check_look(self, name: str | None) -> None:
        try:
            names = [look.name for look in self._session.palette().looks]
        except LookupError:  # the model is loading, and a page that reconnects chooses the look that it showed before
            return
        if name is not None and name not in names:
            raise ValueError(f"no look named {name!r}; there are {', '.join(names)}")

    async def _shoot(self, shoot: Shoot) -> None:
        looks = [] if shoot.look is None else [shoot.look]
        answer: dict[str, Any] = {"asked_frame_id": shoot.frame_id}
        try:
            proposal_id = await self._caught_up(shoot) if shoot.is_ahead else shoot.proposal_id
            # not in a thread: it is quick, and of two presses the second thread could be first
            how = shoot.strength, shoot.aspect, self._told(shoot)
            future = self._session.commit(shoot.frame_id, proposal_id, looks, *how)
            # shielded: a page that closes right after the press must not cancel its shot
            shot = await asyncio.shield(asyncio.wrap_future(future))
            names = {name: path.name for name, path in shot.looks.items()}
            answer["exact"] = shot.frame_id == shoot.frame_id
            answer["moments"] = offered(self._session.moments(), shot.frame_id)
            answer |= {"type": "shot", **shot.as_dict(), "original": shot.original.name, "looks": names}
        except Exception as error:  # the top of a task: the photographer must know of any error
            log.warning("a shot was not saved: %s", error)
            answer |= {"type": "error", "message": f"not saved: {error}"}
        await self._send(answer)
        self._pending_shots -= 1

    async def _caught_up(self, shoot: Shoot) -> int | None:
        """The proposal that has the tone which the page has shown ahead of it; the frame is kept until it is there."""
        session, keeper = self._session, asyncio.current_task()
        session.pin(keeper, [(shoot.frame_id, shoot.proposal_id or 0)])  # it ends with the task
        wanted, newest = session.palette().toned(), session.proposal()
        for _ in range(2):  # one may be in the making, of the tone before
            if newest is None or newest.looks.get(shoot.look or "") in wanted:
                break
            newest = await asyncio.to_thread(session.wait_proposal, newest.id, _CATCH_UP_S)
        return newest.id if newest else shoot.proposal_id

    def _told(self, shoot: Shoot) -> Progress:
        """Tells the page how many frames of a shot are there, from any thread."""
        loop = asyncio.get_running_loop()

        def tell(n: int, n_wanted: int) -> None:
            message = {"type": "merging", "asked_frame_id": shoot.frame_id, "n": n, "n_wanted": n_wanted}
            with contextlib.suppress(RuntimeError):  # the server has ended
                asyncio.run_coroutine_threadsafe(self._send(message), loop)

        return tell

    async def _send_views(self) -> None:
        while True:
            try:
                async with asyncio.timeout(_STATUS_EVERY_NS / 1e9):
                    await self._is_ready.wait()
            except TimeoutError:
                pass
            else:
                view = await self._next_view()
                if view is not None:
                    self._is_ready.clear()
                    with contextlib.suppress(*_GONE):
                        await self._socket.send_bytes(view)
                    continue
            await self._send_status_if_due()

    async def _next_view(self) -> bytes | None:
        """The newest frame as this page wants it; None, after a wait, if it has that already."""
        shown = self._shown
        frame = await self._darkroom.newer(shown.frame_id)
        wish, proposal = self._wish, self._session.proposal()
        if wish.draws:  # whatever it shows it has the frame and the fields for
            wish = Wish(draws=True)
        shown_id = shown.proposal_id if wish.draws == shown.wish.draws else 0  # fields are no tiles
        has_new_tiles = proposal is not None and proposal.id > shown_id
        if frame is None:
            frame = self._session.ring.latest()
            if frame is None or (wish == shown.wish and not has_new_tiles):
                return None
        self._pinned = (*self._pinned[-1:], (frame.id, proposal.id if proposal else 0))
        self._session.pin(self, self._pinned)
        self._prints = prints = self._darkroom.prints(frame, proposal, wish, with_tiles=has_new_tiles)
        view = await pack_view(frame, proposal, prints, wish.strength, await self._status_if_due())
        if shown.frame_id >= 0:
            brackets = self._session.ring.n_brackets(shown.frame_id, frame.id)
            self._views_skipped += max(0, frame.id - shown.frame_id - 1 - brackets)
        self._shown = Shown(frame.id, proposal.id if proposal else 0, wish)
        return view

    async def _status(self) -> dict[str, Any]:
        self._status_ns, n_done = time.monotonic_ns(), self._n_done  # before it looks, since acts go on meanwhile
        status = await self._board.status()
        dropped = status["dropped"] | {"views_skipped": self._views_skipped}
        return {"type": "status", "n_done": n_done, **status, "dropped": dropped, "encoded": self._darkroom.encoded}

    async def _status_if_due(self) -> dict[str, Any] | None:
        is_due = time.monotonic_ns() - self._status_ns >= _STATUS_EVERY_NS
        return await self._status() if is_due else None

    async def _send_status_if_due(self) -> None:
        status = await self._status_if_due()
        if status is not None:
            await self._send(status)

    async def _send(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(*_GONE):  # `_receive` notices it and ends
            await self._socket.send_json(message)


async def mjpeg(session: Session, darkroom: Darkroom, closing: asyncio.Event) -> AsyncIterator[bytes]:
    """The camera's picture, unedited, as multipart JPEGs, until the camera or the server ends."""
    frame_id = -1
    yield f"--{MJPEG_BOUNDARY}\r\n".encode()
    while not closing.is_set() and session.camera_error is None:
        frame = await darkroom.newer(frame_id)
        if frame is not None:
            frame_id, data = frame.id, await asyncio.shield(darkroom.original(frame))
            head = f"Content-Type: image/jpeg\r\nContent-Length: {len(data)}\r\nX-Frame-Id: {frame_id}\r\n\r\n".encode()
            # the boundary is sent with it: browsers show a part once they see its end
            yield head + data + f"\r\n--{MJPEG_BOUNDARY}\r\n".encode()
