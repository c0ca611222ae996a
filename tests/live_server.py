"""A session behind a real server, and the page's side of the conversation."""

import http.client
import json
import struct
import threading
from contextlib import ExitStack
from urllib.parse import urlsplit

from websockets.sync.client import connect

from camera_nano.web.server import Server, bind, names

LOOKS = ["golden", "natural"]


class Live:
    """A session behind a real server on a free port."""

    def __init__(self, session, pairing=None):
        self.session, self.opened = session, ExitStack()
        sock = bind("127.0.0.1", 0)
        self.url, hosts = names("127.0.0.1", sock)
        self.address = urlsplit(self.url).netloc
        ready = threading.Event()
        self.server = Server(session, sock, hosts, on_ready=ready.set, pairing=pairing)
        self.thread = threading.Thread(target=self.server.run_until_stopped)
        session.start()
        self.thread.start()
        assert ready.wait(30)

    def open(self, host=None, path="/ws", **options):
        at, _, port = self.address.partition(":")
        url = f"ws://{host or self.address}{path}"
        return self.opened.enter_context(
            connect(url, address=(at, int(port)), max_size=None, compression=None, proxy=None, **options)
        )

    def get(self, path, method="GET", **headers):
        connection = http.client.HTTPConnection(self.address, timeout=30)
        connection.putrequest(method, path, skip_host=True)
        for name, value in ({"host": self.address} | headers).items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        answer = connection.getresponse()
        self.opened.callback(connection.close)
        self.opened.callback(answer.close)
        return answer

    def release(self, n=1):
        """Let n frames through and wait for the last."""
        for _ in range(n):
            latest = self.session.ring.latest()
            self.session.source.due.release()
            assert self.session.ring.wait_newer(latest.id if latest else -1, timeout_s=30)

    def close(self):
        self.opened.close()
        self.server.should_exit = True
        self.thread.join(30)
        self.session.close()
        assert not self.thread.is_alive()


def unpack(message):
    (length,) = struct.unpack(">I", message[:4])
    return json.loads(message[4 : 4 + length]), message[4 + length :]


def say(socket, type_, **values):
    socket.send(json.dumps({"type": type_, **values}))


def hear(socket, type_):
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


def see(socket, wanted):
    """Take views until one is wanted; the last stays unacknowledged."""
    while True:
        header, pictures = hear(socket, "view")
        if wanted(header):
            offset, length = header["jpeg"]
            return header, pictures[offset : offset + length]
        say(socket, "ready")
