"""The tools as people run them: in a process of their own, on data made here."""

import csv
import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import OpenEXR
import pytest
import skimage.data
from PIL import Image

from camera_nano.color import srgb_codes, srgb_eotf
from camera_nano.errors import UnreadableImage
from camera_nano.files.decode import decode
from camera_nano.values import EditField, Look

pytestmark = pytest.mark.training

TOOLS = Path(__file__).parents[2] / "tools"


def run(tool, *args):
    [path] = TOOLS.glob(f"*/{tool}.py")
    argv = [sys.executable, str(path), *map(str, args)]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=TOOLS.parent)
    assert done.returncode == 0, done.stderr
    return done.stdout


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
    settings = ["--batch", 4, "--channels", 16, "--judge-every", 2, "--gate-captures", 640, "--device", "cpu"]
    run("train", "--scenes", scenes[0], "--dev", scenes[1], "--run", folder, "--steps", steps, *settings)
    with (folder / "log.csv").open() as file:
        return list(csv.DictReader(file))


def test_training_is_seeded_and_resumable(scenes, tmp_path):
    whole = train(scenes, tmp_path / "whole", 4)
    assert [row["step"] for row in whole] == ["2", "4"]
    assert float(whole[0]["natural_input"]) > 0
    assert (tmp_path / "whole" / "sheet.png").stat().st_size > 1000
    again = train(scenes, tmp_path / "again", 4)
    assert whole[1]["loss"] == again[1]["loss"]  # same seed, same numbers
    going_on = train(scenes, tmp_path / "whole", 6)
    assert [row["step"] for row in going_on] == ["2", "4", "6"]


def test_one_command_goes_from_pictures_to_a_pipeline(data, tmp_path):
    folder, out = tmp_path / "run", tmp_path / "relight"
    out.mkdir()
    settings = ["--channels", 16, "--steps", 4, "--batch", 4, "--device", "cpu"]
    run("train", "--preset", "smoke", "--data", data, "--run", folder, "--out", out, *settings)

    from camera_nano.engines import load_editor
    from camera_nano.values import Condition

    seen = Condition(np.full((64, 64, 3), 0.2, np.float32))
    exact, torch_editor = load_editor("onnx", pipeline=out, precision="fp32"), load_editor("torch", pipeline=out)
    looks = list(exact.looks.values())
    assert len(looks) == 8
    for ours, theirs in zip(exact.propose(seen, looks), torch_editor.propose(seen, looks), strict=True):
        assert np.abs(ours.grid - theirs.grid).max() < 1e-3
    rounded = load_editor("onnx", pipeline=out).propose(seen, looks)
    assert max(np.abs(a.grid - b.grid).mean() for a, b in zip(rounded, exact.propose(seen, looks), strict=True)) < 0.05


@pytest.fixture
def tool(monkeypatch):
    """A module of tools/, by name."""
    for room in ("training", "judging", "pictures", "checks", "install"):
        monkeypatch.syspath_prepend(str(TOOLS / room))
    return importlib.import_module


class Scripted:
    """An editor that proposes what a function of (condition, seed, number of the call) says."""

    name, looks = "scripted", {"natural": Look("natural")}

    def __init__(self, field_of):
        self.field_of, self.calls = field_of, 0

    def propose(self, condition, looks, *, seed=0, n_steps=2, assume="auto"):
        self.calls += 1
        return [self.field_of(condition, seed, self.calls)] * len(looks)


def even(gain_ev, headroom_ev=0.0):
    """A field that does the same to every pixel, white ones too."""
    grid = np.zeros((16, 16, 8, 4), np.float32)
    grid[..., :3], grid[..., 3] = gain_ev, headroom_ev
    return EditField(grid, (min(0.0, gain_ev),) * 3)


@pytest.fixture(scope="session")
def small_photo(photo):
    return np.ascontiguousarray(photo[::4, ::4])


IDENTITY = Scripted(lambda condition, seed, call: EditField.identity())
NATURAL = Look("natural")


