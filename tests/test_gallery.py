"""The session's shots over HTTP, and the moments around a press."""

import io
import json

import numpy as np
import pytest
from live_server import hear, say, see
from PIL import Image

from camera_nano.gainmap import draw
from camera_nano.render import render
from camera_nano.ultrahdr import read_gainmap


@pytest.fixture
def shot(live):
    """A shot of golden, as its page was told."""
    socket = live.open()
    say(socket, "choose", look="golden")
    header, _ = see(socket, lambda header: header["look"] == "golden")
    say(socket, "shoot", **{key: header[key] for key in ("frame_id", "proposal_id", "look", "strength")})
    return hear(socket, "shot")


def test_shots_are_listed_shown_and_downloaded(live, shot):
    assert shot["exact"] and shot["shot_id"] == 1
    [listed] = json.loads(live.get("/api/shots").read())
    assert {part["part"]: part["name"] for part in listed["parts"]} == {
        "original": shot["original"],
        "golden": shot["looks"]["golden"],
    }
    for part in listed["parts"]:
        on_disk = (live.session.album.out / part["name"]).read_bytes()
        answer = live.get(f"/api/shots/1/{part['part']}")
        assert answer.read() == on_disk and len(on_disk) == part["bytes"]
        assert f'attachment; filename="{part["name"]}"' in answer.headers["content-disposition"]
        shown = live.get(f"/api/shots/1/{part['part']}?inline=1")
        assert shown.headers["content-disposition"].startswith("inline")
        small = Image.open(io.BytesIO(live.get(f"/api/shots/1/{part['part']}/thumb").read()))
        assert small.format == "JPEG" and small.width == 400


def test_what_is_not_a_shot_is_not_found(live, shot):
    (live.session.album.out / "secret.txt").write_text("not a shot")
    for path in (
        "/api/shots/2/original",
        "/api/shots/1/hdr",
        "/api/shots/1/secret.txt",
        "/api/shots/1/..%2fsecret.txt",
        "/api/shots/1/%2e%2e/thumb",
        "/api/shots/-1/original",
        "/api/shots/1/original%00",
        "/api/moments/999.jpg",
    ):
        assert live.get(path).status == 404, path
    assert live.get("/api/shots/1/original").status == 200


def test_delete_removes_the_files_and_nothing_by_get(live, shot):
    assert live.get("/api/shots/1").status == 405
    assert len(list(live.session.album.out.iterdir())) == 2
    assert live.get("/api/shots/1", "DELETE").status == 204
    assert list(live.session.album.out.iterdir()) == [] and json.loads(live.get("/api/shots").read()) == []
    assert live.get("/api/shots/1", "DELETE").status == 404


def test_a_moment_beside_the_press_can_be_taken(live, shot):
    live.release(10)  # the ring has moved on
    [moment] = shot["moments"]
    assert moment["frame_id"] != shot["frame_id"]
    assert Image.open(io.BytesIO(live.get(f"/api/moments/{moment['frame_id']}.jpg").read())).width == 400
    socket = live.open()
    say(socket, "shoot", frame_id=moment["frame_id"], proposal_id=None, look=None, strength=1)
    taken = hear(socket, "shot")
    assert taken["exact"] and taken["frame_id"] == moment["frame_id"]
    expected = np.roll(live.session.source.photo, moment["frame_id"] * 8, axis=1)
    assert np.array_equal(np.asarray(Image.open(live.session.album.out / taken["original"])), expected)


def test_a_frame_long_gone_is_owned_up_to(live):
    live.release(20)
    socket = live.open()
    say(socket, "shoot", frame_id=0, proposal_id=None, look=None, strength=1)
    shot = hear(socket, "shot")
    assert not shot["exact"] and shot["frame_id"] > 0


def test_a_look_can_be_seen_in_high_dynamic_range(live):
    frame, proposal = live.session.ring.latest(), live.session.proposal()
    field = proposal.fields["golden"]
    path = f"/api/hdr/{frame.id}/{proposal.id}/golden.jpg"
    data = live.get(path).read()
    shown = np.asarray(Image.open(io.BytesIO(data))).astype(int)
    assert abs(shown - render(frame.pixels, field)).mean() < 3
    gain, drawn = read_gainmap(data), draw(frame.pixels, field)
    assert (gain is None) == (drawn is None)
    assert drawn is None or abs(gain.headroom_ev - drawn.headroom_ev) < 0.01
    assert read_gainmap(live.get(path + "?strength=0").read()) is None
    assert live.get(path + "?strength=much").status == 400
    for gone in (f"/api/hdr/999/{proposal.id}/golden.jpg", f"/api/hdr/{frame.id}/{proposal.id}/none.jpg"):
        assert live.get(gone).status == 404
