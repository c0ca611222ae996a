"""Batches on Ray: the bytes of the local runner, lost workers, object stores."""

import json
import os
import pickle
import signal
import subprocess
import sys
from importlib.util import find_spec

import numpy as np
import psutil
import pytest
from limited import Process, held_up
from PIL import Image

from camera_nano.cli import main

pytestmark = pytest.mark.ray
if find_spec("ray") is None:  # to import it takes a second, also where none of these tests runs
    pytest.skip("the extra ray is not installed", allow_module_level=True)


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
    return Process(command, stdout=subprocess.PIPE, text=True, env=os.environ | env)


def finish(process):
    """The results that were not read yet. What is told goes to a file, or pipes might fill up."""
    results = [json.loads(line) for line in process.stdout]
    process.wait(timeout=300)
    return results


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
        fs.pipe_file(f"bucket/out/{damaged}", local[damaged][:100])  # torn, as by a machine that died
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


def test_a_cluster_that_does_not_start_is_told_in_one_line(photos, tmp_path, monkeypatch, capsys):
    import ray

    def too_slow(**options):  # what Ray raises after half a minute
        raise Exception("The current node timed out during startup.\nmore")

    monkeypatch.setattr(ray, "init", too_slow)
    assert main(["batch", str(photos), "--out", str(tmp_path / "out"), "--runner", "ray"]) == 3
    assert capsys.readouterr().err.splitlines()[-1] == (
        "camera-nano: Ray does not start (The current node timed out during startup.): "
        "check RAY_ADDRESS, or use --runner local"
    )


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_goes_on_where_it_was(photos, tmp_path, how, capfd):
    far = tmp_path.joinpath(*["_" * 200] * 5)  # three of these names fill the pipe
    far.mkdir(parents=True)
    photos = photos.rename(far / "photos")
    with held_up(start(photos, "--out", tmp_path / "out", "--threads", 1)) as process:
        results = [json.loads(process.stdout.readline())]
        process.send_signal(how)
        results += finish(process)
    told = capfd.readouterr().err
    assert process.returncode == 130 and "Traceback" not in told
    assert f"{13 - len(results)} not started: interrupted, start again to go on" in told
    assert main(["batch", str(photos), "--out", str(tmp_path / "out"), "--json"]) == 1
    statuses = [json.loads(line)["status"] for line in capfd.readouterr().out.splitlines()]
    assert statuses.count("skipped") == sum(result["status"] == "done" for result in results)
    assert statuses.count("done") == 12 - statuses.count("skipped")
    assert not list((tmp_path / "out").rglob("*.tmp"))


POISON = """
import os, signal, sys
from pathlib import Path
from camera_nano import engines
from camera_nano.batch import ray as runner_ray
from camera_nano.engines.weights import model_id
from camera_nano.batch import Journal, plan
from camera_nano.looks import load_looks
from camera_nano.paths import pipeline_dir
from camera_nano.recipe import Recipe

class Poisoned(runner_ray._Worker):  # pickled by value, as it is of the main script
    def _process(self, job, missing):
        if job.input.name == "03.jpg":
            os.kill(os.getpid(), signal.SIGKILL)
        return super()._process(job, missing)

runner_ray._Worker = Poisoned
look = load_looks(pipeline_dir())["natural"]
recipe = Recipe(look, 1.0, 2, "auto", model_id("onnx", pipeline_dir()))
folder, out = map(Path, sys.argv[1:])
with Journal(out) as journal:
    told = []
    jobs = plan([folder], out, [look], "auto")
    summary = runner_ray.run(jobs, runner_ray.MakerSpec("onnx", (recipe,)), journal, on_done=told.append)
for result in told:
    print("result", result.error or result.status)  # beside what Ray prints
"""


def test_a_photo_that_takes_every_worker_with_it_fails_alone(photos, tmp_path):
    for path in list((photos / "deep").iterdir()):
        if path.name > "03.jpg":
            path.unlink()
    command = [sys.executable, "-c", POISON, photos / "deep", tmp_path / "out"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, timeout=300)
    told = sorted(line.removeprefix("result ") for line in done.stdout.splitlines() if line.startswith("result "))
    assert told[1:] == ["done"] * 3 and "03.jpg: its worker was lost, 3 times" in told[0]


def test_a_worker_with_other_weights_makes_nothing(photos, tmp_path):
    from camera_nano.batch import JobAt
    from camera_nano.batch.ray import MakerSpec, _Worker
    from camera_nano.recipe import Recipe
    from camera_nano.values import Look

    job = JobAt(str(photos / "deep" / "00.jpg"), (str(tmp_path / "out.jpg"),))
    worker = _Worker(MakerSpec("onnx", (Recipe(Look("natural"), 1.0, 2, "auto", "onnx:others"),)))
    made = worker({"number": [7], "task": [pickle.dumps((job, [0]))]})
    assert "has other weights" in made["error"][0] and made["number"] == [7] and not (tmp_path / "out.jpg").exists()
