"""Where the files that ship with the package are, installed or in a checkout, and where the user's own are kept."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

_APP = "camera-nano"
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
    """The folder for what this user must not lose, such as the signing key; made by the first that writes there."""
    return _user_dir(*_data_dirs())


def state_dir() -> Path:
    """The folder for what can be made again, such as journals; made by the first that writes there."""
    return _user_dir(*_state_dirs())


def user_dirs() -> list[Path]:
    """The folders of this user that are there, those of earlier versions too."""
    return sorted({folder for folder in (*_data_dirs(), *_state_dirs()) if folder.is_dir()})


def _data_dirs() -> tuple[Path, Path]:
    """That of today, and that of earlier versions."""
    earlier = _xdg_home("XDG_DATA_HOME", ".local/share") / "camera_nano"
    return platformdirs.user_data_path(_APP, appauthor=False), earlier


def _state_dirs() -> tuple[Path, Path]:
    earlier = _xdg_home("XDG_STATE_HOME", ".local/state") / "camera-nano"
    return platformdirs.user_state_path(_APP, appauthor=False), earlier


def _user_dir(now: Path, earlier: Path) -> Path:
    """The folder of today, or where there is only one that an earlier version has made, that one."""
    return earlier if earlier.is_dir() and not now.is_dir() else now


def _xdg_home(variable: str, default: str) -> Path:
    """Where earlier versions kept a kind of file, on every system (XDG Base Directory Specification)."""
    home = os.environ.get(variable, "")
    return Path(home) if home.startswith("/") else Path.home() / default


def _first(what: str, way_out: str, *candidates: Path) -> Path:
    """The first candidate that is a folder."""
    for path in candidates:
        if path.is_dir():
            return path
    looked = " or ".join(map(str, candidates))
    raise FileNotFoundError(f"{what} is not at {looked}: {way_out}")
