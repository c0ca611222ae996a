"""The `bench` command: measurements of this machine, or an estimate for another one."""

from __future__ import annotations

import argparse
from pathlib import Path

from camera_nano.atomic import check_writable
from camera_nano.bench import TARGETS, count_cost, estimate, estimate_table, measure, table
from camera_nano.console import print_json, say
from camera_nano.errors import CameraNanoError, ExitCode


def bench(args: argparse.Namespace) -> ExitCode:
    """Measure this machine and print a table; with --target, print an estimate.

    Raises:
        ValueError: the plot's name does not end in .png.
        CameraNanoError, OSError: something needed is missing, or the plot cannot be written.
    """
    return _estimate(args) if args.target else _measure(args)


def _estimate(args: argparse.Namespace) -> ExitCode:
    report = estimate(TARGETS[args.target], count_cost())
    if args.json:
        print_json(report)
    else:
        print(estimate_table(report))
    return ExitCode.OK


def _measure(args: argparse.Namespace) -> ExitCode:
    if args.plot:
        _check_plot(args.plot)
    scale = args.scale or args.plot is not None
    report = measure(quick=args.quick, live=args.live, scale=scale, say=lambda name: say(f"measuring {name} ..."))
    if args.plot:
        from camera_nano.bench.plot import plot

        plot(report).savefig(args.plot)
        say(f"drawn: {args.plot}")
    if args.json:
        print_json(report)
    else:
        print(table(report))
    return ExitCode.OK


def _check_plot(path: Path) -> None:
    """What would make the plot fail fails before the minutes of measuring."""
    if path.suffix.lower() != ".png":
        raise ValueError(f"{path}: the plot is a PNG, give it a name that ends in .png")
    check_writable(path.parent)
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise CameraNanoError(f'--plot needs {error.name}: pip install "camera-nano[bench]"') from error