def test_evaluate_keeps_its_contract(dark_photo, photo, tmp_path):
    for folder, image in (("in", dark_photo), ("ref", photo)):
        (tmp_path / folder).mkdir()
        Image.fromarray(image).save(tmp_path / folder / "one.png")
    Image.fromarray(photo).save(tmp_path / "in" / "unmatched.png")
    pairs = ["--pairs", tmp_path / "in", tmp_path / "ref", "--seeds", 2]
    sheet = tmp_path / "sheet.png"
    report = json.loads(run("evaluate", *pairs, "--json", "--sheet", sheet))
    assert report["n"] == 1 and report["look"] == "natural"
    assert {"psnr", "ssim", "de00", "fidelity", "best_of_n_psnr"} <= set(report["ours"])
    assert {"identity", "clahe", "auto-gamma", "auto-levels"} <= set(report["baselines"])
    identity = report["baselines"]["identity"]
    assert identity["fidelity"] > 0.999  # the input has its own structure
    assert report["ours"]["psnr"] > identity["psnr"] + 3
    assert report["ours"]["de00"] < identity["de00"]
    assert report["ours"]["best_of_n_psnr"] >= report["ours"]["psnr"]
    assert report["headroom"] is None and report["by_exposure"] is None  # the true light is not known
    assert Image.open(sheet).convert("RGB").size == (1200, 300)
    assert "camera_nano natural" in run("evaluate", *pairs)

    reports = json.loads(run("evaluate", *pairs, "--json", "--look", "natural,dramatic"))
    natural, dramatic, mean, best = reports
    assert natural == report
    assert dramatic["baselines"] == natural["baselines"]  # one truth for every look
    assert (mean["look"], best["look"]) == ("mean over looks", "best look of each picture")
    psnrs = [found["ours"]["psnr"] for found in (natural, dramatic)]
    assert mean["ours"]["psnr"] == pytest.approx(np.mean(psnrs), abs=1e-3)
    assert best["ours"]["psnr"] == max(psnrs)


