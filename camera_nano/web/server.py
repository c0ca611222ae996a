"""The web server of a session: its page, its stream, and a clean end."""

from __future__ import annotations

import asyncio
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import h11
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from uvicorn.protocols.http.h11_impl import H11Protocol

from camera_nano.session import Session
from camera_nano.web import gallery
from camera_nano.web.guard import Guard
from camera_nano.web.lent import LentCamera
from camera_nano.web.pairing import COOKIE, Pairing
from camera_nano.web.stream import MJPEG_BOUNDARY, Client, mjpeg

_STATIC = Path(__file__).parent / "static"
_MAX_MESSAGE_BYTES = 5 << 20  # a picture from a page's own camera; other messages are held to less by their reader
_MAX_VIEWERS = 16  # each may hold a worker thread while it waits for a frame
_TRY_AGAIN_LATER = 1013  # WebSocket close code, IANA registry
_GRACE_S = 5
_COOKIE_S = 30 * 24 * 3600
_REQUEST_S = 10.0  # for a whole request to arrive
_MOST_CONNECTIONS = 128


def create_app(session: Session, *, hosts: Sequence[str], pairing: Pairing | None = None) -> Starlette:
    """The page and its routes. `hosts` are further names, beside this device's own, that people may open it by.

    With `pairing`, devices of the network need a code once; without, whoever reaches the port is let in.
    """
    viewers = threading.BoundedSemaphore(_MAX_VIEWERS)

    async def page(request: Request) -> Response:
        return FileResponse(_STATIC / "index.html")

    async def pair_page(request: Request) -> Response:
        return FileResponse(_STATIC / "pair.html")

    async def pair(request: Request) -> Response:
        try:
            code = (await request.json())["code"]
        except (ValueError, KeyError, TypeError, ClientDisconnect):
            code = None
        key = pairing.redeem(code) if pairing is not None and isinstance(code, str) else None
        if key is None:
            return PlainTextResponse("this code is not valid (any more)\n", HTTPStatus.FORBIDDEN)
        response = Response(status_code=HTTPStatus.NO_CONTENT)
        secure = request.url.scheme == "https"
        response.set_cookie(COOKIE, key, _COOKIE_S, httponly=True, samesite="strict", secure=secure)
        return response

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
            Route("/pair", pair_page),
            Route("/api/pair", pair, methods=["POST"]),
            Route("/api/status", status),
            Route("/stream.mjpg", pictures, methods=["GET"]),
            *gallery.routes(session),
            WebSocketRoute("/ws", live),
            WebSocketRoute("/ws/camera", LentCamera(session).serve),
            Mount("/static", StaticFiles(directory=_STATIC)),
        ],
        middleware=[Middleware(Guard, hosts=hosts, pairing=pairing)],
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


class _Prompt(H11Protocol):
    """HTTP that does not wait for ever: a request that trickles in is cut off."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._start()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.get_protocol() is self and self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            self._start()
        else:  # it is all here, or the connection is a WebSocket's now
            self._stop()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def _start(self) -> None:
        if self._timer is None:  # and not from the start for every byte
            self._timer = self.loop.call_later(_REQUEST_S, self.transport.abort)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Server(uvicorn.Server):
    """Uvicorn on a socket that is already bound; `should_exit = True` ends it from any thread."""

    def __init__(
        self,
        session: Session,
        sock: socket.socket,
        hosts: Sequence[str],
        on_ready: Callable[[], None] | None = None,
        pairing: Pairing | None = None,
        tls: tuple[Path, Path] | None = None,
    ) -> None:
        """`tls` is a certificate and its key, PEM files."""
        self.app = create_app(session, hosts=hosts, pairing=pairing)
        self._socket, self._on_ready = sock, on_ready
        super().__init__(
            uvicorn.Config(
                self.app,
                http=_Prompt,
                limit_concurrency=_MOST_CONNECTIONS,
                ssl_certfile=tls[0] if tls else None,
                ssl_keyfile=tls[1] if tls else None,
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
    show_pairing: Callable[[str], None] | None = None,
    tls: tuple[Path, Path] | None = None,
) -> None:
    """Start the session and serve its page until SIGINT or SIGTERM. The caller closes the session.

    Args:
        session: not started yet.
        host: the address to listen on.
        port: 0 takes any free one.
        on_ready: is told the URL once the page can be opened.
        show_pairing: devices of the network must pair, and this is told each new URL to do it with.
        tls: a certificate and its key, PEM files; then the page is https.

    Raises:
        OSError: the port is taken; nothing has been started then.
    """
    sock = bind(host, port)
    try:
        url, hosts = names(host, sock, "https" if tls else "http")
        pairing = None if show_pairing is None else Pairing(lambda code: show_pairing(f"{url}pair#{code}"))
        ready = None if on_ready is None else lambda: on_ready(url)
        server = Server(session, sock, hosts, on_ready=ready, pairing=pairing, tls=tls)
        session.start()
        server.run_until_stopped()
    finally:
        sock.close()


def names(host: str, sock: socket.socket, scheme: str = "http") -> tuple[str, list[str]]:
    """The URL to open, and the host names under which the page may be opened."""
    address: Any = sock.getsockname()
    bound = ip_address(address[0].partition("%")[0])
    if bound.is_loopback:
        shown, hosts = host, [host]
    else:  # others on the network come by this machine's name, or by its address, which the guard knows
        own = socket.gethostname()
        hosts = [own, f"{own}.local"] if bound.is_unspecified else [host, own, f"{own}.local"]
        shown = _own_address() or own if bound.is_unspecified else host
    shown = f"[{shown}]" if ":" in shown else shown
    return f"{scheme}://{shown}:{address[1]}/", hosts


def _own_address() -> str | None:
    """The address others on the network know this device by. Asks the routing table; no packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # RFC 5737: an address that is nobody's
            return str(probe.getsockname()[0])
        except OSError:
            return None
