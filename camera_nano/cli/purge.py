"""The `purge` command: what camera_nano keeps in the user's own folders, and its removal."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import NamedTuple

from camera_nano.console import printable, say
from camera_nano.errors import ExitCode
from camera_nano.paths import user_dirs


class Kept(NamedTuple):
    """A folder of the user in which camera_nano keeps something."""

    path: Path
    n_files: int
    n_bytes: int

    def __str__(self) -> str:
        return f"{self.n_bytes / 1e3:.1f} kB in {self.n_files} files  {self.path}"


def kept_folders() -> list[Kept]:
    """Every folder that is there, with the files in it."""
    files = {folder: [path for path in folder.rglob("*") if not path.is_dir()] for folder in user_dirs()}
    return [Kept(folder, len(found), sum(path.lstat().st_size for path in found)) for folder, found in files.items()]


def purge(args: argparse.Namespace) -> ExitCode:
    """List the folders with their files and sizes; with --yes, remove them. Raises OSError where one cannot be."""
    folders = kept_folders()
    for folder in folders:
        print(printable(str(folder)))
        if args.yes:
            shutil.rmtree(folder.path)
    if not folders:
        say("camera_nano keeps nothing in your folders")
    elif not args.yes:
        say("nothing is removed yet: --yes removes these folders, and with them the key of --sign")
    return ExitCode.OK
