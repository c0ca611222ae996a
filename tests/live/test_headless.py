"""Without a page: by the clock, by a button, as a camera of other programs, and as a system service."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import types
from pathlib import Path
from queue import SimpleQueue

import gpiozero
import numpy as np
import pytest
from gpiozero.pins.mock import MockFactory
from limited import Process
from playback import Playback
from test_album import wait_for

from camera_nano.cli import main
from camera_nano.errors import CameraLost, MissingDevice
from camera_nano.light.render import render
from camera_nano.live import album
from camera_nano.live.button import ShutterButton
from camera_nano.live.headless import shoot
from camera_nano.live.loopback import Loopback
from camera_nano.live.session import Session
from camera_nano.sources.watched import WatchedCamera


@pytest.fixture
def session(photo, editor, tmp_path):
    session = Session(Playback(photo, 0.02), lambda: editor, tmp_path / "shots", looks=["natural", "golden"])
    yield session
    session.close()


@pytest.fixture
def pins(monkeypatch):
    monkeypatch.setattr(gpiozero.Device, "pin_factory", MockFactory())
    return gpiozero.Device.pin_factory


def press(pin):
    """A finger's press, longer than a switch bounces."""
    pause = threading.Event()
    pin.drive_low()
    pause.wait(0.08)
    pin.drive_high()
    pause.wait(0.08)


@pytest.mark.slow
def test_every_press_is_a_shot_in_order_and_the_light_is_on_meanwhile(session, pins, monkeypatch):
    presses, lit, led, pressed = SimpleQueue(), [], pins.pin(27), threading.Event()
    write = album.write_atomically
    monkeypatch.setattr(album, "write_atomically", lambda *args: pressed.wait(60) and write(*args))

    def taken(shot):
        lit.append(led.state)
        presses.put(shot)

    def fingers():
        assert session.wait_proposal(0, timeout_s=60)
        for _ in range(6):
            press(pins.pin(17))
        pressed.set()

    button = ShutterButton(session, 17, 27, taken=taken)
    threading.Thread(target=fingers).start()
    made = list(shoot(session, 6, 0, presses=presses))
    assert [shot.id for shot in made] == [1, 2, 3, 4, 5, 6]
    assert all(set(shot.looks) == {"natural", "golden"} for shot in made)
    assert lit == [1] * 6
    wait_for(lambda: led.state == 0)
    button.close()


def test_a_service_that_is_ended_still_tells_the_shots_that_were_taken(session, pins):
    presses = SimpleQueue()
    shots = shoot(session, None, 0, presses=presses)
    button = ShutterButton(session, 17, taken=presses.put)

    def finger():
        assert session.wait_proposal(0, timeout_s=60)
        press(pins.pin(17))

    pressing = threading.Thread(target=finger)
    pressing.start()
    first = next(shots)
    pressing.join()
    press(pins.pin(17))
    wait_for(lambda: not presses.empty())
    os.kill(os.getpid(), signal.SIGTERM)
    assert [shot.frame_id > first.frame_id for shot in shots] == [True]
    button.close()


def test_a_press_before_the_first_looks_is_told(photo, editor, tmp_path, pins):
    said = []
    session = Session(Playback(photo, 0.02), lambda: editor, tmp_path / "shots", looks=["natural"])
    button = ShutterButton(session, 17, 27, say=said.append)
    press(pins.pin(17))
    assert said == ["the button took no picture: the first looks are not there yet, wait for them"]
    assert pins.pin(27).state == 0
    button.close()
    session.close()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_full_disk_is_said_and_a_signal_still_ends_it(tiny_disk, number):
    (tiny_disk / "ballast").write_bytes(bytes(1_000_000))
    command = [sys.executable, "-m", "camera_nano", "live", "--source", "demo", "--headless", "--shots", "3"]
    with Process([*command, "--out", tiny_disk / "shots"], stderr=subprocess.PIPE, text=True) as process:
        try:
            assert any("kept in memory" in line for line in process.stderr)
            process.send_signal(number)
            said = process.stderr.read()
            assert process.wait(60) == 4 and "1 shots could not be saved" in said and "Traceback" not in said
        finally:
            process.kill()


