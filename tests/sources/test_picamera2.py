"""The Pi's camera, on a strict fake; `test_real_picamera2.py` says whether that is like the real library."""

import sys
import threading
from itertools import islice
from pathlib import Path

import bayer
import fake_pi
import numpy as np
import pytest
from PIL import Image
from test_album import wait_for

from camera_nano.errors import CameraLost
from camera_nano.live.ring import FrameRing
from camera_nano.live.session import Session
from camera_nano.seams import Adjustable, Metering
from camera_nano.sources import open_source, picamera2
from camera_nano.sources.bayer import raw_of


def the_promises(out, load_editor):
    """What holds on the fake and on the real library alike; returns the pixels of a full frame."""
    source = open_source("picamera2")
    frames = list(islice(source.frames(), 3))
    assert [frame.id for frame in frames] == [0, 1, 2]
    assert frames[0].t_ns < frames[2].t_ns
    full = frames[0].held.full_pixels()
    assert full.shape[0] >= frames[0].pixels.shape[0]
    for frame in frames:
        frame.held.release()
    ring = FrameRing(8)
    for frame in islice(source.frames(), 40):  # many more than there are buffers: it does not starve
        ring.push(frame)
    assert len(ring.frames()) == frames[0].held.most_kept
    ring.close()
    source.close()
    source.close()
    assert list(source.frames()) == []
    session = Session(open_source("picamera2"), load_editor, out)  # the camera is free again
    session.start()
    assert session.ring.wait_newer(3, timeout_s=30)
    presses = [session.commit(session.ring.latest().id, None, []) for _ in range(10)]
    shots = [press.result(30) for press in presses]
    assert [shot.id for shot in shots] == list(range(1, 11))
    for shot in shots:
        assert np.asarray(Image.open(shot.original)).shape == full.shape
    after = session.ring.latest().id
    assert session.ring.wait_newer(after, timeout_s=30), "ten shots have starved the camera"
    session.close()
    return full


def no_model():
    raise RuntimeError("not needed here")


@pytest.mark.slow
@pytest.mark.parametrize("most_buffers", [99, 4])
def test_on_a_strict_fake(monkeypatch, tmp_path, most_buffers):
    fake_pi.install(monkeypatch, most_buffers=most_buffers)
    full = the_promises(tmp_path, no_model)
    assert full.shape == (150, 202, 3) and np.array_equal(full[0, 0], full[-1, -1])  # no padding
    assert fake_pi.Picamera2.made.closed and fake_pi.Picamera2.made.out == 0


def test_colours_and_exposure_are_the_cameras(monkeypatch):
    fake_pi.install(monkeypatch)
    source = open_source("picamera2:0")
    frame = next(source.frames())
    number = round((frame.t_ns + 20_000_000) / 1e9)
    expected = fake_pi.Request(None, number).rgb()
    assert frame.pixels.shape == (150, 202, 3)
    assert np.abs(frame.pixels - expected).max() <= 2 and np.abs(frame.held.full_pixels() - expected).max() <= 1
    exposure = frame.exposure
    assert (exposure.time_ms, exposure.iso, exposure.lux, exposure.colour_gains) == (20.0, 300.0, 400.0, (1.8, 1.4))
    frame.held.release()
    source.close()


def test_a_dng_is_of_the_same_request(monkeypatch, tmp_path):
    fake_pi.install(monkeypatch)
    session = Session(open_source("picamera2"), no_model, tmp_path / "shots", with_dng=True)
    session.start()
    session.ring.wait_newer(0, timeout_s=30)
    shot = session.commit(session.ring.latest().id, None, []).result(30)
    session.close()
    assert set(shot.parts) == {"original", "dng"}
    red = np.asarray(Image.open(shot.original))[0, 0, 0]
    number = int(shot.parts["dng"].read_bytes().split()[-1])
    assert abs(int(fake_pi.Request(None, number).rgb()[0]) - red) <= 1


@pytest.mark.parametrize("order", bayer.ORDERS)
@pytest.mark.parametrize("kind", ["8", "10", "12", "16", "10_CSI2P", "12_CSI2P"])
def test_raw_values_are_the_sensors(monkeypatch, photo, order, kind):
    light = (photo[100:250, 100:302] / 255).astype(np.float32)
    fake_pi.install(monkeypatch, light=light, sensor_resolution=(202, 150), sensor_format=f"S{order}{kind}")
    source = open_source("picamera2")
    frame = next(source.frames())
    raw, number = frame.held.raw(), round((frame.t_ns + 20_000_000) / 1e9)
    bits = int(kind.split("_")[0])
    assert np.array_equal(raw.mosaic, bayer.sensed(light, np.random.default_rng(number), order, bits))
    assert (raw.order, raw.white, raw.black) == (order, 2**bits - 1, (4096 / 2 ** (16 - bits),) * 4)
    assert raw.gains == bayer.GAINS and np.allclose(raw.matrix, bayer.MATRIX)
    frame.held.release()
    source.close()


