"""A session behind a real server, and the page's side of the conversation."""

import http.client
import json
import socket
import struct
import threading
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any, cast
from urllib.parse import urlsplit

from playback import Playback
from websockets.sync.client import ClientConnection, connect

from camera_nano.live import Session
from camera_nano.web.pairing import Pairing
from camera_nano.web.server import Server, bind, names

LOOKS = ["golden", "natural"]
# a test that reads no views for long, on a slow machine, still hears the server's answer to a ping
UNHURRIED: Any = {"max_size": None, "max_queue": 1 << 20, "compression": None, "open_timeout": 60}


class Live:
    """A session behind a real server on a free port."""

    def __init__(
        self, session: Session, pairing: Pairing | None = None, host: str = "127.0.0.1", **access: Any
    ) -> None:
        self.session, self.opened = session, ExitStack()
        sock = bind(host, 0)
        self.url, hosts = names(host, sock)
        self.address = urlsplit(self.url).netloc
        ready = threading.Event()
        self.server = Server(
            session, sock, [*hosts, *access.pop("allow_hosts", [])], on_ready=ready.set, pairing=pairing, **access
        )
        self.thread = threading.Thread(target=self.server.run_until_stopped)
        session.start()
        self.thread.start()
        assert ready.wait(30)

    def open(self, host: str | None = None, path: str = "/ws", **options: Any) -> ClientConnection:
        at, _, port = self.address.partition(":")
        url = f"ws://{host or self.address}{path}"
        sock = socket.create_connection((at, int(port)))
        connection: ClientConnection = self.opened.enter_context(connect(url, sock=sock, **UNHURRIED | options))
        return connection

    def get(self, path: str, method: str = "GET", **headers: str | bytes) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(self.address, timeout=30)
        connection.putrequest(method, path, skip_host=True)
        for name, value in ({"host": self.address} | headers).items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        self.opened.callback(connection.close)
        self.opened.callback(answer.close)
        return answer

    def release(self, n: int = 1) -> None:
        """Let n frames through and wait for the last."""
        for _ in range(n):
            latest = self.session.ring.latest()
            cast(Playback, self.session.source).due.release()
            assert self.session.ring.wait_newer(latest.id if latest else -1, timeout_s=30)

    def propose(self) -> None:
        """Let a frame through and wait for its looks."""
        newest = self.session.proposal()  # before the frame is there: its looks may come at once
        self.release()
        assert self.session.wait_proposal(newest.id if newest else 0, timeout_s=60)

    def close(self) -> None:
        self.opened.close()
        self.server.should_exit = True
        self.thread.join(30)
        self.session.close()
        assert not self.thread.is_alive()


def unpack(message: bytes) -> tuple[dict[str, Any], bytes]:
    (length,) = struct.unpack(">I", message[:4])
    return json.loads(message[4 : 4 + length]), message[4 + length :]


def say(socket: ClientConnection, type_: str, **values: Any) -> None:
    socket.send(json.dumps({"type": type_, **values}))


def hear(socket: ClientConnection, type_: str) -> Any:
    """The next message of a type; views that come in between are acknowledged, or there would be no more of them."""
    while True:
        message = socket.recv(timeout=60)
        if isinstance(message, bytes):
            header, rest = unpack(message)
            if header["type"] == type_:
                return header, rest
            say(socket, "ready")
        elif (heard := json.loads(message))["type"] == type_:
            return heard


def see(socket: ClientConnection, wanted: Callable[[dict[str, Any]], bool]) -> tuple[dict[str, Any], bytes]:
    """Take views until one is wanted; the last stays unacknowledged."""
    while True:
        header, pictures = hear(socket, "view")
        if wanted(header):
            offset, length = header["jpeg"]
            return header, pictures[offset : offset + length]
        say(socket, "ready")
