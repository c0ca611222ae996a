"""Shared pictures and the shipped model."""

import os
import shutil
import subprocess

import numpy as np
import pytest
import skimage.data
from live_server import LOOKS, Live
from playback import Playback

from camera_nano.engines import load_editor
from camera_nano.session import Session
from camera_nano.values import GRID_HWD, EditField, Editor, Pixels

CHROMIUM_FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
CHROMIUM_FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
CHROMIUM_FLAGS += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]


@pytest.fixture(scope="session")
def photo() -> Pixels:
    """A real, well-lit photo (512, 512, 3), public domain."""
    return np.asarray(skimage.data.astronaut())


@pytest.fixture(scope="session")
def dark_photo(photo: Pixels) -> Pixels:
    """The same photo three stops under-exposed, as an 8-bit camera would hand it over."""
    from camera_nano.color import srgb_eotf, srgb_oetf

    return np.rint(255 * srgb_oetf(srgb_eotf(photo / 255) / 8)).astype(np.uint8)


@pytest.fixture(scope="session")
def editor() -> Editor:
    """The shipped model on its default engine."""
    return load_editor()


@pytest.fixture
def rng() -> np.random.Generator:
    """Seeded."""
    return np.random.default_rng(5)


@pytest.fixture
def wild_field(rng: np.random.Generator) -> EditField:
    """A field that swings over the whole range from cell to cell."""
    return EditField(rng.uniform(-4, 4, (*GRID_HWD, 4)).astype(np.float32))


@pytest.fixture
def start_live(photo, editor, tmp_path):
    """A function that starts a session and its server; all are closed at the end."""
    started = []

    def _start(load=lambda: editor, pace_s=None, source=None, pairing=None):
        session = Session(source or Playback(photo, pace_s), load, tmp_path / "shots", looks=LOOKS)
        live = Live(session, pairing)
        started.append(live)
        return live

    yield _start
    for live in started:
        live.close()


@pytest.fixture
def live(start_live):
    """Two frames in, and proposals for the newest."""
    live = start_live()
    live.release()
    assert live.session.wait_proposal(0, timeout_s=60)
    live.release()
    assert live.session.wait_proposal(1, timeout_s=60)
    return live


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium; on the build machine it has to be there."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        reason = "chromium is not installed: apt-get install chromium"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def tiny_disk(tmp_path):
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a small file system needs the right to mount: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.fixture
def read_only_disk(tmp_path):
    """A function that shows a folder on a file system that cannot be written."""
    mounted = []

    def _show(folder):
        place = tmp_path / f"read only {len(mounted)}"
        place.mkdir()
        for how in (("--bind", folder, place), ("-o", "remount,ro,bind", place)):
            done = subprocess.run(["mount", *how], capture_output=True, text=True)
            if done.returncode:
                pytest.skip(f"a read-only file system needs the right to mount: {done.stderr.strip()}")
            mounted.append(place)
        return place

    yield _show
    for place in dict.fromkeys(mounted):
        subprocess.run(["umount", place], check=True)
