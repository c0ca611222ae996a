"""Batches on Ray: the bytes of the local runner, lost workers, object stores."""

import json
import os
import subprocess
import sys

import numpy as np
import psutil
import pytest
from PIL import Image

from camera_nano.cli import main

pytest.importorskip("ray", reason="the extra ray is not installed")


@pytest.fixture
def photos(tmp_path, photo):
    """Photos, and one that is none."""
    folder = tmp_path / "photos"
    (folder / "deep").mkdir(parents=True)
    for number in range(12):
        Image.fromarray(np.roll(photo[::3, ::3], number, 1)).save(folder / "deep" / f"{number:02}.jpg")
    (folder / "broken.jpg").write_bytes(b"no picture")
    (folder / "notes.txt").write_bytes(b"no picture")
    return folder


def start(*argv, **env):
    """A process of its own: Ray changes how a process handles signals and warnings."""
    command = [sys.executable, "-m", "camera_nano", "batch", *map(str, argv), "--runner", "ray", "--json"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | env)


def finish(process):
    out, told = process.communicate(timeout=300)
    assert "Traceback" not in told, told
    return [json.loads(line) for line in out.splitlines()]


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.jpg")}


def is_worker(process):
    try:
        return "_Worker" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False


def test_a_lost_worker_costs_nothing_and_the_bytes_are_those_of_the_local_runner(photos, tmp_path, capsys):
    report = tmp_path / "report.html"
    assert main(["batch", str(photos), "--out", str(tmp_path / "local")]) == 1
    with start(photos, "--out", tmp_path / "out", "--report", report) as process:
        results = [json.loads(process.stdout.readline())]
        workers = [child for child in psutil.Process(process.pid).children(recursive=True) if is_worker(child)]
        assert workers
        workers[0].kill()
        results += finish(process)
    assert process.returncode == 1
    assert sorted(result["status"] for result in results) == ["done"] * 12 + ["failed"]
    [error] = [result["error"] for result in results if result["error"]]
    assert error.startswith(f"{photos / 'broken.jpg'} is not a picture")
    assert contents(tmp_path / "out") == contents(tmp_path / "local")
    assert "broken.jpg" in report.read_text()
    capsys.readouterr()
    assert main(["batch", str(photos), "--out", str(tmp_path / "out"), "--json"]) == 1  # one journal for both
    again = [json.loads(line)["status"] for line in capsys.readouterr().out.splitlines()]
    assert sorted(again) == ["failed"] + ["skipped"] * 12


def test_object_stores(photos, tmp_path):
    server = pytest.importorskip("moto.server", reason="moto[server] is not installed")
    fs_of = pytest.importorskip("s3fs", reason="s3fs is not installed").S3FileSystem
    store = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    store.start()
    try:
        url = "http://{}:{}".format(*store.get_host_and_port())
        env = {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "a",
            "AWS_SECRET_ACCESS_KEY": "b",
            "AWS_DEFAULT_REGION": "us-east-1",
            "XDG_STATE_HOME": str(tmp_path / "state"),
        }
        fs = fs_of(key="a", secret="b", endpoint_url=url)
        fs.mkdir("bucket")
        fs.put(f"{photos}/", "bucket/in/", recursive=True)
        argv = ["s3://bucket/in", "--out", "s3://bucket/out"]
        with start(*argv, **env) as process:
            results = finish(process)
        assert sorted(result["status"] for result in results) == ["done"] * 12 + ["failed"]
        [error] = [result["error"] for result in results if result["error"]]
        assert error.startswith("s3://bucket/in/broken.jpg ")  # not the copy that was decoded
        assert process.returncode == 1
        assert main(["batch", str(photos), "--out", str(tmp_path / "local")]) == 1
        local = contents(tmp_path / "local")
        assert {path.removeprefix("bucket/out/"): fs.cat_file(path) for path in fs.find("bucket/out")} == local
        damaged = sorted(local)[3]
        fs.pipe_file(f"bucket/out/{damaged}", b"altered")
        with start(*argv, **env) as process:
            statuses = [result["status"] for result in finish(process)]
        assert (statuses.count("done"), statuses.count("skipped"), statuses.count("failed")) == (1, 11, 1)
        fs.invalidate_cache()
        assert fs.cat_file(f"bucket/out/{damaged}") == local[damaged]
    finally:
        store.stop()


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["s3://bucket/in", "--out", "o"], "is a URL: add --runner ray"),
        (["p", "--out", "o", "--runner", "ray", "--watch"], "--watch is for folders of this machine"),
        (["memory://in", "--out", "memory://in/out", "--runner", "ray"], "is inside the input"),
        (["memory://nothing", "--out", "memory://out", "--runner", "ray"], "no such file or folder"),
        (["nowhere://in", "--out", "memory://out", "--runner", "ray"], "nowhere://in: Protocol not known"),
    ],
)
def test_what_makes_no_sense_is_usage(argv, words, capsys):
    assert main(["batch", *argv]) == 2
    assert words in capsys.readouterr().err
