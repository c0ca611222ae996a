"""Without a page: by the clock, by a button, as a camera of other programs, and as a system service."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import types
from pathlib import Path

import gpiozero
import numpy as np
import pytest
from gpiozero.pins.mock import MockFactory
from playback import Playback
from test_shots import wait_for

from camera_nano.gpio import Button, MissingDevice
from camera_nano.headless import shoot
from camera_nano.loopback import Loopback
from camera_nano.render import render
from camera_nano.session import Session
from camera_nano.sources import CameraLost
from camera_nano.sources.supervised import Supervised


@pytest.fixture
def session(photo, editor, tmp_path):
    session = Session(Playback(photo, 0.02), lambda: editor, tmp_path / "shots", looks=["natural", "golden"])
    yield session
    session.close()


def test_a_shot_for_every_press_until_it_is_ended(session):
    pressed = threading.Event()
    shots = shoot(session, None, 0, pressed=pressed)
    pressed.set()
    first = next(shots)
    assert set(first.looks) == {"natural", "golden"} and not pressed.is_set()
    pressed.set()
    assert next(shots).frame_id > first.frame_id
    threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start()
    assert list(shots) == []


def test_an_unplugged_camera_is_waited_for_and_told(photo, editor, tmp_path):
    plays = [Playback(photo, 0.02), Playback(photo, 0.02)]
    runs, said = iter(plays), []
    source = Supervised("usb:0", lambda: next(runs), stall_s=1)
    session = Session(source, lambda: editor, tmp_path / "shots", looks=["natural"])
    shots = shoot(session, 2, 0, say=said.append)
    next(shots)
    plays[0].error = CameraLost("usb:0 is out: plug it in")
    wait_for(lambda: source.trouble)
    wait_for(lambda: source.trouble is None)
    assert next(shots).id == 2
    session.close()


def test_a_camera_that_has_ended_for_good_is_an_error(session):
    session.source.error = CameraLost("it is gone: plug it in")
    with pytest.raises(CameraLost, match="plug it in"):
        next(shoot(session, 1, 0))


def test_a_button_and_its_light(monkeypatch):
    monkeypatch.setattr(gpiozero.Device, "pin_factory", MockFactory())
    presses = []
    button = Button(17, 27, lambda: presses.append(1))
    pin, led = gpiozero.Device.pin_factory.pin(17), gpiozero.Device.pin_factory.pin(27)
    pin.drive_low()
    wait_for(lambda: presses == [1])
    button.light(True)
    assert led.state == 1
    button.light(False)
    assert led.state == 0
    with pytest.raises(MissingDevice, match="GPIO 17 cannot be used"):
        Button(17, None, lambda: None)
    button.close()
    button.close()
    monkeypatch.setitem(sys.modules, "gpiozero", None)
    with pytest.raises(MissingDevice, match=r"camera-nano\[gpio\]"):
        Button(17, None, lambda: None)


class Sink:
    """A loopback device, strict about what it is fed."""

    sent: list = []  # noqa: RUF012
    is_open = False

    def __init__(self, *, width, height, fps, device):
        assert not Sink.is_open and device == "/dev/video9" and fps > 0
        self.shape, Sink.is_open = (height, width, 3), True

    def send(self, frame):
        assert Sink.is_open and frame.shape == self.shape and frame.dtype == np.uint8 and frame.flags.c_contiguous
        Sink.sent.append(frame)

    def close(self):
        Sink.is_open = False


@pytest.mark.parametrize("look", [None, "golden"])
def test_other_programs_get_the_view_as_a_camera(session, monkeypatch, look):
    monkeypatch.setitem(sys.modules, "pyvirtualcam", types.SimpleNamespace(Camera=Sink))
    Sink.sent = []
    session.start()
    assert session.wait_proposal(0, timeout_s=60)
    with Loopback(session, "/dev/video9", look):
        wait_for(lambda: len(Sink.sent) >= 2)
    assert not Sink.is_open
    photo = session.source.photo
    shown = Sink.sent[-1].astype(int)
    rolled = min((np.roll(photo, 8 * n, axis=1) for n in range(64)), key=lambda each: abs(shown - each).mean())
    difference = abs(shown - rolled).mean()
    assert (difference == 0) == (look is None)
    if look:
        assert abs(shown - render(rolled, session.proposal().fields[look])).mean() < difference


def test_without_the_library_the_extra_is_named(session, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyvirtualcam", None)
    with pytest.raises(MissingDevice, match=r"camera-nano\[loopback\]"):
        Loopback(session, "/dev/video9")


def test_the_service_file_is_one_that_systemd_takes(tmp_path):
    unit = Path(__file__).parent.parent / "tools" / "camera-nano.service"
    text = unit.read_text()
    assert "NoNewPrivileges=yes" in text and "ExecStart=/opt/camera-nano/.venv/bin/camera-nano live" in text
    if shutil.which("systemd-analyze"):
        runnable = tmp_path / "camera-nano.service"
        runnable.write_text(text.replace("/opt/camera-nano/.venv/bin/camera-nano", "/bin/true"))
        done = subprocess.run(["systemd-analyze", "verify", runnable], capture_output=True, text=True)
        assert "camera-nano.service" not in done.stderr, done.stderr
