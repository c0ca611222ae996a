"""Shared pictures and the shipped model."""

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from live_server import LOOKS, Live
from playback import Playback

from camera_nano.engines import load_editor
from camera_nano.live import Session
from camera_nano.seams import Editor, Source
from camera_nano.values import GRID_HWD, EditField, Pixels
from camera_nano.web.pairing import Pairing

# The product leaves a SIGHUP alone that it finds ignored, as under nohup. What tests start does not find it ignored.
signal.signal(signal.SIGHUP, lambda *_: None)

CHROMIUM_FLAGS = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
CHROMIUM_FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
CHROMIUM_FLAGS += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]


@pytest.fixture(scope="session")
def photo() -> Pixels:
    """A real, well-lit photo (512, 512, 3), public domain."""
    return np.asarray(skimage.data.astronaut())  # type: ignore[no-untyped-call]


@pytest.fixture(scope="session")
def dark_photo(photo: Pixels) -> Pixels:
    """The same photo three stops under-exposed, as an 8-bit camera would hand it over."""
    from camera_nano.color import srgb_codes, srgb_eotf

    return srgb_codes(srgb_eotf(photo / 255) / 8)


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
def start_live(photo: Pixels, editor: Editor, tmp_path: Path) -> Iterator[Callable[..., Live]]:
    """A function that starts a session and its server; all are closed at the end."""
    started = []

    def _start(
        load: Callable[[], Editor] = lambda: editor,
        pace_s: float | None = None,
        source: Source | None = None,
        pairing: Pairing | None = None,
        night: bool = False,
        bracket: bool = False,
        **access: Any,
    ) -> Live:
        camera, out = source or Playback(photo, pace_s), tmp_path / "shots"
        session = Session(camera, load, out, looks=LOOKS, night=night, bracket=bracket)
        live = Live(session, pairing, **access)
        started.append(live)
        return live

    yield _start
    for live in started:
        live.close()


@pytest.fixture
def live(start_live: Callable[..., Live]) -> Live:
    """Two frames in, and proposals for the newest."""
    live = start_live()
    live.propose()
    live.propose()
    return live


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium; on the build machine it has to be there."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        reason = "chromium is not installed: apt-get install chromium"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser: Any = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        browser.new_context, browser.new_page = _patient(browser.new_context), _patient(browser.new_page)
        yield browser
        browser.close()


def _patient(open_: Callable[..., Any]) -> Callable[..., Any]:
    """What opens a page or a context: on a slow machine half a minute, the default, is too short for a few views."""

    def _open(**options: Any) -> Any:
        opened = open_(**options)
        opened.set_default_timeout(120_000)
        return opened

    return _open


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"a small file system needs the right to mount: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.fixture
def read_only_disk(tmp_path: Path) -> Iterator[Callable[[Path], Path]]:
    """A function that shows a folder on a file system that cannot be written."""
    mounted: list[Path] = []

    def _show(folder: Path) -> Path:
        place = tmp_path / f"read only {len(mounted)}"
        place.mkdir()
        for options in (("--bind", folder, place), ("-o", "remount,ro,bind", place)):
            done = subprocess.run(["mount", *options], capture_output=True, text=True)
            if done.returncode:
                pytest.skip(f"a read-only file system needs the right to mount: {done.stderr.strip()}")
            mounted.append(place)
        return place

    yield _show
    for place in dict.fromkeys(mounted):
        subprocess.run(["umount", place], check=True)
