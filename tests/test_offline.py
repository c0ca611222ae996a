"""Nothing leaves the device: every way of making pictures works where there is no network at all."""

import shutil
import subprocess
import sys

import pytest
from PIL import Image

pytestmark = pytest.mark.slow

# ends the process at the first name that is looked up or host that is called, by any part of it
WATCHED = """
import os, sys
def watch(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        os.write(2, f"{event} {args}".encode())
        os._exit(99)
sys.addaudithook(watch)
"""
RUN = "from camera_nano.cli import main; sys.exit(main(sys.argv[1:]))"
CALL = "import socket; socket.create_connection(('192.0.2.1', 80), 1)"  # an address for documentation: RFC 5737


def run(code, *argv):
    """In a network namespace with no interfaces that are up, where the system lets us make one."""
    command = [sys.executable, "-c", WATCHED + code, *map(str, argv)]
    alone = ["unshare", "--map-root-user", "--net"]
    if shutil.which("unshare") and subprocess.run([*alone, "true"], capture_output=True).returncode == 0:
        command = [*alone, *command]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.fixture
def jpeg(tmp_path, photo):
    path = tmp_path / "photo.jpg"
    Image.fromarray(photo).save(path)
    return path


@pytest.mark.parametrize(
    "argv",
    [
        ["enhance", "{photo}", "{out}/look.jpg", "--format", "ultrahdr"],
        ["batch", "{photo}", "--out", "{out}", "--looks", "natural", "--report", "{out}/report.html"],
        ["live", "--source", "demo", "--headless", "--looks", "natural", "--out", "{out}"],
        ["doctor"],
    ],
    ids=["enhance", "batch", "live", "doctor"],
)
def test_it_all_works_without_a_network(argv, jpeg, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    done = run(RUN, *(word.format(photo=jpeg, out=out) for word in argv))
    assert done.returncode == 0, done.stderr
    assert argv == ["doctor"] or any(out.iterdir())


def test_a_call_would_have_been_seen():
    assert run(CALL).returncode == 99
