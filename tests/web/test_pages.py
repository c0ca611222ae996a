"""Many pages at once: what they share, and that none is held up by another."""

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from live_server import LOOKS, hear, say, see

from camera_nano.light.render import render
from camera_nano.live import FrameRing, Proposal
from camera_nano.values import EditField, Frame, Look
from camera_nano.web.board import Board
from camera_nano.web.darkroom import Darkroom
from camera_nano.web.view import Wish, pack_view

N_PAGES = 16
GOLDEN = Wish("golden")


def encoded(live):
    return json.loads(live.get("/api/status").read())["encoded"]


def next_views(live, pages):
    """All pages draw the next frame, once its looks are there; their pictures, and how many were made for them."""
    before = encoded(live)
    live.propose()
    for page in pages:
        say(page, "ready")
    newest = live.session.ring.latest().id
    drawn = [see(page, lambda header: header["frame_id"] == newest) for page in pages]
    return drawn, {kind: n - before[kind] for kind, n in encoded(live).items()}


def look_at(page, look):
    say(page, "choose", look=look)
    say(page, "ready")
    see(page, lambda header: header["look"] == look)


@pytest.fixture
def pages(live):
    pages = [live.open() for _ in range(N_PAGES)]
    for page in pages:
        # not acknowledged: a page that has said "ready" once too often would draw the next one early
        hear(page, "view")
        look_at(page, "golden")
    return pages


@pytest.mark.slow
def test_pages_that_show_the_same_share_one_encoding(live, pages):
    n_tiles = 1 + len(live.session.proposal().fields)
    for _ in range(2):
        drawn, made = next_views(live, pages)
        assert made == {"views": 1, "tiles": n_tiles}
        assert len({picture for _, picture in drawn}) == 1


@pytest.mark.slow
def test_another_look_strength_or_split_has_its_own(live, pages):
    look_at(pages[0], "natural")
    drawn, made = next_views(live, pages)
    assert made["views"] == 2 and len({picture for _, picture in drawn}) == 2
    look_at(pages[1], None)
    assert next_views(live, pages)[1]["views"] == 3
    say(pages[2], "split", on=True)  # whose other half the page with the original has, too
    say(pages[3], "strength", value=0.5)
    assert next_views(live, pages)[1]["views"] == 4


@pytest.mark.slow
def test_pages_that_draw_share_one_encoding_and_nothing_is_rendered(live, pages, monkeypatch):
    rendered = []
    for module in ("web.darkroom", "live.proposals"):
        monkeypatch.setattr(
            f"camera_nano.{module}.render", lambda *args, **options: rendered.append(args) or render(*args, **options)
        )
    for number, page in enumerate(pages):
        say(page, "choose", look=LOOKS[number % 2])
        say(page, "strength", value=number / N_PAGES)
        say(page, "split", on=bool(number % 3))
        say(page, "draw", on=True)
        say(page, "ready")
        see(page, lambda header: header["draws"])
    rendered.clear()
    for _ in range(2):
        drawn, made = next_views(live, pages)
        assert made == {"views": 1, "tiles": 0} and len({picture for _, picture in drawn}) == 1
    assert not rendered
    say(pages[0], "draw", on=False)  # the count does count
    assert next_views(live, pages)[1]["views"] == 2 and len(rendered) == 1 + len(LOOKS)


def test_plain_pictures_are_those_of_a_page(live):
    before, page = encoded(live)["views"], live.open()
    hear(page, "view")
    answer = live.get("/stream.mjpg")
    assert answer.readline() and b"image/jpeg" in answer.readline()
    assert encoded(live)["views"] == before + 1


def test_a_page_that_shoots_and_never_waits_is_told(live):
    page, busy = live.open(), threading.Event()
    live.session.album._saver.submit(busy.wait, 60)
    for _ in range(17):
        say(page, "shoot", frame_id=1, proposal_id=None, look=None, strength=1)
    error = hear(page, "error")
    assert "wait for one" in error["message"] and error["asked_frame_id"] == 1
    busy.set()
    assert {hear(page, "shot")["shot_id"] for _ in range(16)} == set(range(1, 17))


def in_darkroom(test):
    """Run an async function with a darkroom, a frame and a proposal."""
    frame = Frame(np.zeros((8, 8, 3), np.uint8), id=5)
    ring = FrameRing()
    ring.push(frame)
    look = Look("golden")
    proposal = Proposal(1, 5, 0, {look.name: EditField.identity()}, {look.name: frame.pixels}, {look.name: look})
    with ThreadPoolExecutor(1) as pool:  # the thread of the tests has the browser's event loop
        pool.submit(asyncio.run, test(Darkroom(ring), frame, proposal)).result()


def test_a_picture_is_let_go_when_no_page_shows_it():
    async def test(darkroom, frame, proposal):
        one, other = (darkroom.prints(frame, proposal, GOLDEN, with_tiles=True) for _ in range(2))
        view = await pack_view(frame, proposal, one, 1.0, None)
        assert len(view) and darkroom.encoded == {"views": 1, "tiles": 2}
        del one
        late = darkroom.prints(frame, proposal, GOLDEN, with_tiles=True)  # the other page still has them
        assert late.picture is other.picture and darkroom.encoded == {"views": 1, "tiles": 2}
        del other, late
        for strength in np.linspace(0, 0.9, 20):  # a slider over a frame that stands still
            await darkroom.prints(frame, proposal, Wish("golden", float(strength)), with_tiles=False).picture
        again = darkroom.prints(frame, proposal, GOLDEN, with_tiles=True)
        await pack_view(frame, proposal, again, 1.0, None)
        assert darkroom.encoded == {"views": 22, "tiles": 4}

    in_darkroom(test)


def test_a_page_that_leaves_takes_no_picture_from_others():
    async def test(darkroom, frame, proposal):
        one, other = (darkroom.prints(frame, proposal, GOLDEN, with_tiles=False) for _ in range(2))
        leaving = asyncio.create_task(pack_view(frame, proposal, one, 1.0, None))
        staying = asyncio.create_task(pack_view(frame, proposal, other, 1.0, None))
        await asyncio.sleep(0)  # both have asked
        leaving.cancel()
        assert await staying and leaving.cancelled() and darkroom.encoded["views"] == 1

    in_darkroom(test)


def test_pages_that_wait_for_a_frame_get_the_same_and_no_older_one():
    async def test(darkroom, frame, proposal):
        assert await darkroom.newer(4) is frame
        waiting = [asyncio.create_task(darkroom.newer(5)) for _ in range(40)]  # more than there are threads
        await asyncio.sleep(0)
        darkroom._ring.push(new := Frame(frame.pixels, id=6))
        assert await asyncio.gather(*waiting) == [new] * 40
        assert await darkroom.newer(6) is None

    in_darkroom(test)


def test_pages_that_ask_for_the_status_share_one_until_somebody_acts():
    class Counting:
        n = 0

        def status(self):
            self.n += 1
            return {"n": self.n}

    async def scenario():
        board = Board(Counting())
        assert await asyncio.gather(*(board.status() for _ in range(N_PAGES))) == [{"n": 1}] * N_PAGES
        board.wipe()
        return await asyncio.gather(*(board.status() for _ in range(2)))

    with ThreadPoolExecutor(1) as pool:  # as in `in_darkroom`
        assert pool.submit(asyncio.run, scenario()).result() == [{"n": 2}] * 2
