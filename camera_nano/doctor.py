"""What works on this machine: each finding with the fix."""

from __future__ import annotations

import importlib.util
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from camera_nano.engines import ModelError, load_editor, verify
from camera_nano.paths import pipeline_dir, scenes_dir

# extra of the package -> the modules it brings, and what they are for
_EXTRAS = {
    "torch": (("torch", "diffusers"), "--engine torch"),
    "hdr": (("pillow_heif", "imagecodecs", "OpenEXR"), "HEIC, JPEG XL and OpenEXR"),
    "raw": (("rawpy",), "the raw files of cameras"),
    "c2pa": (("c2pa", "cryptography"), "--sign"),
    "ray": (("ray", "fsspec"), "--runner ray"),
    "gpio": (("gpiozero",), "--gpio-button"),
    "loopback": (("pyvirtualcam",), "--virtual-camera"),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One checked thing."""

    name: str
    ok: bool
    detail: str
    optional: bool = False

    def __str__(self) -> str:
        mark = "ok" if self.ok else ("--" if self.optional else "NO")
        return f"{mark}  {self.name:<14} {self.detail}"

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def _try(name: str, check: Callable[[], str], *, optional: bool = False) -> Finding:
    try:
        return Finding(name, True, check(), optional)
    except (ImportError, OSError, ModelError, ValueError) as error:
        return Finding(name, False, str(error), optional)


def _kernel() -> str:
    from camera_nano.render import kernel

    if kernel() is None:
        raise OSError(
            "not compiled, pictures render many times slower: install a C compiler (apt: gcc libc6-dev), then "
            "camera-nano again"
        )
    return "compiled"


def _cameras() -> str:
    found = [str(path) for path in sorted(Path("/dev").glob("video*"))]
    if importlib.util.find_spec("picamera2"):
        found.append("picamera2")
    if not found:
        raise OSError("none found: plug one in, or on a Pi: sudo apt install python3-picamera2; the demo camera works")
    return ", ".join(found)


def _extra(extra: str, modules: tuple[str, ...], use: str) -> str:
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(f"{', '.join(missing)} not installed; for {use}: pip install 'camera-nano[{extra}]'")
    return use


def _model() -> str:
    return f"{pipeline_dir()}: {len(verify(pipeline_dir()))} files match their SHA-256"


def examine() -> list[Finding]:
    """Check everything; never raises for what it finds."""
    python = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return [
        Finding("python", sys.version_info >= (3, 11), python),
        _try("model", _model),
        _try("onnx engine", lambda: f"{len(load_editor().looks)} looks"),
        _try("render kernel", _kernel, optional=True),
        _try("demo scenes", lambda: str(scenes_dir())),
        _try("cameras", _cameras, optional=True),
        *(_try(f"extra {extra}", partial(_extra, extra, *needs), optional=True) for extra, needs in _EXTRAS.items()),
    ]
