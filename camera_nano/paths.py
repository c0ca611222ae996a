"""Where the files that ship with the package are, installed or in a checkout."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent
_REPOSITORY = _PACKAGE.parent


def pipeline_dir(name: str = "relight") -> Path:
    """The folder of a model. The environment variable CAMERA_NANO_PIPELINE puts another in its place."""
    override = os.environ.get("CAMERA_NANO_PIPELINE")
    if override:
        return _first(f"the pipeline of CAMERA_NANO_PIPELINE={override}", "correct or unset it", Path(override))
    candidates = _PACKAGE / "_pipelines" / name, _REPOSITORY / "pipelines" / name
    return _first(
        f"the pipeline {name!r}", "reinstall camera-nano, or set CAMERA_NANO_PIPELINE to its folder", *candidates
    )


def scenes_dir() -> Path:
    """The folder of the demo camera's scenes."""
    candidates = _PACKAGE / "_scenes", _REPOSITORY / "assets" / "scenes"
    return _first("the demo scenes", "reinstall camera-nano", *candidates)


def data_dir() -> Path:
    """Where this user's own data of camera_nano lie (XDG Base Directory Specification); made by who first needs it."""
    home = os.environ.get("XDG_DATA_HOME", "")
    return (Path(home) if home.startswith("/") else Path.home() / ".local" / "share") / "camera_nano"


def check_writable(folder: Path) -> None:
    """Make a folder, and see that files can be made in it. Raises OSError naming it."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


def _first(what: str, way_out: str, *candidates: Path) -> Path:
    """The first candidate that is a folder."""
    for path in candidates:
        if path.is_dir():
            return path
    looked = " or ".join(map(str, candidates))
    raise FileNotFoundError(f"{what} is not at {looked}: {way_out}")
