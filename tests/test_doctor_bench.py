import json

from camera_nano.bench import table
from camera_nano.cli import main


def test_bench_keeps_its_contract(capsys, monkeypatch):
    monkeypatch.setattr("camera_nano.bench.SIZES_WH", ((64, 48),))
    monkeypatch.setattr("camera_nano.bench.BUDGET_S", 0.0)
    assert main(["bench", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert {"machine", "rows"} == set(report)
    columns = {"stage", "case", "threads", "p50_ms", "p95_ms", "limit", "limit_ms", "ratio", "bar"}
    assert all(set(row) == columns for row in report["rows"])
    assert {"propose", "render", "condition", "encode jpeg", "decode jpeg"} <= {row["stage"] for row in report["rows"]}
    assert all(row["ratio"] > 0 for row in report["rows"])
    assert len(table(report).splitlines()) == len(report["rows"]) + 1


def test_doctor_names_what_is_wrong_and_the_way_out(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("CAMERA_NANO_PIPELINE", str(tmp_path))
    assert main(["doctor", "--json"]) == 3
    findings = {finding["name"]: finding for finding in json.loads(capsys.readouterr().out)}
    assert not findings["model"]["ok"] and "install" in findings["model"]["detail"]
    assert findings["render kernel"]["ok"]
