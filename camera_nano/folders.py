"""The `batch` and `journal` commands: folders of photos from the command line."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from camera_nano import batch, report
from camera_nano.arguments import labels_of
from camera_nano.engines import load_editor, model_digest
from camera_nano.journal import Journal
from camera_nano.looks import choose_aloud
from camera_nano.paths import pipeline_dir
from camera_nano.plan import Job, plan, shard
from camera_nano.progress import Progress, print_json, say
from camera_nano.recipe import Recipe
from camera_nano.watch import watch


def run_batch(args: argparse.Namespace) -> batch.Summary | None:
    """Work through folders; None where nothing was to be run. Raises as `plan`, `Journal` and `batch.run`."""
    labels = labels_of(args)  # what is missing is told before anything is loaded
    editor = load_editor(args.engine)
    looks = choose_aloud(editor.looks, args.looks)
    model = f"{args.engine}:{model_digest(pipeline_dir())}"
    recipes = [Recipe(look, args.strength, args.steps, args.format, model, args.seed) for look in looks]
    results: list[batch.Result] = []

    def once(jobs: Sequence[Job], journal: Journal) -> batch.Summary:
        progress = Progress(len(jobs))

        def tell(result: batch.Result) -> None:
            progress.step()
            results.append(result)
            if args.json:
                print_json(result.as_dict())
                return
            for line in (result.error and f"failed: {result.error}", *result.notes):
                if line:
                    progress.note(line)

        summary = batch.run(
            jobs,
            editor,
            recipes,
            journal,
            threads=args.threads,
            force=args.force,
            retry_failed=args.retry_failed,
            max_failures=args.max_failures,
            labels=labels,
            on_done=tell,
        )
        progress.close()
        say(str(summary))
        return summary

    def jobs_now() -> list[Job]:
        return shard(plan(args.inputs, args.out, looks, args.format), args.shard, args.out)

    jobs = jobs_now()  # what makes no sense is told before anything is written
    if args.dry_run:
        _dry_run(jobs)
        return None
    with Journal(args.out, shard="-of-".join(map(str, args.shard)) if args.shard else "") as journal:
        if args.watch:
            watch(jobs_now, lambda jobs: once(jobs, journal), say=say)
            return None
        summary = once(jobs, journal)
    _write_reports(args, results)
    return summary


def _dry_run(jobs: Sequence[Job]) -> None:
    """Say what would be done: photos, files, and about how long and how large."""
    n_files = sum(len(job.outputs) for job in jobs)
    read_mb = sum(job.input.stat().st_size * len(job.outputs) for job in jobs) / 1e6
    for job in jobs:
        print_json({"input": str(job.input), "outputs": [str(path) for path in job.outputs]})
    # a look is about as large as its photo; a megabyte of JPEG takes about a twentieth of a second
    say(
        f"{len(jobs)} photos would be read, {n_files} written: "
        f"about {max(1, round(read_mb / 20))} s and {max(1, round(read_mb))} MB"
    )


def _write_reports(args: argparse.Namespace, results: Sequence[batch.Result]) -> None:
    if args.report or args.contact_sheet:
        if args.report:
            report.write_html(args.report, results)
            say(f"report: {args.report}")
        if args.contact_sheet:
            report.write_contact_sheet(args.contact_sheet, results)
            say(f"contact sheet: {args.contact_sheet}")


def run_journal(args: argparse.Namespace) -> int:
    """Merge or verify; how many outputs are not as they were made."""
    if not args.out.is_dir():
        raise ValueError(f"{args.out} is not a folder: give the --out of a batch")
    with Journal(args.out) as journal:
        if args.action == "merge":
            say(f"{journal.merge()} outputs taken over from shards")
            return 0
        problems = list(journal.verify())
        for path, problem in problems:
            print_json({"output": path, "problem": problem}) if args.json else print(f"{path}: {problem}")
        say(f"{sum(1 for _ in journal.entries())} outputs looked at, {len(problems)} not as they were made")
        return len(problems)
