"""Takes: four different answers to a look, one of them picked, and what the shot says of it."""

import struct

import numpy as np
from live_server import hear, say, see, unpack

from camera_nano.files import shared_decoder
from camera_nano.live.takes import spread


def test_the_values_furthest_apart_are_taken_and_the_first_one_always():
    assert spread([0.0, 0.1, -2.0, 1.0, 0.05], 3) == [0, 2, 3]
    assert spread([1.0, 1.0], 4) == [0, 1]


def test_takes_differ_and_the_picked_one_stays_until_released(live):
    session, frame = live.session, live.session.ring.latest()
    takes = session.takes(frame.id, "golden")
    assert len({take.seed for take in takes}) == 4 and [take.ev for take in takes] == sorted(take.ev for take in takes)
    assert [take.seed for take in takes if take.is_now] == [0]
    assert takes[-1].ev - takes[0].ev > 0.1  # in exposure first
    again = session.takes(frame.id, "golden")
    assert all(np.array_equal(one.pixels, other.pixels) for one, other in zip(takes, again, strict=True))
    others = session.takes(frame.id, "golden", turn=1)
    assert {take.seed for take in others} & {take.seed for take in takes} <= {0}
    socket = live.open()
    seed = takes[-1].seed if not takes[-1].is_now else takes[0].seed
    say(socket, "take", look="golden", seed=seed)
    assert [hear(socket, "status")["seeds"] for _ in range(2)] == [{}, {"golden": seed}]
    before = session.proposal()
    live.release()
    assert dict(session.wait_proposal(before.id, timeout_s=60).seeds) == {"golden": seed, "natural": 0}
    say(socket, "choose", look="golden")
    header, _ = see(socket, lambda header: header["look"] == "golden" and header["proposal_id"] > before.id)
    say(socket, "shoot", **{key: header[key] for key in ("frame_id", "proposal_id", "look", "strength")})
    path = session.album.out / hear(socket, "shot")["looks"]["golden"]
    assert shared_decoder().read_recipe(path).seed == seed
    say(socket, "take", look="golden", seed=None)
    while hear(socket, "status")["seeds"]:
        pass
    for bad in ({"look": "golden", "seed": -1}, {"look": "golden", "seed": 1 << 53}, {"look": "none", "seed": 1}):
        say(socket, "take", **bad)
        assert hear(socket, "error")


def test_takes_come_as_one_message(live):
    frame = live.session.ring.latest()
    answer = live.get(f"/api/takes/{frame.id}/golden?strength=0").read()
    header, pictures = unpack(answer)
    for take in header["takes"]:
        offset, length = take["jpeg"]
        assert pictures[offset : offset + 2] == b"\xff\xd8" and offset + length <= len(pictures)
        assert take["ev"] == 0  # at strength 0 all are the original
    assert struct.unpack(">I", answer[:4])[0] > 0
    for bad, status in (("none", 404), ("golden?turn=x", 400), ("golden?strength=much", 400)):
        assert live.get(f"/api/takes/{frame.id}/{bad}").status == status
