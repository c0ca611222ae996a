"""--log-json: whatever a command says is one stream of JSON, an object a line, on stderr."""

import json
import logging
from datetime import datetime

import numpy as np
import pytest
from PIL import Image

import camera_nano.cli
from camera_nano.cli import main


@pytest.fixture
def stream(capsys):
    """A function that runs a command; gives its exit code and what it said, every line of which has to be JSON."""

    def _run(*argv):
        capsys.readouterr()
        code = main([*map(str, argv), "--log-json"])
        events = [json.loads(line) for line in capsys.readouterr().err.splitlines() if line]
        for event in events:
            assert datetime.fromisoformat(event["time"]).tzinfo is not None
            assert event["level"] in ("info", "warning", "error", "critical") and event["text"]
        return code, events

    return _run


@pytest.mark.slow
def test_a_batch_says_photos_progress_and_counts(stream, tmp_path, dark_photo):
    photos = tmp_path / "photos"
    photos.mkdir()
    Image.fromarray(np.ascontiguousarray(dark_photo[::4, ::4])).save(photos / "good.jpg")
    (photos / "bad.jpg").write_bytes(b"no picture")
    (photos / "film.mov").write_bytes(b"")
    code, events = stream("batch", photos, "--out", tmp_path / "out")
    assert code == 1
    by_kind = {}
    for event in events:
        by_kind.setdefault(event["event"], []).append(event)
    assert [event["kinds"] for event in by_kind["passed over"]] == [{".mov": 1}]
    assert {(each["level"], each["status"]) for each in by_kind["photo"]} == {("info", "done"), ("error", "failed")}
    assert (by_kind["progress"][-1]["done"], by_kind["progress"][-1]["total"]) == (2, 2)
    [summary] = by_kind["summary"]
    assert (summary["done"], summary["failed"]) == (1, 1)


@pytest.mark.slow
def test_shots_are_said(stream, tmp_path):
    code, events = stream("live", "--headless", "--source", "demo", "--looks", "natural", "--out", tmp_path)
    assert code == 0 and events[0]["event"] == "camera"
    [shot] = (event for event in events if event["event"] == "shot")
    assert shot["original"].endswith("_original.png") and "natural" in shot["looks"]


@pytest.mark.slow
def test_errors_are_said_with_their_code(stream, tmp_path):
    for argv, code in ((["batch"], 2), (["enhance", tmp_path / "none.jpg", tmp_path / "out.jpg"], 1)):
        assert stream(*argv)[0] == code
        [event] = stream(*argv)[1]
        assert (event["event"], event["level"], event["exit_code"]) == ("error", "error", code)


def test_what_libraries_log_and_crashes_are_said_and_nothing_afterwards(stream, capsys, monkeypatch):
    def breaks(args):
        logging.getLogger("library").warning("odd")
        raise ZeroDivisionError("a fault of ours")

    monkeypatch.setattr(camera_nano.cli, "_run", breaks)
    with pytest.raises(SystemExit):
        main(["doctor", "--log-json"])
    warned, crashed = map(json.loads, capsys.readouterr().err.splitlines())
    assert (warned["event"], warned["logger"], warned["text"]) == ("log", "library", "odd")
    assert crashed["event"] == "crash" and "in breaks" in crashed["trace"]
    main(["batch"])
    assert "usage:" in capsys.readouterr().err
