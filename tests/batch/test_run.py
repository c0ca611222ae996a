import errno
import importlib
import io
import os
import shutil
import sys
import threading

import numpy as np
import pytest
import skimage.data
from PIL import Image

from camera_nano import batch
from camera_nano.batch import Journal, Maker, RunPolicy, plan, shard, watch
from camera_nano.batch.journal import Made
from camera_nano.batch.storage import LOCAL, LocalFiles
from camera_nano.console import Progress, progress_line
from camera_nano.errors import JournalBusy
from camera_nano.files.decode import open_image
from camera_nano.files.decoder import Decoder
from camera_nano.files.encode import save
from camera_nano.files.marking import read_recipe
from camera_nano.files.ultrahdr import read_gainmap
from camera_nano.light.field import render_reference
from camera_nano.recipe import Labels, Recipe
from camera_nano.stop import Stop
from camera_nano.values import GRID_HWD, EditField, GainMap, Look

NATURAL, GOLDEN = LOOKS = [Look("natural", ev=1.0), Look("golden", ev=-1.0)]


class ConstantGain:
    """An editor whose answer is known: the look's EV everywhere."""

    name = "constant"

    def __init__(self, on_propose=lambda: None):
        self.looks = {look.name: look for look in LOOKS}
        self.on_propose = on_propose

    def propose(self, condition, looks, *, seed=0, n_steps=2, assume="auto"):
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


def recipes(looks=LOOKS, strength=1.0, format="auto"):
    return [Recipe(look, strength, 2, format, "model") for look in looks]


def run(inputs, out, *, editor=None, looks=LOOKS, format="auto", strength=1.0, **options):
    """Plan and run; the summary and the results by input name."""
    results = []
    jobs = plan(inputs, out, looks, format)
    made_by = recipes(looks, strength, format)
    summary = run_jobs(jobs, out, editor or ConstantGain(), made_by, on_done=results.append, **options)
    return summary, {result.job.input.name: result for result in results}


def run_jobs(jobs, out, editor, made_by=None, *, shard="", threads=2, on_done=lambda result: None, **policy):
    with Journal(out, shard=shard) as journal, Decoder() as decoder:
        maker = Maker(editor, made_by or recipes(), decoder)
        return batch.run(jobs, maker, journal, threads=threads, policy=RunPolicy(**policy), on_done=on_done)


def files(folder):
    made = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(str(path) for path in made if path.parts[0] != ".camera_nano")


def state(folder):
    kept = (folder / name for name in files(folder))
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in kept}


@pytest.mark.slow
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


@pytest.mark.slow
def test_strength_0_is_the_input(tree, tmp_path, cat):
    run([tree / "a.png"], tmp_path / "out", strength=0)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "out" / "a_natural.png")), cat)


@pytest.mark.slow
def test_files_go_to_the_top_and_are_tried_whatever_they_are_called(tree, tmp_path):
    (tree / "photo.bin").write_bytes((tree / "a.jpg").read_bytes())
    given = [tree / "2024 Süd" / "deep" / "b.tiff", tree / "photo.bin", tree / "notes.txt", tree / "pipe.jpg"]
    summary, results = run(given, tmp_path / "out", looks=[NATURAL])
    assert files(tmp_path / "out") == ["b_natural.tiff", "photo_natural.jpg"]
    assert (summary.done, summary.failed) == (2, 2)
    assert results["notes.txt"].error.endswith("Radiance)")
    assert "pipe" in results["pipe.jpg"].error


@pytest.mark.slow
@pytest.mark.parametrize("format", ["jpeg", "png", "tiff", "webp"])
def test_format_is_what_was_asked(tree, tmp_path, format):
    run([tree / "a.jpg"], tmp_path / "out", format=format, looks=[NATURAL])
    [name] = files(tmp_path / "out")
    path = tmp_path / "out" / name
    with Image.open(path) as image:
        assert image.format == format.upper()


