"""The session's shots over HTTP, and the moments around a press."""

import gc
import io
import json
import tracemalloc
import zipfile

import numpy as np
import pytest
from live_server import hear, say, see
from PIL import Image

from camera_nano.files.ultrahdr import read_gainmap
from camera_nano.light.headroom import draw_gain_map
from camera_nano.light.render import render
from camera_nano.web.pairing import COOKIE, Pairing


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


@pytest.mark.slow
def test_no_frame_is_kept_of_a_shot_or_for_a_page_that_has_gone(live):
    """The frames around the last press are: two or three more or less of them do not count."""

    def kept_bytes(n):
        for _ in range(n):
            live.propose()
            socket = live.open()
            header, _ = see(socket, lambda header: header["proposal_id"] is not None)
            say(socket, "shoot", **{key: header[key] for key in ("frame_id", "proposal_id", "look", "strength")})
            number = hear(socket, "shot")["shot_id"]
            for path in (
                f"shots/{number}/original/thumb",
                f"moments/{header['frame_id']}.jpg",
                "shots?most=5",
                "status",
            ):
                assert live.get(f"/api/{path}").read()
            live.opened.pop_all().close()
        gc.collect()
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        warm_bytes = kept_bytes(20)
        assert kept_bytes(20) - warm_bytes < 20 * live.session.source.photo.nbytes / 4
    finally:
        tracemalloc.stop()


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
    gain, drawn = read_gainmap(data), draw_gain_map(frame.pixels, field)
    assert (gain is None) == (drawn is None)
    assert drawn is None or abs(gain.headroom_ev - drawn.headroom_ev) < 0.01
    assert read_gainmap(live.get(path + "?strength=0").read()) is None
    assert live.get(path + "?strength=much").status == 400
    for gone in (f"/api/hdr/999/{proposal.id}/golden.jpg", f"/api/hdr/{frame.id}/{proposal.id}/none.jpg"):
        assert live.get(gone).status == 404


def write_shot(folder, stem, look="golden", size=(40, 30)):
    """The files of a shot of an earlier run."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, format in ((f"{stem}_original.png", "png"), (f"{stem}_{look}.jpg", "jpeg")):
        Image.new("RGB", size, "orange").save(folder / name, format)


def test_shots_of_earlier_runs_are_listed_after_those_of_this_one(live, shot):
    out = live.session.album.out
    write_shot(out, "20200102-030405-678")
    write_shot(out, "20200102-030405-678-2", "hdr", size=(600, 400))
    write_shot(out, "20190102-030405-678")
    for stray in ("20200102-030405-679_golden.jpg", "20209902-030405-678_original.png", "notes_original.png"):
        (out / stray).write_bytes(b"no shot")
    (out / "20180102-030405-678_original.png").symlink_to("/etc/passwd")
    first, *earlier = json.loads(live.get("/api/shots").read())
    assert first["id"] == shot["shot_id"]
    assert [[part["name"] for part in each["parts"]] for each in earlier] == [
        ["20200102-030405-678-2_original.png", "20200102-030405-678-2_hdr.jpg"],
        ["20200102-030405-678_original.png", "20200102-030405-678_golden.jpg"],
        ["20190102-030405-678_original.png", "20190102-030405-678_golden.jpg"],
    ]
    assert [each["taken_at"][:19] for each in earlier[1:]] == ["2020-01-02T03:04:05", "2019-01-02T03:04:05"]
    number = earlier[0]["id"]
    assert live.get(f"/api/shots/{number}/hdr").read() == (out / "20200102-030405-678-2_hdr.jpg").read_bytes()
    assert Image.open(io.BytesIO(live.get(f"/api/shots/{number}/hdr/thumb").read())).width == 400
    assert [each["id"] for each in json.loads(live.get("/api/shots?most=1").read())] == [1]
    assert live.get(f"/api/shots/{number}", "DELETE").status == 204
    assert not list(out.glob("20200102-030405-678-2*")) and len(list(out.glob("20200102-030405-678_*"))) == 2


def test_a_file_that_only_looks_like_a_shot_is_read_behind_the_wall(live):
    out = live.session.album.out
    out.mkdir(parents=True)
    (out / "20200102-030405-678_original.png").write_bytes(b"\x89PNG\r\n\x1a\nno picture")
    [listed] = json.loads(live.get("/api/shots").read())
    assert live.get(f"/api/shots/{listed['id']}/original/thumb").status == 404


def test_many_shots_are_one_zip_file(live, shot):
    out = live.session.album.out
    write_shot(out, "20200102-030405-678")
    ids = [each["id"] for each in json.loads(live.get("/api/shots").read())]
    answer = live.get("/api/shots.zip?" + "&".join(f"id={number}" for number in ids))
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.read())) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == {
            p.name: p.read_bytes() for p in out.iterdir()
        }
    for bad, status in (("", 400), ("?id=x", 400), ("?id=-1", 400), ("?id=77", 404), (f"?{'&id=1' * 1001}", 400)):
        assert live.get(f"/api/shots.zip{bad}").status == status, bad


def test_a_code_opens_one_picture_on_a_phone_that_is_not_paired(start_live):
    pairing = Pairing()
    live = start_live(pairing=pairing, pairs_local=True, reached_at="http://192.0.2.7:8000/")
    write_shot(live.session.album.out, "20200102-030405-678")
    key = f"{COOKIE}={pairing.redeem(pairing.code)}"
    [listed] = json.loads(live.get("/api/shots", cookie=key).read())
    path = f"/api/shots/{listed['id']}/golden"
    answer = live.get(f"{path}/qr", "POST", cookie=key, content_length="0")
    assert answer.read().startswith(b"<?xml") and answer.headers["content-type"].startswith("image/svg")
    address = answer.headers["x-opens"]
    assert address.startswith("http://192.0.2.7:8000/take/")
    ticket = address.removeprefix("http://192.0.2.7:8000")
    assert live.get(ticket).read() == (live.session.album.out / "20200102-030405-678_golden.jpg").read_bytes()
    assert live.get(path).status == 401 and live.get(f"{path}/qr", "POST", content_length="0").status == 401
    assert live.get(f"{ticket[:-1]}_").status == 404 and live.get("/take/../api/shots").status in (401, 404)


def test_where_no_phone_can_reach_the_page_it_says_so(live, shot):
    answer = live.get("/api/shots/1/golden/qr", "POST", content_length="0")
    assert answer.status == 409 and b"start it with --lan" in answer.read()