def test_each_filter_has_its_own_black():
    levels = {"SensorBlackLevels": (160, 320, 480, 640)}  # of R, Gr, Gb, B
    rows = np.zeros((4, 8), np.uint8)
    blacks = {order: raw_of(rows, f"S{order}12", (4, 4), bayer.METADATA | levels).black for order in bayer.ORDERS}
    assert blacks == {
        "RGGB": (10, 20, 30, 40),
        "BGGR": (40, 30, 20, 10),
        "GRBG": (20, 10, 40, 30),
        "GBRG": (30, 40, 10, 20),
    }
    for lacking in bayer.METADATA:
        with pytest.raises(LookupError, match=lacking):
            raw_of(rows, "SRGGB12", (4, 4), {k: v for k, v in bayer.METADATA.items() if k != lacking})


def test_a_compressed_sensor_is_asked_for_plain_values(monkeypatch, photo, caplog):
    fake_pi.install(monkeypatch, sensor_format="BGGR_PISP_COMP1", light=(photo[:150, :202] / 255).astype(np.float32))
    source = open_source("picamera2")
    assert fake_pi.Picamera2.made.config["raw"]["format"] == "SBGGR16"
    frame = next(source.frames())
    assert frame.held.raw().white == 65535 and caplog.records == []
    frame.held.release()
    source.close()


def test_values_that_are_not_understood_are_told(monkeypatch, caplog):
    fake_pi.install(monkeypatch, sensor_format="R10_CSI2P")  # a sensor without colours
    source = open_source("picamera2")
    assert "R10_CSI2P are not understood: night shots are of finished frames" in caplog.text
    frame = next(source.frames())
    with pytest.raises(LookupError, match="R10_CSI2P are not understood"):
        frame.held.raw()
    frame.held.release()
    source.close()


@pytest.mark.parametrize("refuses", [{"raw"}, {"raw", "lores"}])
def test_a_camera_with_fewer_streams_still_works(monkeypatch, tmp_path, refuses):
    fake_pi.install(monkeypatch, refuses=refuses)
    source = open_source("picamera2")
    frame = next(source.frames())
    assert frame.pixels.shape == frame.held.full_pixels().shape
    with pytest.raises(LookupError, match="no raw"):
        frame.held.save_dng(tmp_path / "x.dng")
    with pytest.raises(LookupError, match="no raw"):
        frame.held.raw()
    frame.held.release()
    source.close()


def test_a_tap_focuses_where_the_lens_can(monkeypatch):
    fake_pi.install(monkeypatch)
    source = open_source("picamera2")
    with pytest.raises(ValueError, match="fixed focus"):
        source.meter(0.5, 0.5)
    source.close()
    able = fake_pi.Picamera2.camera_controls | {"AfWindows": (0, 1, 0), "AfMetering": (0, 1, 0)}
    fake_pi.install(monkeypatch, camera_controls=able, camera_properties={"ScalerCropMaximum": (8, 4, 800, 400)})
    source = open_source("picamera2")
    assert isinstance(source, Metering)
    source.meter(0.25, 1)
    assert fake_pi.Picamera2.made.set == [
        {"AfMode": 1, "AfMetering": 1, "AfWindows": [(183, 379, 50, 50)], "AfTrigger": 0},
    ]
    source.close()


def test_exposure_lock_and_focus(monkeypatch):
    fake_pi.install(monkeypatch)
    source = open_source("picamera2")
    assert isinstance(source, Adjustable)
    next(source.frames()).held.release()
    assert {control.name: control.kind for control in source.controls()} == {
        "ev": "range",
        "exposure_lock": "switch",
        "autofocus": "trigger",
    }
    assert (source.controls()[0].low, source.controls()[0].high) == (-4, 4)
    source.adjust("ev", 1.5)
    source.adjust("exposure_lock", 1)
    source.adjust("autofocus", 1)
    assert fake_pi.Picamera2.made.set == [
        {"ExposureValue": 1.5},
        {"AeEnable": False, "AwbEnable": False},
        {"AfMode": 1, "AfTrigger": 0},
    ]
    assert [control.value for control in source.controls()] == [1.5, 1.0, 1.0]  # still focusing
    for name, value in (("ev", 9), ("zoom", 1)):
        with pytest.raises(ValueError, match="has no"):
            source.adjust(name, value)
    source.close()