@pytest.mark.slow
def test_no_photo_waits_in_memory_for_the_heic_encoder(tmp_path, cat, monkeypatch):
    (tmp_path / "photos").mkdir()
    for number in range(6):
        Image.fromarray(cat).save(tmp_path / "photos" / f"{number}.png")
    n_open, seen, changed = 0, [], threading.Condition()
    real_open, real_deliver = Decoder.open, Decoder.deliver

    def opened(self, path):
        nonlocal n_open
        with changed:
            n_open += 1
            seen.append(n_open)
            changed.notify_all()
        return real_open(self, path)

    def delivered(self, *args, **options):
        nonlocal n_open
        with changed:
            changed.wait_for(
                lambda: n_open > 1, timeout=0.2
            )  # the other thread has the time to open a photo, if it may
        try:
            return real_deliver(self, *args, **options)
        finally:
            with changed:
                n_open -= 1

    monkeypatch.setattr(Decoder, "open", opened)
    monkeypatch.setattr(Decoder, "deliver", delivered)
    summary, _ = run([tmp_path / "photos"], tmp_path / "out", format="heic", looks=[NATURAL])
    assert summary.done == 6 and max(seen) == 1


@pytest.mark.slow
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


@pytest.mark.slow
def test_memory_error_and_a_bug_cost_one_photo(tree, tmp_path):
    errors = [MemoryError(), RuntimeError("bug")]

    def fail():
        if errors:
            raise errors.pop(0)

    results = []
    jobs = plan([tree], tmp_path / "out", LOOKS, "auto")
    summary = run_jobs(jobs, tmp_path / "out", ConstantGain(fail), threads=1, on_done=results.append)
    assert (summary.done, summary.failed) == (2, 2)
    assert "more memory" in results[0].error and str(jobs[0].input) in results[0].error
    assert "RuntimeError: bug" in results[1].error


@pytest.mark.slow
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


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a_golden.jpg", "a_natural.png", "2024 Süd/deep/b_natural.tiff"])
@pytest.mark.parametrize("damage", ["cut", "empty", "gone"])
def test_a_damaged_output_is_redone_alone(tree, tmp_path, name, damage):
    out = tmp_path / "out"
    run([tree], out)
    path = out / name
    good, before = path.read_bytes(), state(out)
    if damage == "cut":
        path.write_bytes(good[: len(good) // 2])
    elif damage == "empty":
        path.write_bytes(b"")
    else:
        path.unlink()
    summary, _ = run([tree], out)
    assert (summary.done, summary.skipped) == (1, 3)
    assert path.read_bytes() == good
    assert {other for other, was in state(out).items() if was != before[other]} == {path}  # and nothing beside it


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda t: ([t], t), "is the input itself"),
        (lambda t: ([t], t / "results"), "is inside the input"),
        (lambda t: ([t / "loop"], t / "results"), "is inside the input"),
        (lambda t: ([t / "a.jpg"], t / "a.jpg"), "is the input itself"),
        (lambda t: ([t / "missing"], t.parent / "out"), "no such file or folder"),
    ],
)
def test_plans_that_would_do_harm_are_refused(tree, make, words):
    inputs, out = make(tree)
    with pytest.raises(ValueError, match=words):
        plan(inputs, out, LOOKS, "auto")


def test_collisions_depend_on_the_format(tree, tmp_path):
    assert len(plan([tree], tmp_path / "out", LOOKS, "auto")) == 4
    assert {job.outputs[0].name for job in plan([tree], tmp_path / "out", [NATURAL], "webp")} == {
        "a_natural.webp",
        "a-png_natural.webp",
        "b_natural.webp",
    }
    twice = [tree / "a.jpg", tree / ".." / "photos" / "a.jpg"]
    assert len(plan(twice, tmp_path / "out", LOOKS, "auto")) == 1


@pytest.mark.slow
def test_an_input_is_never_overwritten(tree, tmp_path):
    (tree / "a_natural.jpg").write_bytes((tree / "a.jpg").read_bytes())
    with pytest.raises(ValueError, match="is an input and would be overwritten"):
        plan([tree / "a.jpg", tree / "a_natural.jpg"], tree, LOOKS, "auto")
    # a link made between plan and save
    jobs = plan([tree / "a.png"], tmp_path / "out", [NATURAL], "auto")
    (tmp_path / "out").mkdir()
    os.link(tree / "a.png", jobs[0].outputs[0])
    before, results = state(tree), []
    run_jobs(jobs, tmp_path / "out", ConstantGain(), recipes([NATURAL]), force=True, on_done=results.append)
    assert "never overwritten" in results[0].error and state(tree) == before


