"""The walls around foreign files: a real process tries what it must not do; the same process without them can."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from camera_nano.cli import main
from camera_nano.environment import for_child
from camera_nano.files import Decoder, save

BY_FILES = {"read a file", "list a folder"}  # by Landlock alone


@pytest.fixture
def place(tmp_path):
    for name in ("secret", "removed", "old"):
        (tmp_path / name).write_bytes(b"secret")
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket(socket.AF_UNIX) as local:
        local.bind(str(tmp_path / "socket"))
        local.listen()
        yield [str(tmp_path), str(server.getsockname()[1])]


@pytest.fixture(scope="module")
def walls():
    with Decoder() as decoder:
        return {wall.name: wall for wall in decoder.walls()}


def outcomes(*command):
    run = [sys.executable, "-P", "-m", *command]
    env = for_child() | {"PYTHONPATH": f"{for_child()['PYTHONPATH']}:{Path(__file__).parent}"}
    return json.loads(subprocess.run(run, capture_output=True, text=True, check=True, env=env, timeout=120).stdout)


@pytest.mark.slow
def test_what_is_locked_up_can_do_no_harm(place, walls):
    tried = outcomes("camera_nano.sandbox", str(1 << 30), "acts", *place)
    for names, wall in ((BY_FILES, walls["files"]), (tried.keys() - BY_FILES, walls["calls"])):
        if not wall.stands:
            pytest.skip(wall.detail)
        assert {tried[name] for name in names} == {"PermissionError"}, tried
    assert (Path(place[0]) / "secret").read_bytes() == b"secret"


@pytest.mark.slow
def test_without_the_walls_all_of_it_works(place):
    assert set(outcomes("acts", *place).values()) == {"done"}


@pytest.mark.slow
def test_the_decoder_works_behind_them(photo, tmp_path, walls):
    save(tmp_path / "photo.png", photo)
    with Decoder() as decoder:
        assert (decoder.open(tmp_path / "photo.png").frame.pixels == photo).all()
        for child in psutil.Process().children():
            status = Path(f"/proc/{child.pid}/status").read_text()
            if "camera_nano.files.decoder_child" in child.cmdline() and walls["calls"].stands:
                assert "NoNewPrivs:\t1" in status and "Seccomp:\t2" in status


@pytest.mark.slow
def test_doctor_says_which_walls_stand(walls, capsys):
    main(["doctor", "--json"])
    told = {finding["name"]: finding for finding in json.loads(capsys.readouterr().out)}
    for name, wall in walls.items():
        assert (told[f"wall: {name}"]["ok"], told[f"wall: {name}"]["detail"]) == (wall.stands, wall.detail)
