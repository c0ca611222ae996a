"""Where the JPEGs of all pages are made: pages that show the same share one, made when the first of them asks for it.

A picture is there for as long as a page holds on to it, as each page does to those of its newest view: so there are
never more than the open pages show, also when a slider is dragged over a frame that stands still. A page that waits for
a picture holds no thread, and one that is slow to read holds up nobody. Everything here is called on the event loop.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Mapping
from functools import lru_cache, partial
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt

from camera_nano.color import STRIP_ROWS, srgb_eotf, srgb_oetf, to_8_bit
from camera_nano.light import shrink
from camera_nano.light.render import render
from camera_nano.live import TILE_WIDTH_PX, FrameRing, Proposal, filled_view
from camera_nano.merge import Filled
from camera_nano.values import EditField, Frame, Pixels
from camera_nano.web.view import VIEW_QUALITY, Fields, Prints, Tiles, Wish, frame_quality, halves, jpeg

_VIEW_WIDTH_PX = 1280
_TILE_QUALITY = 80
_RENDER_THREADS = max(1, min(4, (os.cpu_count() or 1) - 1))  # one core is left to the model
_WAIT_S = 0.1  # for a frame; with a slow camera, a choice is on the screen that much later
_T = TypeVar("_T")


class Darkroom:
    """The pictures that pages show of the frames in a ring, each made once."""

    def __init__(self, ring: FrameRing) -> None:
        self._ring = ring
        self._made = WeakValueDictionary[tuple[object, ...], asyncio.Future[Any]]()
        self._waiting: asyncio.Future[Frame | None] | None = None
        self._n_views = self._n_tiles = 0

    @property
    def encoded(self) -> dict[str, int]:
        """How many JPEGs were made so far, for JSON."""
        return {"views": self._n_views, "tiles": self._n_tiles}

    async def newer(self, frame_id: int) -> Frame | None:
        """The newest frame once its id is above `frame_id`; None after a tenth of a second without one."""
        frame = self._ring.latest()
        if frame is None or frame.id <= frame_id:
            if self._waiting is None:
                self._waiting = asyncio.create_task(self._wait_newer(frame_id))
            frame = await asyncio.shield(self._waiting)  # one thread waits for all pages
        return frame if frame is not None and frame.id > frame_id else None

    async def _wait_newer(self, frame_id: int) -> Frame | None:
        started_s = time.monotonic()
        try:
            frame = await asyncio.to_thread(self._ring.wait_newer, frame_id, _WAIT_S)
            if frame is None:  # the ring of a lost camera does not wait, and pages that ask again at once must rest
                await asyncio.sleep(max(0.0, _WAIT_S - (time.monotonic() - started_s)))
            return frame
        finally:
            self._waiting = None  # which would keep a frame when no page is left

    def prints(self, frame: Frame, proposal: Proposal | None, wish: Wish, *, with_tiles: bool) -> Prints:
        """Have the pictures made that a page wants to see of a frame, unless another page has them."""
        if wish.draws:
            ev = proposal.merged_ev if proposal else None
            picture, fields = self._shared(("frame", frame.id, ev), partial(self._frame, frame, ev)), None
            if proposal is not None and with_tiles:
                fields = self._shared(("fields", proposal.id), partial(_halves, proposal.fields))
            return Prints(None, picture, None, fields=fields, draws=True)
        tiles = self._tiles(frame, proposal) if proposal is not None and with_tiles else ()
        field = None if proposal is None or wish.look is None else proposal.fields.get(wish.look)
        if proposal is None or field is None or wish.is_comparing:
            return Prints(None, self.original(frame), None, tiles)
        key = "view", frame.id, proposal.id, wish.look, wish.strength
        if proposal.merged_ev is not None and wish.strength:
            make = partial(self._merged, frame, field * wish.strength, proposal.merged_ev * wish.strength)
        else:
            make = partial(self._view, frame, field, wish.strength)
        picture = self._shared(key, make)
        return Prints(wish.look, picture, self.original(frame) if wish.is_split else None, tiles)

    def original(self, frame: Frame) -> asyncio.Future[bytes]:
        """The camera's picture as a JPEG."""
        return self._shared(("view", frame.id), partial(self._view, frame))

    def _tiles(self, frame: Frame, proposal: Proposal) -> tuple[asyncio.Future[Tiles], ...]:
        """The small pictures of the original, by None, and of every look, by its name."""
        return (
            self._shared(("tile", frame.id), partial(self._small, {None: frame.pixels})),
            self._shared(("tiles", proposal.id), partial(self._small, proposal.tiles)),
        )

    def _shared(self, key: tuple[object, ...], make: Callable[[], Coroutine[Any, Any, _T]]) -> asyncio.Future[_T]:
        made = self._made.get(key)
        if made is None:
            self._made[key] = made = asyncio.create_task(make())
        return made

    async def _frame(self, frame: Frame, ev: float | None) -> bytes:
        if ev is None:
            return await self._view(frame, quality=frame_quality(frame.pixels))
        self._n_views += 1
        filled = await self._filled(frame)

        def drawn() -> bytes:
            exposed = filled.expose(ev, threads=_RENDER_THREADS)
            codes = np.empty(exposed.shape, np.uint8)
            for first in range(0, len(codes), STRIP_ROWS):  # at once its indices would take 22 MB
                codes[first : first + STRIP_ROWS] = _spread(ev)[exposed[first : first + STRIP_ROWS]]
            # its steps count as many times as the codes reach above white
            return jpeg(codes, round(100 - (100 - frame_quality(codes)) / float(srgb_oetf(2.0**-ev))))

        return await asyncio.to_thread(drawn)

    async def _view(
        self, frame: Frame, field: EditField | None = None, strength: float = 1.0, quality: int = VIEW_QUALITY
    ) -> bytes:
        self._n_views += 1
        pixels = frame.pixels
        if pixels.shape[1] > _VIEW_WIDTH_PX:  # which may take longer than a look, and is the same for all looks
            make = partial(asyncio.to_thread, shrink, pixels, _VIEW_WIDTH_PX)
            pixels = await self._shared(("pixels", frame.id), make)
        return await asyncio.to_thread(_drawn, pixels, field, strength, quality)

    async def _merged(self, frame: Frame, field: EditField, ev: float) -> bytes:
        self._n_views += 1
        filled = await self._filled(frame)

        def drawn() -> bytes:
            exposed = filled.expose(ev, threads=_RENDER_THREADS)
            return jpeg(to_8_bit(render(exposed, field, threads=_RENDER_THREADS, out=exposed)))

        return await asyncio.to_thread(drawn)

    def _filled(self, frame: Frame) -> asyncio.Future[Filled]:
        make = partial(asyncio.to_thread, filled_view, self._ring, frame, _VIEW_WIDTH_PX)
        return self._shared(("filled", frame.id), make)

    async def _small(self, pictures: Mapping[Any, Pixels]) -> Tiles:
        self._n_tiles += len(pictures)
        return await asyncio.to_thread(_small_ones, pictures)


def _drawn(pixels: Pixels, field: EditField | None, strength: float, quality: int = VIEW_QUALITY) -> bytes:
    pixels = shrink(pixels, _VIEW_WIDTH_PX)
    made = pixels if field is None else render(pixels, field * strength, threads=_RENDER_THREADS)
    return jpeg(to_8_bit(made), quality)


@lru_cache(maxsize=4)
def _spread(ev: float) -> npt.NDArray[np.uint8]:
    """16-bit codes at an exposure of `ev` -> 8-bit ones, as `light.js` reads them: of sRGB's curve, gone on above 1.

    They keep their steps in the shadows, which those of the exposure would lose.
    """
    light = srgb_eotf(np.arange(65536) / 65535) * 2.0**-ev
    return np.rint(255 * srgb_oetf(light) / srgb_oetf(2.0**-ev)).astype(np.uint8)


async def _halves(fields: Mapping[str, EditField]) -> Fields:
    return {look: halves(field) for look, field in fields.items()}


def _small_ones(pictures: Mapping[Any, Pixels]) -> Tiles:
    return {name: jpeg(shrink(pixels, TILE_WIDTH_PX), _TILE_QUALITY) for name, pixels in pictures.items()}
