"""The live page over a real server, with the shipped model; the camera is played back."""

import errno
import http.client
import io
import json
import re
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from limited import Process
from live_server import LOOKS, hear, say, see, unpack
from PIL import Image
from playback import Playback
from skimage.color import deltaE_ciede2000, rgb2lab
from test_album import wait_for
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

import camera_nano.web
from camera_nano import open_image
from camera_nano.color import srgb_eotf, srgb_oetf
from camera_nano.files.encode import encode
from camera_nano.files.marking import read_recipe
from camera_nano.light.enhance import relight
from camera_nano.light.render import render
from camera_nano.light.resize import shrink
from camera_nano.live.session import Session
from camera_nano.sources.browser import BrowserCamera
from camera_nano.sources.demo import DemoCamera
from camera_nano.values import CONTROLS
from camera_nano.web.server import bind, serve
from camera_nano.web.view import jpeg, pack

STATIC = Path(camera_nano.web.__file__).parent / "static"


def pixels_of(jpeg):
    return np.asarray(Image.open(io.BytesIO(jpeg)))


def test_status_for_scripts(live):
    status = json.loads(live.get("/api/status").read())
    assert status["source"] == "playback" and status["camera"] == "live" and status["model"] == "ready"


def test_a_view_is_a_header_and_the_pictures_it_points_into(live):
    header, pictures = hear(live.open(), "view")
    frame, proposal = live.session.ring.latest(), live.session.proposal()
    assert (header["frame_id"], header["proposal_id"], header["look"]) == (frame.id, proposal.id, None)
    assert header["age_ms"] > 0 and set(header["tile_ages"]) == set(LOOKS)
    offset, length = header["jpeg"]
    assert pictures[offset : offset + length] == jpeg(frame.pixels, 85)
    assert [tile["look"] for tile in header["tiles"]] == [None, *LOOKS]
    end = length
    for tile in header["tiles"]:
        assert tile["offset"] == end
        end += tile["length"]
        picture = simplejpeg.decode_jpeg(pictures[tile["offset"] : end])
        assert picture.shape == (400, 400, 3)
    assert end == len(pictures)
    assert unpack(pack({"a": "ü"}, [b"12", b"3"])) == ({"a": "ü"}, b"123")


@pytest.mark.slow
def test_no_view_before_the_last_is_drawn_then_the_newest(live):
    socket = live.open()
    first, _ = hear(socket, "view")
    live.release(5)
    newest = first["frame_id"] + 5
    while (made := live.session.proposal()).frame_id != newest:  # its small pictures would come in a view of their own
        assert live.session.wait_proposal(made.id, timeout_s=60)
    statuses = 0
    while statuses < 2:  # seconds, in which nothing else may come
        message = socket.recv(timeout=60)
        assert isinstance(message, str)
        statuses += json.loads(message)["type"] == "status"
    say(socket, "ready")
    assert hear(socket, "view")[0]["frame_id"] == newest
    say(socket, "ready")
    say(socket, "ready")  # credit does not add up
    live.release()
    assert hear(socket, "view")[0]["frame_id"] == newest + 1


def test_a_page_that_never_answers_does_not_slow_another(live):
    silent, eager = live.open(), live.open()
    hear(silent, "view")
    see(eager, lambda header: True)
    for _ in range(5):
        live.release()
        newest = live.session.ring.latest().id
        say(eager, "ready")
        see(eager, lambda header, newest=newest: header["frame_id"] == newest)


def test_tiles_come_once_per_proposal(live):
    socket = live.open()
    header, _ = hear(socket, "view")
    assert header["tiles"]
    proposal = live.session.proposal()
    say(socket, "ready")
    say(socket, "strength", value=0.5)  # the same frame and proposal, drawn anew
    header, _ = hear(socket, "view")
    assert header["proposal_id"] == proposal.id and "tiles" not in header and header["tile_ages"]


