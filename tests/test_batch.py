import errno
import io
import os
import shutil
import threading

import numpy as np
import pytest
import skimage.data
from PIL import Image

from camera_nano import batch
from camera_nano.field import render_reference
from camera_nano.progress import Progress, progress_line
from camera_nano.values import GRID_HWD, EditField, Look

NATURAL, GOLDEN = LOOKS = [Look("natural", ev=1.0), Look("golden", ev=-1.0)]


class ConstantGain:
    """An editor whose answer is known: the look's EV everywhere."""

    name = "constant"

    def __init__(self, on_propose=lambda: None):
        self.looks = {look.name: look for look in LOOKS}
        self.on_propose = on_propose

    def propose(self, condition, looks, *, seed=0, n_steps=2):
        self.on_propose()
        return [EditField(np.full((*GRID_HWD, 4), look.ev, np.float32)) for look in looks]


@pytest.fixture(scope="session")
def cat():
    """A real photo of a cat, made small, (60, 90, 3). Public domain."""
    return np.asarray(Image.fromarray(skimage.data.chelsea()).resize((90, 60)))


@pytest.fixture
def tree(tmp_path, cat):
    """Folders as people have them: photos, and what is none."""
    photos = tmp_path / "photos"
    (photos / "2024 Süd" / "deep").mkdir(parents=True)
    Image.fromarray(cat).save(photos / "a.jpg")
    Image.fromarray(cat).save(photos / "a.png")
    Image.fromarray(cat[::-1].copy()).save(photos / "2024 Süd" / "a.JPG", "JPEG")
    Image.fromarray(cat).save(photos / "2024 Süd" / "deep" / "b.tiff")
    for name in ("._a.jpg", ".DS_Store", "notes.txt"):
        (photos / name).write_bytes(b"no picture")
    (photos / ".hidden").mkdir()
    shutil.copy(photos / "a.jpg", photos / ".hidden" / "c.jpg")
    os.mkfifo(photos / "pipe.jpg")
    (photos / "loop").symlink_to(photos)
    (photos / "nowhere.jpg").symlink_to(tmp_path / "missing.jpg")
    return photos


def run(inputs, out, *, editor=None, looks=LOOKS, format="auto", **options):
    """Plan and run; the summary and the results by input name."""
    results = []
    jobs = batch.plan(inputs, out, looks, format)
    summary = batch.run(jobs, editor or ConstantGain(), looks=looks, on_done=results.append, **options)
    return summary, {result.job.input.name: result for result in results}


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def state(folder):
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("threads", [1, 3])
def test_tree_is_mirrored_and_inputs_stay_as_they_were(tree, tmp_path, cat, threads):
    before, out = state(tree), tmp_path / "out"
    summary, results = run([tree], out, threads=threads)
    assert files(out) == [
        "2024 Süd/a_golden.jpg",
        "2024 Süd/a_natural.jpg",
        "2024 Süd/deep/b_golden.tiff",
        "2024 Süd/deep/b_natural.tiff",
        "a_golden.jpg",
        "a_golden.png",
        "a_natural.jpg",
        "a_natural.png",
    ]
    assert (summary.done, summary.skipped, summary.failed) == (4, 0, 0)
    assert str(summary) == "4 done, 0 there already, 0 failed"
    assert state(tree) == before
    for look in LOOKS:
        field = ConstantGain().propose(None, [look])[0]
        made = np.asarray(Image.open(out / f"a_{look.name}.png"))
        assert np.abs(made.astype(int) - render_reference(cat, field)).max() <= 1
    assert results["b.tiff"].as_dict()["status"] == "done" and results["b.tiff"].error is None


def test_strength_0_is_the_input(tree, tmp_path, cat):
    run([tree / "a.png"], tmp_path / "out", strength=0)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out" / "a_natural.png")), cat)


def test_files_go_to_the_top_and_are_tried_whatever_they_are_called(tree, tmp_path):
    (tree / "photo.bin").write_bytes((tree / "a.jpg").read_bytes())
    given = [tree / "2024 Süd" / "deep" / "b.tiff", tree / "photo.bin", tree / "notes.txt", tree / "pipe.jpg"]
    summary, results = run(given, tmp_path / "out", looks=[NATURAL])
    assert files(tmp_path / "out") == ["b_natural.tiff", "photo_natural.jpg"]
    assert (summary.done, summary.failed) == (2, 2)
    assert results["notes.txt"].error.endswith("Radiance)")
    assert "pipe" in results["pipe.jpg"].error