def test_fidelity_sees_changed_content(photo, tool):
    fidelity = tool("metrics").fidelity
    darker = (photo // 3).astype(np.uint8)
    painted = darker.copy()
    painted[100:260, 100:260] = np.random.default_rng(0).integers(0, 80, (160, 160, 3))
    assert fidelity(darker, photo) > 0.97 > fidelity(painted, photo)


def test_pu21_has_its_published_anchor(tool):
    metrics = tool("metrics")
    assert metrics.pu21(np.array(100.0)) == pytest.approx(256, abs=1)
    assert np.all(np.diff(metrics.pu21(np.geomspace(0.01, 10000, 200))) > 0)
    nits = np.full((4, 4), 100.0)
    assert metrics.pu21_psnr(nits, nits) == metrics.EQUAL_DB
    assert metrics.pu21_psnr(nits, nits * 1.1) > metrics.pu21_psnr(nits, nits * 2)


def test_pictures_of_one_group_are_not_counted_as_independent(tool, rng):
    interval95 = tool("metrics").interval95
    values = list(np.repeat(rng.normal(20, 3, 10), 8))  # ten panoramas, eight views that are alike
    low, high = interval95(values, [str(i) for i in range(80)])
    grouped_low, grouped_high = interval95(values, [str(i // 8) for i in range(80)])
    assert low < np.mean(values) < high
    assert grouped_high - grouped_low > 2 * (high - low)
    assert interval95([7.0] * 5, list("abcde")) == [7.0, 7.0]
    assert interval95([7.0, 8.0], ["a", "a"]) is None


def test_seeds_that_agree_have_no_spread_and_one_right_seed_covers_the_truth(small_photo, tool):
    judge, pair = tool("judge").judge, tool("pairs").Pair("one", small_photo, small_photo, group="one")
    agreed = judge([pair], IDENTITY, NATURAL).report
    assert agreed["diversity"]["spread_de00"] == 0 and agreed["diversity"]["coverage"] == 1
    wrong = judge([pair], Scripted(lambda condition, seed, call: even(2.0)), NATURAL).report
    assert wrong["diversity"]["spread_de00"] == 0 and wrong["diversity"]["coverage"] == 0
    lucky = judge([pair], Scripted(lambda condition, seed, call: even(2.0 * (seed != 3))), NATURAL).report
    assert lucky["diversity"]["spread_de00"] > 1 and lucky["diversity"]["coverage"] == 1
    assert lucky["ours"]["psnr"] == wrong["ours"]["psnr"]  # seed 0 is the answer
    assert lucky["ours"]["best_of_n_psnr"] == 100
    assert judge([pair], IDENTITY, NATURAL, n_seeds=1).report["diversity"] is None


def test_spread_is_compared_with_what_the_captures_leave_open(small_photo, tool):
    judge, Pair = tool("judge").judge, tool("pairs").Pair
    open_ended = []
    for share in (0, 32, 64, 96):
        image = small_photo.copy()
        image[:share] = 255
        open_ended.append(Pair(str(share), image, small_photo, group=str(share)))
    clipped = Scripted(lambda condition, seed, call: even(-1.0 * seed * float((condition.thumbnail > 0.98).mean())))
    assert judge(open_ended, clipped, NATURAL).report["diversity"]["ambiguity_correlation"] > 0.8
    assert judge(open_ended, IDENTITY, NATURAL).report["diversity"]["ambiguity_correlation"] is None


def test_headroom_is_judged_against_light_above_sdr_white(small_photo, tool):
    judge, light = tool("judge").judge, srgb_eotf(small_photo / 255).astype(np.float32)
    pair = tool("pairs").Pair("one", small_photo, small_photo, group="one", open_light=light * 4)

    def of(editor):
        return judge([pair], editor, NATURAL, n_seeds=1).report["headroom"]

    assert of(IDENTITY)["gain_db"] == 0
    right = of(Scripted(lambda condition, seed, call: even(0.0, 2.0)))
    assert right["pu21_psnr"] > 80 and right["gain_db"] > 20 and right["pu21_psnr_unclipped_median"] > 80
    too_much = of(Scripted(lambda condition, seed, call: even(0.0, 4.0)))
    assert right["pu21_psnr"] > too_much["pu21_psnr"] + 20


def test_good_photos_left_alone_are_not_moved(data, tool):
    left_alone, paths = tool("judge").left_alone, tool("pairs").photo_paths(data / "photos", only="c*")
    assert [path.stem for path in paths] == ["cat", "chelsea", "coffee"]
    still = left_alone(paths, IDENTITY, NATURAL)
    assert still["n"] == 3
    assert still["change"] == pytest.approx({"de00_mean": 0, "de00_p95": 0, "psnr_median": 100, "fidelity": 1})
    moved = left_alone(paths, Scripted(lambda condition, seed, call: even(0.7)), NATURAL)["change"]
    assert moved["de00_mean"] > 3 and moved["de00_p95"] > moved["de00_mean"] and moved["psnr_median"] < 30
    report = json.loads(run("evaluate", "--photos", data / "photos", "--look", "golden", "--only", "co*", "--json"))
    assert report["n"] == 1 and report["change"]["de00_mean"] > 0


@pytest.fixture(scope="session")
def moving():
    """A small scene of four stops, and a pan over it."""
    ramp = np.exp2(np.linspace(-5, -1, 96))[None, :, None] * np.ones((64, 1, 3))
    return ramp.astype(np.float32), [np.roll(ramp, n // 4, 1).astype(np.float32) for n in range(60)]


def test_a_jittering_model_is_not_steady(tool, moving):
    stability = tool("stability")
    scene = stability.Moving(*moving)

    def of(editor):
        return stability.stability(editor, [NATURAL], scene)[0]

    still = of(IDENTITY)
    assert still["raw"]["steady"] and still["smoothed"]["steady"]
    assert still["raw"]["frame_std_ev"] == still["raw"]["cell_std_max_ev"] == still["raw"]["pan_ev_per_frame"] == 0

    jitter = of(Scripted(lambda condition, seed, call: even(0.2 * (-1) ** call)))
    assert not jitter["raw"]["steady"] and jitter["raw"]["frame_std_ev"] == pytest.approx(0.2, abs=1e-3)
    assert jitter["smoothed"]["frame_std_ev"] < 0.5 * jitter["raw"]["frame_std_ev"]

    def flicker(condition, seed, call):
        grid = np.zeros((16, 16, 8, 4), np.float32)
        grid[4:6, 4:6, :, :3] = 0.4 * (-1) ** call
        return EditField(grid)

    local = of(Scripted(flicker))["raw"]  # a patch that flickers hides in the mean of the frame
    assert local["frame_std_ev"] < 0.02 and local["cell_std_max_ev"] > 0.3 and not local["steady"]


def test_a_step_of_light_is_followed_and_smoothing_takes_its_time(tool, moving):
    stability = tool("stability")

    def metered(condition, seed, call):
        light = np.log2(srgb_eotf(condition.thumbnail) + 2**-10).mean()
        return even(float(np.clip(-2 - light, -4, 4)))

    still, pan = moving
    dim = stability.Moving(still / 4, pan)  # a small change of the picture is no cut: the old fields still count
    report = stability.stability(Scripted(metered), [NATURAL], dim)[0]
    assert report["raw"]["step"]["change_ev"] == pytest.approx(1, abs=0.2)
    assert report["raw"]["step"]["settled_frames"] == 0
    assert 0 < report["smoothed"]["step"]["settled_frames"] < 20
    assert report["smoothed"]["step"]["overshoot_ev"] < 0.1
    unmoved = stability.stability(IDENTITY, [NATURAL], stability.Moving(*moving))[0]
    assert unmoved["raw"]["step"]["change_ev"] == 0


def test_stability_on_a_panorama(data):
    report = json.loads(run("evaluate", "--stability", data / "hdri" / "b.exr", "--look", "natural", "--json"))
    assert report["n_frames"] == 60 and report["smoothed"]["cell_std_p99_ev"] <= report["raw"]["cell_std_p99_ev"]
    assert report["raw"]["pan_ev_per_frame"] > 0


def test_evaluate_on_panoramas(data):
    panoramas = ["--hdr", data / "hdri", "--only", f"{data}/split.json:hdri_dev", "--seeds", 1]
    natural, golden = json.loads(run("evaluate", *panoramas, "--look", "natural,golden", "--json"))
    assert natural["n"] == golden["n"] == 8
    assert "fusion of bracket" in natural["baselines"]
    assert natural["baselines"] != golden["baselines"]  # each look has its own truth
    assert natural["headroom"]["pu21_psnr"] > 0 and golden["headroom"] is None
    assert sum(bucket["n"] for bucket in natural["by_exposure"].values()) == 8
    assert natural["psnr_interval95"] is None  # one panorama says nothing about others


def test_kept_views_give_the_same_captures_and_only_of_their_own_panoramas(data, tmp_path, tool):
    simulated_captures = tool("captures").simulated_captures
    dev, cache = f"{data}/split.json:hdri_dev", tmp_path / "views.npz"
    fresh, kept = simulated_captures(data / "hdri", dev, cache), cache.read_bytes()
    again = simulated_captures(data / "hdri", dev, cache)
    assert cache.read_bytes() == kept
    assert all(np.array_equal(a.image, b.image) for a, b in zip(fresh, again, strict=True))
    assert len({taken.group for taken in simulated_captures(data / "hdri", cache=cache)}) == 2
    with pytest.raises(ValueError, match="holds no"):
        simulated_captures(data / "photos")


def test_apparent_exposure_is_that_of_an_ideal_camera(tool, rng):
    apparent_exposure_ev = tool("captures").apparent_exposure_ev
    light = np.exp2(rng.normal(-2.5, 1.5, (64, 96, 1)) * np.ones(3)).astype(np.float32)
    for ev in (-4.0, -1.0, 2.0):
        image = srgb_codes(light * 2.0**ev)
        assert apparent_exposure_ev(image, light) == pytest.approx(ev, abs=0.05)


def test_a_fitted_field_reaches_an_edit_it_can_hold(photo, dark_photo, tool):
    ceilings = tool("ceilings")
    image, wanted, log_luminance = dark_photo[::3, ::3], photo[::3, ::3], ceilings.GUIDES["log luminance"]
    even_edit = ceilings.ceiling(image, wanted, log_luminance, (16, 16, 8))
    assert even_edit > 35  # three stops everywhere: the 8 bits of the dark photo are what is left
    relit = wanted.copy()
    relit[:, ::2] //= 2  # light that changes from pixel to pixel is beyond any of these grids
    assert ceilings.ceiling(image, relit, log_luminance, (16, 16, 8)) < even_edit - 10
    patches = np.kron(np.indices((8, 8)).sum(0) % 2, np.ones((22, 22), int))[: len(wanted), : len(wanted)]
    chequered = np.where(patches[..., None] == 1, wanted // 3, wanted).astype(np.uint8)
    coarse, fine = (ceilings.ceiling(image, chequered, log_luminance, grid) for grid in ((8, 8, 8), (32, 32, 8)))
    assert fine > coarse + 2


def test_ablation_judges_every_model_and_number_of_steps(data):
    panoramas = ["--hdr", data / "hdri", "--only", f"{data}/split.json:hdri_dev"]
    same = ["--pipeline", f"again={TOOLS.parent}/pipelines/relight"]
    report = json.loads(run("evaluate", *panoramas, "--ablate", *same, "--steps", "1,2", "--seeds", 1, "--json"))
    rows = {(row["model"], row["n_steps"]): row for row in report["ablation"]}
    assert set(rows) == {(model, steps) for model in ("shipped", "again") for steps in (1, 2)}
    assert rows["shipped", 2]["psnr"] == rows["again", 2]["psnr"]
    assert len(report["ceilings"]) == 12
    assert min(row["psnr"] for row in report["ceilings"]) > max(row["psnr"] for row in report["ablation"])


def test_a_sheet_shows_photos_from_dark_to_bright_in_every_look(data, tmp_path, tool):
    out, again = tmp_path / "sheet.jpg", tmp_path / "again.jpg"
    print(run("make_pictures", "sheet", "--photos", data / "photos", "--count", 3, "--out", out, "--tile", 80))
    run("make_pictures", "sheet", "--photos", data / "photos", "--count", 3, "--out", again, "--tile", 80)
    assert out.read_bytes() == again.read_bytes()
    n_looks = len(json.loads((TOOLS.parent / "pipelines/relight/looks.json").read_text()))
    assert Image.open(out).convert("RGB").size == (80 * (1 + n_looks), 16 + 3 * 60)

    pictures = tool("make_pictures")
    chosen = pictures.varied(data / "photos", 3)
    light = [pictures.brightness(path) for path in chosen]
    assert len(set(chosen)) == 3 and light == sorted(light)
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (600, 800, 3), dtype=np.uint8))
    pictures.save_small(noise, out, limit_bytes=100_000)
    assert out.stat().st_size <= 100_000 and Image.open(out).convert("RGB").size[0] < 800


def test_seeds_are_drawn_side_by_side(data, tmp_path):
    out = tmp_path / "seeds.jpg"
    photo = data / "photos" / "some" / "coffee.jpg"
    run("make_pictures", "seeds", photo, "--out", out, "--tile", 100)
    assert Image.open(out).convert("RGB").size == (500, 16 + 75)


def test_bench_batch_counts_what_it_made(tool, tmp_path):
    """Every kind of whole and broken file, small; on so few, time and memory say little."""
    bench = tool("bench_batch")
    found = bench.measure(tmp_path, 40, 2, sizes_wh=((96, 64), (64, 96)))
    assert (found["done"], found["failed"], found["outputs"], found["wrong"]) == (36, 4, 36, [])
    assert found["parent_mb"] > 50 and found["child_mb"] > 20 and found["ratio"] > 1
    assert not any("done and" in line for line in bench.verdict(found))
    lost = found | {"done": 35, "wrong": ["photo0001.jpg"], "ratio": 9.0, "growth_mb": 0.0}
    assert [line.split()[0] for line in bench.verdict(lost)] == ["35", "ratio"]


def test_every_kind_of_broken_file_is_refused(tool, tmp_path):
    mixed = tool("mixed_files")
    pixels = mixed.at_size(mixed.scenes()[0], (96, 64))
    for number, (extension, make) in enumerate(mixed.BROKEN):
        with pytest.raises(UnreadableImage):
            decode(make(pixels), f"{number}{extension}")
    for extension, make in mixed.WHOLE:
        assert decode(make(pixels), extension).frame.pixels.shape in ((64, 96, 3), (96, 64, 3))
