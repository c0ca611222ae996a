"""Cameras that stop, hang, repeat themselves and come back."""

import os
import struct
import threading
import time
import types
from contextlib import closing
from itertools import islice

import numpy as np
import pytest
import simplejpeg
from test_album import wait_for

from camera_nano.cli import main
from camera_nano.errors import CameraLost
from camera_nano.seams import Adjustable, Recovering
from camera_nano.sources import auto, open_source, open_watched, watched
from camera_nano.sources.browser import BrowserCamera
from camera_nano.sources.demo import DemoCamera
from camera_nano.sources.watched import WatchedCamera
from camera_nano.values import Frame


class Device:
    """A pseudo device: pictures come through a pipe, and reading one blocks like a driver."""

    def __init__(self, path):
        self.name, self.path, self.closed = "pipe:0", path, threading.Event()
        if not path.exists():
            raise CameraLost(f"{self.name} is not there: plug it in")
        self.pipe = os.open(path, os.O_RDONLY)

    def frames(self):
        number = 0
        while not self.closed.is_set():
            head = os.read(self.pipe, 4)
            if len(head) < 4:
                return
            yield Frame(np.full((64, 64, 3), struct.unpack(">I", head)[0] % 256, np.uint8), number, time.monotonic_ns())
            number += 1

    def close(self):
        self.closed.set()  # and the read goes on hanging, as it does in a driver


class Cable:
    """The other end of a device: plug in, send, fall silent, pull out."""

    def __init__(self, path):
        self.path, self.pipe, self.number = path, None, 0

    def plug_in(self):
        os.mkfifo(self.path)
        self.pipe = os.open(self.path, os.O_RDWR)

    def send(self):
        self.number += 1
        os.write(self.pipe, struct.pack(">I", self.number))

    def pull_out(self):
        self.path.unlink()
        os.close(self.pipe)
        self.pipe = None


@pytest.fixture
def cable(tmp_path):
    cable = Cable(tmp_path / "device")
    yield cable
    if cable.pipe is not None:
        os.close(cable.pipe)


@pytest.fixture
def watch():
    """A function that runs a source on a thread; what came is in its list."""
    running = []

    def _watch(source):
        got = []
        thread = threading.Thread(target=lambda: got.extend(iter_into(got, source)))
        thread.start()
        running.append((source, thread))
        return got

    def iter_into(got, source):
        for frame in source.frames():
            got.append(frame)
        return ()

    yield _watch
    for source, thread in running:
        source.close()
        thread.join(30)
        assert not thread.is_alive()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(watched, "_FIRST_RETRY_S", 0.05)
    monkeypatch.setattr(watched, "_LAST_RETRY_S", 0.2)


def pause(s=0.02):
    threading.Event().wait(s)


@pytest.fixture
def hasty(monkeypatch):
    """For who measures how long a picture stays the same, a second is over in a twentieth of one.

    Silence is waited for in real time: so a machine that stumbles for a second does not look like a lost camera.
    """
    monkeypatch.setattr(watched, "time", types.SimpleNamespace(monotonic=lambda: 20 * time.monotonic()))


@pytest.mark.slow
def test_unplug_and_replug(cable, watch, caplog):
    source = WatchedCamera("pipe:0", lambda: Device(cable.path), stall_s=2)
    assert isinstance(source, Recovering) and isinstance(source, Adjustable)
    got = watch(source)
    wait_for(lambda: source.trouble)
    assert "pipe:0 is not there: plug it in; trying again" in source.trouble
    cable.plug_in()
    for _ in range(3):
        n = len(got)
        wait_for(lambda n=n: (cable.send(), pause(), len(got) > n)[-1])
    assert source.trouble is None
    cable.path.rename(cable.path.with_name("gone"))  # the read hangs now
    wait_for(lambda: "pipe:0 does not answer: check its cable" in caplog.text)
    wait_for(lambda: "is not there" in caplog.text.partition("does not answer")[2])
    cable.path.with_name("gone").rename(cable.path)
    wait_for(lambda: (cable.send(), pause(0.05), source.trouble is None)[-1])
    cable.send()
    ids = [frame.id for frame in got]
    assert ids == list(range(len(ids))) and len(ids) > 3
    assert source.name == "pipe:0"


