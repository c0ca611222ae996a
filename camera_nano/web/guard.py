"""Who may talk to the page: other pages that are open in the same browser must not reach the camera.

Threats, and what stops them: DNS rebinding, a foreign name that resolves to this machine (the Host must be one of
ours); a foreign page that posts or opens our WebSocket, which browsers allow (the Origin must be ours); other people on
the network, and those whom a proxy on this device lets through (the cookie that pairing gives); a body that never ends
(its length); injected content (CSP).
"""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.status import WS_1008_POLICY_VIOLATION
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from camera_nano.web.pairing import Pairing

ALWAYS_ALLOWED = ("127.0.0.1", "localhost", "::1")
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")  # RFC 9110, 9.2.1; no route of ours changes anything for these
# what a device needs in order to pair, pictures that it was shown a code of, and the web app, which knows nothing of us
_OPEN = ("/pair", "/api/pair", "/static/", "/take/", "/phone/")
_BODY_BYTES = 16 * 1024
_PATH_CHARS = 2048
_FORWARDED = ("forwarded", "via", "x-real-ip")  # and X-Forwarded-*

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
    "Cache-Control": "no-cache",  # after an update no browser mixes the new page with an old script
}

_RUNS_WASM = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'"  # the web app runs the model itself


def host_name(netloc: str) -> str | None:
    """`name:port` or `[::1]:port` -> the name alone, in lower case; None if it is no legal host."""
    try:
        parts = urlsplit(f"//{netloc}")
        _ = parts.port  # raises on a bad one
    except ValueError:
        return None
    if parts.netloc != netloc or "@" in netloc:
        return None
    return parts.hostname and parts.hostname.removesuffix(".")  # a name with its final dot is the same name


def client_of(scope: Scope) -> str:
    """Who asks, for limits, as `network` says it; behind a proxy of this device, whom that names."""
    client = address(scope["client"][0]) if scope.get("client") else None
    if client is not None and client.is_loopback:
        named = (
            Headers(scope=scope).get("x-forwarded-for", "").rpartition(",")[2].strip()
        )  # the last is the proxy's own
        client = address(named) or client
    return network(client)


def address(text: str) -> IPv4Address | IPv6Address | None:
    """An address; one of IPv4 in IPv6's clothes (::ffff:192.0.2.1) is of IPv4. None where it is none."""
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found


def network(client: IPv4Address | IPv6Address | None) -> str:
    """What one household has: an address of IPv4, a /64 network of IPv6."""
    return str(ip_network((client, 64), strict=False)) if isinstance(client, IPv6Address) else str(client)


class Guard:
    """ASGI middleware: refuses requests that must not reach the camera, and adds the security headers to answers."""

    def __init__(
        self,
        app: ASGIApp,
        hosts: Sequence[str],
        pairing: Pairing | None = None,
        *,
        pairs_local: bool = False,
        root_path: str = "",
    ) -> None:
        """`hosts` are names of ours; `pairing` decides about clients on other devices, without it all are let in.

        `pairs_local`: this device's own clients have to pair, too. `root_path`: taken off the paths that begin with it.
        """
        self._app, self._pairing, self._pairs_local, self._root = app, pairing, pairs_local, root_path
        self._hosts = {host.strip("[]").lower() for host in (*ALWAYS_ALLOWED, *hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is allowed; refuse the rest by 4xx, a WebSocket before it is accepted."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        if self._root and scope["path"].startswith(f"{self._root}/"):
            scope = {**scope, "path": scope["path"].removeprefix(self._root)}
        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, _with_headers(send, runs_wasm=scope["path"].startswith("/phone/")))
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": WS_1008_POLICY_VIOLATION, "reason": refusal[1]})
        else:
            # the connection closes, so that nobody waits for the rest of a refused body
            answer = PlainTextResponse(refusal[1] + "\n", refusal[0], {"Connection": "close"})
            await answer(scope, receive, _with_headers(send))

    def _refusal(self, scope: Scope) -> tuple[HTTPStatus, str] | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if len(scope["path"]) > _PATH_CHARS:
            return HTTPStatus.REQUEST_URI_TOO_LONG, f"a path has at most {_PATH_CHARS} characters"
        if not self._is_ours(host_name(host), scope):
            text = "this name is not allowed for the camera page; use the address it printed when it started"
            return HTTPStatus.FORBIDDEN, text
        if not _is_own_page(headers, host, scope):
            return HTTPStatus.FORBIDDEN, "another site's page may not use the camera"
        if not self._is_let_in(headers, scope):
            return HTTPStatus.UNAUTHORIZED, "this device is not paired: open /pair with the code that the camera shows"
        if "transfer-encoding" in headers:
            return HTTPStatus.LENGTH_REQUIRED, "a request must say its length (Content-Length)"
        if not (length := headers.get("content-length", "0")).isdecimal() or len(length) > 20:
            return HTTPStatus.BAD_REQUEST, "Content-Length is a number of bytes"
        if int(length) > _BODY_BYTES:
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"a request has at most {_BODY_BYTES} bytes"
        return None

    def _is_ours(self, name: str | None, scope: Scope) -> bool:
        if name is None:
            return False
        # or the very address that the connection came to: no foreign name looks like that
        arrived_at = scope["server"][0] if scope.get("server") else None
        return name in self._hosts or (arrived_at is not None and address(name) == address(arrived_at) is not None)

    def _is_let_in(self, headers: Headers, scope: Scope) -> bool:
        if self._pairing is None:
            return not _is_forwarded(scope)
        if not self._pairs_local and _is_on_this_device(scope):
            return True
        is_open = scope["type"] == "http" and scope["path"].startswith(_OPEN)
        return is_open or self._pairing.knows(headers.get("cookie", ""))


def _is_own_page(headers: Headers, host: str, scope: Scope) -> bool:
    """Whether a request comes from our own page, or from no page at all."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site", "none")
    if scope["type"] == "http" and scope["method"] in _SAFE_METHODS:
        # a link may lead here; what a page shows inside itself would tell it, by its time or size, what is there
        return site in ("none", "same-origin") or (
            headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest", "document") == "document"
        )
    if site not in ("none", "same-origin"):
        return False
    if origin is None:  # no browser: browsers always send it here
        return True
    scheme, _, netloc = origin.partition("://")
    return scheme in ("http", "https") and netloc == host


def _is_forwarded(scope: Scope) -> bool:
    """Whether a proxy passed it on: it says so, or speaks the HTTP/1.0 that nginx does by default, and no browser."""
    headers = Headers(scope=scope)
    return scope.get("http_version") == "1.0" or any(
        name in _FORWARDED or name.startswith("x-forwarded-") for name in headers
    )


def _is_on_this_device(scope: Scope) -> bool:
    client = address(scope["client"][0]) if scope.get("client") else None  # a socket may have none
    return client is not None and client.is_loopback and not _is_forwarded(scope)


def _with_headers(send: Send, *, runs_wasm: bool = False) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers[name] = value.replace("default-src 'self'", _RUNS_WASM) if runs_wasm else value
        await send(message)

    return wrapped
