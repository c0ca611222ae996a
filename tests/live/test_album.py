"""The album: what is on disk after presses, deletes and full disks."""

import errno
import fcntl
import threading
import time
from datetime import datetime

import numpy as np
import pytest
from PIL import Image

import camera_nano.live.album
from camera_nano.live.album import Album
from camera_nano.live.timing import StageTimes
from camera_nano.values import EditField, Frame


@pytest.fixture
def album(tmp_path):
    album = Album(tmp_path / "shots", StageTimes())
    yield album
    album.close()


def wait_for(is_so, n_s=30):
    """Poll what has no event of its own; a condition that never comes fails the test."""
    pause = threading.Event()
    for _ in range(n_s * 50):
        if is_so():
            return
        pause.wait(0.02)
    raise AssertionError("waited in vain")


def noise(rng, number):
    """A frame of about 200 kB that does not compress."""
    return Frame(rng.integers(0, 256, (260, 260, 3), np.uint8), number, time.monotonic_ns())


@pytest.mark.slow
def test_a_full_disk_keeps_shots_in_order_and_saves_them_when_there_is_room(tiny_disk, rng):
    ballast = tiny_disk / "ballast"
    ballast.write_bytes(bytes(900_000))
    album, frames = Album(tiny_disk / "shots", StageTimes()), [noise(rng, number) for number in range(3)]
    presses = [album.take(frame, {}) for frame in frames]
    wait_for(lambda: album.saving()["trouble"])
    saving = album.saving()
    assert saving["in_memory"] == saving["pending"] == 3 and str(album.out) in saving["trouble"]
    assert "kept in memory" in saving["trouble"]
    ballast.unlink()
    shots = [press.result(30) for press in presses]
    for shot, frame in zip(shots, frames, strict=True):
        assert np.array_equal(np.asarray(Image.open(shot.original)), frame.pixels)
    assert [path.name for path in sorted(album.out.iterdir())] == [shot.original.name for shot in shots]
    assert album.saving() | {"shots_left": 0} == {"pending": 0, "in_memory": 0, "shots_left": 0, "trouble": None}
    assert 0 < album.saving()["shots_left"] < 5
    assert album.close() == 0


def test_what_never_found_room_is_counted_at_the_end(tiny_disk, rng):
    (tiny_disk / "ballast").write_bytes(bytes(900_000))
    album = Album(tiny_disk / "shots", StageTimes())
    presses = [album.take(noise(rng, number), {}) for number in range(2)]
    wait_for(lambda: album.saving()["trouble"])
    assert album.close() == 2
    assert all(press.exception().errno == errno.ENOSPC for press in presses)
    assert list(album.out.iterdir()) == []  # nothing half-written


@pytest.mark.slow
def test_a_disk_that_fills_after_the_original_does_not_write_it_twice(album, rng, monkeypatch):
    tried, real = [], camera_nano.live.album.write_atomically

    def fills_once(path, *args, **options):
        tried.append(path.suffix)
        if tried.count(".jpg") == 1 and path.suffix == ".jpg":
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        real(path, *args, **options)

    monkeypatch.setattr(camera_nano.live.album, "write_atomically", fills_once)
    shot = album.take(noise(rng, 1), {"hdr": EditField.identity()}).result(30)
    assert tried == [".png", ".jpg", ".jpg"]
    assert sorted(album.out.iterdir()) == sorted(shot.parts.values())


@pytest.mark.slow
def test_a_folder_that_is_removed_costs_no_shot_that_is_being_saved(album, rng, monkeypatch):
    real = camera_nano.live.album.write_atomically

    def removed_once(path, *args, **options):
        if path.suffix == ".jpg" and not album.out.with_name("gone").exists():
            album.out.rename(album.out.with_name("gone"))
        real(path, *args, **options)

    monkeypatch.setattr(camera_nano.live.album, "write_atomically", removed_once)
    shot = album.take(noise(rng, 1), {"hdr": EditField.identity()}).result(30)
    assert sorted(album.out.iterdir()) == sorted(shot.parts.values()) and len(shot.parts) == 2