@pytest.mark.parametrize("format", ["jpeg", "png", "tiff", "webp"])
def test_format_is_what_was_asked(tree, tmp_path, format):
    run([tree / "a.jpg"], tmp_path / "out", format=format, looks=[NATURAL])
    [path] = (tmp_path / "out").iterdir()
    with Image.open(path) as image:
        assert image.format == format.upper()


def test_bad_photos_are_counted_and_the_run_goes_on(tree, tmp_path):
    whole = (tree / "a.jpg").read_bytes()
    (tree / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tree / "empty\nname.jpg").write_bytes(b"")
    (tree / "text.jpg").write_text("hello")
    summary, results = run([tree], tmp_path / "out")
    assert (summary.done, summary.failed, summary.not_started) == (4, 3, 0)
    for name, words in (("cut.jpg", "cut short"), ("empty\nname.jpg", "zero bytes"), ("text.jpg", "not a picture")):
        error = results[name].error
        assert words in error and name.split()[0] in error and "\n" not in error
    assert not [name for name in files(tmp_path / "out") if name.startswith((".", "cut", "empty", "text"))]


def test_memory_error_and_a_bug_cost_one_photo(tree, tmp_path):
    errors = [MemoryError(), RuntimeError("bug")]

    def fail():
        if errors:
            raise errors.pop(0)

    results = []
    jobs = batch.plan([tree], tmp_path / "out", LOOKS, "auto")
    summary = batch.run(jobs, ConstantGain(fail), looks=LOOKS, threads=1, on_done=results.append)
    assert (summary.done, summary.failed) == (2, 2)
    assert "more memory" in results[0].error and str(jobs[0].input) in results[0].error
    assert "RuntimeError: bug" in results[1].error


def test_second_run_does_nothing_and_force_does_all(tree, tmp_path):
    out = tmp_path / "out"
    run([tree], out)
    before = state(out)
    used = []
    summary, results = run([tree], out, editor=ConstantGain(lambda: used.append(1)))
    assert (summary.done, summary.skipped, used) == (0, 4, []) and state(out) == before
    assert results["a.png"].status == "skipped"
    summary, _ = run([tree], out, force=True)
    assert (summary.done, summary.skipped) == (4, 0)


@pytest.mark.parametrize("name", ["a_golden.jpg", "a_natural.png", "2024 Süd/deep/b_natural.tiff"])
@pytest.mark.parametrize("damage", ["cut", "empty", "gone", "older", "other size"])
def test_a_damaged_output_is_redone_alone(tree, tmp_path, cat, name, damage):
    out = tmp_path / "out"
    run([tree], out)
    path = out / name
    good = path.read_bytes()
    if damage == "cut":
        path.write_bytes(good[: len(good) // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "gone":
        path.unlink()
    elif damage == "older":
        os.utime(path, ns=(0, 0))
    else:
        Image.fromarray(cat[:20]).save(path)
    summary, _ = run([tree], out)
    assert (summary.done, summary.skipped) == (1, 3)
    assert path.read_bytes() == good


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda t: ([t], t), "is the input itself"),
        (lambda t: ([t], t / "results"), "is inside the input"),
        (lambda t: ([t / "loop"], t / "results"), "is inside the input"),
        (lambda t: ([t / "a.jpg"], t / "a.jpg"), "is the input itself"),
        (lambda t: ([t / "missing"], t.parent / "out"), "no such file or folder"),
        (lambda t: ([t / "a.jpg", t / "2024 Süd" / "a.JPG"], t.parent / "out"), "would both become"),
        (lambda t: ([t, t / "2024 Süd"], t.parent / "out"), "would both become"),
    ],
)
def test_plans_that_would_do_harm_are_refused(tree, make, words):
    inputs, out = make(tree)
    with pytest.raises(ValueError, match=words):
        batch.plan(inputs, out, LOOKS, "auto")


