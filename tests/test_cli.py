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
from camera_nano.decode import open_image
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


def test_enhance_writes_a_brighter_picture(jpeg, tmp_path, capsys):
    out = tmp_path / "out.png"
    assert main(["enhance", str(jpeg), str(out), "--look", "hdr"]) == 0
    assert np.asarray(Image.open(out)).mean() > 1.5 * np.asarray(Image.open(jpeg)).mean()
    assert capsys.readouterr().out == ""


def test_strength_0_is_the_decoded_original(jpeg, tmp_path):
    out = tmp_path / "out.png"
    assert main(["enhance", str(jpeg), str(out), "--strength", "0"]) == 0
    assert np.array_equal(np.asarray(Image.open(out)), np.asarray(Image.open(jpeg)))


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


def test_looks_doctor_and_model(capsys):
    assert main(["looks", "--json"]) == 0
    assert [look["name"] for look in json.loads(capsys.readouterr().out)][:2] == ["natural", "hdr"]
    assert main(["looks"]) == 0
    assert main(["doctor"]) == 0
    assert "render kernel" in capsys.readouterr().out
    assert main(["model", "verify"]) == 0
    assert "ok  denoiser.onnx" in capsys.readouterr().out


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


def test_busy_port(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        argv = [sys.executable, "-m", "camera_nano", "live", "--source", "demo", "--port", port]
        done = subprocess.run([*argv, "--out", str(tmp_path)], capture_output=True, text=True, timeout=120)
    assert done.returncode == 3
    assert "--port" in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr


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
