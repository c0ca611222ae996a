"""Compile the render kernel beside its source, at installation, where there is a C compiler; without one, go on.

hatchling runs `BuildKernel` for wheels and for editable installs; `python tools/build_kernel.py` does it by hand.
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

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "camera_nano" / "_render.c"
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


def library() -> Path:
    """Where the compiled kernel of this platform lies; `camera_nano.render` looks there."""
    return SOURCE.with_name(f"_render.{sysconfig.get_platform()}.so")


def build() -> Path | None:
    """Compile; None, with a line on stderr, when that cannot be done here."""
    compiler = shlex.split(os.environ.get("CC", "cc"))
    if shutil.which(compiler[0]) is None:
        print(f"no C compiler ({compiler[0]}): pictures will render more slowly", file=sys.stderr)
        return None
    partial = library().with_suffix(f".{os.getpid()}.tmp")
    made = subprocess.run([*compiler, *FLAGS, str(SOURCE), "-o", str(partial), "-lm"], capture_output=True, text=True)
    if made.returncode:
        print(f"the render kernel did not compile; pictures will render more slowly:\n{made.stderr}", file=sys.stderr)
        partial.unlink(missing_ok=True)
        return None
    partial.replace(library())
    return library()


try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # by hand
    pass
else:

    class BuildKernel(BuildHookInterface):  # type: ignore[type-arg]
        """hatchling's hook."""

        def initialize(self, version: str, build_data: dict[str, Any]) -> None:
            """Before a wheel or an editable install: the kernel in it, and the platform in the wheel's name."""
            if self.target_name == "wheel" and (made := build()):
                build_data["force_include"][str(made)] = f"camera_nano/{made.name}"
                build_data["pure_python"] = False
                build_data["tag"] = f"py3-none-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"


if __name__ == "__main__":
    sys.exit(build() is None)
