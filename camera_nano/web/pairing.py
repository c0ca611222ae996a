"""Pairing: another device may use the page after it has sent the code that this device shows.

A code works once: the device gets a key for it, as a cookie, and a new code replaces it. The code is 256 random bits
in the fragment of a URL, which is in no request line and in no log. Keys are valid until the process ends. Whoever
sends many wrong codes is not listened to for a while; the code on the screen stays.
"""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie

COOKIE = "camera_nano"
_MOST_DEVICES = 32  # the oldest key is forgotten for one more
_MOST_WRONG, _WRONG_S = 20, 600.0  # of one client. Nobody guesses 256 bits: this only keeps the noise down
_MOST_CLIENTS = 256


class Pairing:
    """The code that works now, and the keys of the devices that are paired."""

    def __init__(self, show: Callable[[str], None] = lambda code: None) -> None:
        """`show` is called with every new code, with the first one at once."""
        self._show, self._lock = show, threading.Lock()
        self._wrong: dict[str, list[float]] = {}  # by client, when it sent each wrong code
        self._keys: deque[str] = deque(maxlen=_MOST_DEVICES)
        self._renew()

    def _renew(self) -> None:
        self.code = secrets.token_urlsafe(32)
        self._show(self.code)

    def redeem(self, code: str, client: str = "") -> str | None:
        """The right code -> a key for a cookie, and a new code replaces it; None for a wrong code.

        Raises PermissionError, until ten minutes have passed, when this client has sent 20 wrong ones.
        """
        with self._lock:
            since_s = time.monotonic() - _WRONG_S
            wrong = [at_s for at_s in self._wrong.pop(client, []) if at_s > since_s]
            if wrong:
                self._wrong[client] = wrong
            if len(wrong) >= _MOST_WRONG:
                raise PermissionError("too many wrong codes came from here: try again in ten minutes")
            if not hmac.compare_digest(code.encode("utf-8", "surrogatepass"), self.code.encode()):
                self._wrong[client] = [*wrong, time.monotonic()]
                if len(self._wrong) > _MOST_CLIENTS:
                    del self._wrong[next(iter(self._wrong))]
                return None
            self._keys.append(key := secrets.token_urlsafe(32))
            self._renew()
            return key

    def knows(self, cookies: str) -> bool:
        """Whether a Cookie header holds the key of a paired device."""
        try:
            found = SimpleCookie(cookies).get(COOKIE)
        except CookieError:
            return False
        if found is None:
            return False
        with self._lock:
            return any(hmac.compare_digest(found.value.encode(), key.encode()) for key in self._keys)
