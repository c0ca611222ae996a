"""The web server of a session: how it starts, whom it serves, and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import h11
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from camera_nano.errors import MissingDevice
from camera_nano.live import Session
from camera_nano.stop import on_signals
from camera_nano.web.app import create_app
from camera_nano.web.guard import address, host_name, network
from camera_nano.web.pairing import Pairing

_MOST_MESSAGE_BYTES = 5 << 20  # a picture of a page's own camera; `stream` allows its messages less
_GRACE_S = 5  # for open connections to end by themselves
_REQUEST_S = 10.0  # for a whole request to arrive
_MOST_CONNECTIONS, _MOST_OF_ONE = 128, 32
_SPARE = 16  # places that are made free before they are needed
_UVICORN = (0, 34)


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes any free one.

    Raises:
        OSError: the port is taken, or the host is not an address of this device; its `filename` is "host:port".
        ValueError: no port has this number.
    """
    if not 0 <= port <= 65535:
        raise ValueError(f"port {port} is not there: choose one from 1 to 65535, or 0 for any free one")
    try:
        family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, proto)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # else a restart has to wait a minute
            if family == socket.AF_INET6:  # "::" is for IPv4, too, whatever the system's own setting is
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            sock.bind(address)
            sock.listen()  # now, since until then another process could bind the same port
        except BaseException:
            sock.close()
            raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, f"{host}:{port}") from error
    return sock


