"""What the system's errors mean for the people who see them."""

from __future__ import annotations

import errno

from camera_nano.errors import ExitCode

_WAYS_OUT = {
    errno.EADDRINUSE: "choose another --port, or end the program that uses it",
    errno.ENOSPC: "free some space and start again: finished files are kept",
    errno.EROFS: "choose a folder that can be written with --out",
    errno.EACCES: "choose a folder that can be written, or change its permissions",
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "choose a folder, not a file",
    errno.EEXIST: "choose a folder, not a file",
}
_READS_PHOTOS = ("enhance", "batch", "merge", "inspect", "recipe")


def explain(error: OSError) -> str:
    """One line: the file, the cause, the way out."""
    file = f"{error.filename}: " if error.filename else ""
    way_out = f"; {_WAYS_OUT[error.errno]}" if error.errno in _WAYS_OUT else ""
    return f"{file}{error.strerror or error}{way_out}"


def exit_code_of(error: OSError, command: str) -> ExitCode:
    """What a command that this error ended returns; where a photo was being read, it is the photo that failed."""
    if error.errno == errno.ENOSPC:
        return ExitCode.NO_SPACE
    return ExitCode.SOME_FAILED if command in _READS_PHOTOS else ExitCode.ENVIRONMENT