def test_what_a_killed_session_left_half_written_goes_and_what_others_write_stays(tmp_path):
    left, written = (tmp_path / f".camera_nano-1-{name}.tmp" for name in ("left", "written"))
    left.write_bytes(b"half a picture")
    with written.open("xb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        Album(tmp_path, StageTimes()).close()
        assert list(tmp_path.iterdir()) == [written]
    Album(tmp_path, StageTimes()).close()
    assert not list(tmp_path.iterdir())


def test_memory_is_bounded_too(album, rng, monkeypatch):
    monkeypatch.setattr(camera_nano.live.album, "_MEMORY_BYTES", 500_000)

    def full(path, *args, **options):
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(camera_nano.live.album, "write_atomically", full)
    album.take(noise(rng, 0), {})
    wait_for(lambda: album.saving()["trouble"])
    album.take(noise(rng, 1), {})
    with pytest.raises(OSError, match="no more fit there"):
        album.take(noise(rng, 2), {})
    assert album.saving()["in_memory"] == 2


def test_names_stay_in_order_when_the_clock_is_set_back_a_little(album, rng, monkeypatch):
    first, now = album.take(noise(rng, 0), {}).result(30), time.time
    monkeypatch.setattr(camera_nano.live.album.time, "time", lambda: first.taken_at.timestamp() - 0.1)
    second = album.take(noise(rng, 1), {}).result(30)
    monkeypatch.setattr(camera_nano.live.album.time, "time", now)
    assert second.original.name > first.original.name and second.taken_at > first.taken_at
    assert first.taken_at.tzinfo and abs((datetime.now().astimezone() - first.taken_at).total_seconds()) < 60


def test_a_clock_that_was_far_ahead_is_not_believed_any_more(album, rng, monkeypatch):
    now = time.time
    monkeypatch.setattr(camera_nano.live.album.time, "time", lambda: now() + 3600)
    album.take(noise(rng, 0), {}).result(30)
    monkeypatch.setattr(camera_nano.live.album.time, "time", now)
    shots = [album.take(noise(rng, number), {}).result(30) for number in (1, 2)]
    assert all(abs(shot.taken_at.timestamp() - now()) < 60 for shot in shots)
    assert shots[0].original.name < shots[1].original.name


def test_list_and_delete(album, rng):
    shots = [album.take(noise(rng, n), {"hdr": EditField.identity()}).result(30) for n in range(2)]
    assert album.shots() == shots[::-1] and album.get(shots[0].id) == shots[0]
    assert set(shots[0].parts) == {"original", "hdr"}
    album.delete(shots[0].id)
    assert sorted(album.out.iterdir()) == sorted(shots[1].parts.values())
    with pytest.raises(LookupError, match="there is no shot"):
        album.get(shots[0].id)


class Held:
    """A camera's buffers, strict about owners."""

    def __init__(self, full):
        self.full, self.owners = full, 1

    def full_pixels(self):
        assert self.owners == 1
        return self.full

    def release(self):
        self.owners -= 1
        assert self.owners == 0

    def acquire(self):
        raise AssertionError("the album was handed its share")


def test_the_cameras_full_picture_is_saved_and_given_back_at_once(album, rng, monkeypatch):
    going = threading.Event()
    real = camera_nano.live.album.write_atomically
    monkeypatch.setattr(
        camera_nano.live.album, "write_atomically", lambda *args, **options: going.wait(30) and real(*args, **options)
    )
    held = [Held(rng.integers(0, 256, (64, 96, 3), np.uint8)) for _ in range(3)]
    presses = [album.take(Frame(buffers.full[::4, ::4].copy(), held=buffers), {}) for buffers in held]
    wait_for(lambda: all(buffers.owners == 0 for buffers in held))  # although nothing is on disk yet
    going.set()
    for press, buffers in zip(presses, held, strict=True):
        assert np.array_equal(np.asarray(Image.open(press.result(30).original)), buffers.full)
