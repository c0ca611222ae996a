"""A folder on the net, for tests."""

import http.server
import threading
from functools import partial
from pathlib import Path
from typing import Any


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Says nothing of requests."""

    def log_message(self, *_: Any) -> None:
        pass


class Site:
    """A folder behind a static server of 127.0.0.1, which browsers take for secure; `close` takes it off the net."""

    def __init__(self, folder: Path) -> None:
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=folder))
        self._thread = threading.Thread(target=self._server.serve_forever)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/"
        self.is_open = True

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            self._server.shutdown()
            self._thread.join()
            self._server.server_close()
