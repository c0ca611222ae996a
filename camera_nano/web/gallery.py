"""The shots of this session over HTTP: list, look at, download, delete. Shots are named by number, never by path."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from http import HTTPStatus
from pathlib import Path

import pyvips
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from camera_nano.conditioning import shrink
from camera_nano.encode import encode
from camera_nano.gainmap import draw
from camera_nano.render import render
from camera_nano.session import TILE_WIDTH_PX, Session
from camera_nano.shots import Shot
from camera_nano.values import EditField, Pixels
from camera_nano.web.view import jpeg


def routes(session: Session) -> list[BaseRoute]:
    """What the page's gallery asks for, and the pictures of the moments around a shot."""
    album = session.album

    async def list_shots(request: Request) -> Response:
        return JSONResponse(await asyncio.to_thread(lambda: [_described(shot) for shot in album.shots()]))

    async def show(request: Request) -> Response:
        path = _part(session, request)
        shown = "inline" if request.query_params.get("inline") == "1" else "attachment"
        return FileResponse(path, filename=path.name, content_disposition_type=shown)

    async def thumb(request: Request) -> Response:
        data = await asyncio.to_thread(_small, _part(session, request))
        return Response(data, media_type="image/jpeg")

    async def delete(request: Request) -> Response:
        try:
            await asyncio.to_thread(album.delete, request.path_params["shot_id"])
        except LookupError as error:
            raise HTTPException(HTTPStatus.NOT_FOUND, str(error)) from error
        return Response(status_code=HTTPStatus.NO_CONTENT)

    async def moment(request: Request) -> Response:
        for frame in session.moments():
            if frame.id == request.path_params["frame_id"]:
                make = partial(lambda pixels: jpeg(shrink(pixels, TILE_WIDTH_PX)), frame.pixels)
                return Response(await asyncio.to_thread(make), media_type="image/jpeg")
        raise HTTPException(HTTPStatus.NOT_FOUND, "this moment has passed")

    async def hdr(request: Request) -> Response:
        asked = request.path_params
        try:
            strength = min(1.0, max(0.0, float(request.query_params.get("strength", "1"))))
        except ValueError as error:
            raise HTTPException(HTTPStatus.BAD_REQUEST, "strength is a number from 0 to 1") from error
        frame = next((frame for frame in session.ring.frames() if frame.id == asked["frame_id"]), None)
        proposal = session.proposal(asked["proposal_id"])
        if frame is None or proposal is None or asked["look"] not in proposal.fields:
            raise HTTPException(HTTPStatus.NOT_FOUND, "this frame has passed")
        field = proposal.fields[asked["look"]] * strength
        return Response(await asyncio.to_thread(_ultra_hdr, frame.pixels, field), media_type="image/jpeg")

    return [
        Route("/api/hdr/{frame_id:int}/{proposal_id:int}/{look}.jpg", hdr),
        Route("/api/shots", list_shots),
        Route("/api/shots/{shot_id:int}", delete, methods=["DELETE"]),
        Route("/api/shots/{shot_id:int}/{part}", show),
        Route("/api/shots/{shot_id:int}/{part}/thumb", thumb),
        Route("/api/moments/{frame_id:int}.jpg", moment),
    ]


def _described(shot: Shot) -> dict[str, object]:
    parts = [
        {"part": part, "name": path.name, "bytes": path.stat().st_size}
        for part, path in shot.parts.items()
        if path.exists()
    ]
    taken_at = shot.taken_at.isoformat(timespec="milliseconds")
    return {"id": shot.id, "frame_id": shot.frame_id, "taken_at": taken_at, "parts": parts}


def _part(session: Session, request: Request) -> Path:
    """The file that a request is about, by shot and part. 404 for any other, and for one that somebody took away."""
    try:
        path = session.album.get(request.path_params["shot_id"]).parts[request.path_params["part"]]
    except LookupError:
        path = None
    if path is None or not path.is_file():
        raise HTTPException(HTTPStatus.NOT_FOUND, "there is no such picture")
    return path


def _ultra_hdr(pixels: Pixels, field: EditField) -> bytes:
    return encode(render(pixels, field), format="ultrahdr", gain=draw(pixels, field))


def _small(path: Path) -> bytes:
    image = pyvips.Image.thumbnail(os.fsencode(path), TILE_WIDTH_PX)
    return bytes(image.jpegsave_buffer(Q=85, keep="icc"))
