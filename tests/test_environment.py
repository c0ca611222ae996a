"""What processes that are started here get to know: nothing of ours that they do not need."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from camera_nano.environment import as_for_child, for_child
from camera_nano.files import Decoder, save

PLANTED = '__attribute__((constructor)) static void run(void) { fclose(fopen("PLANTED", "w")); }'


def test_only_what_is_named_is_handed_on(monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "secret")
    monkeypatch.setenv("LD_PRELOAD", "/planted.so")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("LD_LIBRARY_PATH", ":here:/usr/lib/own:")
    made = for_child(ADDED="1")
    assert not {"MY_TOKEN", "LD_PRELOAD"} & made.keys()
    assert (made["OMP_NUM_THREADS"], made["ADDED"], made["LD_LIBRARY_PATH"]) == ("1", "1", "/usr/lib/own")
    assert all(Path(folder).is_absolute() for folder in made["PYTHONPATH"].split(os.pathsep))


def test_for_a_while_it_is_our_own(monkeypatch):
    monkeypatch.setenv("MY_TOKEN", "secret")
    before = dict(os.environ)
    with as_for_child("RAY_"):
        assert "MY_TOKEN" not in os.environ
        os.environ["RAY_SET_BY_RAY"] = "1"
    assert os.environ.pop("RAY_SET_BY_RAY") == "1" and dict(os.environ) == before


@pytest.mark.slow
def test_no_import_leaves_the_current_folder_where_programs_look_for_libraries():
    code = "import os, camera_nano.live, camera_nano.batch; print(os.environ.get('LD_LIBRARY_PATH', '/'))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert all(Path(folder).is_absolute() for folder in done.stdout.strip().split(os.pathsep))


@pytest.mark.slow
def test_a_library_in_a_folder_of_photos_does_not_run(photo, tmp_path, monkeypatch):
    if (compiler := shutil.which("cc")) is None:
        pytest.skip("no C compiler")
    monkeypatch.chdir(tmp_path)
    save("photo.jpg", photo)
    (tmp_path / "x.c").write_text(f"#include <stdio.h>\n{PLANTED}")
    for name in ("librt.so.1", "libpthread.so.0"):  # which what we import is linked to
        subprocess.run([compiler, "-shared", "-fPIC", "-o", name, "x.c"], check=True)
    monkeypatch.setenv("LD_LIBRARY_PATH", "/nothing:")
    with Decoder() as decoder:
        decoder.open("photo.jpg")
    planted = tmp_path / "PLANTED"
    assert not planted.exists()
    subprocess.run(
        [sys.executable, "-c", "import camera_nano.files"], check=True, env=os.environ
    )  # a copy would have run it
    assert planted.exists()
