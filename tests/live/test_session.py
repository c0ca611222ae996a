import io
import re
import threading
import weakref
from contextlib import closing
from functools import partial

import numpy as np
import pytest
from PIL import Image
from playback import Playback

from camera_nano.files.encode import encode
from camera_nano.light.enhance import relight
from camera_nano.live import album as shots
from camera_nano.live.session import Session
from camera_nano.sources import open_source
from camera_nano.values import EditField


class Gate:
    """The real editor behind a gate that the test opens, to see what a slow model does."""

    def __init__(self, editor):
        self.editor, self.looks, self.name = editor, editor.looks, "gated"
        self.entered, self.open = threading.Semaphore(0), threading.Semaphore(0)
        self.seen = []

    def propose(self, condition, looks, *, seed=0, n_steps=2, assume="auto"):
        self.seen.append(condition.frame_id)
        self.entered.release()
        assert self.open.acquire(timeout=30)
        return self.editor.propose(condition, looks, seed=seed, n_steps=n_steps)


@pytest.fixture
def start(photo, start_session):
    """A function that starts a session whose camera is played by hand."""
    return partial(start_session, Playback(photo))


def release(session, n=1):
    """Let n frames through and wait for the last."""
    for _ in range(n):
        latest = session.ring.latest()
        session.source.due.release()
        assert session.ring.wait_newer(latest.id if latest else -1, timeout_s=30)


def test_frames_are_there_before_the_model_is(start, editor):
    loaded = threading.Event()

    def load():
        assert loaded.wait(30)
        return editor

    session = start(load)
    release(session, 3)
    assert session.ring.latest().id == 2 and session.proposal() is None
    assert session.status()["model"] == "loading"
    loaded.set()
    assert set(session.wait_proposal(0, timeout_s=60).tiles) == set(editor.looks)
    assert session.status()["model"] == "ready"


def test_a_slow_model_never_delays_capture_and_takes_the_newest(start, editor):
    gate = Gate(editor)
    session = start(lambda: gate, looks=["natural"])
    release(session)
    assert gate.entered.acquire(timeout=60)
    release(session, 20)  # all arrive while the model is busy with the first
    gate.open.release()
    assert gate.entered.acquire(timeout=60)
    gate.open.release(5)
    session.wait_proposal(1, timeout_s=60)
    assert gate.seen[:2] == [0, 20]


def test_the_shot_is_the_frame_and_field_of_the_screen(start):
    session = start(looks=["golden", "natural"])
    release(session)
    shown = session.wait_proposal(0, timeout_s=60)
    frame = session.ring.get(shown.frame_id)
    release(session, 3)  # the world moves on before the press
    session.wait_proposal(shown.id, timeout_s=60)
    shot = session.commit(frame.id, shown.id, ["golden"], strength=0.7).result(timeout=60)
    assert shot.frame_id == frame.id
    assert np.array_equal(np.asarray(Image.open(shot.original)), frame.pixels)
    saved = np.asarray(Image.open(shot.looks["golden"]))

    def written(field):
        data = encode(relight(frame.pixels, field * 0.7), format="jpeg", quality=95)
        return np.asarray(Image.open(io.BytesIO(data)))

    assert np.array_equal(saved, written(shown.fields["golden"]))
    assert not np.array_equal(saved, written(session.proposal().fields["golden"]))  # could have failed


def test_fields_of_another_time_are_not_put_on_a_frame(start):
    session = start(looks=["golden"])
    release(session)
    old = session.wait_proposal(0, timeout_s=60)
    release(session, 20)  # the frame has left the ring
    while (new := session.proposal()).frame_id < 20:
        new = session.wait_proposal(new.id, timeout_s=60)
    shot = session.commit(old.frame_id, old.id, ["golden"]).result(timeout=60)
    frame = next(frame for frame in session.ring.frames() if frame.id == shot.frame_id)
    nearest = session._proposals.nearest(frame.id)
    assert frame.id > old.frame_id and nearest.id > old.id
    expected = encode(relight(frame.pixels, nearest.fields["golden"]), format="jpeg", quality=95)
    assert np.array_equal(np.asarray(Image.open(shot.looks["golden"])), np.asarray(Image.open(io.BytesIO(expected))))