def test_collisions_depend_on_the_format(tree, tmp_path):
    assert len(batch.plan([tree], tmp_path / "out", LOOKS, "auto")) == 4
    with pytest.raises(ValueError, match=r"a\.jpg and .*a\.png would both become .*a_natural\.webp"):
        batch.plan([tree], tmp_path / "out", LOOKS, "webp")
    twice = [tree / "a.jpg", tree / ".." / "photos" / "a.jpg"]
    assert len(batch.plan(twice, tmp_path / "out", LOOKS, "auto")) == 1


def test_an_input_is_never_overwritten(tree, tmp_path):
    (tree / "a_natural.jpg").write_bytes((tree / "a.jpg").read_bytes())
    with pytest.raises(ValueError, match="is an input and would be overwritten"):
        batch.plan([tree / "a.jpg", tree / "a_natural.jpg"], tree, LOOKS, "auto")
    # a link made between plan and save
    jobs = batch.plan([tree / "a.png"], tmp_path / "out", [NATURAL], "auto")
    (tmp_path / "out").mkdir()
    os.link(tree / "a.png", jobs[0].outputs[0])
    before, results = state(tree), []
    batch.run(jobs, ConstantGain(), looks=[NATURAL], force=True, on_done=results.append)
    assert "never overwritten" in results[0].error and state(tree) == before


def test_full_disk_stops_the_run(tree, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    summary, results = run([tree], tmp_path / "out", threads=1)
    assert summary.out_of_space and (summary.done, summary.failed) == (0, 1)
    assert summary.not_started == 3 and "3 not started: no space left" in str(summary)
    assert "No space left" in next(iter(results.values())).error
    assert files(tmp_path / "out") == []


def test_out_that_cannot_be_written_fails_each_photo(tree, tmp_path):
    (tmp_path / "out").write_bytes(b"a file")
    summary, results = run([tree], tmp_path / "out")
    assert summary.failed == 4 and not summary.out_of_space
    assert str(tmp_path / "out") in results["a.png"].error


def test_interrupt_leaves_whole_files_and_starts_nothing_more(tree, tmp_path, monkeypatch):
    leaving, proposals = threading.Event(), []

    class Pool(batch.ThreadPoolExecutor):
        def shutdown(self, *args, **options):
            leaving.set()
            super().shutdown(*args, **options)

    def second_waits():
        proposals.append(1)
        assert len(proposals) == 1 or leaving.wait(timeout=30)

    def interrupt(result):
        raise KeyboardInterrupt

    monkeypatch.setattr(batch, "ThreadPoolExecutor", Pool)
    jobs = batch.plan([tree], tmp_path / "out", LOOKS, "auto")
    with pytest.raises(KeyboardInterrupt):
        batch.run(jobs, ConstantGain(second_waits), looks=LOOKS, threads=1, on_done=interrupt)
    left = files(tmp_path / "out")
    assert left == sorted(str(path.relative_to(tmp_path / "out")) for path in jobs[0].outputs)
    summary, _ = run([tree], tmp_path / "out")
    assert (summary.done, summary.skipped) == (3, 1) and len(files(tmp_path / "out")) == 8


def test_progress_line():
    assert progress_line(0, 60, 0.0) == "[........................] 0/60"
    assert progress_line(15, 60, 5.0) == "[######..................] 15/60  3.0/s  15 s left"
    assert progress_line(10, 1000, 10.0).endswith("1.0/s  16 min 30 s left")
    assert progress_line(1, 10_001, 1.0).endswith("2 h 46 min left")
    assert progress_line(0, 0, 0.0).startswith("[########################] 0/0")


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_progress_is_plain_lines_off_a_terminal_and_one_line_on_it():
    for stream, expected_lines in ((io.StringIO(), 4), (Terminal(), 2)):
        clock = iter(np.arange(0, 100, 0.5)).__next__
        progress = Progress(20, stream, clock)
        for _ in range(20):
            progress.step()
        progress.note("failed: a.jpg")
        progress.close()
        text = stream.getvalue()
        assert text.endswith("\n") and "20/20" in text and "failed: a.jpg" in text
        assert text.count("\n") == expected_lines
        assert ("\x1b" in text) == stream.isatty()
