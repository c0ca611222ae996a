"""A view on the wire: one binary message with the picture a page asked for, and the looks' small ones now and then.

It is a 4-byte big-endian length, a JSON header of that length, then the JPEGs the header points into.
"""

from __future__ import annotations

import json
import os
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import simplejpeg

from camera_nano.conditioning import shrink
from camera_nano.render import render
from camera_nano.session import TILE_WIDTH_PX, Proposal
from camera_nano.values import Frame, Pixels

VIEW_WIDTH_PX = 1280
_VIEW_QUALITY = 85
_TILE_QUALITY = 80
_RENDER_THREADS = max(1, min(4, (os.cpu_count() or 1) - 1))  # one core is left to the model


def pack(header: dict[str, Any], jpegs: Sequence[bytes]) -> bytes:
    """Header and pictures -> one binary message."""
    text = json.dumps(header, allow_nan=False).encode()
    return b"".join((struct.pack(">I", len(text)), text, *jpegs))


def jpeg(pixels: Pixels, quality: int = _VIEW_QUALITY) -> bytes:
    """Pixels (H, W, 3) RGB uint8 -> JPEG with halved chroma."""
    return bytes(
        simplejpeg.encode_jpeg(
            np.ascontiguousarray(pixels),
            quality=quality,
            colorspace="RGB",
            colorsubsampling="420",
            fastdct=True,
        )
    )


@dataclass(frozen=True, slots=True)
class Wish:
    """What a page asks to see."""

    look: str | None = None
    strength: float = 1.0
    is_comparing: bool = False
    is_split: bool = False


def age_ms(t_ns: int) -> int:
    """Milliseconds from the start of exposure to now."""
    return (time.monotonic_ns() - t_ns) // 1_000_000


def make_view(
    frame: Frame, proposal: Proposal | None, wish: Wish, *, with_tiles: bool, status: dict[str, Any] | None
) -> bytes:
    """Render and encode what is asked of a frame. Takes milliseconds: never on the event loop."""
    look = None if wish.is_comparing or proposal is None or wish.look not in proposal.fields else wish.look
    before = picture = shrink(frame.pixels, VIEW_WIDTH_PX)
    if look is not None and proposal is not None:
        picture = render(picture, proposal.fields[look] * wish.strength, threads=_RENDER_THREADS)
    jpegs = [jpeg(picture)]
    header: dict[str, Any] = {
        "type": "view",
        "frame_id": frame.id,
        "proposal_id": proposal.id if proposal else None,
        "look": look,
        "strength": wish.strength,
        "jpeg": [0, len(jpegs[0])],
    }
    if wish.is_split and look is not None:
        jpegs.append(jpeg(before))
        header["before"] = [len(jpegs[0]), len(jpegs[1])]
    if proposal is not None and with_tiles:
        header["tiles"] = _add_tiles(frame, proposal, jpegs)
    if status is not None:
        header["status"] = status
    header["age_ms"] = age_ms(frame.t_ns)  # last: rendering and encoding are part of it
    header["tile_ages"] = {name: age_ms(proposal.t_ns) for name in proposal.fields} if proposal else {}
    return pack(header, jpegs)


def _add_tiles(frame: Frame, proposal: Proposal, jpegs: list[bytes]) -> list[dict[str, Any]]:
    """Encode the original (look null) and every look's tile onto `jpegs`; where each lies."""
    pictures: list[tuple[str | None, Pixels, int, int]] = [
        (None, shrink(frame.pixels, TILE_WIDTH_PX), frame.id, frame.t_ns)
    ]
    pictures += [(name, tile, proposal.frame_id, proposal.t_ns) for name, tile in proposal.tiles.items()]
    offset, tiles = sum(map(len, jpegs)), []
    for name, pixels, frame_id, t_ns in pictures:
        data = jpeg(pixels, _TILE_QUALITY)
        place = {"offset": offset, "length": len(data)}
        tiles.append({"look": name, "frame_id": frame_id, "age_ms": age_ms(t_ns), **place})
        jpegs.append(data)
        offset += len(data)
    return tiles