@pytest.mark.slow
def test_full_disk_stops_the_run(tree, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    summary, results = run([tree], tmp_path / "out", threads=1)
    assert summary.out_of_space and (summary.done, summary.failed) == (0, 1)
    assert summary.not_started == 3 and "3 not started: no space left" in str(summary)
    assert "No space left" in next(iter(results.values())).error
    assert files(tmp_path / "out") == []
    monkeypatch.undo()
    summary, _ = run([tree], tmp_path / "out")
    assert (summary.done, summary.failed) == (4, 0)  # a full disk is no fault of the photo


def test_out_that_cannot_be_written_is_told_before_anything_starts(tree, tmp_path):
    (tmp_path / "out").write_bytes(b"a file")
    with pytest.raises(OSError, match="out"):
        run([tree], tmp_path / "out")


@pytest.mark.slow
def test_interrupt_leaves_whole_files_and_starts_nothing_more(tree, tmp_path, monkeypatch):
    leaving, proposals = threading.Event(), []
    runner = importlib.import_module("camera_nano.batch.run")

    class Pool(runner.ThreadPoolExecutor):
        def shutdown(self, *args, **options):
            leaving.set()
            super().shutdown(*args, **options)

    def second_waits():
        proposals.append(1)
        assert len(proposals) == 1 or leaving.wait(timeout=30)

    def interrupt(result):
        raise KeyboardInterrupt

    monkeypatch.setattr(runner, "ThreadPoolExecutor", Pool)
    jobs = plan([tree], tmp_path / "out", LOOKS, "auto")
    with pytest.raises(KeyboardInterrupt):
        run_jobs(jobs, tmp_path / "out", ConstantGain(second_waits), threads=1, on_done=interrupt)
    left = files(tmp_path / "out")
    assert left == sorted(str(path.relative_to(tmp_path / "out")) for path in jobs[0].outputs)
    summary, _ = run([tree], tmp_path / "out")
    assert (summary.done, summary.skipped) == (3, 1) and len(files(tmp_path / "out")) == 8


@pytest.mark.slow
def test_a_changed_recipe_or_photo_is_done_again_and_a_new_look_alone(tree, tmp_path, cat):
    out = tmp_path / "out"
    run([tree], out, looks=[NATURAL])
    before = state(out)
    summary, _ = run([tree], out)  # golden comes in addition
    assert summary.done == 4 and before.items() <= state(out).items()
    assert run([tree], out, strength=0.5)[0].done == 4
    assert run([tree], out, strength=0.5)[0].skipped == 4
    Image.fromarray(cat[::-1].copy()).save(tree / "a.png")
    assert run([tree], out, strength=0.5)[0].done == 1
    os.utime(tree / "a.png")  # copied anew, the same photo
    assert run([tree], out, strength=0.5)[0].skipped == 4


@pytest.mark.slow
def test_failures_are_remembered_and_tried_again_when_asked(tree, tmp_path):
    (tree / "cut.jpg").write_bytes((tree / "a.jpg").read_bytes()[:900])
    out = tmp_path / "out"
    first, results = run([tree], out)
    again, remembered = run([tree], out)
    assert first.failed == again.failed == 1 and remembered["cut.jpg"].error == results["cut.jpg"].error
    (tree / "cut.jpg").write_bytes((tree / "a.jpg").read_bytes())
    assert run([tree], out)[0].done == 1  # another file now
    (tree / "b2.jpg").write_bytes(b"")
    assert run([tree], out, retry_failed=True)[0].failed == 1


def test_too_many_failures_stop_the_run(tree, tmp_path):
    for number in range(6):
        (tree / f"0{number}.jpg").write_bytes(b"no picture")
    summary, _ = run([tree], tmp_path / "out", threads=1, max_failures=2)
    assert summary.failed >= 2 and summary.not_started > 0 and "too many failures" in str(summary)


@pytest.mark.slow
def test_true_headroom_is_kept_or_its_loss_is_told(tree, tmp_path, cat):
    gain = GainMap(np.full((30, 45), 255, np.uint8), (2.0,), 2.0)
    save(tree / "hdr.jpg", cat, format="ultrahdr", gain=gain)
    out = tmp_path / "out"
    _, results = run([tree / "hdr.jpg"], out, looks=[NATURAL])
    kept = read_gainmap((out / "hdr_natural.jpg").read_bytes())
    assert kept is not None and abs(kept.headroom_ev - 2) < 0.1 and not results["hdr.jpg"].notes
    _, results = run([tree / "hdr.jpg"], out, looks=[NATURAL], format="png")
    [note] = results["hdr.jpg"].notes
    assert "light above white" in note and "ultrahdr" in note
    run([tree / "a.jpg"], out, looks=[NATURAL])
    assert read_gainmap((out / "a_natural.jpg").read_bytes()) is None  # the same kind as it was


@pytest.mark.slow
def test_shards_share_the_work_and_are_merged(tree, tmp_path):
    out = tmp_path / "out"
    jobs = plan([tree], out, LOOKS, "auto")
    parts = [shard(jobs, (number, 3), out) for number in (1, 2, 3)]
    assert sorted(job.input for part in parts for job in part) == sorted(job.input for job in jobs)
    for number, part in enumerate(parts, 1):
        run_jobs(part, out, ConstantGain(), shard=f"{number}-of-3")
    with Journal(out) as journal:
        assert journal.merge() == 8 and list(journal.verify()) == []
    assert run([tree], out)[0].skipped == 4
    (out / "a_golden.png").write_bytes(b"something else")
    (out / "a_golden.jpg").unlink()
    with Journal(out) as journal:
        problems = dict(journal.verify())
    assert problems == {"a_golden.png": "has changed since it was made", "a_golden.jpg": "no such file or directory"}


def test_two_runs_on_one_folder_do_not_mix(tree, tmp_path):
    with Journal(tmp_path / "out"), pytest.raises(JournalBusy, match="another run writes to"):
        run([tree], tmp_path / "out")


@pytest.mark.slow
def test_a_finished_folder_of_a_thousand_is_looked_through_without_reading(tmp_path, cat, monkeypatch):
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    Image.fromarray(cat).save(photos / "0000.jpg")
    for number in range(1, 1000):
        os.link(photos / "0000.jpg", photos / f"{number:04}.jpg")
    jobs = plan([photos], out, [NATURAL], "auto")
    run([photos / "0000.jpg"], out, looks=[NATURAL])
    with Journal(out) as journal:
        for job in jobs[1:]:
            os.link(jobs[0].outputs[0], job.outputs[0])
            made = Made(
                str(job.outputs[0]), Labels().key(recipes([NATURAL])[0]), "same", LOCAL.stamp(str(job.outputs[0]))
            )
            journal.note_made([made], job.input, LOCAL.stamp(str(job.input)), "same")

    def read(*_):
        raise AssertionError("nothing has changed, so nothing is read")

    monkeypatch.setattr(LocalFiles, "digest", read)
    monkeypatch.setattr(Decoder, "open", read)
    assert run([photos], out, looks=[NATURAL])[0].skipped == 1000


@pytest.mark.slow
def test_a_hundred_mixed_files_in_one_run(tmp_path, cat, rng):
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for number in range(90):
        kind = ("jpg", "png", "tif", "webp")[number % 4]
        Image.fromarray(np.roll(cat, number, 0)).save(photos / f"{number:02}.{kind}")
    whole = (photos / "00.jpg").read_bytes()
    for number in range(10):
        broken = rng.bytes(300) if number % 2 else whole[: 200 + 50 * number]
        (photos / f"broken{number}.jpg").write_bytes(broken)
    summary, _ = run([photos], out, looks=[NATURAL])
    assert (summary.done, summary.failed) == (90, 10) and len(files(out)) == 90


def test_a_photo_is_taken_when_it_has_stopped_growing(tree, tmp_path):
    out, taken, stop, scans = tmp_path / "out", [], Stop(), []
    growing = tree / "new.jpg"

    def jobs_now():
        scans.append(1)
        if len(scans) <= 3:  # a camera copies a file, piece by piece
            growing.write_bytes((tree / "a.jpg").read_bytes()[: 100 * len(scans)])
        if len(scans) == 4:
            growing.write_bytes((tree / "a.jpg").read_bytes())
        if len(scans) == 7:
            stop.set()
        return plan([growing], out, [NATURAL], "auto")

    def take(jobs):
        taken.append((len(scans), [job.input.name for job in jobs]))
        return True

    watch(jobs_now, take, stop, every_s=0.01)
    assert taken == [(5, ["new.jpg"])]


@pytest.mark.slow
def test_inputs_may_be_read_only(tree, tmp_path):
    before = {path: path.stat() for path in tree.rglob("*") if path.is_file()}
    for folder in (tree, *(path for path in tree.rglob("*") if path.is_dir() and not path.is_symlink())):
        folder.chmod(0o555)
    opened = []
    sys.addaudithook(lambda event, args: opened.append(args) if event == "open" and isinstance(args[0], str) else None)
    summary, _ = run([tree], tmp_path / "out")
    for folder in (tree, *(path for path in tree.rglob("*") if path.is_dir() and not path.is_symlink())):
        folder.chmod(0o755)
    assert summary.done == 4
    written = [name for name, mode, flags in opened if name.startswith(str(tree)) and flags & (os.O_WRONLY | os.O_RDWR)]
    assert written == []
    for path, was in before.items():
        now = path.stat()
        assert (now.st_mtime_ns, now.st_size, now.st_ino) == (was.st_mtime_ns, was.st_size, was.st_ino)


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


@pytest.mark.slow
def test_what_was_not_the_photos_fault_is_tried_again(tree, tmp_path):
    errors = [MemoryError(), RuntimeError("bug")]

    def fail():
        if errors:
            raise errors.pop(0)

    assert run([tree], tmp_path / "out", editor=ConstantGain(fail), threads=1)[0].failed == 2
    summary, _ = run([tree], tmp_path / "out")
    assert (summary.done, summary.skipped, summary.failed_before) == (2, 2, 0)


@pytest.mark.slow
def test_old_failures_are_told_apart_and_stop_nothing(tree, tmp_path):
    for number in range(3):
        (tree / f"0{number}.jpg").write_bytes(b"no picture")
    run([tree / f"0{number}.jpg" for number in range(3)], tmp_path / "out")
    summary, _ = run([tree], tmp_path / "out", max_failures=1)
    assert (summary.done, summary.failed, summary.failed_before, summary.not_started) == (4, 3, 3, 0)
    assert "3 failed (3 of them in an earlier run: --retry-failed tries them again)" in str(summary)


@pytest.mark.slow
def test_a_photo_that_changes_while_it_is_read_is_not_recorded(tree, tmp_path, cat, monkeypatch):
    open_before = Decoder.open

    def replace_behind(decoder, path):
        picture = open_before(decoder, path)
        Image.fromarray(cat[:, ::-1]).save(path)
        return picture

    with monkeypatch.context() as patch:
        patch.setattr(Decoder, "open", replace_behind)
        summary, results = run([tree / "a.png"], tmp_path / "out")
    assert summary.failed == 1 and "changed while it was read" in results["a.png"].error
    assert run([tree / "a.png"], tmp_path / "out")[0].done == 1


def test_a_photo_of_any_name_carries_its_recipe(tree, tmp_path):
    odd = tree / os.fsdecode(b"\xff \x1b[31m\n&<.jpg")
    (tree / "a.jpg").rename(odd)
    run([odd], tmp_path / "out", looks=[NATURAL])
    [made] = (tmp_path / "out").glob("*.jpg")
    assert read_recipe(open_image(made).metadata) == recipes([NATURAL])[0]


def test_a_watched_folder_in_disorder_is_told_once_and_waited_for(tree, tmp_path):
    taken, said, stop, scans = [], [], Stop(), []

    def jobs_now():
        scans.append(1)
        if len(scans) in (2, 3):
            raise ValueError("two photos of one name")
        return plan([tree / "a.png"], tmp_path / "out", [NATURAL], "auto")

    def take(jobs):
        taken.append((len(scans), len(jobs)))
        stop.set()
        return True

    watch(jobs_now, take, stop, every_s=0, say=said.append)
    assert taken == [(5, 1)] and said[1:] == ["two photos of one name", "going on"]
