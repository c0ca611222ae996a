"""The environment of the processes that are started here: built from the names they need, never a copy of ours.

A copy hands on whatever was left there. An empty part of a search path, as `LD_LIBRARY_PATH` gets from OpenCV's import,
means the current folder to the dynamic loader: a library in a folder of photos would then run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_NAMES = ("HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "TZ", "TMPDIR", "CAMERA_NANO_PIPELINE", "VIPS_CONCURRENCY")
_PREFIXES = ("LC_", "XDG_")
_SUFFIX = "_NUM_THREADS"  # of OpenMP and BLAS
_SEARCH_PATHS = ("PATH", "LD_LIBRARY_PATH")  # of these, whole paths are kept: others lead to the current folder


def for_child(*prefixes: str, **extra: str) -> dict[str, str]:
    """The environment for a new process, which imports from where this one does.

    `prefixes` are of further names to keep; `extra` is set in any case.
    """
    kept = {
        name: value
        for name, value in os.environ.items()
        if name in _NAMES or name.endswith(_SUFFIX) or name.startswith((*_PREFIXES, *prefixes))
    }
    kept |= {name: found for name in _SEARCH_PATHS if (found := _whole(os.environ.get(name, "").split(os.pathsep)))}
    return kept | {"PYTHONPATH": _whole(sys.path)} | extra


def _whole(folders: list[str]) -> str:
    return os.pathsep.join(filter(os.path.isabs, folders))


def clean_library_path() -> None:
    """Take what leads to the current folder out of our own `LD_LIBRARY_PATH`: others start processes here, too."""
    if found := _whole(os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)):
        os.environ["LD_LIBRARY_PATH"] = found
    else:
        os.environ.pop("LD_LIBRARY_PATH", None)


@contextmanager
def as_for_child(*prefixes: str) -> Iterator[None]:
    """Our own environment is that for a child in the meantime: for a library that starts processes with a copy.

    What the library sets stays.
    """
    before, child = dict(os.environ), for_child(*prefixes)
    for name in before.keys() - child.keys():
        del os.environ[name]
    os.environ |= child
    try:
        yield
    finally:
        os.environ |= {name: value for name, value in before.items() if os.environ.get(name) == child.get(name)}
        if "PYTHONPATH" not in before:
            os.environ.pop("PYTHONPATH", None)
