import json
import os
import shutil
import signal
import socket
import subprocess
import sys

import numpy as np
import pytest
from limited import Process
from PIL import Image

from camera_nano.cli import main
from camera_nano.files.decode import open_image
from camera_nano.paths import pipeline_dir


@pytest.fixture
def jpeg(tmp_path, dark_photo):
    path = tmp_path / "dark.jpg"
    Image.fromarray(dark_photo).save(path, quality=95)
    return path


def only_line(text):
    lines = text.strip().splitlines()
    assert len(lines) == 1, lines
    assert "Traceback" not in text
    return lines[0]


@pytest.mark.slow
def test_enhance_writes_a_brighter_picture(jpeg, tmp_path, capsys):
    out = tmp_path / "out.png"
    assert main(["enhance", str(jpeg), str(out), "--look", "hdr"]) == 0
    assert np.asarray(Image.open(out)).mean() > 1.5 * np.asarray(Image.open(jpeg)).mean()
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_strength_0_is_the_decoded_original(jpeg, tmp_path):
    out = tmp_path / "out.png"
    assert main(["enhance", str(jpeg), str(out), "--strength", "0"]) == 0
    assert np.array_equal(np.asarray(Image.open(out)), np.asarray(Image.open(jpeg)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("argv", "code", "words"),
    [
        (["enhance", "missing.jpg", "out.jpg"], 1, "missing.jpg"),
        (["enhance", "{jpeg}", "{jpeg}"], 2, "never overwritten"),
        (["enhance", "{jpeg}", "out.gif"], 2, "out.gif"),
        (["enhance", "{jpeg}", "out.jpg", "--look", "zebra"], 2, "natural, hdr"),
        (["enhance", "{jpeg}", "no/such/folder/out.jpg"], 1, "no/such/folder"),
        (["batch", "{jpeg}", "--out", "o", "--looks", "zebra"], 2, "zebra"),
        (["batch", "nowhere", "--out", "o"], 2, "nowhere"),
        (["live", "--headless", "--source", "v4l2:97"], 3, "97"),
        (["live", "--source", "video:none.mp4"], 3, "none.mp4"),
        (["live", "--source", "telepathy"], 2, "demo"),
        (["live", "--source", "demo", "--looks", "zebra"], 2, "zebra"),
    ],
)
def test_bad_use_is_one_line_with_the_right_code(argv, code, words, jpeg, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    before = set(tmp_path.rglob("*"))
    assert main([arg.format(jpeg=jpeg) for arg in argv]) == code
    assert words in only_line(capsys.readouterr().err)
    assert {p for p in set(tmp_path.rglob("*")) - before if p.is_file()} == set()


@pytest.mark.parametrize(
    ("name", "data"),
    [("empty.jpg", b""), ("text.jpg", b"hello, this is no picture"), ("cut.jpg", None)],
)
def test_bad_pictures_are_one_line_and_exit_1(name, data, jpeg, tmp_path, capsys):
    bad = tmp_path / name
    bad.write_bytes(jpeg.read_bytes()[:3000] if data is None else data)
    out = tmp_path / "o" / "x.jpg"
    out.parent.mkdir()
    assert main(["enhance", str(bad), str(out)]) == 1
    assert name in only_line(capsys.readouterr().err)
    assert not list(out.parent.iterdir())


@pytest.mark.parametrize("strength", ["1.5", "-1", "much"])
def test_strength_out_of_range_is_usage(strength, jpeg):
    assert main(["enhance", str(jpeg), "o.jpg", "--strength", strength]) == 2


def test_tampered_model_is_environment(jpeg, tmp_path, monkeypatch, capsys):
    copy = shutil.copytree(pipeline_dir(), tmp_path / "relight")
    (copy / "encoder.int8.onnx").write_bytes(b"x")
    monkeypatch.setenv("CAMERA_NANO_PIPELINE", str(copy))
    assert main(["enhance", str(jpeg), str(tmp_path / "o.jpg")]) == 3
    assert "SHA-256" in only_line(capsys.readouterr().err)
    assert main(["live", "--source", "demo", "--out", str(tmp_path / "s")]) == 3
    assert main(["model", "verify"]) == 3


@pytest.mark.slow
def test_batch_counts_and_exit_codes(jpeg, tmp_path, capsys):
    photos = tmp_path / "photos"
    photos.mkdir()
    shutil.copy(jpeg, photos / "a.jpg")
    out = tmp_path / "out"
    argv = ["batch", str(photos), "--out", str(out), "--looks", "natural,golden", "--json"]
    assert main([*argv, "--dry-run"]) == 0
    assert not out.exists()
    capsys.readouterr()
    assert main(argv) == 0
    assert sorted(path.name for path in out.glob("*.jpg")) == ["a_golden.jpg", "a_natural.jpg"]
    assert all(json.loads(line) for line in capsys.readouterr().out.splitlines())
    (photos / "b.jpg").write_bytes(b"")
    assert main(argv) == 1
    assert "b.jpg" in capsys.readouterr().out
    assert main(["journal", "verify", str(out)]) == 0
    (out / "a_golden.jpg").write_bytes(b"")
    assert main(["journal", "verify", str(out)]) == 1
    assert "a_golden.jpg: has changed" in capsys.readouterr().out


@pytest.mark.slow
def test_looks_doctor_and_model(capsys):
    assert main(["looks", "--json"]) == 0
    assert [look["name"] for look in json.loads(capsys.readouterr().out)][:2] == ["natural", "hdr"]
    assert main(["looks"]) == 0
    assert main(["doctor"]) == 0
    assert "render kernel" in capsys.readouterr().out
    assert main(["model", "verify"]) == 0
    assert "ok  denoiser.onnx" in capsys.readouterr().out


@pytest.mark.slow
def test_headless_shoots_and_prints_json_lines(tmp_path, capsys):
    argv = ["live", "--source", "demo", "--headless", "--shots", "2", "--every", "0", "--looks", "natural"]
    assert main([*argv, "--out", str(tmp_path / "shots")]) == 0
    shots = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert len(shots) == 2
    for shot in shots:
        sizes = {open_image(path).frame.pixels.shape for path in (shot["original"], shot["looks"]["natural"])}
        assert sizes == {(720, 1280, 3)}


def test_out_that_is_a_file_is_told_before_anything_starts(tmp_path, capsys):
    (tmp_path / "shots").write_text("in the way")
    assert main(["live", "--source", "demo", "--out", str(tmp_path / "shots")]) == 3
    assert "shots" in only_line(capsys.readouterr().err)


@pytest.mark.slow
def test_brackets_without_the_compiled_loops_are_refused_in_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("camera_nano.cli.live.kernel", lambda: None)
    argv = ["live", "--source", "demo", "--headless", "--out", str(tmp_path)]
    assert main([*argv, "--bracket", "auto"]) == 3
    line = only_line(capsys.readouterr().err)
    assert "--bracket auto needs the compiled loops" in line and "doctor" in line
    assert main(argv) == 0  # by default they are off then


@pytest.mark.slow
def test_busy_port(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        argv = [sys.executable, "-m", "camera_nano", "live", "--source", "demo", "--port", port]
        done = subprocess.run([*argv, "--out", str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 3
    assert "--port" in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_the_live_app_cleanly(how, tmp_path):
    argv = [
        sys.executable,
        "-m",
        "camera_nano",
        "live",
        "--source",
        "demo",
        "--port",
        "0",
        "--out",
        str(tmp_path),
    ]
    env = os.environ | {"PYTHONUNBUFFERED": "1"}
    with Process(argv, stderr=subprocess.PIPE, text=True, env=env) as app:
        seen = []
        while "open http" not in (seen or [""])[-1]:
            line = app.stderr.readline()
            assert line, seen
            seen.append(line)
        app.send_signal(how)
        rest = app.stderr.read()
        assert app.wait(timeout=60) in (0, 130)
    assert "Traceback" not in rest


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["live", "--headless", "--shots", "0"], "give 1 or more"),
        (["live", "--headless", "--shots", "-3"], "give 1 or more"),
        (["live", "--headless", "--every", "nan"], "give seconds"),
        (["live", "--headless", "--every", "-1"], "give seconds"),
        (["live", "--headless", "--every", "inf"], "give seconds"),
        (["live", "--port", "99999"], "no port"),
        (["live", "--source", os.fsdecode(b"video:\xff.mp4")], "is not UTF-8"),
        (["live", "--out", os.fsdecode(b"\xff")], "is not UTF-8"),
        (["batch", "p", "--out", "o", "--threads", "0"], "give 1 or more"),
        (["batch", "p", "--out", "o", "--seed", "-1"], "is no seed"),
    ],
)
def test_numbers_and_names_that_make_no_sense_are_usage_in_words(argv, words, capsys):
    assert main(argv) == 2
    assert words in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.parametrize("argv", [["looks"], ["looks", "--json"], ["looks", "--words"]])
def test_a_reader_that_leaves_early_is_no_error(argv):
    read, write = os.pipe()
    os.close(read)
    for streams in ({"stdout": write, "stderr": subprocess.PIPE}, {"stderr": write, "stdout": write}):
        done = subprocess.run([sys.executable, "-m", "camera_nano", *argv], text=True, timeout=60, **streams)
        assert done.returncode == 130 and not done.stderr
    os.close(write)
    closed = f"{sys.executable} -m camera_nano {' '.join(argv)} >&- 2>&-"
    assert subprocess.run(closed, shell=True, timeout=60).returncode == 0


def test_a_missing_folder_for_the_output_is_told_before_anything_is_read(tmp_path, capsys):
    assert main(["enhance", str(tmp_path / "none.jpg"), str(tmp_path / "no folder" / "out.jpg")]) == 1
    assert f"{tmp_path / 'no folder'}: there is no such folder" in only_line(capsys.readouterr().err)


def test_purge_lists_what_is_kept_and_removes_it_when_told(tmp_path, monkeypatch, capsys):
    for name in ("DATA", "STATE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name))
    kept = [tmp_path / "DATA" / "camera-nano", tmp_path / "DATA" / "camera_nano", tmp_path / "STATE" / "camera-nano"]
    for folder in (*kept, tmp_path / "DATA" / "camera-other"):
        (folder / "deep").mkdir(parents=True)
        (folder / "deep" / "file").write_bytes(bytes(2500))
    assert main(["purge"]) == 0
    said, told = capsys.readouterr()
    assert [line.split()[-1] for line in said.splitlines()] == list(map(str, kept)) and "2.5 kB in 1 files" in said
    assert "--yes removes" in told and all(folder.is_dir() for folder in kept)
    assert main(["purge", "--yes"]) == 0
    assert list(tmp_path.glob("*/*")) == [tmp_path / "DATA" / "camera-other"]
    capsys.readouterr()
    assert main(["purge"]) == 0 and "keeps nothing" in capsys.readouterr().err
