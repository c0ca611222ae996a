"""A view: one binary message with the picture a page asked for and, when they are new, the looks' small pictures.

A page that draws looks itself gets the frame and, when they are new, the looks' fields instead.

It is the length of the header (4 bytes, big-endian), the header (JSON), then JPEGs and fields at the offsets it names.
"""

from __future__ import annotations

import asyncio
import json
import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import simplejpeg

from camera_nano.live import Proposal
from camera_nano.values import EditField, Frame, Pixels

Tiles = Mapping[str | None, bytes]  # JPEGs by look; None is the original
Fields = Mapping[str, bytes]  # by look: a field's grid in little-endian half floats, 16 KiB
VIEW_QUALITY = 85
# by a frame's mean code: looks of it are then as near to the saved ones as a look's own JPEG of `VIEW_QUALITY`
_FRAME_QUALITY = (0.125, 0.375), (97, VIEW_QUALITY)


def pack(header: dict[str, Any], parts: Sequence[bytes]) -> bytes:
    """Header, pictures and fields -> one binary message."""
    text = json.dumps(header, allow_nan=False).encode()
    return b"".join((struct.pack(">I", len(text)), text, *parts))


def jpeg(pixels: Pixels, quality: int = VIEW_QUALITY) -> bytes:
    """Pixels (H, W, 3) RGB uint8 -> JPEG, chroma at half the resolution."""
    return bytes(
        simplejpeg.encode_jpeg(
            np.ascontiguousarray(pixels),
            quality=quality,
            colorspace="RGB",
            colorsubsampling="420",
            fastdct=True,
        )
    )


def frame_quality(pixels: Pixels) -> int:
    """Of a frame's JPEG that looks are drawn of: dark frames will be lifted, and the JPEG's faults with them."""
    share = float(pixels[::16, ::16].mean()) / np.iinfo(pixels.dtype).max
    return round(float(np.interp(share, *_FRAME_QUALITY)))


def halves(field: EditField) -> bytes:
    """The grid as pages get it that draw looks themselves: 16 KiB of little-endian half floats."""
    return field.grid.astype("<f2").tobytes()


@dataclass(frozen=True, slots=True)
class Wish:
    """What a page wants to see."""

    look: str | None = None
    strength: float = 1.0
    is_comparing: bool = False
    is_split: bool = False
    draws: bool = False  # looks and tiles itself, of frames and fields


@dataclass(frozen=True, slots=True, eq=False)
class Prints:
    """The JPEGs of a view, each there once it is made; other pages that show the same have the very same ones."""

    look: str | None
    picture: asyncio.Future[bytes]
    before: asyncio.Future[bytes] | None  # the original of the same frame
    tiles: tuple[asyncio.Future[Tiles], ...] = ()
    fields: asyncio.Future[Fields] | None = None
    draws: bool = False  # the page draws looks of the picture itself


def age_ms(t_ns: int) -> int:
    """Milliseconds from the start of exposure to now."""
    return (time.monotonic_ns() - t_ns) // 1_000_000


async def pack_view(
    frame: Frame, proposal: Proposal | None, prints: Prints, strength: float, status: dict[str, Any] | None
) -> bytes:
    """The message of a view, once its pictures are made."""
    # shielded: a page that leaves does not take a picture from others
    jpegs = [await asyncio.shield(prints.picture)]
    header: dict[str, Any] = {
        "type": "view",
        "frame_id": frame.id,
        "proposal_id": proposal.id if proposal else None,
        "look": prints.look,
        "strength": strength,
        "draws": prints.draws,
        "exposed_ev": proposal.merged_ev or 0.0 if proposal and prints.draws else 0.0,
        "jpeg": [0, len(jpegs[0])],
    }
    if prints.before is not None:
        jpegs.append(await asyncio.shield(prints.before))
        header["before"] = [len(jpegs[0]), len(jpegs[1])]
    if proposal is not None and prints.tiles:
        made = [await asyncio.shield(tiles) for tiles in prints.tiles]
        header["tiles"] = _add_tiles(frame, proposal, {k: v for tiles in made for k, v in tiles.items()}, jpegs)
    if proposal is not None and prints.fields is not None:
        header["fields"] = _add_fields(proposal, await asyncio.shield(prints.fields), jpegs)
    if status is not None:
        header["status"] = status
    header["age_ms"] = age_ms(frame.t_ns)  # measured last, so that it includes rendering and encoding
    header["tile_ages"] = {name: age_ms(proposal.t_ns) for name in proposal.fields} if proposal else {}
    return pack(header, jpegs)


def _add_tiles(frame: Frame, proposal: Proposal, tiles: Tiles, parts: list[bytes]) -> list[dict[str, Any]]:
    """Append the tiles to `parts`; returns where each is."""
    places = []
    for look, data in tiles.items():
        of = frame if look is None else proposal
        made = {"frame_id": frame.id if look is None else proposal.frame_id, "age_ms": age_ms(of.t_ns)}
        places.append({"look": look, **made, **_add(data, parts)})
    return places


def _add_fields(proposal: Proposal, fields: Fields, parts: list[bytes]) -> list[dict[str, Any]]:
    """Append the fields to `parts`; returns where each is, its white, and the controls that it was made for."""

    def told(look: str) -> dict[str, Any]:
        controls = proposal.looks[look].named_controls()
        return {"look": look, "white_ev": proposal.fields[look].white_ev, "controls": controls}

    return [told(look) | _add(data, parts) for look, data in fields.items()]


def _add(data: bytes, parts: list[bytes]) -> dict[str, int]:
    place = {"offset": sum(map(len, parts)), "length": len(data)}
    parts.append(data)
    return place
