"""The web app that needs no server: built once, and handed out by a small static server."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from static_site import Site

BUILD = Path(__file__).parents[2] / "tools" / "install" / "pwa.sh"


@pytest.fixture(scope="session")
def app_folder(tmp_path_factory):
    """The folder as people build it."""
    out = tmp_path_factory.mktemp("pwa") / "app"
    environment = {**os.environ, "CAMERA_NANO_PYTHON": sys.executable}
    built = subprocess.run(["bash", BUILD, out], env=environment, capture_output=True, text=True, timeout=600)
    if built.returncode:
        reason = f"the web app was not built: {built.stderr.strip()}"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    return out


@pytest.fixture
def site(app_folder):
    """The web app, on the net."""
    site = Site(app_folder)
    yield site
    site.close()
