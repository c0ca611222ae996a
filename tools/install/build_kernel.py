"""Compile the kernels beside their sources, at installation, where there is a C compiler; without one, go on.

hatchling runs `BuildKernel` for wheels and for editable installs; `python tools/install/build_kernel.py` does it by
hand. `tools/install/wheels.sh` sets CAMERA_NANO_WHEEL to the machine that a wheel is for, or to `pure`.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SOURCES = [ROOT / "camera_nano" / "light" / "_render.c", ROOT / "camera_nano" / "merge" / "_merge.c"]
# not -ffast-math: linked into a library, it would change how the whole process rounds
FLAGS = [
    "-O3",
    "-fno-math-errno",
    "-fno-trapping-math",
    "-ffp-contract=fast",
    "-std=gnu11",
    "-shared",
    "-fPIC",
    "-fvisibility=hidden",
]


def library(source: Path, platform: str) -> str:
    """The file name of a kernel for a platform of `sysconfig.get_platform()`: Python loads that of its own alone."""
    return f"{source.stem}.{platform}.so"


def build(compiler: list[str], source: Path, made: Path) -> Path | None:
    """Compile; None, with a line on stderr, when that cannot be done here."""
    if shutil.which(compiler[0]) is None:
        print(f"no C compiler ({compiler[0]}): pictures will be made more slowly", file=sys.stderr)
        return None
    partial = made.with_suffix(f".{os.getpid()}.tmp")
    run = subprocess.run([*compiler, *FLAGS, str(source), "-o", str(partial), "-lm"], capture_output=True, text=True)
    if run.returncode:
        print(f"{source.name} did not compile; pictures will be made more slowly:\n{run.stderr}", file=sys.stderr)
        partial.unlink(missing_ok=True)
        return None
    partial.replace(made)
    return made


def build_here() -> list[Path | None]:
    """Compile for this machine, beside the sources, with the compiler in the environment variable CC or else cc."""
    compiler, platform = shlex.split(os.environ.get("CC", "cc")), sysconfig.get_platform()
    return [build(compiler, source, source.with_name(library(source, platform))) for source in SOURCES]


def build_for(machine: str) -> list[Path | None]:
    """Compile with zig for x86_64 or aarch64, whatever this machine is: for every Linux with glibc 2.17 or newer."""
    folder = ROOT / "dist" / "kernels"
    folder.mkdir(parents=True, exist_ok=True)
    compiler = [sys.executable, "-m", "ziglang", "cc", "-target", f"{machine}-linux-gnu.2.17", "-s"]
    made = [build(compiler, source, folder / library(source, f"linux-{machine}")) for source in SOURCES]
    if None in made:
        raise RuntimeError(f"no kernel for {machine}")
    return made


try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # by hand
    pass
else:

    class BuildKernel(BuildHookInterface):  # type: ignore[type-arg]
        """hatchling's hook."""

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:
            """Before a wheel or an editable install: the kernels in it, and the platform in the wheel's name."""
            machine = os.environ.get("CAMERA_NANO_WHEEL")
            if self.target_name != "wheel" or machine == "pure":
                return
            kernels = build_for(machine) if machine else build_here()
            for source, made in zip(SOURCES, kernels, strict=True):
                if made:
                    build_data["force_include"][str(made)] = f"camera_nano/{source.parent.name}/{made.name}"
            if any(kernels):
                platform = f"manylinux_2_17-{machine}" if machine else sysconfig.get_platform()
                build_data["pure_python"] = False
                build_data["tag"] = f"py3-none-{platform.replace('-', '_').replace('.', '_')}"


if __name__ == "__main__":
    sys.exit(None in build_here())
