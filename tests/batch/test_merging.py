"""Brackets in folders: merged by the way, known to the journal, told, and never in the way of the other photos."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from brackets import AROUND, capture, exif, scene, shoot
from PIL import Image
from test_decode_hdr import dng

from camera_nano import batch
from camera_nano.batch.likeness import compare, small
from camera_nano.batch.merging import exposures_ev, is_focus_stack, reference_of
from camera_nano.batch.watch import watch
from camera_nano.cli import main
from camera_nano.files import Decoder, Taken, open_image, shared_decoder
from camera_nano.stop import Stop

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def light(photo):
    return scene(photo)


@pytest.fixture
def folder(tmp_path, light):
    """A bracket, and a photo that belongs to nothing."""
    shoot(tmp_path / "in", light)
    shoot(tmp_path / "in", np.rot90(light), [0.0], first=9, at_s=100, mode=0)
    return tmp_path / "in"


def run(capsys, *argv):
    code = main(["batch", *map(str, argv), "--json"])
    told = capsys.readouterr()
    return (
        code,
        {tuple(r.get("merged_from") or [r["input"]]): r for r in map(json.loads, told.out.splitlines())},
        told.err,
    )


def inodes(out):
    return {path.name: path.stat().st_ino for path in out.glob("*.jpg")}


def test_a_bracket_becomes_one_picture_more(folder, tmp_path, capsys):
    out, report = tmp_path / "out", tmp_path / "report.html"
    code, results, told = run(capsys, folder, "--out", out, "--report", report)
    assert code == 0 and "5 done" in told and "1 of those done are merged from several photos" in told
    members = tuple(str(folder / f"IMG_{n:04}.jpg") for n in (1, 2, 3))
    merged = results[members]
    assert (merged["status"], merged["n_used"]) == ("done", 3) and merged["measured_ev"] == pytest.approx(2, abs=0.3)
    assert [Path(path).name for path in merged["outputs"]] == ["IMG_0001-merged_natural.jpg"]
    assert sorted(inodes(out)) == sorted(
        [f"IMG_{n:04}_natural.jpg" for n in (1, 2, 3, 9)] + ["IMG_0001-merged_natural.jpg"]
    )
    made = out / "IMG_0001-merged_natural.jpg"
    assert open_image(made).headroom_ev.max() > 1  # measured
    recipe = shared_decoder().read_recipe(made)
    assert [name for name, _ in recipe.merging.photos] == [Path(path).name for path in members]
    line = "merged from IMG_0001.jpg, IMG_0002.jpg, IMG_0003.jpg: 3 of 3 used"
    assert line in report.read_text() and merged["notes"][0].startswith(line)

    before = inodes(out)
    code, results, told = run(capsys, folder, "--out", out, "--report", report)
    assert code == 0 and "0 done, 5 there already, 0 failed" in told and inodes(out) == before
    assert line in report.read_text()
    assert main(["journal", "verify", str(out)]) == 0

    shoot(
        folder, scene(np.asarray(open_image(folder / "IMG_0001.jpg").frame.pixels)[:, ::-1]), [2.0], first=3, at_s=0.8
    )
    code, results, told = run(capsys, folder, "--out", out)  # another picture in the place of the third
    assert "1 done, 3 there already" in told and "are not alike" in told
    assert [name for name in before if inodes(out)[name] != before[name]] == ["IMG_0003_natural.jpg"]


def test_off_merges_nothing_and_a_dry_run_tells_what_would_be(folder, tmp_path, capsys):
    _, results, told = run(capsys, folder, "--out", tmp_path / "out", "--dry-run")
    assert sorted(map(len, results)) == [1, 1, 1, 1, 3] and not (tmp_path / "out").exists()
    assert "4 of 4 photos would be read, 5 files written; 1 of the pictures would be merged" in told
    assert len(run(capsys, folder, "--out", tmp_path / "out", "--merge", "off")[1]) == 4
    assert len(inodes(tmp_path / "out")) == 4


def test_a_changed_photo_of_a_bracket_changes_what_was_merged(folder, tmp_path, light, capsys):
    out = tmp_path / "out"
    run(capsys, folder, "--out", out)
    before = inodes(out)
    Image.fromarray(capture(light, 2, shift_px=4, seed=77)).save(folder / "IMG_0003.jpg", exif=exif(0.8, 2))
    _, _, told = run(capsys, folder, "--out", out)
    assert "2 done, 3 there already" in told
    changed = [name for name in before if inodes(out)[name] != before[name]]
    assert sorted(changed) == ["IMG_0001-merged_natural.jpg", "IMG_0003_natural.jpg"]


def test_what_does_not_fit_after_all_stays_single_and_is_not_tried_again(folder, tmp_path, capsys, monkeypatch):
    tried = []

    def open_photos(paths, decoder):
        if len(paths) > 1:
            tried.append(paths)
            raise ValueError("nothing in them fits")
        return batch.open_photos(paths, decoder)

    monkeypatch.setattr(sys.modules["camera_nano.batch.run"], "open_photos", open_photos)
    for _ in range(2):
        code, _, told = run(capsys, folder, "--out", tmp_path / "out", "--report", tmp_path / "r.html")
        assert (
            code == 0
            and "0 failed; 1 groups do not fit" in told
            and "nothing in them fits" in (tmp_path / "r.html").read_text()
        )
    assert len(tried) == 1 and len(inodes(tmp_path / "out")) == 4


def test_a_damaged_photo_of_a_bracket_costs_itself_and_the_merge(folder, tmp_path, capsys):
    data = (folder / "IMG_0002.jpg").read_bytes()
    (folder / "IMG_0002.jpg").write_bytes(data[: len(data) // 2])
    code, _, told = run(capsys, folder, "--out", tmp_path / "out")
    assert code == 1 and "3 done, 0 there already, 1 failed" in told


def test_watching_waits_until_a_bracket_is_whole(tmp_path):
    paths = [tmp_path / f"{name}.jpg" for name in "abc"]
    for path in paths:
        path.write_bytes(b"x")
    looks, ran, stop = [0], [], Stop()

    def jobs_now():
        looks[0] += 1
        n_there = 2 if looks[0] < 4 else 3
        return [batch.Job(paths[0], (tmp_path / "out.jpg",), others=tuple(paths[1:n_there]), of=str(n_there))]

    def run(jobs):
        ran.extend(jobs)
        return False

    watch(jobs_now, run, stop, every_s=0.01, settled_s=0.3)
    assert [job.of for job in ran] == ["3"]


def told(**values):
    return Taken(time_s=values.pop("time_s", 1 / 60), **values)


def test_exposures_are_of_exif_and_pictures(tmp_path, light):
    names = [tmp_path / name for name in "abc"]
    pictures = [small(capture(light, ev, noise=0)) for ev in AROUND]
    for taken in ([told()] * 3, [Taken()] * 3):  # all the same, or nothing
        evs, notes, _ = exposures_ev(names, taken, pictures)
        assert evs == pytest.approx(AROUND, abs=0.1) and bool(notes) == (taken[0].ev is not None)
    rounded = [told(time_s=t) for t in (1 / 15, 1 / 60, 1 / 4)]  # 1/16, 1/64, 1/4 in truth
    evs, notes, _ = exposures_ev(names, rounded, pictures)
    assert evs == pytest.approx(AROUND, abs=0.1) and not notes
    blank = [np.full_like(picture, 90) for picture in pictures]
    evs, _, _ = exposures_ev(names, rounded, blank)
    assert evs == pytest.approx([rounded[k].ev - rounded[0].ev for k in range(3)])
    with pytest.raises(ValueError, match="do not say how they were exposed"):
        exposures_ev(names, [Taken()] * 3, blank)


@pytest.mark.parametrize("ev", [-3, -1, 0, 2, 3])
def test_a_picture_is_like_itself_in_another_light_and_not_like_others(light, ev):
    found = compare(small(capture(light)), small(capture(light, ev, shift_px=9)))
    assert found.is_alike and found.ev == pytest.approx(ev, abs=0.25)
    assert not compare(small(capture(light)), small(capture(light[::-1], ev))).is_alike


def test_the_reference_is_the_middle_exposure_or_the_sharpest(light):
    assert reference_of(AROUND, [None] * 3) == 0 and reference_of((2.0, 0.0), [None] * 2) == 1
    sharp = capture(light, noise=0)
    blurred = np.asarray(Image.fromarray(sharp).reduce(4).resize(sharp.shape[1::-1]))
    assert reference_of((0.0, 0.0, 0.0), [blurred, sharp, blurred]) == 1


def test_a_focus_stack_is_not_merged(photo, tmp_path):
    blurred = np.asarray(Image.fromarray(photo).reduce(16).resize(photo.shape[1::-1], Image.Resampling.BICUBIC))
    near, far = photo.copy(), photo.copy()
    near[:256], far[256:] = blurred[:256], blurred[256:]
    assert is_focus_stack([near, near, far])
    assert not is_focus_stack([photo, photo, blurred]) and not is_focus_stack([near, near])
    for name, pixels in (("a.png", near), ("b.png", far)):
        Image.fromarray(pixels).save(tmp_path / name)
    with Decoder() as decoder, pytest.raises(ValueError, match="focus stack"):
        batch.merge_photos([tmp_path / "a.png", tmp_path / "b.png"], decoder)


def test_raw_files_are_merged_in_linear_light(tmp_path):
    rng = np.random.default_rng(1)
    coarse = np.kron(rng.uniform(-6, 1.5, (8, 10)), np.ones((32, 32)))
    light = np.clip(2**coarse, 0, 4)
    paths = [tmp_path / f"{k}.dng" for k in range(3)]
    for path, ev in zip(paths, AROUND, strict=True):
        seen = np.clip(light * 2**ev + rng.normal(0, 0.001, light.shape), 0, 1)
        dng(path, np.rint(seen * 65535).astype(np.uint16))
    with Decoder() as decoder:
        found = batch.merge_photos(paths, decoder)
        reference = decoder.open_capture(paths[0])
        other = decoder.open_capture(paths[0], (2.0, 1.0, 2.0, 1.0))
    assert found.merging.n_used == 3 and found.merging.range_ev == pytest.approx(1.5, abs=0.1)
    # the matrix turns the sensor's grey into colours, by the same factors at any light
    middles = np.s_[16::32, 16::32]
    ratio = found.merged.light[middles].mean(2) / light[middles]
    assert np.std(np.log2(ratio[light[middles] > 0.02])) < 0.1
    assert reference.white_balance[:3] == (1, 1, 1) and other.white_balance == (2.0, 1.0, 2.0, 1.0)
    assert np.median(other.frame.pixels[..., 0]) > 1.2 * np.median(reference.frame.pixels[..., 0])
