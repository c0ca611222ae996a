"""Shots on their way to other places: many as one ZIP file, one to a phone by a QR code.

The code holds an address that opens one picture for ten minutes, on a device that is not paired, too: whoever points a
phone at the screen is meant to have it.
"""

from __future__ import annotations

import io
import secrets
import time
import zipfile
from collections.abc import Iterator, Sequence
from functools import partial
from http import HTTPStatus
from pathlib import Path

import segno
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from camera_nano.live import Album
from camera_nano.web.gallery import NO_PICTURE, part_of

_OPEN_PATH = "take/"  # the guard lets everybody through here
_TICKET_S, _MOST_TICKETS = 600.0, 64
_MOST_SHOTS = 1000
_CHUNK_BYTES = 1 << 20


class Tickets:
    """Addresses that open one file each, for ten minutes; 128 random bits that nobody guesses."""

    def __init__(self) -> None:
        self._paths: dict[str, tuple[float, Path]] = {}

    def issue(self, path: Path) -> str:
        """A new ticket for a file; the oldest of 64 goes."""
        while len(self._paths) >= _MOST_TICKETS:
            del self._paths[next(iter(self._paths))]
        self._paths[ticket := secrets.token_urlsafe(16)] = time.monotonic() + _TICKET_S, path
        return ticket

    def redeem(self, ticket: str) -> Path:
        """Its file. Raises LookupError for a ticket that is unknown or too old, or a file that is gone."""
        until_s, path = self._paths[ticket]
        if time.monotonic() > until_s or not path.is_file():
            raise LookupError(ticket)
        return path


def routes(album: Album, reached_at: str | None) -> list[BaseRoute]:
    """`reached_at` is the page's address for other devices, ending in a slash; None where none can reach it."""
    tickets = Tickets()
    return [
        Route("/api/shots.zip", partial(_zip, album)),
        Route("/api/shots/{shot_id:int}/{part}/qr", partial(_qr, album, tickets, reached_at), methods=["POST"]),
        Route(f"/{_OPEN_PATH}{{ticket}}", partial(_take, tickets)),
    ]


async def _qr(album: Album, tickets: Tickets, reached_at: str | None, request: Request) -> Response:
    """A QR code, as SVG, of an address that opens this picture."""
    if reached_at is None:
        text = "other devices cannot reach this page: start it with --lan, or share the picture"
        raise HTTPException(HTTPStatus.CONFLICT, text)
    _, path = part_of(album, request)
    code = io.BytesIO()
    address = f"{reached_at}{_OPEN_PATH}{tickets.issue(path)}"
    segno.make(address, error="l").save(code, kind="svg", scale=8, dark="#000", light="#fff", svgns=True)
    return Response(code.getvalue(), media_type="image/svg+xml", headers={"X-Opens": address})


async def _take(tickets: Tickets, request: Request) -> Response:
    try:
        path = tickets.redeem(request.path_params["ticket"])
    except LookupError:
        raise HTTPException(HTTPStatus.NOT_FOUND, "this code is too old: let the camera show a new one") from None
    return FileResponse(path, filename=path.name, content_disposition_type="inline")


def _zip(album: Album, request: Request) -> Response:
    """The files of the shots that ?id=1&id=2 name, as they are."""
    asked = request.query_params.getlist("id")
    if not asked or len(asked) > _MOST_SHOTS or not all(number.isdecimal() and len(number) < 16 for number in asked):
        raise HTTPException(HTTPStatus.BAD_REQUEST, f"'id' is the number of a shot, at most {_MOST_SHOTS} times")
    shots = {shot.id: shot for shot in album.shots()}
    paths = [path for number in map(int, asked) if number in shots for path in shots[number].parts.values()]
    if not paths:
        raise NO_PICTURE
    disposition = {"Content-Disposition": 'attachment; filename="camera-nano.zip"'}
    return StreamingResponse(_zipped(paths), media_type="application/zip", headers=disposition)


class _Pipe(io.RawIOBase):
    """What a ZIP is written into, and taken out of piece by piece."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self._pieces.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken, self._pieces = b"".join(self._pieces), []
        return taken


def _zipped(paths: Sequence[Path]) -> Iterator[bytes]:
    """A ZIP file of these, never more of it in memory than a megabyte. Pictures do not shrink, so nothing is packed."""
    pipe = _Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED) as archive:
        for path in paths:
            try:
                about = zipfile.ZipInfo.from_file(path, path.name, strict_timestamps=False)
                source = path.open("rb")
            except OSError:  # it was removed since
                continue
            with source, archive.open(about, "w") as target:
                while piece := source.read(_CHUNK_BYTES):
                    target.write(piece)
                    yield pipe.take()
    yield pipe.take()
