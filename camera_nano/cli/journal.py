"""The `journal` command: what a batch has noted, taken over from shards or verified."""

from __future__ import annotations

import argparse

from camera_nano import batch
from camera_nano.console import print_json, printable, say


def run_journal(args: argparse.Namespace) -> int:
    """Merge or verify; how many outputs are not as they were made."""
    if not batch.Journal.exists(args.out):
        raise ValueError(f"{args.out} has no journal: give the --out of a batch")
    if args.action == "merge":
        with batch.Journal(args.out) as journal:
            say(f"{journal.merge()} outputs taken over from shards")
        return 0
    if any(args.out.glob(f"{batch.FOLDER}/journal-*.sqlite")):
        raise ValueError(f"{args.out} has journals of shards: camera-nano journal merge {args.out} first")
    with batch.Journal(args.out, read_only=True) as journal:
        problems = list(journal.verify())
        for path, problem in problems:
            print_json({"output": path, "problem": problem}) if args.json else print(printable(f"{path}: {problem}"))
        say(f"{sum(1 for _ in journal.entries())} outputs looked at, {len(problems)} not as they were made")
    return len(problems)
