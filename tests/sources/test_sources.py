"""Sources through their public API: real files, a strict fake of picamera2, and the demo camera's physics."""

from __future__ import annotations

import logging
import threading
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from profiles import D50, matrix_profile, recoded

from camera_nano.color import luminance, srgb_codes, srgb_eotf
from camera_nano.errors import CameraLost
from camera_nano.paths import pipeline_dir, scenes_dir
from camera_nano.seams import Source
from camera_nano.sources import open_source
from camera_nano.sources.demo import KEY, DemoCamera, scene_names
from camera_nano.sources.files import PhotoFolder
from camera_nano.sources.opencv import V4L2Camera, VideoFile
from camera_nano.values import Pixels

SIZE_WH = (192, 108)


@pytest.fixture(scope="module")
def camera() -> DemoCamera:
    return DemoCamera(size_wh=SIZE_WH, pace=False)


@pytest.fixture(scope="module")
def ideal() -> DemoCamera:
    return DemoCamera(size_wh=SIZE_WH, pace=False, noise=False)


# ---------------------------------------------------------------- demo


@pytest.mark.slow
def test_a_demo_frame_depends_on_its_number_and_seed_alone(camera: DemoCamera) -> None:
    late_first = DemoCamera(size_wh=SIZE_WH, pace=False)
    assert np.array_equal(late_first.frame(40).pixels, camera.frame(40).pixels)
    assert np.array_equal(late_first.frame(7).pixels, camera.frame(7).pixels)
    assert late_first.frame(40).exposure == camera.frame(40).exposure
    other = DemoCamera(size_wh=SIZE_WH, pace=False, seed=1)
    assert not np.array_equal(other.frame(7).pixels, camera.frame(7).pixels)


def test_unpaced_frames_are_every_frame_in_order(camera: DemoCamera) -> None:
    frames = list(islice(DemoCamera(size_wh=SIZE_WH, pace=False).frames(), 5))
    assert [f.id for f in frames] == [0, 1, 2, 3, 4]
    assert all(a.t_ns < b.t_ns for a, b in pairwise(frames))
    assert np.array_equal(frames[3].pixels, camera.frame(3).pixels)


