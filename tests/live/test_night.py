"""Shots of more frames than one: at night, and with darker frames while light clips."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import fake_pi
import numpy as np
import pytest
from PIL import Image
from playback import Playback

from camera_nano import enhance
from camera_nano.color import srgb_eotf
from camera_nano.files import inspect, shared_decoder
from camera_nano.light import noise_level
from camera_nano.live import Session, Shot, companions
from camera_nano.live.companions import is_dark
from camera_nano.recipe import Merging
from camera_nano.seams import Bracketing, Editor
from camera_nano.sources import open_source
from camera_nano.sources.demo import DemoCamera
from camera_nano.values import Exposure, Frame, Pixels

SIZE_WH = (480, 270)
Start = Callable[..., Session]


@pytest.fixture
def start(start_session: Start) -> Start:
    """A function that starts a session with one look."""
    return partial(start_session, looks=["natural"])


def shoot(session: Session) -> tuple[Shot, list[tuple[int, int]]]:
    """A shot of the newest look, and what its progress was."""
    proposal, told = session.wait_proposal(0, timeout_s=60), []
    assert proposal is not None
    shot = session.commit(
        proposal.frame_id, proposal.id, ["natural"], progress=lambda n, n_wanted: told.append((n, n_wanted))
    )
    return shot.result(120), told


def pixels(path: Path) -> Pixels:
    return np.asarray(Image.open(path).convert("RGB"))


def test_dark_is_what_the_camera_says_else_what_the_frame_shows() -> None:
    night, day = (DemoCamera(scene, SIZE_WH, pace=False).frame(0) for scene in ("night", "backlit"))
    assert is_dark(night) and not is_dark(day)
    silent = Exposure()
    assert is_dark(replace(night, exposure=silent)) and not is_dark(replace(day, exposure=silent))
    assert is_dark(Frame(np.full((64, 64, 3), 20, np.uint8)))
    assert is_dark(replace(day, exposure=Exposure(lux=2.0))) and not is_dark(replace(night, exposure=Exposure(lux=300)))


@pytest.mark.slow
def test_a_shot_in_the_dark_is_of_eight_frames_and_its_original_of_one(start: Start) -> None:
    session = start(DemoCamera("night", SIZE_WH), night=True)
    shot, told = shoot(session)
    assert shot.n_merged == 8 and shot.note == "" and shot.as_dict()["n_merged"] == 8
    assert told == [(n, 8) for n in range(1, 9)]
    truth = DemoCamera("night", SIZE_WH, pace=False).frame(shot.frame_id)
    assert np.array_equal(pixels(shot.original), truth.pixels)
    recipe = shared_decoder().read_recipe(shot.looks["natural"])
    assert recipe.merging == Merging(8, 0.0)
    alone, _ = shoot(start(DemoCamera("night", SIZE_WH), night=False))
    assert alone.n_merged == 1
    assert noise_level(pixels(shot.looks["natural"])) < 0.7 * noise_level(pixels(alone.looks["natural"]))


def test_by_day_a_shot_is_of_one_frame(start: Start) -> None:
    shot, told = shoot(start(DemoCamera("backlit", SIZE_WH), night=True))
    assert shot.n_merged == 1 and shot.note == "" and told == []


def test_where_nothing_can_be_aligned_one_frame_is_saved_and_said(start: Start, rng: np.random.Generator) -> None:
    class Chaos(Playback):
        def frames(self) -> Iterator[Frame]:
            for frame in super().frames():
                patches = rng.integers(0, 60, (8, 10, 3), np.uint8)  # another scene every time
                yield replace(frame, pixels=patches.repeat(16, axis=0).repeat(16, axis=1))

    session = start(Chaos(np.zeros((1, 1, 3), np.uint8), 0.02), night=True)
    shot, told = shoot(session)
    assert told[-1] == (8, 8) and shot.n_merged == 1
    assert "could not be aligned" in shot.note


@pytest.mark.slow
def test_as_many_frames_as_memory_holds(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    n_px = SIZE_WH[0] * SIZE_WH[1]
    monkeypatch.setattr(companions, "available_bytes", lambda: 2 * n_px * (40 + 3 * 3))
    shot, told = shoot(start(DemoCamera("night", SIZE_WH), night=True))
    assert told[-1] == (3, 3) and shot.n_merged == 3
    monkeypatch.setattr(companions, "available_bytes", lambda: 0)
    shot, _ = shoot(start(DemoCamera("night", SIZE_WH), night=True))
    assert shot.n_merged == 1 and "no memory" in shot.note


@pytest.mark.slow
def test_presses_meanwhile_are_kept_in_order(start: Start) -> None:
    session = start(DemoCamera("night", SIZE_WH), night=True)
    proposal = session.wait_proposal(0, timeout_s=60)
    assert proposal is not None
    presses = [session.commit(proposal.frame_id + n, proposal.id, ["natural"]) for n in range(4)]
    shots = [press.result(120) for press in presses]
    assert [shot.id for shot in shots] == [1, 2, 3, 4] and all(shot.n_merged > 1 for shot in shots)


def test_full_size_frames_of_a_camera_with_few_buffers(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_pi.install(monkeypatch, lux=3.0)
    monkeypatch.setattr(companions, "_MORE_S", 60.0)  # a slow machine takes longer for eight frames
    session = start(open_source("picamera2"), night=True)
    for _ in range(2):
        shot, told = shoot(session)
        assert told[-1] == (8, 8)  # more than the ring can hold
        assert pixels(shot.looks["natural"]).shape == pixels(shot.original).shape
    session.close()
    assert fake_pi.Picamera2.made is not None and fake_pi.Picamera2.made.out == 0


@pytest.mark.slow
def test_in_the_dark_a_pis_raw_values_are_merged(
    start: Start, monkeypatch: pytest.MonkeyPatch, photo: Pixels, editor: Editor
) -> None:
    light = srgb_eotf(photo[100:356, 100:420] / 255).astype(np.float32)
    monkeypatch.setattr(companions, "_MORE_S", 60.0)
    merged = []
    real = companions.merge_raw
    monkeypatch.setattr(companions, "merge_raw", lambda *args, **options: merged.append(args) or real(*args, **options))
    for sensor_format, is_raw in (("SBGGR10_CSI2P", True), ("R10", False)):
        fake_pi.install(monkeypatch, lux=3.0, light=light, sensor_resolution=(320, 256), sensor_format=sensor_format)
        session = start(open_source("picamera2"), night=True)
        shot, told = shoot(session)
        assert told[-1] == (8, 8) and shot.n_merged == 8 and shot.note == ""
        assert len(merged) == is_raw
        merged.clear()
        [single] = enhance(pixels(shot.original), ["natural"], editor=editor, assume="captured")
        # finished frames are smoothed and rounded: their mean gains less
        most = (0.8 if is_raw else 0.95) * noise_level(single.image)
        assert noise_level(pixels(shot.looks["natural"])) < most
        session.close()
        assert fake_pi.Picamera2.made is not None and fake_pi.Picamera2.made.out == 0


# ---------------------------------------------------------------- brackets


def measured(session: Session) -> None:
    """Wait until looks show what darker frames hold."""
    proposal = session.wait_proposal(0, timeout_s=60)
    while proposal is not None and proposal.merged_ev is None:
        proposal = session.wait_proposal(proposal.id, timeout_s=60)
    assert proposal is not None and proposal.merged_ev is not None and proposal.merged_ev < 0


@pytest.mark.slow
def test_highlights_are_captured_shown_and_saved(start: Start) -> None:
    session = start(DemoCamera("backlit", SIZE_WH), bracket=True)
    measured(session)
    assert session.status()["headroom"] == "measured"
    assert all(not frame.exposure.bracket_ev for frame in session.ring.frames())
    proposal = session.proposal()
    assert proposal is not None
    shot = session.commit(proposal.frame_id, proposal.id, ["natural"]).result(120)
    assert shot.n_merged == 2 and shot.headroom == "measured"
    assert shared_decoder().read_recipe(shot.looks["natural"]).merging.range_ev > 1
    assert inspect(shot.looks["natural"]).gain_map is not None
    frame = DemoCamera("backlit", SIZE_WH, pace=False).frame(shot.frame_id)
    assert np.array_equal(pixels(shot.original), frame.pixels)
    clipped = frame.pixels.min(axis=2) >= 253
    assert np.std(pixels(shot.looks["natural"])[clipped]) > 8  # flat white without the darker frame
    plain = session.commit(proposal.frame_id, proposal.id, ["natural"], 0.0).result(120)
    assert plain.n_merged == 1 and plain.headroom is None


def test_takes_show_what_darker_frames_hold(start: Start) -> None:
    session = start(DemoCamera("backlit", SIZE_WH), bracket=True)
    measured(session)
    newest = session.ring.latest()
    assert newest is not None
    clipped = newest.pixels.min(axis=2) >= 253
    for take in session.takes(newest.id, "natural"):
        assert take.pixels.dtype == np.uint8
        assert np.std(take.pixels[clipped]) > 8  # flat white without them


def test_without_brackets_headroom_is_estimated(start: Start) -> None:
    session = start(DemoCamera("backlit", SIZE_WH), bracket=False)
    shot, _ = shoot(session)
    assert shot.n_merged == 1 and shot.headroom in ("estimated", None)
    assert session.status()["headroom"] == "estimated"


class Deaf(DemoCamera):
    """Says that its frames are darker, and takes them like all others."""

    asked: tuple[float, ...] | None = None
    brightness = 1.0

    def bracket(self, offsets_ev: object) -> bool:
        self.asked = tuple(offsets_ev)  # type: ignore[call-overload]
        return super().bracket(self.asked)

    def frame(self, n: int, t_ns: int = 0, bracket_ev: float = 0.0) -> Frame:
        frame = super().frame(n, t_ns)
        pixels = (frame.pixels * self.brightness).astype(np.uint8)
        return replace(frame, pixels=pixels, exposure=replace(frame.exposure, bracket_ev=bracket_ev))


def test_a_camera_that_does_not_follow_is_told_once(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    source = Deaf("backlit", SIZE_WH)
    session = start(source, bracket=True)
    newest = session.ring.wait_newer(-1, 60)
    while newest is not None and session.status()["bracket_note"] is None:
        newest = session.ring.wait_newer(newest.id, 60)
    assert "does not change its exposure" in session.status()["bracket_note"]
    last = session.proposal()
    assert last is not None and session.wait_proposal(last.id + 1, timeout_s=60)
    assert source.asked == ()
    assert [record.message.count("does not change") for record in caplog.records].count(1) == 1
    assert session.status()["headroom"] == "estimated"
    source.brightness = 0.2  # the scene fits the sensor now, so nothing is lacking
    while newest is not None and session.status()["bracket_note"] is not None:
        newest = session.ring.wait_newer(newest.id, 60)
    assert newest is not None


def test_a_scene_that_fits_needs_no_other_exposure(start: Start, photo: Pixels) -> None:
    class Patient(Playback):
        asked: list[tuple[float, ...]]

        def bracket(self, offsets_ev: object) -> bool:
            self.asked = [*getattr(self, "asked", []), tuple(offsets_ev)]  # type: ignore[call-overload]
            return True

    source = Patient(photo // 2, 0.02)
    assert isinstance(source, Bracketing)
    session = start(source, bracket=True)
    assert session.wait_proposal(1, timeout_s=60)
    assert set(source.asked) == {()}


def test_frames_at_other_exposures_are_no_views(start: Start) -> None:
    session = start(DemoCamera("backlit", SIZE_WH), bracket=True)
    measured(session)
    newest = session.ring.latest()
    for _ in range(20):
        assert newest is not None and not newest.exposure.bracket_ev
        newest = session.ring.wait_newer(newest.id, 60)
    assert newest is not None and session.ring.n_brackets(0, newest.id) > 1
