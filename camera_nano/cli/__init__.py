"""The command line. A command's own modules are imported only when it runs, so that the others start fast.

stdout is data, stderr is progress and errors; `errors.ExitCode` says how a command ended.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import nullcontext

from camera_nano.cli.explain import exit_code_of, explain
from camera_nano.cli.parser import parser
from camera_nano.console import json_lines, say
from camera_nano.errors import CameraNanoError, ExitCode


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; prints an error as one line, and returns the exit code."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by who started this
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))
    is_program, argv = argv is None, sys.argv[1:] if argv is None else argv
    try:
        with json_lines() if "--log-json" in argv else nullcontext():
            code = _code_of(argv)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # whoever reads this has enough, as in `| head -1`; what is left goes nowhere
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.INTERRUPTED
    finally:
        if is_program:  # what is called at exit would print a traceback
            signal.signal(signal.SIGINT, signal.SIG_IGN)


def _code_of(argv: Sequence[str]) -> int:
    try:
        args = parser().parse_args(argv)
    except SystemExit as done:  # argparse exits with 2 for wrong usage, with 0 for --help
        return int(done.code or 0)
    try:
        return _run(args)
    except KeyboardInterrupt:
        return _failed("interrupted", ExitCode.INTERRUPTED)
    except CameraNanoError as error:
        return _failed(str(error), error.exit_code)
    except BrokenPipeError:
        raise
    except OSError as error:
        return _failed(explain(error), exit_code_of(error, args.command))
    except ValueError as error:
        return _failed(str(error), ExitCode.USAGE)


def _failed(text: str, code: ExitCode) -> ExitCode:
    say(f"camera-nano: {text}", "error", "error", exit_code=code)
    return code


def _run(args: argparse.Namespace) -> ExitCode:
    match args.command:
        case "live":
            from camera_nano.cli.live import live as command
        case "batch":
            command = _batch
        case "journal":
            command = _journal
        case "enhance":
            from camera_nano.cli.photo import enhance as command
        case "merge":
            from camera_nano.cli.merge import merge as command
        case "recipe":
            from camera_nano.cli.photo import recipe as command
        case "inspect":
            from camera_nano.cli.inspect import inspect as command
        case "looks":
            from camera_nano.cli.model import looks as command
        case "model":
            from camera_nano.cli.model import verify_model as command
        case "doctor":
            from camera_nano.cli.doctor import doctor as command
        case "purge":
            from camera_nano.cli.purge import purge as command
        case "bench":
            from camera_nano.cli.bench import bench as command
    return command(args)


def _batch(args: argparse.Namespace) -> ExitCode:
    from camera_nano.cli.batch import run_batch

    summary = run_batch(args)
    if summary is None:
        return ExitCode.OK
    if summary.out_of_space:
        return ExitCode.NO_SPACE
    if summary.is_interrupted:
        return ExitCode.INTERRUPTED
    return ExitCode.SOME_FAILED if summary.failed else ExitCode.OK


def _journal(args: argparse.Namespace) -> ExitCode:
    from camera_nano.cli.journal import run_journal

    return ExitCode.SOME_FAILED if run_journal(args) else ExitCode.OK
