"""The `inspect` command."""

from __future__ import annotations

import argparse

from camera_nano import files
from camera_nano.console import print_json
from camera_nano.errors import ExitCode


def inspect(args: argparse.Namespace) -> ExitCode:
    """Print what a picture file holds, and what is wrong with it.

    Raises:
        OSError: the file cannot be opened.
    """
    report = files.inspect(args.file)
    if args.json:
        print_json(report.as_dict())
    else:
        print(report)
    return ExitCode.SOME_FAILED if report.problems else ExitCode.OK