def test_a_page_that_draws_gets_the_frame_and_new_fields(live):
    socket = live.open()
    see(socket, lambda header: True)
    say(socket, "choose", look="golden")
    for on, n in ((True, 2), (False, 0), (True, 2)):  # what it got in between is no field
        say(socket, "draw", on=on)
        say(socket, "ready")
        header, parts = hear(socket, "view")
        while header["draws"] is not on:
            say(socket, "ready")
            header, parts = hear(socket, "view")
        assert len(header.get("fields", ())) == n and bool(header.get("tiles")) is not on
    frame, proposal = live.session.ring.latest(), live.session.proposal()
    assert (header["frame_id"], header["proposal_id"], header["look"]) == (frame.id, proposal.id, None)
    picture = simplejpeg.decode_jpeg(parts[slice(*header["jpeg"])])
    assert abs(picture.astype(int) - frame.pixels).mean() < 4
    for place in header["fields"]:
        field = proposal.fields[place["look"]]
        grid = np.frombuffer(parts, "<f2", place["length"] // 2, place["offset"]).reshape(field.grid.shape)
        assert np.array_equal(grid, field.grid.astype(np.float16)) and tuple(place["white_ev"]) == field.white_ev
    say(socket, "ready")
    live.session.source.due.release()  # the next frame may come before its looks
    header, _ = hear(socket, "view")
    assert ("fields" in header) == (header["proposal_id"] > proposal.id)


def test_dark_frames_to_draw_from_keep_more(start_live, dark_photo):
    """What the JPEG loses is lifted with the dark."""
    live = start_live(source=Playback(dark_photo))
    live.release()
    socket = live.open()
    say(socket, "draw", on=True)
    say(socket, "ready")
    _, picture = see(socket, lambda header: header["draws"])
    assert len(picture) > 1.5 * len(jpeg(dark_photo, 85))


@pytest.mark.slow
def test_look_strength_and_compare(live):
    socket = live.open()
    see(socket, lambda header: True)
    frame, field = live.session.ring.latest(), live.session.proposal().fields["golden"]
    original = jpeg(frame.pixels, 85)
    shown = {
        ("golden", 1.0): [("choose", {"look": "golden"})],
        ("golden", 0.25): [("strength", {"value": 0.25})],
        (None, 0.25): [("compare", {"on": True})],
        ("golden", 0.0): [("compare", {"on": False}), ("strength", {"value": 0})],
        (None, 0.0): [("choose", {"look": None})],
    }
    for (look, strength), said in shown.items():
        for type_, values in said:
            say(socket, type_, **values)
        say(socket, "ready")
        header, picture = see(socket, lambda header, is_=(look, strength): (header["look"], header["strength"]) == is_)
        assert header["frame_id"] == frame.id
        if look and strength:
            assert picture == jpeg(render(frame.pixels, field * strength), 85) != original
        else:
            assert picture == original


BAD = [
    "",
    "no json",
    "[" * 60_000,
    "[]",
    "null",
    b"\x00",
    "{}",
    '{"type": ["ready"]}',
    '{"type": "format disk"}',
    '{"type": "choose"}',
    '{"type": "choose", "look": 3}',
    '{"type": "choose", "look": "../../etc"}',
    '{"type": "strength", "value": 1.01}',
    '{"type": "strength", "value": NaN}',
    '{"type": "strength", "value": true}',
    '{"type": "compare", "on": 1}',
    '{"type": "assume", "value": "a cat"}',
    '{"type": "assume", "value": ["auto"]}',
    '{"type": "shoot", "frame_id": -1, "proposal_id": null, "look": null, "strength": 1}',
    '{"type": "shoot", "frame_id": 1e400, "proposal_id": null, "look": null, "strength": 1}',
    '{"type": "shoot", "frame_id": 0, "proposal_id": 0, "look": "../x", "strength": 1}',
    '{"type": "shoot", "frame_id": 0, "proposal_id": 0, "look": null}',
]


def test_bad_messages_are_answered_and_do_no_harm(live):
    socket = live.open()
    hear(socket, "view")
    for message in BAD:
        socket.send(message)
        assert hear(socket, "error")["message"], message[:80]
    live.release()
    say(socket, "ready")
    hear(socket, "view")
    assert not live.session.album.out.exists()


def test_a_huge_message_ends_that_connection_only(live):
    socket, other = live.open(), live.open()
    socket.send("x" * (64 * 1024 + 1))
    with pytest.raises(ConnectionClosed) as closed:
        while True:
            socket.recv(timeout=60)
    assert closed.value.rcvd.code == 1009
    hear(other, "view")


def test_the_shot_is_what_was_on_that_screen(live):
    socket = live.open()
    say(socket, "choose", look="golden")
    say(socket, "strength", value=0.5)
    shown, _ = see(socket, lambda header: header["look"] == "golden" and header["strength"] == 0.5)
    frame, proposal = live.session.ring.get(shown["frame_id"]), live.session.proposal(shown["proposal_id"])
    live.release(3)  # the world moves on before the press
    assert live.session.wait_proposal(proposal.id, timeout_s=60)
    say(socket, "shoot", **{key: shown[key] for key in ("frame_id", "proposal_id", "look", "strength")})
    shot = hear(socket, "shot")
    assert shot["frame_id"] == shot["asked_frame_id"] == frame.id and list(shot["looks"]) == ["golden"]
    assert "/" not in shot["original"] + shot["looks"]["golden"]
    out = live.session.album.out
    assert sorted(path.name for path in out.iterdir()) == sorted([shot["original"], shot["looks"]["golden"]])
    assert np.array_equal(np.asarray(Image.open(out / shot["original"])), frame.pixels)
    expected = encode(relight(frame.pixels, proposal.fields["golden"] * 0.5), format="jpeg", quality=95)
    assert np.array_equal(np.asarray(Image.open(out / shot["looks"]["golden"])), pixels_of(expected))


@pytest.mark.slow
def test_a_page_that_was_hidden_or_far_away_saves_what_it_showed(live):
    socket = live.open(max_queue=None)  # it answers pings though nobody reads, however long the loop below takes
    say(socket, "choose", look="golden")
    shown, _ = see(socket, lambda header: header["look"] == "golden")
    frame, proposal = live.session.ring.get(shown["frame_id"]), live.session.proposal(shown["proposal_id"])
    say(socket, "ready")  # one more view is on its way, which a hidden page does not draw
    live.release()
    hear(socket, "view")
    for _ in range(70):  # more than are kept
        live.propose()
    say(socket, "shoot", **{key: shown[key] for key in ("frame_id", "proposal_id", "look", "strength")})
    shot = hear(socket, "shot")
    assert shot["exact"] and shot["frame_id"] == frame.id
    saved = np.asarray(Image.open(live.session.album.out / shot["looks"]["golden"]))
    expected = encode(relight(frame.pixels, proposal.fields["golden"]), format="jpeg", quality=95)
    assert np.array_equal(saved, pixels_of(expected))


@pytest.mark.slow
def test_the_end_of_the_terminal_loses_no_shot(tmp_path):
    command = [sys.executable, "-m", "camera_nano", "live", "--source", "demo", "--port", "0", "--out", str(tmp_path)]
    with Process(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            address = next(match[1] for line in process.stderr if (match := re.search(r"http://([\d.:]+)/", line)))
            with connect(f"ws://{address}/ws", max_size=None, proxy=None) as page:
                header, _ = hear(page, "view")
                for _ in range(10):
                    say(page, "shoot", frame_id=header["frame_id"], proposal_id=None, look=None, strength=1)
                say(page, "strength", value=-1)
                hear(page, "error")  # the presses have been taken, and hardly one is saved
                process.send_signal(signal.SIGHUP)
                assert process.wait(60) == 0
        finally:
            process.kill()
    assert len(list(tmp_path.glob("*_original.png"))) == 10


def test_a_shot_at_strength_zero_is_the_original(live):
    socket = live.open()
    frame = live.session.ring.latest()
    say(socket, "shoot", frame_id=frame.id, proposal_id=None, look="natural", strength=0)
    saved = live.session.album.out / hear(socket, "shot")["looks"]["natural"]
    assert np.array_equal(np.asarray(Image.open(saved)), pixels_of(encode(frame.pixels, format="jpeg", quality=95)))


def test_presses_are_answered_in_order_and_a_failed_one_is_told(live):
    socket = live.open()
    for frame_id in (0, 1, 0):
        say(socket, "shoot", frame_id=frame_id, proposal_id=None, look=None, strength=1)
    assert [hear(socket, "shot")["frame_id"] for _ in range(3)] == [0, 1, 0]
    shutil.rmtree(live.session.album.out)
    live.session.album.out.write_text("in the way")
    say(socket, "shoot", frame_id=0, proposal_id=None, look=None, strength=1)
    error = hear(socket, "error")
    assert error["message"].startswith("not saved: ") and error["asked_frame_id"] == 0


def test_a_page_that_leaves_does_not_take_its_shot_back(live):
    socket = live.open()
    # the saver is busy until the page has gone, so that the shot is still waiting then
    busy = threading.Event()
    live.session.album._saver.submit(busy.wait, 30)
    say(socket, "shoot", frame_id=1, proposal_id=None, look=None, strength=1)
    say(socket, "strength", value=-1)
    hear(socket, "error")  # the messages before it have been taken
    socket.close()
    busy.set()
    live.server.should_exit = True
    live.thread.join(30)
    live.session.close()
    assert [path.name.split("_")[1] for path in live.session.album.out.iterdir()] == ["original.png"]


@pytest.mark.slow
def test_before_the_first_frame_and_after_the_last_there_are_words(start_live):
    def load():
        raise RuntimeError("model file x is missing")

    live = start_live(load)
    socket = live.open()
    assert hear(socket, "status")["camera"] == "live"
    say(socket, "shoot", frame_id=0, proposal_id=None, look=None, strength=1)
    assert "no frame" in hear(socket, "error")["message"]
    while hear(socket, "status")["model"] != "model file x is missing":
        pass
    live.release()
    header, _ = hear(socket, "view")
    assert header["proposal_id"] is None and header["tile_ages"] == {} and "tiles" not in header
    say(socket, "ready")
    live.session.source.error = RuntimeError("camera 0 was unplugged: plug it in again")
    live.session.source.due.release()
    while hear(socket, "status")["camera"] != "camera 0 was unplugged: plug it in again":
        pass


def test_plain_pictures_for_other_programs(live):
    answer = live.get("/stream.mjpg")
    boundary = answer.getheader("content-type").partition("boundary=")[2]
    assert answer.getheader("content-type").startswith("multipart/x-mixed-replace") and boundary
    for _ in range(2):
        frame = live.session.ring.latest()
        assert answer.readline() == f"--{boundary}\r\n".encode()
        headers = http.client.parse_headers(answer)
        assert headers["content-type"] == "image/jpeg" and headers["x-frame-id"] == str(frame.id)
        assert answer.read(int(headers["content-length"])) == jpeg(frame.pixels, 85)
        assert answer.readline() == b"\r\n"
        live.release()


def test_a_taken_port_is_told_before_anything_starts(photo, editor, tmp_path):
    with bind("127.0.0.1", 0) as taken:
        session = Session(Playback(photo), lambda: editor, tmp_path)
        with pytest.raises(OSError, match="in use") as error:
            serve(session, port=taken.getsockname()[1])
        assert error.value.errno == errno.EADDRINUSE and str(taken.getsockname()[1]) in error.value.filename
        assert not session.source.entered.is_set()
        session.close()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_cleanly_with_pages_open(number, tmp_path):
    command = [sys.executable, "-m", "camera_nano", "live", "--source", "demo", "--port", "0", "--out", str(tmp_path)]
    with Process(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            address = next(match[1] for line in process.stderr if (match := re.search(r"http://([\d.:]+)/", line)))
            with connect(f"ws://{address}/ws", max_size=None, proxy=None) as page:
                hear(page, "view")
                pictures = http.client.HTTPConnection(address, timeout=60)
                pictures.request("GET", "/stream.mjpg")
                parts = pictures.getresponse()
                assert parts.readline()
                process.send_signal(number)
                with pytest.raises(ConnectionClosed) as closed:
                    while True:
                        page.recv(timeout=60)
                assert closed.value.rcvd.code == 1012  # the page reconnects
                parts.close()
                pictures.close()
            assert process.wait(60) == 0
            assert "Traceback" not in process.stderr.read()
        finally:
            process.kill()


@pytest.mark.slow
def test_a_shot_that_takes_long_at_the_end_is_no_trace_on_the_terminal(start_live, monkeypatch, caplog):
    monkeypatch.setattr("camera_nano.web.server._GRACE_S", 1)
    live = start_live()
    live.propose()
    busy = threading.Event()
    live.session.album._saver.submit(busy.wait, 60)
    socket = live.open()
    say(socket, "shoot", frame_id=0, proposal_id=None, look=None, strength=1)
    say(socket, "strength", value=-1)
    hear(socket, "error")  # the press has been taken
    live.server.should_exit = True
    live.thread.join(30)
    busy.set()
    live.session.close()
    assert [path.name.split("_")[1] for path in live.session.album.out.iterdir()] == ["original.png"]
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []


def test_split_brings_the_original_of_the_same_frame(live):
    socket = live.open()
    say(socket, "choose", look="golden")
    say(socket, "split", on=True)
    header, pictures = hear(socket, "view")
    while "before" not in header:
        say(socket, "ready")
        header, pictures = hear(socket, "view")
    look, before = (simplejpeg.decode_jpeg(pictures[at : at + n]) for at, n in (header["jpeg"], header["before"]))
    frame = live.session.ring.get(header["frame_id"]).pixels
    assert look.shape == before.shape
    assert abs(before.astype(int) - frame).mean() < 3 < abs(look.astype(int) - frame).mean()


@pytest.mark.slow
def test_tone_moves_the_looks_and_every_page_is_told(live):
    one, other = live.open(), live.open()
    before = live.session.proposal()
    say(one, "tone", highlights=0, shadows=1.2)
    while live.session.palette().shadows_ev != 1.2:
        hear(one, "status")  # views end with the frames
    live.release()
    after = live.session.wait_proposal(before.id, timeout_s=60)
    lifted = after.fields["golden"].gain_ev.mean(axis=(0, 1, 3)) - before.fields["golden"].gain_ev.mean(axis=(0, 1, 3))
    assert lifted[0] > 0.2 and lifted[0] > lifted[-1] + 0.2  # the dark bins, not the bright ones
    while hear(other, "status")["tone"] != {"highlights": 0, "shadows": 1.2}:
        pass
    say(one, "tone", highlights=9, shadows=0)
    assert "stops" in hear(one, "error")["message"]


def test_a_shot_says_what_its_own_light_was_made_for(live):
    socket = live.open()
    say(socket, "choose", look="golden")
    shown, _ = see(socket, lambda header: header["look"] == "golden")
    say(socket, "assume", value="finished")
    while hear(socket, "status")["assumed"] != "finished":  # a frame let through before is not told yet
        pass
    live.release()
    assert live.session.wait_proposal(shown["proposal_id"], timeout_s=60).assume == "finished"
    assert live.session.status()["looks_finished"]
    for proposal_id in (shown["proposal_id"], live.session.proposal().id):
        frame_id = live.session.proposal(proposal_id).frame_id
        say(socket, "shoot", frame_id=frame_id, proposal_id=proposal_id, look="golden", strength=1)
    files = [live.session.album.out / hear(socket, "shot")["looks"]["golden"] for _ in range(2)]
    assert [read_recipe(open_image(path).metadata).assume for path in files] == ["captured", "finished"]


def test_a_look_of_words_joins_the_strip_and_leaves_it(live):
    socket = live.open()
    say(socket, "words", text="slightly darker, saturation -20%")
    answer = hear(socket, "look")
    assert answer["parts"] == [["slightly darker", "ev -0.25"], ["saturation -20%", "saturation -0.2"]]
    name = answer["name"]
    while (looks := hear(socket, "status")["looks"])[-1]["name"] != name:  # a status from before may come after it
        pass
    controls = dict.fromkeys(CONTROLS, 0.0) | {"ev": -0.25, "saturation": -0.2}
    assert looks[-1] == {"name": name, "words": "slightly darker, saturation -20%", "controls": controls}
    say(socket, "choose", look=name)
    live.release()
    see(socket, lambda header: header["look"] == name)
    say(socket, "forget", look=name)
    while [look["name"] for look in hear(socket, "status")["looks"]] != LOOKS:
        pass
    say(socket, "words", text="glowing unicorns")
    assert "unicorns" in hear(socket, "error")["message"]
    say(socket, "forget", look="golden")
    assert "only those" in hear(socket, "error")["message"]


def test_what_this_camera_cannot_do_is_said(live):
    socket = live.open()
    say(socket, "adjust", control="ev", value=1)
    assert "nothing that can be set" in hear(socket, "error")["message"]
    camera = live.open(path="/ws/camera")
    with pytest.raises(ConnectionClosed, match="--source browser"):
        camera.recv(timeout=30)


def test_the_saved_look_is_the_look_that_was_shown(live):
    """Seen small, where the blocks of the stream's JPEG do not count, the file differs by less than Delta-E 1."""
    socket = live.open()
    say(socket, "choose", look="golden")
    header, drawn = see(socket, lambda header: header["look"] == "golden")
    live.release(5)  # time goes on while the finger is on its way
    say(socket, "shoot", **{key: header[key] for key in ("frame_id", "proposal_id", "look", "strength")})
    shot = hear(socket, "shot")
    saved = np.asarray(Image.open(live.session.album.out / shot["looks"]["golden"]))
    original = np.asarray(Image.open(live.session.album.out / shot["original"]))
    shown = simplejpeg.decode_jpeg(drawn)

    def difference(picture):
        small, seen = (rgb2lab(shrink(image, 128)) for image in (picture, shown))
        return float(np.mean(deltaE_ciede2000(small, seen)))

    assert difference(saved) < 1 < difference(original)


def test_a_lent_camera_is_asked_for_darker_pictures(start_live, photo):
    source = BrowserCamera()
    live = start_live(source=source)
    camera = live.open(path="/ws/camera")
    usual, darker = (jpeg(picture) for picture in (photo, photo // 4))
    assert json.loads(camera.recv(timeout=30)) == {"type": "ready", "bracket_ev": 0.0}
    assert source.bracket((-2.0,))
    asked = []
    for _ in range(100):
        if asked and asked[-1]:
            say(camera, "bracket", ev=asked[-1])
        camera.send(darker if asked and asked[-1] else usual)
        asked.append(json.loads(camera.recv(timeout=30))["bracket_ev"])
        if asked.count(-2.0) and not asked[-1]:  # a page takes its time after a darker picture
            wait_for(lambda: live.session.ring.n_brackets(0, 1000) == 1)
    assert asked.count(-2.0) == 1
    assert all(frame.pixels.mean() > 60 for frame in live.session.ring.frames())
    say(camera, "no_bracket")
    camera.send(usual)
    camera.recv(timeout=30)
    assert not source.bracket((-2.0,))
    say(camera, "camera")  # another one
    camera.send(usual)
    camera.recv(timeout=30)
    assert source.bracket((-2.0,))
    say(camera, "no_bracket")
    camera.send(usual)
    camera.recv(timeout=30)
    assert not source.bracket((-2.0,))
    camera.close()
    wait_for(lambda: _is_lent(live))
    assert source.bracket((-2.0,))


def _is_lent(live):
    """Whether a page that comes now may lend its camera: the one before has been let go."""
    try:
        return json.loads(live.open(path="/ws/camera").recv(timeout=30))["type"] == "ready"
    except ConnectionClosed:
        return False


@pytest.mark.slow
def test_the_view_shows_what_darker_frames_hold(start_live):
    live = start_live(source=DemoCamera("backlit", (480, 270)), bracket=True)
    socket = live.open()
    say(socket, "choose", look="natural")

    def is_merged(header):
        proposal = live.session.proposal(header["proposal_id"])
        return header["look"] == "natural" and proposal is not None and proposal.merged_ev is not None

    header, drawn = see(socket, is_merged)
    clipped = DemoCamera("backlit", (480, 270), pace=False).frame(header["frame_id"]).pixels.min(axis=2) >= 253
    assert clipped.mean() > 0.01
    assert np.std(simplejpeg.decode_jpeg(drawn)[clipped]) > 8  # the sky, where one frame has white
    still = live.get(f"/api/hdr/{header['frame_id']}/{header['proposal_id']}/natural.jpg")
    assert still.status == 200 and b"hdrgm" in still.read()
    say(socket, "ready")
    say(socket, "strength", value=0)
    header, drawn = see(socket, lambda header: header["look"] == "natural" and header["strength"] == 0)
    frame = DemoCamera("backlit", (480, 270), pace=False).frame(header["frame_id"])
    assert abs(simplejpeg.decode_jpeg(drawn).astype(int) - frame.pixels).mean() < 4
    assert json.loads(live.get("/api/status").read())["headroom"] == "measured"


def test_a_page_that_draws_gets_what_darker_frames_hold(start_live):
    live = start_live(source=DemoCamera("backlit", (480, 270)), bracket=True)
    socket = live.open()
    say(socket, "draw", on=True)
    header, drawn = see(socket, lambda header: header["exposed_ev"] < 0)
    assert live.session.proposal(header["proposal_id"]).merged_ev == header["exposed_ev"]
    camera, frame_id = DemoCamera("backlit", (480, 270), pace=False), header["frame_id"]
    truth = camera.radiance(frame_id)
    span = srgb_oetf(2.0 ** -header["exposed_ev"])
    sent = srgb_eotf(simplejpeg.decode_jpeg(drawn) / 255 * span)  # sRGB's curve, gone on above 1
    sky = (truth.min(axis=2) > 1.2) & (truth.max(axis=2) < 3)
    assert sky.mean() > 0.002
    assert np.median(np.abs(np.log2(sent[sky] / truth[sky]))) < 0.15
    shade = truth.max(axis=2) < 0.5
    codes = 255 * srgb_oetf(sent[shade])
    assert np.abs(codes - camera.frame(frame_id).pixels[shade]).mean() < 4
