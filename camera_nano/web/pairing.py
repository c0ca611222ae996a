"""Who of the network may use the page: whoever has the code that this device shows, once.

The code is 256 random bits in the fragment of a URL, so it is in no request line and in no log. It is traded for a
cookie and replaced. Keys live as long as the process.
"""

from __future__ import annotations

import hmac
import secrets
import threading
from collections import deque
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie

COOKIE = "camera_nano"
_MOST_DEVICES = 32
_MOST_WRONG = 20  # nobody guesses 256 bits, but whoever tries is to notice


class Pairing:
    """The code of now, and the keys of the devices that have used one."""

    def __init__(self, show: Callable[[str], None] = lambda code: None) -> None:
        """`show` is told every new code, the first one at once."""
        self._show, self._lock, self._n_wrong = show, threading.Lock(), 0
        self._keys: deque[str] = deque(maxlen=_MOST_DEVICES)
        self._renew()

    def _renew(self) -> None:
        self.code, self._n_wrong = secrets.token_urlsafe(32), 0
        self._show(self.code)

    def redeem(self, code: str) -> str | None:
        """The code of now -> a key for a cookie, and a new code takes its place; None for a wrong one."""
        with self._lock:
            if not hmac.compare_digest(code.encode(), self.code.encode()):
                self._n_wrong += 1
                if self._n_wrong >= _MOST_WRONG:
                    self._renew()
                return None
            self._keys.append(key := secrets.token_urlsafe(32))
            self._renew()
            return key

    def knows(self, cookies: str) -> bool:
        """Whether a Cookie header holds a key."""
        try:
            found = SimpleCookie(cookies).get(COOKIE)
        except CookieError:
            return False
        if found is None:
            return False
        with self._lock:
            return any(hmac.compare_digest(found.value.encode(), key.encode()) for key in self._keys)
