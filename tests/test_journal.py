"""The journal on its own: odd names, damage, readers that leave no trace, disks that fill up."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from camera_nano.cli import main
from camera_nano.journal import FOLDER, LOCAL, Journal, JournalBusy, JournalError, Made


@pytest.fixture
def out(tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


def note(journal, path):
    """A file, as if it was made of itself."""
    path.write_bytes(b"pixels")
    name = os.fspath(path)
    journal.note_made(
        [Made(name, "recipe", LOCAL.digest(name), LOCAL.stamp(name))], path, LOCAL.stamp(name), LOCAL.digest(name)
    )


def trace(folder):
    return {path: path.stat().st_mtime_ns for path in (folder, *folder.rglob("*"))}


@pytest.mark.parametrize("name", [b"a.jpg", b"line\nbreak.jpg", b"\xff\xfe.jpg", "Süd ☀.jpg".encode(), b"'; --.jpg"])
def test_names_of_any_bytes_are_known_again(out, name):
    path = out / os.fsdecode(name)
    with Journal(out) as journal:
        note(journal, path)
        journal.note_failed(path, "other", f"{path} is broken")
    with Journal(out) as journal:
        assert journal.is_made(path, path, "recipe") and not journal.is_made(path, path, "other")
        assert journal.failure(path, "other") == f"{path} is broken" and journal.failure(path, "recipe") is None
        assert [entry.path for entry in journal.entries()] == [path.name]
        assert list(journal.verify()) == []


def test_a_reader_leaves_no_trace_and_sees_what_a_killed_run_has_noted(out):
    script = (
        "import os, signal, sys; sys.path.insert(0, sys.argv[2]); from pathlib import Path; import test_journal as t\n"
        "journal = t.Journal(Path(sys.argv[1])); t.note(journal, Path(sys.argv[1], 'a.jpg'))\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", script, out, Path(__file__).parent], timeout=60, check=False)
    assert (out / FOLDER / "journal.sqlite-wal").stat().st_size  # nobody has tidied up
    before = trace(out)
    with Journal(out, read_only=True) as journal:
        assert journal.is_made(out / "a.jpg", out / "a.jpg", "recipe")
    assert trace(out) == before
    with Journal(out.parent / "never", read_only=True) as journal:
        assert list(journal.entries()) == []
    assert not (out.parent / "never").exists()


def test_one_writer_or_many_readers(out):
    with Journal(out):
        for read_only in (False, True):
            with pytest.raises(JournalBusy, match="another run writes to"):
                Journal(out, read_only=read_only)
    with Journal(out, read_only=True), Journal(out, read_only=True), pytest.raises(JournalBusy):
        Journal(out)
    Journal(out).close()


def test_half_files_of_killed_runs_are_swept_but_not_under_shards_at_work(out):
    left = out / "deep" / ".camera_nano-1-0123.tmp"
    left.parent.mkdir()
    left.write_bytes(b"half")
    with Journal(out, shard="1-of-2"), Journal(out):
        assert left.exists()
    with Journal(out) as journal:
        journal.merge()
    assert not left.exists() and [path.name for path in (out / FOLDER).glob("journal-*")] == []


@pytest.mark.parametrize(
    "data", [b"no database, but long enough to be looked at " * 99, b"SQLite format 3\0" + bytes(500)]
)
def test_a_damaged_journal_is_told_in_a_line(out, data, tmp_path, photo, capsys):
    (out / FOLDER).mkdir()
    (out / FOLDER / "journal.sqlite").write_bytes(data)
    for read_only in (False, True):
        with pytest.raises(JournalError, match=r"journal\.sqlite cannot be used .*delete it"):
            Journal(out, read_only=read_only)
    assert main(["journal", "verify", str(out)]) == 3
    assert "cannot be used" in capsys.readouterr().err
    shutil.rmtree(out / FOLDER)
    Journal(out).close()  # the failed ones hold no lock


def test_no_space_for_the_journal_is_no_space(tiny_disk):
    out = tiny_disk / "out"
    with Journal(out) as journal:
        note(journal, out / "a.jpg")
        with pytest.raises(OSError, match="No space left"), open(tiny_disk / "rest", "wb", buffering=0) as rest:  # noqa: PTH123
            while True:
                rest.write(bytes(4096))
        with pytest.raises(OSError, match="No space left") as caught:
            for number in range(2000):  # its log has some room left
                journal.note_failed(out / "a.jpg", f"recipe {number}", "error " * 99)
        assert caught.value.errno == errno.ENOSPC and caught.value.filename.endswith("journal.sqlite")
    with pytest.raises(OSError, match="No space left"):
        Journal(tiny_disk / "another")
    (tiny_disk / "rest").unlink()
    with Journal(out) as journal:
        assert journal.is_made(out / "a.jpg", out / "a.jpg", "recipe")


def test_odd_names_are_printed_so_that_they_do_no_harm(out, capsys):
    with Journal(out) as journal:
        note(journal, out / os.fsdecode(b"\xff\x1b[31m.jpg"))
    (out / os.fsdecode(b"\xff\x1b[31m.jpg")).write_bytes(b"other")
    assert main(["journal", "verify", str(out)]) == 1
    assert capsys.readouterr().out == "\\udcff\\x1b[31m.jpg: has changed since it was made\n"
