import json
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from camera_nano.bench.cost import count_cost, count_mac, installed_mb
from camera_nano.bench.report import table, verdict
from camera_nano.bench.rows import Row, Size
from camera_nano.cli import main
from camera_nano.files import Decoder

COLUMNS = {"stage", "case", "threads", "p50_ms", "p95_ms", "limit", "limit_ms", "ratio", "bar"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The command, with all its parts, as people run it."""
    picture = tmp_path_factory.mktemp("bench") / "scale.png"
    argv = [sys.executable, "-m", "camera_nano", "bench", "--quick", "--live", "--json", "--plot", str(picture)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done, picture


@pytest.fixture(scope="module")
def report(run):
    return json.loads(run[0].stdout)


def a_row(stage, case, p50_ms, *, limit_ms=1.0, bar=None):
    return Row(stage, case, 1, p50_ms, p50_ms, "limit", limit_ms, bar)


def stages(slower=1.0):
    """Rows of a machine that has 40 ms for its looks; `slower` is a factor on all of them."""
    return [
        a_row("render", "1280x720", 3 * slower),
        a_row("view jpeg", "1280x720", 3 * slower),
        a_row("condition", "1280x720", 2 * slower),
        a_row("tile", "400x225", 2 * slower),
        a_row("propose", "1 looks x 2 steps int8", 10 * slower),
        a_row("propose", "4 looks x 1 steps int8", 18 * slower),
        a_row("propose", "4 looks x 2 steps int8", 30 * slower),
    ]


@pytest.mark.slow
def test_bench_keeps_its_contract(report):
    assert {"machine", "rows", "sizes", "verdict"} == set(report)
    assert report["machine"]["cores"] >= 1 and report["machine"]["cpu"]
    assert 0 < report["machine"]["core_share"] <= 1
    for row in report["rows"]:
        assert set(row) == COLUMNS
        assert row["p50_ms"] > 0 and row["p95_ms"] > 0 and row["limit_ms"] > 0 and row["threads"] >= 1
        assert row["ratio"] == pytest.approx(row["p50_ms"] / row["limit_ms"])
        assert row["bar"] is None or row["bar"] > 0
    assert all(size["mb"] > 0 and size["bar_mb"] > 0 for size in report["sizes"])


@pytest.mark.slow
def test_bench_measures_every_stage_against_a_limit_of_the_same_run(report):
    limit_of = {row["stage"]: row["limit"] for row in report["rows"]}
    for stage in ("render", "condition", "decode jpeg", "encode jpeg", "view jpeg", "tile"):
        assert limit_of[stage] == "memcpy"
    assert (limit_of["propose"], limit_of["merge 8"]) == ("gemm", "wanted")
    assert (limit_of["shutter"], limit_of["batch"], limit_of["start"]) == ("fsync", "decode+encode", "import")
    assert {"memcpy", "gemm", "fsync", "decode+encode", "import", "live"} <= set(limit_of)


@pytest.mark.slow
def test_verdict_follows_from_the_rows(report):
    verdict = report["verdict"]
    live = {row["case"]: row for row in report["rows"] if row["stage"] == "live"}
    between_views = next(row for case, row in live.items() if case.startswith("between views"))
    between_looks = next(row for case, row in live.items() if case.startswith("between looks"))
    assert verdict["is_measured"]
    assert verdict["views_per_s"] == pytest.approx(1e3 / between_views["p50_ms"], abs=0.01)
    assert verdict["looks_per_s"] == pytest.approx(1e3 / between_looks["p50_ms"], abs=0.01)
    assert verdict["is_live"] == (between_views["ratio"] <= 1 and between_looks["ratio"] <= 1)
    missed = [f"{r['stage']}, {r['case']}" for r in report["rows"] if r["bar"] is not None and r["ratio"] > r["bar"]]
    missed += [size["what"] for size in report["sizes"] if size["mb"] > size["bar_mb"]]
    assert verdict["missed"] == missed


@pytest.mark.slow
def test_table_judges_every_bar_and_ends_in_the_verdict(report):
    lines = table(report).splitlines()
    assert lines[-1] == report["verdict"]["text"]
    assert "Each look more takes" in lines[-1]  # --plot measures the scaling too
    verdicts = [line.split()[-1] for line in lines if line.endswith(("pass", "MISS"))]
    assert len(verdicts) == report["verdict"]["n_bars"]
    assert verdicts.count("MISS") == len(report["verdict"]["missed"])
    assert sum(row["case"] in line for row in report["rows"] for line in lines) >= len(report["rows"])


@pytest.mark.slow
def test_table_says_when_other_programs_were_running(report):
    def first_line(core_share):
        return table(report | {"machine": report["machine"] | {"core_share": core_share}}).splitlines()[0]

    assert "OTHER PROGRAMS" in first_line(0.5) and "OTHER PROGRAMS" not in first_line(1.0)


@pytest.mark.slow
def test_progress_is_on_stderr(run):
    assert "measuring render, 1280x720 ..." in run[0].stderr.splitlines()
    assert len(run[0].stdout.splitlines()) == 1


@pytest.mark.slow
def test_plot_is_a_picture_with_three_charts(run):
    with Image.open(run[1]) as picture:
        assert picture.format == "PNG"
        assert picture.width >= 1200 and picture.height >= 500
        drawn = np.abs(np.asarray(picture, np.int16) - np.asarray(picture.getpixel((2, 2)))).max(2) > 32
    thirds = np.array_split(drawn, 3, axis=1)
    assert all(0.005 < third.mean() < 0.3 for third in thirds)


def test_plot_has_to_be_a_png(tmp_path, capsys):
    assert main(["bench", "--plot", str(tmp_path / "scale.pdf")]) == 2
    assert "scale.pdf" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_verdict_without_live_rows_is_computed_and_says_so():
    fast, slow = verdict(stages(), [], cores=2), verdict(stages(slower=10), [], cores=2)
    assert fast.is_live and not slow.is_live
    assert fast.looks_per_s == pytest.approx(25) and slow.looks_per_s == pytest.approx(2.5)
    assert not fast.is_measured and "computed" in fast.text
    assert all(rate > fast.looks_per_s for rate in fast.knobs.values())


def test_one_core_leaves_the_looks_what_the_view_does_not_take():
    assert verdict(stages(), [], cores=1).looks_per_s == pytest.approx(25 * (1 - 25 * 6 / 1000))


def test_a_view_that_takes_all_of_one_core_leaves_no_looks():
    judged = verdict(stages(slower=10), [], cores=1)
    assert judged.looks_per_s == 0 and not judged.is_live and judged.busiest_part == "view"
    assert "raise" not in judged.text and "raise" in verdict(stages(), [], cores=1).text


def test_bars_are_judged_by_ratio_and_by_size():
    rows = [
        *stages(),
        a_row("batch", "within", 3, limit_ms=2, bar=1.5),
        a_row("batch", "over", 3.1, limit_ms=2, bar=1.5),
    ]
    judged = verdict(rows, [Size("small", 10, 20), Size("large", 21, 20)], cores=2)
    assert judged.missed == ("batch, over", "large") and judged.n_bars == 4


@pytest.mark.slow
def test_estimate_is_marked_and_never_mixed_with_measurements(capsys):
    assert main(["bench", "--target", "pi5"]) == 0
    assert capsys.readouterr().out.startswith("ESTIMATE for Raspberry Pi 5")
    assert main(["bench", "--target", "pi5", "--json"]) == 0
    guess = json.loads(capsys.readouterr().out)
    assert guess["is_estimate"] is True and "machine" not in guess
    for row in guess["rows"]:
        assert not COLUMNS & {"p50_ms", "p95_ms"} & set(row)
        assert 0 < row["best_ms"] < row["worst_ms"]


@pytest.mark.parametrize("kernel_px", [1, 3])
def test_multiply_adds_are_those_of_the_graph(kernel_px, tmp_path):
    """A convolution of 3 channels to 4 on 8 x 8, its rows by a 8 x 5 matrix, and 256 values to 7."""
    rng = np.random.default_rng(0)
    weights = {
        "kernel": rng.random((4, 3, kernel_px, kernel_px), np.float32),
        "matrix": rng.random((8, 5), np.float32),
        "dense": rng.random((7, 256), np.float32),
    }
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["c"], pads=[kernel_px // 2] * 4),
        helper.make_node("MatMul", ["c", "matrix"], ["y"]),
        helper.make_node("Flatten", ["c"], ["flat"]),
        helper.make_node("Gemm", ["flat", "dense"], ["z"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "known",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 8, 8])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in "yz"],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    path = tmp_path / "known.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    assert count_mac(path) == 4 * 64 * 3 * kernel_px**2 + 4 * 8 * 5 * 8 + 7 * 256


def test_cost_grows_by_the_denoiser_alone():
    cost = count_cost()
    assert cost.encoder_mac > 1e6 and cost.denoiser_mac > 1e6
    assert cost.mac(4, 2) - cost.mac(3, 2) == 2 * cost.denoiser_mac
    assert cost.mac(0, 2) == cost.encoder_mac


def test_installed_size_includes_what_is_required():
    numpy_mb = installed_mb("numpy")
    assert numpy_mb > 1
    assert installed_mb("simplejpeg") > numpy_mb
    assert installed_mb("no-such-package") is None


def test_doctor_names_what_is_wrong_and_the_way_out(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("CAMERA_NANO_PIPELINE", str(tmp_path))
    assert main(["doctor", "--json"]) == 3
    findings = {finding["name"]: finding for finding in json.loads(capsys.readouterr().out)}
    assert not findings["model"]["ok"] and "install" in findings["model"]["detail"]
    assert findings["render kernel"]["ok"]


def test_doctor_has_a_fix_for_every_finding_that_is_not_ok(capsys, monkeypatch, tmp_path):
    kept = tmp_path / "camera-nano" / "key.pem"
    kept.parent.mkdir()
    kept.write_bytes(bytes(2000))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("CAMERA_NANO_PIPELINE", str(tmp_path))
    monkeypatch.setattr("camera_nano.cli.doctor.kernel", lambda: None)
    monkeypatch.setattr("camera_nano.cli.doctor.version", lambda name: "1.32.0")
    monkeypatch.setattr(
        Decoder, "walls", lambda self: [("files", False, "no Landlock"), ("calls", False, "no seccomp")]
    )
    assert main(["doctor", "--json"]) == 3
    findings = {finding["name"]: finding for finding in json.loads(capsys.readouterr().out)}
    wrong = {name for name, finding in findings.items() if not finding["ok"]}
    assert wrong >= {"model", "onnx engine", "no telemetry", "render kernel", "wall: files", "wall: calls"}
    assert all(bool(finding["fix"]) != finding["ok"] for finding in findings.values())
    assert "onnxruntime" in findings["no telemetry"]["fix"] and "gcc" in findings["render kernel"]["fix"]
    assert str(kept.parent) in findings["kept"]["detail"] and "2.0 kB in 1 files" in findings["kept"]["detail"]
    assert main(["doctor"]) == 3
    lines = capsys.readouterr().out.splitlines()
    assert all(("to mend it" in line) != line.startswith("ok") for line in lines)