def test_the_picture_moves_and_comes_back(ideal: DemoCamera) -> None:
    turn = round(24 * ideal.fps)
    moved = np.abs(ideal.frame(0).pixels.astype(int) - ideal.frame(turn // 4).pixels).mean()
    assert moved > 10
    assert ideal.yaw_deg(turn) == pytest.approx(ideal.yaw_deg(0), abs=1e-9)


def test_auto_exposure_lags_and_errs_both_ways(camera: DemoCamera) -> None:
    errors = [camera.frame(n).exposure.ev or 0.0 for n in range(0, 720, 12)]
    assert max(errors) > 0.4
    assert min(errors) < -0.4
    assert abs(float(np.mean(errors))) < 0.5


def test_auto_exposure_settles_when_the_camera_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    still = DemoCamera(size_wh=SIZE_WH, pace=False)
    views = iter([0.0])
    monkeypatch.setattr(still, "yaw_deg", lambda n: next(views, 90.0))  # a jump into the dark, then rest
    steps = [still.gain(n) for n in range(200)]
    ratios = np.log2(np.array(steps) / steps[-1])
    assert abs(ratios[2]) > 0.8, "the jump is not followed at once"
    lag = int(np.argmax(np.abs(ratios[1:]) < abs(ratios[1]) / np.e))
    assert 0.4 < lag / still.fps < 1.4, "a first-order lag of about 0.7 s; clipping slows it"
    assert abs(ratios[150]) < 0.02
    assert abs(still.frame(199).exposure.ev or 0.0) < 0.6  # metered on clipped light, so not quite the ideal


@pytest.mark.parametrize("n", [0, 100, 333])
def test_a_frame_is_its_radiance_where_nothing_clips(ideal: DemoCamera, n: int) -> None:
    truth = ideal.radiance(n)
    seen = srgb_eotf(ideal.frame(n).pixels / 255)
    assert truth.shape == seen.shape == (SIZE_WH[1], SIZE_WH[0], 3)
    inside = (truth > 0.02) & (truth < 0.95)
    assert inside.mean() > 0.3
    assert float(np.abs(np.log2(seen[inside] / truth[inside])).max()) < 0.12  # two 8-bit roundings
    assert np.all(seen[truth > 1.01] > 0.99)


def test_the_scene_holds_more_range_than_the_sensor(ideal: DemoCamera) -> None:
    brightest = [float(ideal.radiance(n).max()) for n in range(0, 720, 60)]
    assert max(brightest) > 4
    assert any((ideal.radiance(n) < 0.004).mean() > 0.001 for n in range(0, 720, 60))


def test_exposure_puts_the_mean_log_luminance_near_the_key(ideal: DemoCamera) -> None:
    keys = [float(np.log2(np.maximum(luminance(ideal.radiance(n)), 1e-4)).mean()) for n in range(0, 720, 24)]
    assert abs(float(np.mean(keys)) - np.log2(KEY)) < 1.0


def test_noise_grows_with_light_and_iso(camera: DemoCamera, ideal: DemoCamera) -> None:
    n = 0
    noisy, clean = (srgb_eotf(c.frame(n).pixels / 255) for c in (camera, ideal))
    truth = ideal.radiance(n)
    dark, light = (truth > 0.02) & (truth < 0.06), (truth > 0.3) & (truth < 0.7)
    variance = [float(np.var((noisy - truth)[part])) for part in (dark, light)]
    control = [float(np.var((clean - truth)[part])) for part in (dark, light)]
    assert variance[1] > 3 * variance[0]
    assert variance[0] > 3 * control[0]  # what the roundings alone leave
    assert variance[1] > 3 * control[1]
    isos = {round(camera.frame(k).exposure.iso or 0): k for k in range(0, 720, 40)}
    low, high = isos[min(isos)], isos[max(isos)]
    assert max(isos) > 1.5 * min(isos)
    assert _grey_noise(camera, ideal, high) > 1.1 * _grey_noise(camera, ideal, low)


def _grey_noise(camera: DemoCamera, ideal: DemoCamera, n: int) -> float:
    truth = ideal.radiance(n)
    grey = (truth > 0.1) & (truth < 0.3)
    return float(np.std((srgb_eotf(camera.frame(n).pixels / 255) - truth)[grey] / np.sqrt(truth[grey])))


def test_exposure_metadata_is_plausible(camera: DemoCamera) -> None:
    for n in range(0, 720, 60):
        exposure = camera.frame(n).exposure
        assert exposure.time_ms is not None and 0 < exposure.time_ms <= 1000 / camera.fps
        assert exposure.iso is not None and 100 <= exposure.iso <= 3200


@pytest.mark.slow
def test_every_scene_opens_and_an_unknown_one_names_them() -> None:
    for name in scene_names():
        assert open_source(f"demo:{name}").name == f"demo:{name}"
    with pytest.raises(ValueError, match="room"):
        open_source("demo:nowhere")


# ---------------------------------------------------------------- video and photo files


def _clip(path: Path, colours: list[tuple[int, int, int]]) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (64, 48))
    assert writer.isOpened()
    for r, g, b in colours:
        writer.write(np.full((48, 64, 3), (b, g, r), np.uint8))
    writer.release()
    return path


def test_a_video_keeps_its_colours_and_ends(tmp_path: Path) -> None:
    path = _clip(tmp_path / "clip.avi", [(250, 0, 0), (0, 0, 250), (0, 250, 0)])
    frames = list(VideoFile(path, loop=False, pace=False).frames())
    assert [f.id for f in frames] == [0, 1, 2]
    assert [int(f.pixels[24, 32].argmax()) for f in frames] == [0, 2, 1]
    assert frames[0].pixels[24, 32] == pytest.approx([250, 0, 0], abs=12)
    assert [b.t_ns - a.t_ns for a, b in pairwise(frames)] == [40_000_000, 40_000_000]


def test_a_video_loops_with_ids_that_go_on(tmp_path: Path) -> None:
    path = _clip(tmp_path / "clip.avi", [(250, 0, 0), (0, 0, 250)])
    frames = list(islice(VideoFile(path, pace=False).frames(), 5))
    assert [f.id for f in frames] == [0, 1, 2, 3, 4]
    assert [int(f.pixels[24, 32].argmax()) for f in frames] == [0, 2, 0, 2, 0]


def test_a_folder_plays_what_it_can_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Image.new("RGB", (40, 30), (255, 0, 0)).save(tmp_path / "b_red.png")
    Image.new("RGB", (3840, 20), (0, 0, 255)).save(tmp_path / "c_wide.webp", lossless=True)
    (tmp_path / "a_broken.jpg").write_bytes(b"\xff\xd8\xff not a photo")
    (tmp_path / "notes.txt").write_text("not a photo either")
    turned = Image.new("RGB", (40, 30), (0, 255, 0))
    exif = turned.getexif()
    exif[0x0112] = 6  # a camera held upright
    turned.save(tmp_path / "d_turned.jpg", exif=exif, quality=95)
    source = PhotoFolder(tmp_path, hold_s=0.2, pace=False)
    with caplog.at_level(logging.WARNING):
        frames = list(islice(source.frames(), 8))
    assert [f.id for f in frames] == list(range(8))
    assert all(a.t_ns < b.t_ns for a, b in pairwise(frames))
    assert [f.pixels.shape[:2] for f in frames[::2]] == [(30, 40), (10, 1920), (40, 30), (30, 40)]
    assert [int(f.pixels[5, 5].argmax()) for f in frames[::2]] == [0, 2, 1, 0]
    assert frames[0].pixels[5, 5].tolist() == [255, 0, 0]
    assert sum("a_broken.jpg" in r.message for r in caplog.records) == 1


def test_a_folder_shows_deep_grey_and_wide_photos_as_they_look(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a_grey.png"), np.full((30, 40), 40_000, np.uint16))
    orange = np.full((30, 40, 3), (220, 120, 40), np.uint8)
    icc = matrix_profile("prophoto", 1.8, D50)
    Image.fromarray(recoded(orange, icc, np.uint8)).save(tmp_path / "b_wide.png", icc_profile=icc)
    grey, wide = islice(PhotoFolder(tmp_path, hold_s=0.1, pace=False).frames(), 2)
    assert grey.pixels[5, 5].tolist() == pytest.approx([40_000 / 257] * 3, abs=1)
    assert wide.pixels.dtype == np.uint8 and wide.pixels[5, 5].tolist() == pytest.approx([220, 120, 40], abs=3)


# ---------------------------------------------------------------- what goes wrong


def test_lost_cameras_say_what_why_and_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "broken.jpg").write_bytes(b"no")
    (tmp_path / "broken.avi").write_bytes(b"no")
    for uri in (
        f"video:{tmp_path / 'none.avi'}",
        f"video:{tmp_path / 'broken.avi'}",
        f"folder:{tmp_path / 'none'}",
        f"folder:{tmp_path}",
        f"v4l2:{tmp_path / 'video9'}",
    ):
        with pytest.raises(CameraLost) as lost:
            next(open_source(uri).frames())
        assert "\n" not in str(lost.value)
        assert ":" in str(lost.value)


@pytest.mark.parametrize("uri", ["", "webcam", "demos:room", "v4l2:first", "video:", "picamera2:x", "auto:1"])
def test_an_unknown_source_lists_the_choices(uri: str) -> None:
    with pytest.raises(ValueError, match=r"folder:PATH"):
        open_source(uri)


@pytest.mark.slow
def test_auto_says_when_there_is_no_camera(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("camera_nano.sources.auto.find_spec", lambda name: None)
    monkeypatch.setattr(Path, "glob", _without_cameras(Path.glob))
    assert open_source("auto").name == "demo (no camera found)"


def _without_cameras(real: Any) -> Any:
    return lambda self, pattern, **kw: iter(()) if str(self) == "/dev" else real(self, pattern, **kw)


def _sources(tmp_path: Path) -> list[Source]:
    Image.new("RGB", (40, 30)).save(tmp_path / "photo.png")
    clip = _clip(tmp_path / "clip.avi", [(0, 0, 0)])
    return [DemoCamera(size_wh=SIZE_WH), VideoFile(clip), PhotoFolder(tmp_path)]


@pytest.mark.slow
@pytest.mark.parametrize("which", [0, 1, 2])
def test_close_from_another_thread_ends_the_frames(tmp_path: Path, which: int) -> None:
    source = _sources(tmp_path)[which]
    started = threading.Event()

    def consume() -> None:
        for _ in source.frames():
            started.set()

    thread = threading.Thread(target=consume, daemon=True)
    thread.start()
    assert started.wait(30)
    source.close()
    source.close()
    thread.join(30)
    assert not thread.is_alive()
    assert list(source.frames()) == []


def test_a_missing_v4l2_camera_is_lost() -> None:
    with pytest.raises(CameraLost, match="use --source demo"):
        V4L2Camera(250)


class FakeCapture:
    """A USB camera in OpenCV's place: exposures arrive two frames late; automatic, its exposure is 100."""

    def __init__(self, *_: object) -> None:
        self.set_to = {cv2.CAP_PROP_AUTO_EXPOSURE: 3.0, cv2.CAP_PROP_EXPOSURE: 100.0}
        self.late = [100.0] * 3
        self.scene = np.random.default_rng(1).uniform(0.05, 0.5, (90, 160, 3))
        self.follows = True

    def isOpened(self) -> bool:
        return True

    def set(self, name: int, value: float) -> bool:
        self.set_to[name] = value
        return True

    def get(self, name: int) -> float:
        return self.set_to.get(name, 0.0)

    def grab(self) -> bool:
        by_hand = self.set_to[cv2.CAP_PROP_AUTO_EXPOSURE] == 1 and self.follows
        self.late = [*self.late[1:], self.set_to[cv2.CAP_PROP_EXPOSURE] if by_hand else 100.0]
        return True

    def retrieve(self) -> tuple[bool, Pixels]:
        return True, srgb_codes(self.scene * self.late[0] / 100)

    def release(self) -> None:
        pass


@pytest.mark.parametrize("follows", [True, False])
def test_a_usb_camera_takes_frames_at_other_exposures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, follows: bool
) -> None:
    fake = FakeCapture()
    fake.follows = follows
    monkeypatch.setattr(cv2, "VideoCapture", lambda *_: fake)
    (tmp_path / "video0").touch()
    source = V4L2Camera(str(tmp_path / "video0"))
    assert source.bracket((-2.0,))
    frames = list(islice(source.frames(), 100))
    darker = [frame for frame in frames if frame.exposure.bracket_ev]
    assert len(darker) == 2 and [frame.id for frame in frames] == list(range(100))
    light = [float(srgb_eotf(frame.pixels / 255).mean()) for frame in frames if not frame.exposure.bracket_ev]
    assert max(light) < 1.05 * min(light)  # no view flickers
    ratio = float(srgb_eotf(darker[0].pixels / 255).mean()) / light[0]
    assert ratio == pytest.approx(0.25 if follows else 1, rel=0.1)
    assert darker[0].exposure.bracket_ev == pytest.approx(-2, abs=0.1)
    assert fake.set_to[cv2.CAP_PROP_AUTO_EXPOSURE] == 3 and fake.set_to[cv2.CAP_PROP_EXPOSURE] == 100
    source.close()


# ---------------------------------------------------------------- shipped files


def test_shipped_folders_are_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert (scenes_dir() / "room.json").is_file()
    assert sum(p.stat().st_size for p in scenes_dir().iterdir()) < 12 * 2**20
    monkeypatch.setenv("CAMERA_NANO_PIPELINE", str(tmp_path))
    assert pipeline_dir() == tmp_path
    monkeypatch.setenv("CAMERA_NANO_PIPELINE", str(tmp_path / "none"))
    with pytest.raises(FileNotFoundError, match="CAMERA_NANO_PIPELINE"):
        pipeline_dir()
    monkeypatch.delenv("CAMERA_NANO_PIPELINE")
    with pytest.raises(FileNotFoundError, match="reinstall"):
        pipeline_dir("no-such-pipeline")


def test_the_demo_remembers_the_exposure_of_no_more_frames_than_may_be_asked_for(monkeypatch):
    monkeypatch.setattr("camera_nano.sources.demo._KEPT_GAINS", 16)
    short = DemoCamera(size_wh=(64, 36))
    monkeypatch.undo()
    assert [short.gain(n) for n in (40, 30)] == [DemoCamera(size_wh=(64, 36)).gain(n) for n in (40, 30)]
    with pytest.raises(LookupError, match="frame 3 of demo:room has passed"):
        short.gain(3)