def test_ten_presses_give_ten_originals_in_order(start):
    session = start(looks=["natural"])
    release(session)
    session.wait_proposal(0, timeout_s=60)
    shots = []
    for _ in range(10):
        release(session)
        shots.append(session.commit(session.ring.latest().id, None, []))
    ids = [shot.result(timeout=60).frame_id for shot in shots]
    names = [shot.result().original.name for shot in shots]
    assert ids == list(range(1, 11)) and len(set(names)) == 10
    assert len(list((session.album.out).iterdir())) == 10
    assert all(re.fullmatch(r"\d{8}-\d{6}-\d{3}(-\d+)?_original\.png", name) for name in names)


def test_moments_are_around_the_shot_however_long_it_took_to_save(start, monkeypatch):
    session, is_free = start(), threading.Event()
    write = shots.write_atomically
    monkeypatch.setattr(
        "camera_nano.live.album.write_atomically", lambda *args, **options: is_free.wait(30) and write(*args, **options)
    )
    release(session, 8)
    saving = session.commit(3, None, [])
    release(session, 20)  # the world moves on while the disk is busy
    is_told = threading.Event()
    saving.add_done_callback(lambda _: is_told.set())  # after the session's own, which `result` does not wait for
    is_free.set()
    assert is_told.wait(60)
    ids = [frame.id for frame in session.moments()]
    assert set(range(8)) < set(ids) and ids == sorted(ids)


def test_shots_that_wait_for_room_hold_no_frames_around_them(start, monkeypatch):
    is_free, write = threading.Event(), shots.write_atomically
    monkeypatch.setattr(
        "camera_nano.live.album.write_atomically", lambda *args, **options: is_free.wait(60) and write(*args, **options)
    )
    session = start()
    seen: dict[int, weakref.ref] = {}
    saving = []
    for _ in range(10):
        release(session, 8)
        seen |= {frame.id: weakref.ref(frame.pixels) for frame in session.ring.frames()}
        saving.append(session.commit(session.ring.latest().id, None, []))
    alive = sum(pixels() is not None for pixels in seen.values())
    is_free.set()
    assert [shot.result(60).id for shot in saving] == list(range(1, 11))
    assert len(seen) == 80 and alive <= 10 + 12 + 8  # the shots, the moments of the last one, the ring


def test_original_alone_needs_no_model(start, editor):
    never = threading.Event()

    def load():
        never.wait(30)
        return editor

    session = start(load)
    release(session)
    assert session.commit(0, None, []).result(timeout=60).looks == {}
    with pytest.raises(LookupError, match="no golden alternative yet"):
        session.commit(0, None, ["golden"])
    never.set()


def test_no_frame_yet_is_said(start):
    with pytest.raises(LookupError, match="no frame"):
        start().commit(0, None, [])


def test_a_failed_look_keeps_the_original(start, monkeypatch):
    session = start(looks=["natural"])
    release(session)
    session.wait_proposal(0, timeout_s=60)

    def broken(*args, **kwargs):
        raise OSError(13, "Permission denied")

    monkeypatch.setattr("camera_nano.live.companions.relight", broken)
    with pytest.raises(OSError, match="Permission"):
        session.commit(0, None, ["natural"]).result(timeout=60)
    assert [path.name.split("_")[1] for path in session.album.out.iterdir()] == ["original.png"]


def test_a_dying_camera_and_a_broken_model_end_in_clear_words(start):
    def load():
        raise RuntimeError("model file x is missing")

    session = start(load)
    release(session)
    assert session.wait_proposal(0, timeout_s=60) is None
    assert session.status()["model"] == "model file x is missing"
    session.source.error = RuntimeError("camera 0 was unplugged: plug it in again")
    session.source.due.release()
    assert session.ring.wait_newer(0, timeout_s=30) is None
    assert session.status()["camera"] == "camera 0 was unplugged: plug it in again"


def test_close_twice_leaves_no_thread(start):
    session = start()
    release(session)
    session.close()
    session.close()
    assert not {"capture", "edit"} & {thread.name for thread in threading.enumerate()}


def test_proposals_are_bounded_fields(start):
    session = start()
    release(session)
    proposal = session.wait_proposal(0, timeout_s=60)
    for field in proposal.fields.values():
        assert isinstance(field, EditField)
    assert all(tile.shape[1] <= 400 for tile in proposal.tiles.values())


@pytest.mark.parametrize(("name", "assumed"), [("demo", "captured"), ("folder:{}", "auto")])
def test_what_is_exposed_now_is_never_taken_for_finished(name, assumed, tmp_path, photo, editor):
    Image.fromarray(photo).save(tmp_path / "photo.jpg")
    session = Session(open_source(name.format(tmp_path)), lambda: editor, tmp_path / "shots")
    with closing(session):
        session.start()
        assert session.wait_proposal(0, timeout_s=60).assume == assumed
