"""The page's routes, all of them behind the guard."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence
from functools import partial
from http import HTTPStatus
from pathlib import Path

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.status import WS_1013_TRY_AGAIN_LATER
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from camera_nano.live import Session
from camera_nano.web import gallery, handover
from camera_nano.web.board import Board
from camera_nano.web.darkroom import Darkroom
from camera_nano.web.guard import SECURITY_HEADERS, Guard, client_of
from camera_nano.web.lent import LentCamera
from camera_nano.web.pairing import COOKIE, Pairing
from camera_nano.web.stream import MJPEG_BOUNDARY, Client, mjpeg

_STATIC = Path(__file__).parent / "static"
_MOST_VIEWERS = 16  # each may want another look, and has a view on its way
_TOO_MANY = "too many pages are open"
_COOKIE_S = 30 * 24 * 3600


def create_app(
    session: Session,
    *,
    hosts: Sequence[str],
    pairing: Pairing | None = None,
    pairs_local: bool = False,
    root_path: str = "",
    reached_at: str | None = None,
    phone_app: Path | None = None,
) -> Starlette:
    """The page and its routes.

    Args:
        session: what the page shows.
        hosts: names, beside this device's own, under which people may open the page.
        pairing: other devices need its code, once; without it every device that reaches the port is let in, but nobody
            whom a proxy passes on.
        pairs_local: this device needs the code, too.
        root_path: where a proxy shows the page, "/camera"; "" at the root.
        reached_at: the page's address for other devices, ending in a slash; None where they cannot reach it.
        phone_app: the folder of the web app that needs no server, handed out at /phone/.
    """
    app = Starlette(
        routes=[
            Route("/", _page),
            Route("/pair", _pair_page),
            Route("/api/pair", partial(_pair, pairing, root_path or "/"), methods=["POST"]),
            *_camera_routes(session, has_phone_app=phone_app is not None),
            *handover.routes(session.album, reached_at),
            *gallery.routes(session),
            Mount("/static", StaticFiles(directory=_STATIC)),
            *([Mount("/phone", StaticFiles(directory=phone_app, html=True))] if phone_app else []),
        ],
        middleware=[Middleware(Guard, hosts=hosts, pairing=pairing, pairs_local=pairs_local, root_path=root_path)],
        exception_handlers={Exception: _failed},
    )
    app.state.closing = asyncio.Event()  # the server sets it; streams end then
    return app


async def _page(request: Request) -> Response:
    return FileResponse(_STATIC / "index.html")


async def _pair_page(request: Request) -> Response:
    return FileResponse(_STATIC / "pair.html")


async def _failed(request: Request, error: Exception) -> Response:
    text = "this went wrong on the device; its terminal says more\n"
    return PlainTextResponse(text, HTTPStatus.INTERNAL_SERVER_ERROR, SECURITY_HEADERS)


async def _pair(pairing: Pairing | None, cookie_path: str, request: Request) -> Response:
    try:
        code = (await request.json())["code"]
    except (ValueError, KeyError, TypeError, RecursionError, ClientDisconnect):
        code = None
    try:
        key = pairing.redeem(code, client_of(request.scope)) if pairing and isinstance(code, str) else None
    except PermissionError as error:
        return PlainTextResponse(f"{error}\n", HTTPStatus.TOO_MANY_REQUESTS)
    if key is None:
        return PlainTextResponse("this code is not valid (any more)\n", HTTPStatus.FORBIDDEN)
    response = Response(status_code=HTTPStatus.NO_CONTENT)
    # the page's own address says whether people see https, also where a proxy speaks it
    is_secure = request.url.scheme == "https" or request.headers.get("origin", "").startswith("https:")
    response.set_cookie(COOKIE, key, _COOKIE_S, path=cookie_path, secure=is_secure, httponly=True, samesite="strict")
    return response


def _camera_routes(session: Session, *, has_phone_app: bool) -> list[BaseRoute]:
    """The session's status and what the camera sees; a limited number of viewers at a time."""
    viewers, darkroom = threading.BoundedSemaphore(_MOST_VIEWERS), Darkroom(session.ring)
    board = Board(session, has_phone_app=has_phone_app)

    async def status(request: Request) -> Response:
        return JSONResponse(await asyncio.to_thread(board.now) | {"encoded": darkroom.encoded})

    async def live(websocket: WebSocket) -> None:
        if not viewers.acquire(blocking=False):
            await websocket.accept()
            await websocket.close(WS_1013_TRY_AGAIN_LATER, _TOO_MANY)
            return
        try:
            await Client(session, darkroom, board, websocket).run()
        finally:
            viewers.release()

    async def pictures(request: Request) -> Response:
        if not viewers.acquire(blocking=False):
            return PlainTextResponse(f"{_TOO_MANY}\n", HTTPStatus.SERVICE_UNAVAILABLE)
        return _Pictures(mjpeg(session, darkroom, request.app.state.closing), viewers)

    return [
        Route("/api/status", status),
        Route("/stream.mjpg", pictures, methods=["GET"]),
        WebSocketRoute("/ws", live),
        WebSocketRoute("/ws/camera", LentCamera(session).serve),
    ]


class _Pictures(StreamingResponse):
    """Multipart pictures that give up the viewer's place however they end, even before the first byte."""

    def __init__(self, parts: AsyncIterator[bytes], viewers: threading.BoundedSemaphore) -> None:
        super().__init__(parts, media_type=f"multipart/x-mixed-replace; boundary={MJPEG_BOUNDARY}")
        self._viewers = viewers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._viewers.release()
