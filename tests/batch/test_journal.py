"""The journal on its own: odd names, damage, readers that leave no trace, disks that fill up."""

import contextlib
import errno
import os
import shutil
import sqlite3
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from camera_nano.batch.journal import FOLDER, Journal, Made
from camera_nano.batch.storage import LOCAL
from camera_nano.cli import main
from camera_nano.errors import JournalBusy, JournalError


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


def is_made(journal, output, source, recipe):
    return journal.look_at(output, source, recipe).status == "made"


def trace(folder):
    return {path: path.stat().st_mtime_ns for path in (folder, *folder.rglob("*"))}


@pytest.mark.parametrize("name", [b"a.jpg", b"line\nbreak.jpg", b"\xff\xfe.jpg", "Süd ☀.jpg".encode(), b"'; --.jpg"])
def test_names_of_any_bytes_are_known_again(out, name):
    path = out / os.fsdecode(name)
    with Journal(out) as journal:
        note(journal, path)
        journal.note_failed(path, "other", f"{path} is broken")
    with Journal(out) as journal:
        assert is_made(journal, path, path, "recipe") and not is_made(journal, path, path, "other")
        assert journal.failure(path, "other") == f"{path} is broken" and journal.failure(path, "recipe") is None
        assert [entry.path for entry in journal.entries()] == [path.name]
        assert list(journal.verify()) == []


@pytest.mark.slow
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
        assert is_made(journal, out / "a.jpg", out / "a.jpg", "recipe")
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
        with pytest.raises(JournalError, match=r"journal\.sqlite cannot be used .*move it away"):
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
        assert is_made(journal, out / "a.jpg", out / "a.jpg", "recipe")


def test_odd_names_are_printed_so_that_they_do_no_harm(out, capsys):
    with Journal(out) as journal:
        note(journal, out / os.fsdecode(b"\xff\x1b[31m.jpg"))
    (out / os.fsdecode(b"\xff\x1b[31m.jpg")).write_bytes(b"other")
    assert main(["journal", "verify", str(out)]) == 1
    assert capsys.readouterr().out == "\\udcff\\x1b[31m.jpg: has changed since it was made\n"


def change(out, *statements):
    with contextlib.closing(sqlite3.connect(out / FOLDER / "journal.sqlite")) as database:
        database.executescript(";".join(statements))


EARLIER = ("PRAGMA application_id = 0", "PRAGMA user_version = 0")


@pytest.mark.parametrize(
    "statements",
    [
        EARLIER,
        (*EARLIER, "ALTER TABLE outputs DROP COLUMN digest"),
        ("ALTER TABLE outputs DROP COLUMN digest",),
        (*EARLIER, "UPDATE outputs SET path = CAST(path AS TEXT), input = CAST(input AS TEXT)"),
    ],
)
def test_a_journal_of_an_earlier_version_is_read_and_brought_up_to_date(out, statements):
    for name in ("a.jpg", "b.jpg"):
        with Journal(out) as journal:
            note(journal, out / name)
    change(out, *statements)
    (out / "b.jpg").write_bytes(b"rated since")
    for read_only in (True, False, False):
        with Journal(out, read_only=read_only) as journal:
            assert is_made(journal, out / "a.jpg", out / "a.jpg", "recipe")
            assert journal.look_at(out / "b.jpg", out / "a.jpg", "recipe").status != "made"
            assert list(journal.verify()) == [("b.jpg", "has changed since it was made")]


@pytest.mark.parametrize(
    ("statements", "words"),
    [
        (("PRAGMA user_version = 2",), "is of a newer camera_nano: update this one"),
        (("PRAGMA application_id = 7",), "is of another program: move it away"),
        ((*EARLIER, "DROP TABLE outputs", "CREATE TABLE songs (title TEXT)"), "is of another program: move it away"),
        ((*EARLIER, "ALTER TABLE outputs DROP COLUMN size"), "is of another program: move it away"),
    ],
)
def test_a_journal_that_is_not_ours_to_change_is_told_and_left_alone(out, statements, words, capsys):
    Journal(out).close()
    change(out, *statements)
    before = (out / FOLDER / "journal.sqlite").read_bytes()
    for read_only in (False, True):
        with pytest.raises(JournalError, match=words):
            Journal(out, read_only=read_only)
    assert main(["journal", "verify", str(out)]) == 3
    told = capsys.readouterr().err
    assert words in told and "delete" not in told and len(told.splitlines()) == 1
    assert (out / FOLDER / "journal.sqlite").read_bytes() == before


def test_a_journal_that_another_program_has_locked_is_told(out, monkeypatch):
    Journal(out).close()
    with contextlib.closing(sqlite3.connect(out / FOLDER / "journal.sqlite")) as database:
        database.execute("BEGIN EXCLUSIVE")
        monkeypatch.setattr(sqlite3, "connect", partial(sqlite3.connect, timeout=0.1))  # it would wait for 5 s
        with pytest.raises(JournalBusy, match=r"another program has .* open: close that"), Journal(out) as journal:
            note(journal, out / "a.jpg")
