"""The `batch` and `journal` commands as people run them: ended, killed, watched, on full disks, with odd names."""

import json
import os
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest
from limited import Process, held_up
from PIL import Image

from camera_nano import batch
from camera_nano.batch import FOLDER
from camera_nano.cli import main

pytestmark = pytest.mark.slow


@pytest.fixture
def photos(tmp_path, dark_photo):
    """Enough of them that a run can be interrupted."""
    folder = tmp_path / ("_" * 200) / ("_" * 200) / "photos"  # of which few results fit into a pipe
    folder.mkdir(parents=True)
    for number in range(24):
        Image.fromarray(np.roll(dark_photo[::3, ::3], number, 1)).save(folder / f"{number:02}.jpg")
    return folder


def start(*argv, by=()):
    command = [*by, sys.executable, "-m", "camera_nano", "batch", *map(str, argv), "--json"]
    return Process(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def made(out):
    """What is in a folder beside the journal: name -> (inode, bytes)."""
    paths = [path for path in out.rglob("*") if path.is_file() and FOLDER not in path.parts]
    return {str(path.relative_to(out)): (path.stat().st_ino, path.read_bytes()) for path in paths}


def lines(capsys):
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_is_ended_goes_on_where_it_was(photos, tmp_path, capsys, how):
    out = tmp_path / "out"
    with held_up(start(photos, "--out", out, "--threads", 2)) as process:
        done = [json.loads(process.stdout.readline()) for _ in range(3)]
        process.send_signal(how)
        rest, told = process.communicate(timeout=60)
    assert all(result["status"] == "done" for result in done) and "Traceback" not in told
    if how != signal.SIGKILL:
        assert process.returncode == 130 and "not started: interrupted, start again to go on" in told
        assert not [name for name in made(out) if name.endswith(".tmp")]
    kept = {name: value for name, value in made(out).items() if name.endswith(".jpg")}
    finished = len(done) + len(rest.splitlines()[:-1])
    assert main(["batch", str(photos), "--out", str(out), "--json"]) == 0
    results = lines(capsys)
    assert len(results) == 24 and sum(result["status"] == "skipped" for result in results) >= finished
    after = made(out)
    assert len(after) == 24 and all(name.endswith(".jpg") for name in after)
    # what was written and is in the journal is not written again; at most what was in work is
    assert sum(after[name] != kept[name] for name in kept) <= 4
    assert main(["journal", "verify", str(out)]) == 0


def test_a_signal_that_strikes_in_a_destructor_is_not_lost(photos, tmp_path, capsys, monkeypatch):
    class Struck:
        def __del__(self):
            signal.raise_signal(signal.SIGTERM)  # what the handler raised here would go nowhere

    class Tally(batch.Tally):
        def add(self, result):
            super().add(result)
            if struck:
                struck.pop()

    struck = [Struck()]
    monkeypatch.setattr(batch, "Tally", Tally)
    assert main(["batch", str(photos), "--out", str(tmp_path / "out")]) == 130
    assert len(made(tmp_path / "out")) < 24
    assert "not started: interrupted, start again to go on" in capsys.readouterr().err


def test_a_second_interrupt_ends_it_at_once(photos, tmp_path):
    with held_up(start(photos, "--out", tmp_path / "out", "--threads", 1)) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert any("once more ends at once" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
        assert "Traceback" not in process.stderr.read()


def test_watch_takes_what_comes_and_ends_when_told(photos, tmp_path):
    out, report = tmp_path / "out", tmp_path / "report.html"
    with start(photos, "--out", out, "--watch", "--report", report) as process:
        first = [json.loads(process.stdout.readline())["status"] for _ in range(24)]
        (photos / "late.jpg").write_bytes((photos / "00.jpg").read_bytes())
        late = json.loads(process.stdout.readline())
        (photos / "broken.jpg").write_bytes(b"no picture")
        broken = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        told = process.communicate(timeout=60)[1]
    assert set(first) == {"done"} and (late["status"], broken["status"]) == ("done", "failed")
    assert process.returncode == 1 and "watching" in told and "Traceback" not in told
    assert (out / "late_natural.jpg").is_file() and "broken.jpg" in report.read_text()


def test_names_of_any_bytes_go_through(photos, tmp_path):
    names = [b"\xff\xfe.jpg", b"line\nbreak.jpg", b"-o.jpg", "Süd ☀.jpg".encode(), b"bad \xe9.jpg"]
    data = (photos / "00.jpg").read_bytes()
    odd = tmp_path / "odd"
    odd.mkdir()
    for name in names:
        (odd / os.fsdecode(name)).write_bytes(b"no picture" if name.startswith(b"bad") else data)
    for statuses in (["done"] * 4 + ["failed"], ["failed"] + ["skipped"] * 4):
        report = tmp_path / "report.html"
        with start(
            odd, "--out", tmp_path / "out", "--report", report, "--contact-sheet", tmp_path / "s.jpg"
        ) as process:
            out, told = process.communicate(timeout=120)
        assert process.returncode == 1 and "Traceback" not in told
        assert sorted(json.loads(line)["status"] for line in out.splitlines()) == statuses
    whole = [os.fsencode(name) for name in made(tmp_path / "out")]
    assert sorted(whole) == sorted(name.replace(b".jpg", b"_natural.jpg") for name in names[:4])
    assert main(["journal", "verify", str(tmp_path / "out")]) == 0


def test_a_disk_that_is_really_full(photos, tiny_disk, photo):
    for number in range(8):
        Image.fromarray(np.roll(photo, number, 0)).save(photos / f"large{number:02}.png")
    with start(photos, "--out", tiny_disk) as process:
        told = process.communicate(timeout=120)[1]
    assert process.returncode == 4 and "no space left; free some and start again" in told and "Traceback" not in told
    kept = made(tiny_disk)
    assert kept and not [name for name in kept if name.endswith(".tmp")]
    for name in list(kept)[: len(kept) // 2]:
        (tiny_disk / name).unlink()
    for path in photos.glob("large*"):
        path.unlink()
    with start(photos, "--out", tiny_disk) as process:
        out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert {json.loads(line)["status"] for line in out.splitlines()} == {"done", "skipped"}


def test_a_dry_run_writes_nothing_and_is_about_right(photos, tmp_path, capsys):
    out = tmp_path / "out"
    argv = ["batch", str(photos), "--out", str(out)]
    (photos / "cut.jpg").write_bytes((photos / "00.jpg").read_bytes()[:500])
    assert main([*argv, "--dry-run"]) == 0
    first = capsys.readouterr()
    assert not out.exists() and len(first.out.splitlines()) == 25
    assert "25 of 25 photos would be read, 25 files written: about" in first.err and "are free" in first.err
    guessed_mb = float(first.err.partition(" and ")[2].split()[0])
    assert main(argv) == 1
    assert 0.4 < guessed_mb / (sum(len(data) for _, data in made(out).values()) / 1e6) < 2.5
    (out / "03_natural.jpg").unlink()
    capsys.readouterr()
    assert main([*argv, "--dry-run"]) == 0
    left = capsys.readouterr()
    assert [json.loads(line)["input"] for line in left.out.splitlines()] == [str(photos / "03.jpg")]
    assert "1 of 25 photos would be read, 1 files written; 1 failed before and would not be tried again" in left.err


@pytest.mark.parametrize("action", ["verify", "merge"])
def test_a_folder_without_a_journal_is_told_and_left_alone(action, photos, capsys):
    before = sorted(photos.iterdir())
    assert main(["journal", action, str(photos)]) == 2
    assert "has no journal: give the --out of a batch" in capsys.readouterr().err
    assert sorted(photos.iterdir()) == before


def test_shards_are_merged_before_they_are_verified(photos, tmp_path, capsys):
    out = str(tmp_path / "out")
    for number in (1, 2):
        assert main(["batch", str(photos), "--out", out, "--shard", f"{number}/2"]) == 0
    assert main(["journal", "verify", out]) == 2
    assert "journal merge" in capsys.readouterr().err
    assert main(["journal", "merge", out]) == 0 and main(["journal", "verify", out]) == 0
    assert "24 outputs looked at, 0 not as they were made" in capsys.readouterr().err


def test_killed_at_any_point_the_bytes_are_those_of_one_run(photos, tmp_path, rng):
    whole, out = tmp_path / "whole", tmp_path / "out"
    argv = (photos, "--looks", "natural,hdr", "--out")
    assert main(["batch", *map(str, (*argv, whole))]) == 0
    was_halfway = False
    for n_lines in (0, *rng.integers(1, 5, 3)):
        with start(*argv, out) as process:
            for _ in range(n_lines):  # so many more are done, and then any point of writing the next
                process.stdout.readline()
            while process.poll() is None and not (half := list(out.glob(".camera_nano-*.tmp"))):
                pass
            process.kill()
            was_halfway |= bool(half)
        for path in out.glob("*.jpg"):
            assert path.read_bytes() == (whole / path.name).read_bytes()
    assert was_halfway
    assert main(["batch", *map(str, (*argv, out))]) == 0
    assert {name: data for name, (_, data) in made(out).items()} == {
        name: data for name, (_, data) in made(whole).items()
    }
    assert main(["journal", "verify", str(out)]) == 0


def test_photos_on_a_read_only_disk(photos, tmp_path, read_only_disk):
    with start(read_only_disk(photos), "--out", tmp_path / "out") as process:
        out, told = process.communicate(timeout=120)
    assert process.returncode == 0, told
    assert {json.loads(line)["status"] for line in out.splitlines()} == {"done"} and len(made(tmp_path / "out")) == 24


def test_a_journal_on_a_read_only_disk_is_read_and_results_cannot_be_written(photos, tmp_path, read_only_disk, capsys):
    assert main(["batch", str(photos), "--out", str(tmp_path / "out")]) == 0
    kept = read_only_disk(tmp_path / "out")
    assert main(["journal", "verify", str(kept)]) == 0
    capsys.readouterr()
    assert main(["batch", str(photos), "--out", str(kept)]) == 1
    assert "Read-only file system; choose a folder that can be written" in capsys.readouterr().err


def test_what_cannot_be_read_costs_itself_until_it_can(photos, tmp_path):
    as_others = ()
    if os.geteuid() == 0:  # who may read everything, unless that is taken away
        as_others = ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
        if shutil.which("setpriv") is None:
            pytest.skip("needs setpriv, or to be run by someone else than root")
    (photos / "closed").mkdir()
    (photos / "00.jpg").rename(photos / "closed" / "00.jpg")
    for path in (photos / "closed", photos / "01.jpg"):
        path.chmod(0)
    try:
        with start(photos, "--out", tmp_path / "out", by=as_others) as process:
            out, told = process.communicate(timeout=120)
    finally:
        (photos / "closed").chmod(0o755)
    results = [json.loads(line) for line in out.splitlines()]
    assert process.returncode == 1 and sorted(result["status"] for result in results) == ["done"] * 22 + ["failed"]
    assert [result["error"] for result in results if result["error"]] == [f"{photos / '01.jpg'}: Permission denied"]
    assert "closed cannot be read (Permission denied): passed over" in told
    (photos / "01.jpg").chmod(0o644)  # which leaves no trace in its time
    assert main(["batch", str(photos), "--out", str(tmp_path / "out")]) == 0
    assert len(made(tmp_path / "out")) == 24


def test_pipes_loops_and_dot_files_are_passed_over(photos, tmp_path, capsys):
    os.mkfifo(photos / "pipe.jpg")
    (photos / "loop").symlink_to(photos)
    (photos / "itself.jpg").symlink_to(photos / "itself.jpg")
    (photos / ".hidden.jpg").write_bytes(b"")
    assert main(["batch", str(photos), "--out", str(tmp_path / "out")]) == 0
    assert len(made(tmp_path / "out")) == 24
    capsys.readouterr()
    assert main(["batch", str(photos / "itself.jpg"), "--out", str(tmp_path / "out")]) == 2
    assert "itself.jpg" in capsys.readouterr().err


def test_what_looks_finished_keeps_its_light_and_says_so(photos, tmp_path, capsys):
    """However dark: who says that it is finished is believed, and who says the opposite, too."""
    photo, report = photos / "00.jpg", tmp_path / "report.html"
    changes = {}
    for assumed in ("finished", "captured"):
        out = tmp_path / assumed
        given = ["batch", str(photo), "--out", str(out), "--assume", assumed, "--report", str(report), "--json"]
        assert main(given) == 0
        said, told = capsys.readouterr()
        is_left = assumed == "finished"
        assert json.loads(said)["looks_finished"] is is_left
        assert ("1 look finished and keep their light (--assume captured" in told) is is_left
        assert ("left as it is: it looks finished" in report.read_text()) is is_left
        [output] = out.glob("*.jpg")
        before, after = (np.asarray(Image.open(path), float) for path in (photo, output))
        changes[assumed] = np.abs(after - before).mean()
        assert main(["recipe", str(output), "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["assume"] == assumed
        assert main(["enhance", str(photo), str(tmp_path / "one.jpg"), "--assume", assumed]) == 0
        assert ("left as it is: it looks finished" in capsys.readouterr().err) is is_left
        assert (tmp_path / "one.jpg").read_bytes() == output.read_bytes()
    assert changes["finished"] < 3 and changes["captured"] > 20


def test_only_what_is_there_at_the_end_counts_as_done(photos, tmp_path):
    out = tmp_path / "out"
    with held_up(start(photos, "--out", out, "--threads", 1)) as process:
        lines = [process.stdout.readline() for _ in range(3)]
        out.rename(tmp_path / "moved")
        rest, told = process.communicate(timeout=120)
    results = [json.loads(line) for line in (*lines, *rest.splitlines())]
    n_there = len([name for name in made(out) if name.endswith(".jpg")])
    assert (
        process.returncode == 1 and n_there < 24 and f"{n_there} done, 0 there already, {24 - n_there} failed" in told
    )
    gone = [result for result in results if result["status"] == "failed"]
    assert len(gone) == 24 - n_there and all("was made and is gone" in result["error"] for result in gone)


def test_a_reader_that_leaves_early_ends_the_run_without_a_word(photos, tmp_path):
    with held_up(start(photos, "--out", tmp_path / "out")) as process:
        process.stdout.readline()
        process.stdout.close()
        told = process.stderr.read()
        assert process.wait(timeout=60) == 130
    assert "Traceback" not in told and "Broken pipe" not in told
    assert "not started: interrupted, start again to go on" in told
    assert main(["batch", str(photos), "--out", str(tmp_path / "out")]) == 0
