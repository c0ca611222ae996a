"""The `doctor` command: what works on this machine, and how to get what does not."""

from __future__ import annotations

import argparse
import importlib.util
import platform
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from camera_nano.cli.purge import kept_folders
from camera_nano.console import print_json
from camera_nano.engines import load_editor, verify
from camera_nano.errors import ExitCode, ModelError
from camera_nano.files import Decoder
from camera_nano.light.render import kernel
from camera_nano.live import N_FRAMES, most_frames
from camera_nano.paths import pipeline_dir, scenes_dir

# extra of the package -> the modules it installs, and what needs them
_EXTRAS = {
    "torch": (("torch", "diffusers"), "--engine torch"),
    "hdr": (("imagecodecs", "OpenEXR"), "JPEG XL and OpenEXR files, and AVIF to be written"),
    "heic": (("pillow_heif",), "HEIC files"),
    "raw": (("rawpy",), "cameras' raw files"),
    "c2pa": (("c2pa", "cryptography"), "--sign"),
    "ray": (("ray", "fsspec"), "--runner ray"),
    "gpio": (("gpiozero",), "--gpio-button"),
    "loopback": (("pyvirtualcam",), "--virtual-camera"),
    "bench": (("matplotlib",), "bench --plot"),
}


_SENSOR_PX = 4608 * 2592  # of a Pi's camera, module 3
_REINSTALL = "pip install --force-reinstall --no-deps camera-nano"
_FIXES = {
    "python": "install Python 3.11 or newer, and camera-nano with it",
    "model": f"unset CAMERA_NANO_PIPELINE, or {_REINSTALL}",
    "onnx engine": "mend the model first; then pip install --force-reinstall 'onnxruntime>=1.20,<1.29'",
    "no telemetry": "pip install 'onnxruntime>=1.20,<1.29'",
    "render kernel": f"sudo apt install gcc libc6-dev && {_REINSTALL} --no-binary camera-nano",
    "demo scenes": _REINSTALL,
    "cameras": "plug one in; for that of a Pi: sudo apt install python3-picamera2",
    "wall: files": "boot Linux 5.13 or later with landlock among lsm= on its command line",
    "wall: calls": "use a kernel with CONFIG_SECCOMP_FILTER; in a container, allow seccomp(2)",
    "decoder": f"ulimit -v unlimited, or {_REINSTALL}",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked: `detail` says what was found, `fix` how to mend it where it is not ok."""

    name: str
    ok: bool
    detail: str
    optional: bool = False
    fix: str = ""

    def __str__(self) -> str:
        mark = "ok" if self.ok else ("--" if self.optional else "NO")
        fix = f"; to mend it: {self.fix}" if self.fix else ""
        return f"{mark}  {self.name:<14} {self.detail}{fix}"

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


def doctor(args: argparse.Namespace) -> ExitCode:
    """Print every finding."""
    findings = examine()
    if args.json:
        print_json([finding.as_dict() for finding in findings])
    else:
        print(*findings, sep="\n")
    return ExitCode.OK if all(finding.ok or finding.optional for finding in findings) else ExitCode.ENVIRONMENT


def examine() -> list[Finding]:
    """Check everything; what does not work is in the findings, and raises nothing."""
    python = f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    return [
        _found("python", sys.version_info >= (3, 11), python),
        _try("model", _model),
        _try("onnx engine", lambda: f"runs, with {len(load_editor().looks)} looks"),
        _try("no telemetry", _telemetry, optional=True),
        _try("render kernel", _kernel, optional=True),
        _try("merge kernel", _merge_kernel, optional=True),
        _try("demo scenes", lambda: str(scenes_dir())),
        _try("cameras", _cameras, optional=True),
        _try("night shots", _night_shots, optional=True),
        *_walls(),
        *(_try(f"extra {extra}", partial(_extra, *needs), optional=True) for extra, needs in _EXTRAS.items()),
        *(_found("kept", True, f"{kept}; camera-nano purge removes it") for kept in map(str, kept_folders())),
    ]


def _found(name: str, ok: bool, detail: str, optional: bool = False) -> Finding:
    extra = name.removeprefix("extra ")
    fix = "" if ok else _FIXES.get(name) or f"pip install 'camera-nano[{extra}]'"
    return Finding(name, ok, detail, optional, fix)


def _try(name: str, check: Callable[[], str], *, optional: bool = False) -> Finding:
    try:
        return _found(name, True, check(), optional)
    except (ImportError, OSError, ModelError, ValueError) as error:
        return _found(name, False, str(error), optional)


def _night_shots() -> str:
    finished, raw = (min(N_FRAMES, most_frames(_SENSOR_PX, is_raw=is_raw)) for is_raw in (False, True))
    return f"{finished} of {N_FRAMES} frames of 12 megapixels fit the free memory; of a Pi's raw values {raw}"


def _walls() -> list[Finding]:
    """What holds in the processes that read foreign files."""
    with Decoder() as decoder:
        try:
            return [_found(f"wall: {name}", stands, detail, optional=True) for name, stands, detail in decoder.walls()]
        except RuntimeError as error:
            return [_found("decoder", False, str(error).replace(": run camera-nano doctor", ""))]


def _telemetry() -> str:
    found = version("onnxruntime")
    if tuple(map(int, found.split(".")[:2])) >= (1, 29):
        raise OSError(f"onnxruntime {found} calls its maker")
    return f"onnxruntime {found} calls nobody"


def _kernel() -> str:
    if kernel() is None:
        raise OSError("not compiled, so pictures render many times slower")
    return "compiled"


def _merge_kernel() -> str:
    from camera_nano.merge import kernel

    if kernel() is None:
        raise OSError("not compiled, so merging takes many times longer: see the render kernel")
    return "compiled"


def _cameras() -> str:
    found = [str(path) for path in sorted(Path("/dev").glob("video*"))]
    if importlib.util.find_spec("picamera2"):
        found.append("picamera2")
    if not found:
        raise OSError("none found")
    return ", ".join(found)


def _extra(modules: tuple[str, ...], use: str) -> str:
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(f"{', '.join(missing)} not installed, for {use}")
    return f"installed, for {use}"


def _model() -> str:
    return f"{pipeline_dir()}: {len(verify(pipeline_dir()))} files match their SHA-256"