@pytest.mark.slow
def test_shots_go_on_once_there_is_room_again(tiny_disk, photo, editor):
    ballast, said = tiny_disk / "ballast", []
    ballast.write_bytes(bytes(1_000_000))
    session = Session(Playback(photo[::4, ::4], 0.02), lambda: editor, tiny_disk / "shots", looks=["natural"])

    def say(line):
        said.append(line)
        ballast.unlink(missing_ok=True)

    assert len(list(shoot(session, 2, 0, say=say))) == 2
    assert "kept in memory" in said[0] and "room again" in said[1] and len(said) == 2
    assert session.close() == 0


@pytest.mark.slow
def test_an_unplugged_camera_is_waited_for_and_told(photo, editor, tmp_path):
    plays = [Playback(photo, 0.02), Playback(photo, 0.02)]
    runs, said = iter(plays), []
    source = WatchedCamera("usb:0", lambda: next(runs), stall_s=30)
    session = Session(source, lambda: editor, tmp_path / "shots", looks=["natural"])
    shots = shoot(session, 2, 0, say=said.append)
    next(shots)
    plays[0].error = CameraLost("usb:0 is out: plug it in")
    wait_for(plays[1].entered.is_set)
    wait_for(lambda: source.trouble is None)
    assert next(shots).id == 2
    session.close()


def test_a_camera_that_has_ended_for_good_is_an_error(session):
    session.source.error = CameraLost("it is gone: plug it in")
    with pytest.raises(CameraLost, match="plug it in"):
        next(shoot(session, 1, 0))


def test_pins_and_libraries_that_are_not_there_are_named(session, pins, monkeypatch):
    button = ShutterButton(session, 17, 27)
    with pytest.raises(MissingDevice, match="GPIO 17 cannot be used"):
        ShutterButton(session, 17)
    with pytest.raises(MissingDevice, match="GPIO 27 cannot be used"):
        ShutterButton(session, 18, 27)
    button.close()
    button.close()
    monkeypatch.setitem(sys.modules, "gpiozero", None)
    with pytest.raises(MissingDevice, match=r"camera-nano\[gpio\]"):
        ShutterButton(session, 17)


class Sink:
    """A loopback device, strict about what it is fed."""

    sent: list = []  # noqa: RUF012
    is_open = False

    def __init__(self, *, width, height, fps, device):
        assert not Sink.is_open and device == "/dev/null" and fps > 0
        self.shape, Sink.is_open = (height, width, 3), True

    def send(self, frame):
        assert Sink.is_open and frame.shape == self.shape and frame.dtype == np.uint8 and frame.flags.c_contiguous
        Sink.sent.append(frame)

    def close(self):
        Sink.is_open = False


@pytest.mark.slow
@pytest.mark.parametrize("look", [None, "golden"])
def test_other_programs_get_the_view_as_a_camera(session, monkeypatch, look):
    monkeypatch.setitem(sys.modules, "pyvirtualcam", types.SimpleNamespace(Camera=Sink))
    Sink.sent = []
    session.start()
    assert session.wait_proposal(0, timeout_s=60)
    with Loopback(session, "/dev/null", look):
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
        Loopback(session, "/dev/null")


def test_a_loopback_that_is_not_there_is_named(session):
    with pytest.raises(MissingDevice, match="/dev/video99 is not there: sudo modprobe"):
        Loopback(session, "/dev/video99")


def test_a_virtual_look_that_is_not_offered_is_a_usage_error(tmp_path, capsys):
    argv = ["live", "--source", "demo", "--looks", "natural", "--out", str(tmp_path), "--headless"]
    assert main([*argv, "--virtual-camera", "/dev/null", "--virtual-look", "golden"]) == 2
    assert "--virtual-look golden is not one of the looks" in capsys.readouterr().err


def test_the_service_file_is_one_that_systemd_takes(tmp_path):
    unit = Path(__file__).parents[2] / "tools" / "install" / "camera-nano.service"
    text = unit.read_text()
    assert "NoNewPrivileges=yes" in text and "ExecStart=/opt/camera-nano/.venv/bin/camera-nano live" in text
    if shutil.which("systemd-analyze"):
        runnable = tmp_path / "camera-nano.service"
        runnable.write_text(text.replace("/opt/camera-nano/.venv/bin/camera-nano", "/bin/true"))
        done = subprocess.run(["systemd-analyze", "verify", runnable], capture_output=True, text=True)
        assert "camera-nano.service" not in done.stderr, done.stderr
