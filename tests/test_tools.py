"""The tools as people run them: in a process of their own, on data made here."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import OpenEXR
import pytest
import skimage.data
from PIL import Image

from camera_nano.decode import size_wh

TOOLS = Path(__file__).parent.parent / "tools"


def run(tool, *args):
    argv = [sys.executable, str(TOOLS / f"{tool}.py"), *map(str, args)]
    return subprocess.run(argv, capture_output=True, text=True, check=True, cwd=TOOLS.parent).stdout


@pytest.fixture(scope="session")
def data(tmp_path_factory):
    """Two small panoramas of six decades of light, and five photos."""
    root = tmp_path_factory.mktemp("data")
    (root / "hdri").mkdir()
    (root / "photos" / "some").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in ("a.exr", "b.exr"):
        pano = np.exp2(rng.uniform(-6, 2, (16, 32, 1)).repeat(16, 0).repeat(16, 1)) * rng.uniform(0.5, 1, (256, 512, 3))
        pano[40:48, 100:108] *= 1000
        channels = {"RGB": pano.astype(np.float32)}
        OpenEXR.File({"type": OpenEXR.scanlineimage}, channels).write(str(root / "hdri" / name))
    for name in ("astronaut", "coffee", "chelsea", "rocket", "cat"):
        Image.fromarray(np.asarray(getattr(skimage.data, name)())).save(root / "photos" / "some" / f"{name}.jpg")
    (root / "split.json").write_text(json.dumps({"hdri_train": ["a.exr"], "hdri_dev": ["b.exr"]}))
    return root


@pytest.fixture(scope="session")
def scenes(data):
    for split in ("train", "dev"):
        out = data / f"{split}.npz"
        print(run("make_data", "--data", data, "--split", split, "--out", out, "--views", 6, "--crops", 1))
    return data / "train.npz", data / "dev.npz"


def train(scenes, folder, steps):
    settings = ["--batch", 4, "--channels", 16, "--judge-every", 2, "--device", "cpu"]
    run("train", "--scenes", scenes[0], "--dev", scenes[1], "--run", folder, "--steps", steps, *settings)
    with (folder / "log.csv").open() as file:
        return list(csv.DictReader(file))


def test_training_is_seeded_resumable_and_exports(scenes, tmp_path):
    whole = train(scenes, tmp_path / "whole", 4)
    assert [row["step"] for row in whole] == ["2", "4"]
    assert float(whole[0]["natural_input"]) > 0
    assert (tmp_path / "whole" / "sheet.jpg").stat().st_size > 1000
    again = train(scenes, tmp_path / "again", 4)
    assert whole[1]["loss"] == again[1]["loss"]  # same seed, same numbers
    going_on = train(scenes, tmp_path / "whole", 6)
    assert [row["step"] for row in going_on] == ["2", "4", "6"]

    out = tmp_path / "relight"
    out.mkdir()
    (out / "looks.json").write_text('{"natural": {}}')
    run("export", "--net", tmp_path / "whole" / "net", "--out", out)
    from camera_nano.engines import load_editor
    from camera_nano.values import Condition

    seen = Condition(np.full((64, 64, 3), 0.2, np.float32))
    ours, theirs = (load_editor(engine, pipeline=out) for engine in ("onnx", "torch"))
    look = [ours.looks["natural"]]
    assert np.abs(ours.propose(seen, look)[0].grid - theirs.propose(seen, look)[0].grid).max() < 1e-3


def test_evaluate_keeps_its_contract(dark_photo, photo, tmp_path):
    for folder, image in (("in", dark_photo), ("ref", photo)):
        (tmp_path / folder).mkdir()
        Image.fromarray(image).save(tmp_path / folder / "one.png")
    Image.fromarray(photo).save(tmp_path / "in" / "unmatched.png")
    pairs = ["--pairs", tmp_path / "in", tmp_path / "ref", "--seeds", 2]
    sheet = tmp_path / "sheet.png"
    report = json.loads(run("evaluate", *pairs, "--json", "--sheet", sheet))
    assert report["n"] == 1 and report["look"] == "natural"
    assert set(report["ours"]) == {"psnr", "ssim", "de00", "fidelity", "best_of_n_psnr"}
    assert {"identity", "clahe", "auto-gamma", "auto-levels"} <= set(report["baselines"])
    identity = report["baselines"]["identity"]
    assert identity["fidelity"] > 0.999  # the input has its own structure
    assert report["ours"]["psnr"] > identity["psnr"] + 3
    assert report["ours"]["de00"] < identity["de00"]
    assert report["ours"]["best_of_n_psnr"] >= report["ours"]["psnr"]
    assert size_wh(sheet) == (1200, 300)
    assert "camera_nano natural" in run("evaluate", *pairs)


def test_fidelity_sees_changed_content(photo):
    sys.path.insert(0, str(TOOLS))
    try:
        from evaluate import fidelity
    finally:
        sys.path.remove(str(TOOLS))
    darker = (photo // 3).astype(np.uint8)
    painted = darker.copy()
    painted[100:260, 100:260] = np.random.default_rng(0).integers(0, 80, (160, 160, 3))
    assert fidelity(darker, photo) > 0.97 > fidelity(painted, photo)


def test_evaluate_on_panoramas(data):
    report = json.loads(run("evaluate", "--hdr", data / "hdri", "--only", f"{data}/split.json:hdri_dev", "--json"))
    assert report["n"] == 8
    assert "fusion of bracket" in report["baselines"]
