"""The web server of a session: its page, its stream, and a clean end."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from camera_nano.session import Session
from camera_nano.web import gallery
from camera_nano.web.guard import Guard
from camera_nano.web.lent import LentCamera
from camera_nano.web.stream import MJPEG_BOUNDARY, Client, mjpeg

_STATIC = Path(__file__).parent / "static"
_MAX_MESSAGE_BYTES = 5 << 20  # a picture from a page's own camera; other messages are held to less by their reader
_MAX_VIEWERS = 16  # each may hold a worker thread while it waits for a frame
_TRY_AGAIN_LATER = 1013  # WebSocket close code, IANA registry
_GRACE_S = 5


def create_app(session: Session, *, hosts: Sequence[str]) -> Starlette:
    """The page and its routes. `hosts` are further names, beside this device's own, that people may open it by."""
    viewers = threading.BoundedSemaphore(_MAX_VIEWERS)

    async def page(request: Request) -> Response:
        return FileResponse(_STATIC / "index.html")

    async def status(request: Request) -> Response:
        return JSONResponse(await asyncio.to_thread(session.status))

    async def live(websocket: WebSocket) -> None:
        if not viewers.acquire(blocking=False):
            await websocket.accept()
            await websocket.close(_TRY_AGAIN_LATER, "too many pages are open")
            return
        try:
            await Client(session, websocket).run()
        finally:
            viewers.release()

    async def pictures(request: Request) -> Response:
        if not viewers.acquire(blocking=False):
            return PlainTextResponse("too many pages are open\n", 503)
        return _Pictures(mjpeg(session, request.app.state.closing), viewers)

    app = Starlette(
        routes=[
            Route("/", page),
            Route("/api/status", status),
            Route("/stream.mjpg", pictures, methods=["GET"]),
            *gallery.routes(session),
            WebSocketRoute("/ws", live),
            WebSocketRoute("/ws/camera", LentCamera(session).serve),
            Mount("/static", StaticFiles(directory=_STATIC)),
        ],
        middleware=[Middleware(Guard, hosts=hosts)],
    )
    app.state.closing = asyncio.Event()
    return app


class _Pictures(StreamingResponse):
    """Multipart pictures that give their place back however they end, even before the first byte."""

    def __init__(self, parts: AsyncIterator[bytes], viewers: threading.BoundedSemaphore) -> None:
        super().__init__(parts, media_type=f"multipart/x-mixed-replace; boundary={MJPEG_BOUNDARY}")
        self._viewers = viewers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._viewers.release()


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any free one.

    Raises:
        OSError: the port is taken, or the host is not an address of this device; `filename` says which.
    """
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, proto)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a restart need not wait a minute
            sock.bind(address)
            sock.listen()  # now: until someone listens, another process could bind the same port
        except BaseException:
            sock.close()
            raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"{host}:{port}") from error
    return sock


class Server(uvicorn.Server):
    """Uvicorn on a socket that is already bound; `should_exit = True` ends it from any thread."""

    def __init__(
        self,
        session: Session,
        sock: socket.socket,
        hosts: Sequence[str],
        on_ready: Callable[[], None] | None = None,
    ) -> None:
        self.app = create_app(session, hosts=hosts)
        self._socket, self._on_ready = sock, on_ready
        super().__init__(
            uvicorn.Config(
                self.app,
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                ws_max_size=_MAX_MESSAGE_BYTES,
                ws_per_message_deflate=False,  # JPEG does not shrink, and the core is needed
                timeout_graceful_shutdown=_GRACE_S,
            )
        )

    def run_until_stopped(self) -> None:
        """Serve; returns when a signal or `should_exit` has ended it."""
        self.run(sockets=[self._socket])

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, but a signal is not raised again: the caller still has a camera to close."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then say so."""
        await super().startup(sockets)
        if self._on_ready is not None:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams that would never end by themselves, then the rest."""
        self.app.state.closing.set()
        await super().shutdown(sockets)


def serve(
    session: Session,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Start the session and serve its page until SIGINT or SIGTERM. The caller closes the session.

    Args:
        session: not started yet.
        host: the address to listen on.
        port: 0 takes any free one.
        on_ready: is told the URL once the page can be opened.

    Raises:
        OSError: the port is taken; nothing has been started then.
    """
    sock = bind(host, port)
    try:
        url, hosts = names(host, sock)
        server = Server(session, sock, hosts, on_ready=None if on_ready is None else lambda: on_ready(url))
        session.start()
        server.run_until_stopped()
    finally:
        sock.close()


def names(host: str, sock: socket.socket) -> tuple[str, list[str]]:
    """The URL to open, and the host names under which the page may be opened."""
    address: Any = sock.getsockname()
    bound = ip_address(address[0].partition("%")[0])
    if bound.is_loopback:
        shown, hosts = host, [host]
    else:  # others on the network come by this machine's name, or by its address, which the guard knows
        own = socket.gethostname()
        hosts = [own, f"{own}.local"] if bound.is_unspecified else [host, own, f"{own}.local"]
        shown = own if bound.is_unspecified else host
    shown = f"[{shown}]" if ":" in shown else shown
    return f"http://{shown}:{address[1]}/", hosts
