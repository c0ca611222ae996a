"""Who may talk to the page: a camera must not be readable by whatever else the browser has open.

Threats: DNS rebinding (a foreign name that resolves to this machine, so the Host must be one of ours), a foreign
page that opens our WebSocket (browsers do not stop that, so the Origin must be ours), and injected content (CSP).
"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

ALWAYS_ALLOWED = ("127.0.0.1", "localhost", "::1")
_POLICY_VIOLATION = 1008  # RFC 6455, 7.4.1

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
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
    """ASGI middleware: refuses foreign hosts and origins, and puts the security headers on every answer."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self._app = app
        self._hosts = {host.strip("[]").lower() for host in (*ALWAYS_ALLOWED, *hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is allowed; answer 403 (before the upgrade, for a WebSocket) otherwise."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, _with_headers(send))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION, "reason": refusal})
        else:
            await PlainTextResponse(refusal + "\n", 403)(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope) -> str | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self._is_ours(host_name(host), scope):
            return "this name is not allowed for the camera page; use the address it printed when it started"
        site = headers.get("sec-fetch-site", "none")
        if scope["type"] == "websocket":
            origin = headers.get("origin")
            if origin is None:  # not a browser, unless it says that it is one
                return None if site in ("none", "same-origin") else "another site's page may not use the camera"
            same = urlsplit(origin).scheme in ("http", "https") and origin.partition("://")[2] == host
            return None if same else "another site's page may not use the camera"
        if site == "cross-site" and headers.get("sec-fetch-mode") != "navigate":
            return "another site's page may not use the camera"
        return None

    def _is_ours(self, name: str | None, scope: Scope) -> bool:
        if name is None:
            return False
        # the very address the connection came in on: a rebound name can never look like that
        arrived_at = scope["server"][0] if scope.get("server") else None
        return name in self._hosts or name == arrived_at


def _with_headers(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers[name] = value
        await send(message)

    return wrapped