class _Prompt(H11Protocol):
    """HTTP that closes the connection when a request takes more than ten seconds to arrive.

    One client has at most 32 connections, and all together leave some free: the oldest on which nothing is done goes.
    """

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.household = network(address(self.client[0])) if self.client else ""
        self.made_s = self.loop.time()
        self._make_room()
        self._start()

    @property
    def is_idle(self) -> bool:
        """Whether it waits for a request, or for the rest of one."""
        return self._timer is not None or self.cycle is None or self.cycle.response_complete

    def _make_room(self) -> None:
        others = [other for other in self.connections if isinstance(other, _Prompt) and other is not self]
        mine = [other for other in others if other.household == self.household]
        if len(mine) >= _MOST_OF_ONE:
            others = mine
        elif len(self.connections) > _MOST_CONNECTIONS - _SPARE and others:
            most = Counter(other.household for other in others).most_common(1)[0][0]
            others = [other for other in others if other.household == most]
        else:
            return
        oldest = min((other for other in others if other.is_idle), key=lambda other: other.made_s, default=None)
        if oldest is not None:
            self.connections.discard(oldest)
            oldest.transport.abort()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.get_protocol() is self and self.conn.their_state in (h11.IDLE, h11.SEND_BODY):
            self._start()
        else:  # the whole request is here, or the connection has become a WebSocket
            self._stop()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def _start(self) -> None:
        if self._timer is None:  # it never starts again: a request that comes byte by byte must end, too
            self._timer = self.loop.call_later(_REQUEST_S, self.transport.abort)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Server(uvicorn.Server):
    """Uvicorn on a socket that is already bound. Any thread may end it by `should_exit = True`."""

    def __init__(
        self,
        session: Session,
        sock: socket.socket,
        hosts: Sequence[str],
        on_ready: Callable[[], None] | None = None,
        pairing: Pairing | None = None,
        tls: tuple[Path, Path] | None = None,
        pairs_local: bool = False,
        root_path: str = "",
        reached_at: str | None = None,
        phone_app: Path | None = None,
    ) -> None:
        """`on_ready` is called once the page can be opened; `tls` is a certificate and its key, PEM files.

        The rest is as in `create_app`.
        """
        self.app = create_app(
            session,
            hosts=hosts,
            pairing=pairing,
            pairs_local=pairs_local,
            root_path=root_path,
            reached_at=reached_at,
            phone_app=phone_app,
        )
        self._socket, self._on_ready = sock, on_ready
        super().__init__(
            uvicorn.Config(
                self._answer,
                interface="asgi3",
                http=_Prompt,
                limit_concurrency=_MOST_CONNECTIONS,
                ssl_certfile=tls[0] if tls else None,
                ssl_keyfile=tls[1] if tls else None,
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                ws_max_size=_MOST_MESSAGE_BYTES,
                ws_per_message_deflate=False,  # JPEG does not shrink, and the processor has other work
                timeout_graceful_shutdown=_GRACE_S,
            )
        )

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The app. That the grace is over is no error of what it was at: uvicorn would print a trace of it."""
        with contextlib.suppress(asyncio.CancelledError):
            await self.app(scope, receive, send)

    def run_until_stopped(self) -> None:
        """Serve until a signal or `should_exit` ends it."""
        self.run(sockets=[self._socket])

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn's, but it does not raise the signal again at the end: the caller still has a camera to close."""
        with on_signals(self.handle_exit, [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]):
            yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then call `on_ready`."""
        await super().startup(sockets)
        if self._on_ready is not None:
            self._on_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End the streams, which would never end by themselves, then everything else."""
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
    allow_hosts: Sequence[str] = (),
    root_path: str = "",
    pairs_local: bool = False,
    phone_app: Path | None = None,
) -> None:
    """Start the session and serve its page until SIGINT, SIGTERM or SIGHUP. The caller closes the session.

    Args:
        session: not started yet.
        host: the address to listen on.
        port: 0 takes any free one.
        on_ready: called with the URL once the page can be opened.
        show_pairing: where given, other devices must pair first; called with each new URL to pair by.
        tls: a certificate and its key, PEM files, for https.
        allow_hosts: other names under which people may open the page, of a proxy's site for one.
        root_path: where a proxy shows the page, "/camera"; "" at the root.
        pairs_local: this device has to pair, too; a proxy on it makes everybody look like this device.
        phone_app: the folder of the web app that needs no server, handed out at /phone/.

    Raises:
        OSError: the port is taken, or `host` is no address of this device; the session is not started then.
        ValueError: no port has this number.
        MissingDevice: uvicorn is too old.
    """
    _check_uvicorn()
    sock = bind(host, port)
    try:
        url, hosts = names(host, sock, "https" if tls else "http")
        hosts += [name for name in map(host_name, allow_hosts) if name is not None]
        shown = f"https://{allow_hosts[0]}{root_path}/" if allow_hosts else url
        pairing = None if show_pairing is None else Pairing(lambda code: show_pairing(f"{shown}pair#{code}"))
        ready = None if on_ready is None else lambda: on_ready(url)
        is_reached = bool(allow_hosts) or not ip_address(sock.getsockname()[0].partition("%")[0]).is_loopback
        reached_at = shown if is_reached else None
        server = Server(session, sock, hosts, ready, pairing, tls, pairs_local, root_path, reached_at, phone_app)
        session.start()
        server.run_until_stopped()
    finally:
        sock.close()


def _check_uvicorn() -> None:
    """Where it is older than we know, the page would never start, or never end."""
    found = tuple(int(part) for part in uvicorn.__version__.split(".")[:2])
    if found < _UVICORN:
        wanted = ".".join(map(str, _UVICORN))
        raise MissingDevice(f"uvicorn {uvicorn.__version__} is too old for the page: pip install 'uvicorn>={wanted}'")


def names(host: str, sock: socket.socket, scheme: str = "http") -> tuple[str, list[str]]:
    """The URL to open, and the host names under which people may open the page."""
    address: Any = sock.getsockname()
    bound = ip_address(address[0].partition("%")[0])
    if bound.is_loopback:
        shown, hosts = host, [host]
    else:  # other devices use this one's name, or its address, which the guard knows by itself
        own = socket.gethostname()
        hosts = [own, f"{own}.local"] if bound.is_unspecified else [host, own, f"{own}.local"]
        shown = _own_address() or own if bound.is_unspecified else host
    shown = f"[{shown}]" if ":" in shown else shown
    return f"{scheme}://{shown}:{address[1]}/", hosts


def _own_address() -> str | None:
    """This device's address on the network, by the routing table; no packet is sent. None without a network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # RFC 5737: an address that no device has
            return str(probe.getsockname()[0])
        except OSError:
            return None
