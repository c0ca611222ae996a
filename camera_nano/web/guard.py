"""Who may talk to the page: a camera must not be readable by whatever else the browser has open.

Threats: DNS rebinding (a foreign name that resolves to this machine, so the Host must be one of ours), a foreign
page that posts or opens our WebSocket (browsers do not stop that, so the Origin must be ours), somebody else on the
network (who has no paired cookie), a body that never ends, and injected content (CSP).
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from camera_nano.web.pairing import Pairing

ALWAYS_ALLOWED = ("127.0.0.1", "localhost", "::1")
_POLICY_VIOLATION = 1008  # RFC 6455, 7.4.1
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")  # RFC 9110, 9.2.1: no route changes anything for these
_OPEN = ("/pair", "/api/pair", "/static/")  # what an unpaired device needs to become a paired one
_BODY_BYTES = 16 * 1024

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",  # an upgraded page is never mixed with an old script
}


def host_name(netloc: str) -> str | None:
    """`name:port`, `[::1]:port` -> the bare lower-case name; None when it is not a legal host."""
    try:
        parts = urlsplit(f"//{netloc}")
        _ = parts.port  # raises on a bad one
    except ValueError:
        return None
    if parts.netloc != netloc or "@" in netloc:
        return None
    return parts.hostname


class Guard:
    """ASGI middleware: refuses whoever has no business here, and puts the security headers on every answer."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str], pairing: Pairing | None = None) -> None:
        """`pairing` is asked for every client that is not on this device; without one all are let in."""
        self._app, self._pairing = app, pairing
        self._hosts = {host.strip("[]").lower() for host in (*ALWAYS_ALLOWED, *hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is allowed; answer 401, 403, 411 or 413 (before the upgrade, for a WebSocket) otherwise."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": refusal[1]})
        else:
            # the rest of a body nobody wants is not waited for
            answer = PlainTextResponse(refusal[1] + "\n", refusal[0], {"Connection": "close"})
            await answer(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope) -> tuple[HTTPStatus, str] | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_ours(host_name(host), scope):
            text = "this name is not allowed for the camera page; use the address it printed when it started"
            return HTTPStatus.FORBIDDEN, text
        if not _is_own_page(headers, host, scope):
            return HTTPStatus.FORBIDDEN, "another site's page may not use the camera"
        if not self._is_let_in(headers, scope):
            return HTTPStatus.UNAUTHORIZED, "this device is not paired: open /pair with the code that the camera shows"
        if "transfer-encoding" in headers:
            return HTTPStatus.LENGTH_REQUIRED, "a request says how long it is"
        if int(headers.get("content-length", 0)) > _BODY_BYTES:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a request has at most {_BODY_BYTES} bytes"
        return None

    def _is_ours(self, name: str | None, scope: Scope) -> bool:
        if name is None:
            return False
        # the very address the connection came in on: a rebound name can never look like that
        arrived_at = scope["server"][0] if scope.get("server") else None
        return name in self._hosts or name == arrived_at

    def _is_let_in(self, headers: Headers, scope: Scope) -> bool:
        if self._pairing is None or _is_on_this_device(scope):
            return True
        is_open = scope["type"] == "http" and scope["path"].startswith(_OPEN)
        return is_open or self._pairing.knows(headers.get("cookie", ""))


def _is_own_page(headers: Headers, host: str, scope: Scope) -> bool:
    """Whether a request is from our own page, or from no page at all."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
    if scope["type"] == "http" and scope["method"] in _SAFE_METHODS:
        return site != "cross-site" or headers.get("sec-fetch-mode") == "navigate"
    if site not in ("none", "same-origin"):
        return False
    if origin is None:  # not a browser, which always names one here
        return True
    return urlsplit(origin).scheme in ("http", "https") and origin.partition("://")[2] == host


def _is_on_this_device(scope: Scope) -> bool:
    client = scope.get("client")
    try:
        return client is not None and ip_address(client[0]).is_loopback
    except ValueError:  # a socket without an address
        return False


def _with_headers(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers[name] = value
        await send(message)

    return wrapped