def test_a_camera_that_comes_late_takes_the_place_of_the_demo(cable, watch, monkeypatch):
    monkeypatch.setattr(auto, "_LOOK_S", 0.05)
    monkeypatch.setattr(auto, "_cameras", lambda: iter([lambda: Device(cable.path)]))
    source = open_watched("auto")
    assert "demo" in source.name and not source.is_camera
    got = watch(source)
    wait_for(lambda: len(got) >= 3)
    cable.plug_in()
    wait_for(lambda: (cable.send(), pause(), source.name == "pipe:0")[-1])
    n = len(got)
    wait_for(lambda: (cable.send(), len(got) > n + 3)[-1])
    assert source.is_camera and source.trouble is None and got[-1].pixels.shape == (64, 64, 3)
    assert [frame.id for frame in got] == list(range(len(got)))


def test_where_it_must_be_a_camera_it_is_never_the_demo(cable, watch, monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(auto, "_cameras", lambda: iter([lambda: Device(cable.path)]))
    with pytest.raises(CameraLost, match="plug one in"):
        open_watched("auto", must_be_there=True)
    assert main(["live", "--headless", "--out", str(tmp_path / "shots")]) == 3
    assert "no camera works here" in capsys.readouterr().err
    source = open_watched("camera")
    got = watch(source)
    wait_for(lambda: source.trouble)
    assert "no camera works here: plug one in" in source.trouble and not got
    cable.plug_in()
    wait_for(lambda: (cable.send(), pause(), got)[-1])
    assert source.name == "pipe:0"


@pytest.mark.slow
def test_devices_that_hang_for_ever_do_not_pile_up(watch):
    never, opened = threading.Event(), []

    def hang():
        opened.append(1)
        never.wait(60)
        raise CameraLost("too late")

    before = threading.active_count()
    open_s, watched.OPEN_S = watched.OPEN_S, 0.02
    try:
        source = WatchedCamera("stuck:0", hang)
        watch(source)
        wait_for(lambda: len(opened) == 4)
        pause(0.5)  # time enough for many more
        assert len(opened) == 4 and threading.active_count() <= before + 6
        assert "stuck:0 does not answer: check its cable" in source.trouble
    finally:
        watched.OPEN_S = open_s
        never.set()


class Fake:
    """A camera that plays a list of pictures, strictly counted."""

    open = 0

    def __init__(self, pictures, repeat=False):
        self.name, self.pictures, self.repeat, self.closed = "fake:0", pictures, repeat, threading.Event()
        Fake.open += 1

    def frames(self):
        number = 0
        while not self.closed.wait(0.01):
            if number >= len(self.pictures) and not self.repeat:
                return
            value = self.pictures[min(number, len(self.pictures) - 1)]
            yield Frame(np.full((64, 64, 3), value, np.uint8), number, time.monotonic_ns())
            number += 1

    def close(self):
        if not self.closed.is_set():
            Fake.open -= 1
        self.closed.set()


def test_the_last_picture_over_and_over_is_a_lost_camera(watch, hasty, caplog):
    runs = iter([Fake([1, 2, 3], repeat=True), Fake([4, 5, 6] * 500)])
    source = WatchedCamera("fake:0", lambda: next(runs), stall_s=4)
    got = watch(source)
    wait_for(lambda: got and got[-1].pixels[0, 0, 0] > 3)
    assert "same picture over and over" in caplog.text
    assert source.trouble is None
    source.close()
    wait_for(lambda: Fake.open == 0)


@pytest.mark.slow
def test_a_picture_that_really_stands_still_is_let_be(watch, hasty):
    opened = []

    def still():
        opened.append(1)
        return Fake([7], repeat=True)

    source = WatchedCamera("fake:0", still, stall_s=3)
    got = watch(source)
    wait_for(lambda: len(opened) == 2)
    n = len(got)
    wait_for(lambda: len(got) > n + 60)
    assert len(opened) == 2 and source.trouble is None


@pytest.mark.slow
def test_scenes_that_stand_still_again_and_again_get_more_patience_each_time(monkeypatch):
    opened, seen = [], []
    monkeypatch.setattr(watched, "time", types.SimpleNamespace(monotonic=lambda: len(seen) / 5))

    class Studio(Fake):
        def frames(self):
            last = None
            while not self.closed.wait(0.001):
                if last != len(seen):  # the last picture has been taken
                    last = len(seen)
                    yield Frame(np.full((64, 64, 3), 10 * (last // 30), np.uint8), 0, time.monotonic_ns())

    def open_studio():
        opened.append(1)
        return Studio([])

    with closing(WatchedCamera("fake:0", open_studio, stall_s=2)) as source:
        for frame in islice(source.frames(), 12 * 30):  # each scene for 6 s
            seen.append(frame)
    assert 2 <= len(opened) <= 6  # and not once for each scene


def test_a_camera_that_fails_to_close_is_let_go(watch):
    class Stuck(Fake):
        def close(self):
            super().close()
            raise OSError("ioctl failed")

    runs = iter([Stuck([1, 2]), Fake([4, 5, 6] * 500)])
    source = WatchedCamera("fake:0", lambda: next(runs))
    got = watch(source)
    wait_for(lambda: got and got[-1].pixels[0, 0, 0] > 3)


def test_what_makes_no_sense_is_not_tried_again():
    def wrong():
        raise ValueError("camera 'x' has no number")

    with pytest.raises(ValueError, match="no number"):
        next(WatchedCamera("x", wrong).frames())


class Held:
    def __init__(self):
        self.owners = 1

    def release(self):
        self.owners -= 1
        assert self.owners == 0


def test_buffers_of_frames_nobody_took_go_back(watch):
    made = []

    class Fast(Fake):
        def frames(self):
            for number in range(200):
                made.append(Held())
                yield Frame(np.full((8, 8, 3), number, np.uint8), number, held=made[-1])
            self.closed.wait(30)

    source = WatchedCamera("fast:0", lambda: Fast([]), stall_s=5)
    frames = source.frames()
    taken = next(frames)
    wait_for(lambda: len(made) == 200)
    source.close()
    assert list(frames) == []
    assert taken.held.owners == 1
    taken.held.release()
    wait_for(lambda: all(held.owners == 0 for held in made))


def test_the_app_is_up_without_a_camera_and_headless_is_not():
    source = open_watched("v4l2:77")
    assert isinstance(source, WatchedCamera) and source.name == "v4l2:77"
    with pytest.raises(CameraLost, match="plug it in"):
        open_watched("v4l2:77", must_be_there=True)
    assert isinstance(open_watched("demo"), DemoCamera)


def test_a_camera_of_others_says_what_to_do(tmp_path, monkeypatch):
    node = tmp_path / "video5"
    node.touch()
    monkeypatch.setattr("os.access", lambda path, mode: False)
    with pytest.raises(CameraLost, match="usermod -aG video"):
        open_source(f"v4l2:{node}")


# ---------------------------------------------------------------- a page's camera


def test_a_lent_camera_is_its_pages_pictures(rng):
    camera = open_source("browser")
    assert isinstance(camera, BrowserCamera) and not camera.is_fed and "lend it" in camera.trouble
    picture = np.kron(rng.integers(0, 256, (6, 8, 3), np.uint8), np.ones((16, 16, 1), np.uint8))
    jpeg = simplejpeg.encode_jpeg(picture, quality=95, colorspace="RGB", colorsubsampling="444")
    frames = camera.frames()
    camera.put(jpeg, 5)
    frame = next(frames)
    assert abs(frame.pixels.astype(int) - picture).mean() < 3 and (frame.id, frame.t_ns) == (0, 5)
    assert camera.is_fed and camera.trouble is None
    camera.put(jpeg, 6)
    camera.put(jpeg, 7)
    assert next(frames).t_ns == 7  # the newest
    for wrong in (b"", b"not a picture", jpeg[:20]):
        with pytest.raises(ValueError, match=r"."):
            camera.put(wrong, 8)
    camera.put(jpeg[: len(jpeg) // 2], 9)  # its header is whole: only decoding tells
    camera.close()
    assert list(frames) == []


# ---------------------------------------------------------------- the demo camera's controls


@pytest.mark.slow
def test_the_demo_camera_can_be_told():
    camera = DemoCamera(size_wh=(160, 90), pace=False)
    assert [control.name for control in camera.controls()] == ["ev", "exposure_lock"]
    camera.adjust("ev", 2.0)
    brighter = list(islice(camera.frames(), 120))[-1]
    plain = list(islice(DemoCamera(size_wh=(160, 90), pace=False).frames(), 120))[-1]
    assert brighter.exposure.ev - plain.exposure.ev > 1
    assert brighter.pixels.mean() > plain.pixels.mean() + 20
    camera.adjust("exposure_lock", 1)
    assert len({camera.gain(n) for n in range(121, 160)}) == 1
    assert [control.value for control in camera.controls()] == [2.0, 1.0]
    for name, value in (("ev", 9), ("exposure_lock", 0.5), ("autofocus", 1)):
        with pytest.raises(ValueError, match="takes ev from"):
            camera.adjust(name, value)