def test_silence_in_use_and_missing_are_told(monkeypatch):
    fake_pi.install(monkeypatch)
    source = open_source("picamera2")
    frames = source.frames()
    next(frames).held.release()
    monkeypatch.setattr(picamera2, "_TIMEOUT_S", 0.3)
    fake_pi.Picamera2.made.silent.set()
    with pytest.raises(CameraLost, match=r"stopped .*ribbon cable"):
        for frame in frames:
            frame.held.release()
    with pytest.raises(CameraLost, match=r"busy.*close programs"):
        open_source("picamera2")
    source.close()
    wait_for(lambda: fake_pi.Picamera2.made.out == 0)
    with pytest.raises(CameraLost, match="picamera2:3 cannot be opened"):
        open_source("picamera2:3")


def test_closing_while_another_thread_waits(monkeypatch):
    fake_pi.install(monkeypatch)
    source = open_source("picamera2")
    fake_pi.Picamera2.made.silent.set()
    ended = threading.Event()

    def read():
        for frame in source.frames():
            frame.held.release()
        ended.set()

    threading.Thread(target=read).start()
    source.close()
    assert ended.wait(30) and fake_pi.Picamera2.made.out == 0


def test_without_picamera2_the_way_to_install_it_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "picamera2", None)
    with pytest.raises(CameraLost, match="sudo apt install python3-picamera2"):
        open_source("picamera2")


@pytest.mark.slow
def test_auto_takes_a_camera_that_works_and_passes_over_a_dead_one(monkeypatch):
    fake_pi.install(monkeypatch)
    monkeypatch.setattr("camera_nano.sources.auto.find_spec", lambda name: object())
    real = Path.glob
    monkeypatch.setattr(
        Path, "glob", lambda self, pattern, **kw: iter(()) if str(self) == "/dev" else real(self, pattern, **kw)
    )
    source = open_source("auto")
    assert source.name == "picamera2:0"
    frames = list(islice(source.frames(), 3))
    assert [frame.id for frame in frames] == [0, 1, 2]
    for frame in frames:
        frame.held.release()
    source.close()
    Dead = fake_pi.Picamera2
    monkeypatch.setattr(picamera2, "_TIMEOUT_S", 0.3)
    monkeypatch.setattr(Dead, "run", lambda self: None)
    assert open_source("auto").name == "demo (no camera found)"


def the_brackets(source, usual_ms):
    """Single frames at other exposures are marked by what each says of itself, and end when asked to."""
    frames = source.frames()
    usual = next(frames)
    assert usual.exposure.time_ms == usual_ms and source.bracket((-2.0, 2.0))
    seen = []
    while len({round(frame.exposure.bracket_ev) for frame in seen}) < 3 or len(seen) < 60:
        seen.append(next(frames))
        seen[-1].held.release()
    for frame in seen:
        stops = np.log2(frame.exposure.time_ms * frame.exposure.iso / (usual_ms * usual.exposure.iso))
        assert frame.exposure.bracket_ev == pytest.approx(stops, abs=0.1)  # none passes for a usual one
    n_usual = sum(not frame.exposure.bracket_ev for frame in seen)
    assert len(seen) * 0.6 < n_usual < len(seen)
    assert source.bracket(())
    usual.held.release()
    rest = []
    for frame in islice(frames, 36):
        rest.append(frame)
        frame.held.release()
    assert all(frame.exposure.bracket_ev == 0 and frame.exposure.time_ms == usual_ms for frame in rest[24:])
    source.close()


def test_single_frames_at_another_exposure_are_known_by_their_own_metadata(monkeypatch):
    fake_pi.install(monkeypatch)
    the_brackets(open_source("picamera2"), 20.0)


def test_a_locked_exposure_stays_what_it_was(monkeypatch):
    fake_pi.install(monkeypatch)
    source = open_source("picamera2")
    frames = source.frames()
    next(frames).held.release()
    source.adjust("exposure_lock", 1)
    source.bracket((-2.0,))
    for _ in range(40):
        next(frames).held.release()
    assert all(not wanted["AeEnable"] for wanted in fake_pi.Picamera2.made.set)
    assert len(fake_pi.Picamera2.made.set) > 4 and fake_pi.Picamera2.made.manual == fake_pi.AUTOMATIC
    source.close()


@pytest.mark.parametrize("traits", [{"most_buffers": 4}, {"camera_controls": {"ExposureValue": (-8.0, 8.0, 0.0)}}])
def test_a_camera_without_buffers_or_controls_takes_none(monkeypatch, traits):
    fake_pi.install(monkeypatch, **traits)
    source = open_source("picamera2")
    assert not source.bracket((-2.0,))
    frames = source.frames()
    for _ in range(30):
        frame = next(frames)
        assert frame.exposure.bracket_ev == 0
        frame.held.release()
    assert fake_pi.Picamera2.made.set == []
    source.close()
