"""The shots in the folder over HTTP: list, show, download, delete. Requests name a shot by number, never by path."""

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

from camera_nano.errors import CameraNanoError
from camera_nano.files import encode, shared_decoder
from camera_nano.light import draw_gain_map, shrink
from camera_nano.light.render import render
from camera_nano.live import TILE_WIDTH_PX, Album, Session, Shot, gain_map, merged_view
from camera_nano.merge import expose
from camera_nano.values import EditField, Frame, Pixels
from camera_nano.web.view import jpeg, pack

_HDR_WIDTH_PX = 1280  # as wide as a view
NO_PICTURE = HTTPException(HTTPStatus.NOT_FOUND, "there is no such picture")


def routes(session: Session) -> list[BaseRoute]:
    """The shots, each by its number, and the pictures of the moments around one."""
    album = session.album
    return [
        Route("/api/hdr/{frame_id:int}/{proposal_id:int}/{look}.jpg", partial(_hdr, session)),
        Route("/api/shots", partial(_list, album)),
        Route("/api/shots/{shot_id:int}", partial(_delete, album), methods=["DELETE"]),
        Route("/api/shots/{shot_id:int}/{part}", partial(_file, album)),
        Route("/api/shots/{shot_id:int}/{part}/thumb", partial(_thumbnail, album)),
        Route("/api/moments/{frame_id:int}.jpg", partial(_moment, session)),
        Route("/api/takes/{frame_id:int}/{look}", partial(_takes, session)),
    ]


async def _list(album: Album, request: Request) -> Response:
    """Every shot, newest first, or with ?most=N the newest N."""
    most = request.query_params.get("most", "")
    end = int(most) if most.isdecimal() and len(most) < 10 else None
    return JSONResponse(await asyncio.to_thread(lambda: [_described(shot) for shot in album.shots()[:end]]))


async def _file(album: Album, request: Request) -> Response:
    _, path = await asyncio.to_thread(part_of, album, request)
    shown = "inline" if request.query_params.get("inline") == "1" else "attachment"
    return FileResponse(path, filename=path.name, content_disposition_type=shown)


async def _thumbnail(album: Album, request: Request) -> Response:
    shot, path = await asyncio.to_thread(part_of, album, request)
    try:
        picture = await asyncio.to_thread(_small_of_anybody if shot.is_earlier else _small, path)
    except (CameraNanoError, OSError) as error:
        raise HTTPException(HTTPStatus.NOT_FOUND, str(error)) from error
    return Response(picture, media_type="image/jpeg")


async def _delete(album: Album, request: Request) -> Response:
    try:
        await asyncio.to_thread(album.delete, request.path_params["shot_id"])
    except LookupError as error:
        raise HTTPException(HTTPStatus.NOT_FOUND, str(error)) from error
    return Response(status_code=HTTPStatus.NO_CONTENT)


async def _moment(session: Session, request: Request) -> Response:
    for frame in session.moments():
        if frame.id == request.path_params["frame_id"]:
            picture = await asyncio.to_thread(lambda pixels: jpeg(shrink(pixels, TILE_WIDTH_PX)), frame.pixels)
            return Response(picture, media_type="image/jpeg")
    raise HTTPException(HTTPStatus.NOT_FOUND, "this moment has passed")


async def _takes(session: Session, request: Request) -> Response:
    """Four answers for a look of the frame, as one message like a view's; ?turn=1 has four others."""
    asked, turn = request.path_params, request.query_params.get("turn", "0")
    if not turn.isdecimal() or len(turn) > 6:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "turn is a whole number from 0")
    strength = strength_of(request)
    try:
        takes = await asyncio.to_thread(session.takes, asked["frame_id"], asked["look"], strength, int(turn))
    except LookupError as error:
        raise HTTPException(HTTPStatus.NOT_FOUND, str(error)) from error
    jpegs = await asyncio.to_thread(lambda: [jpeg(take.pixels) for take in takes])
    places, offset = [], 0
    for take, data in zip(takes, jpegs, strict=True):
        place = [offset, len(data)]
        places.append({"seed": take.seed, "ev": round(take.ev, 2), "is_now": take.is_now, "jpeg": place})
        offset += len(data)
    return Response(pack({"takes": places}, jpegs), media_type="application/octet-stream")


async def _hdr(session: Session, request: Request) -> Response:
    """A look of a frame in the ring as an Ultra HDR JPEG, for displays that show more than SDR."""
    asked = request.path_params
    strength = strength_of(request)
    frame = next((frame for frame in session.ring.frames() if frame.id == asked["frame_id"]), None)
    proposal = session.proposal(asked["proposal_id"])
    if frame is None or proposal is None or asked["look"] not in proposal.fields:
        raise HTTPException(HTTPStatus.NOT_FOUND, "this frame has passed")
    field, ev = proposal.fields[asked["look"]] * strength, proposal.merged_ev
    if ev is None or not strength:
        make = partial(_shrunk_ultra_hdr, frame.pixels, field)
    else:
        make = partial(_merged_ultra_hdr, session, frame, field, ev * strength)
    return Response(await asyncio.to_thread(make), media_type="image/jpeg")


def strength_of(request: Request) -> float:
    """?strength=, 0..1, by default 1; 400 for what is no number."""
    try:
        return min(1.0, max(0.0, float(request.query_params.get("strength", "1"))))
    except ValueError as error:
        raise HTTPException(HTTPStatus.BAD_REQUEST, "strength is a number from 0 to 1") from error


def _described(shot: Shot) -> dict[str, object]:
    parts = [
        {"part": part, "name": path.name, "bytes": path.stat().st_size}
        for part, path in shot.parts.items()
        if path.exists()
    ]
    taken_at = shot.taken_at.isoformat(timespec="milliseconds")
    return {"id": shot.id, "frame_id": shot.frame_id, "taken_at": taken_at, "parts": parts}


def part_of(album: Album, request: Request) -> tuple[Shot, Path]:
    """The shot that a request names and its file; 404 where there is none, or where it was removed since."""
    try:
        shot = album.get(request.path_params["shot_id"])
        path = shot.parts[request.path_params["part"]]
    except LookupError:
        raise NO_PICTURE from None
    if not path.is_file():
        raise NO_PICTURE
    return shot, path


def _ultra_hdr(pixels: Pixels, field: EditField) -> bytes:
    return encode(render(pixels, field), format="ultrahdr", gain=draw_gain_map(pixels, field))


def _shrunk_ultra_hdr(pixels: Pixels, field: EditField) -> bytes:
    return _ultra_hdr(shrink(pixels, _HDR_WIDTH_PX), field)


def _merged_ultra_hdr(session: Session, frame: Frame, field: EditField, ev: float) -> bytes:
    exposed = expose(merged_view(session.ring, frame, _HDR_WIDTH_PX), ev)
    return encode(render(exposed.pixels, field), format="ultrahdr", gain=gain_map(exposed, field))


def _small_of_anybody(path: Path) -> bytes:
    """As `_small`, of a file that another run or program has written: read in a locked-up process."""
    return jpeg(shared_decoder().thumbnail(path, TILE_WIDTH_PX))


def _small(path: Path) -> bytes:
    image = pyvips.Image.thumbnail(os.fsencode(path), TILE_WIDTH_PX)
    return bytes(image.jpegsave_buffer(Q=85, keep="icc"))
