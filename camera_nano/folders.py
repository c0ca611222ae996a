"""The `batch` and `journal` commands: folders of photos from the command line."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from camera_nano import batch, report
from camera_nano.arguments import labels_of
from camera_nano.engines import ModelError, load_editor, model_digest, verify
from camera_nano.estimate import estimate
from camera_nano.journal import FOLDER, Journal
from camera_nano.looks import choose_aloud, load_looks
from camera_nano.machine import share_heaps
from camera_nano.paths import pipeline_dir
from camera_nano.plan import Job, JobAt, plan, shard
from camera_nano.progress import Progress, print_json, printable, say
from camera_nano.recipe import Recipe
from camera_nano.stop import Stop
from camera_nano.values import Editor, Look
from camera_nano.watch import watch

_INTERRUPTED = 130


def run_batch(args: argparse.Namespace) -> batch.Summary | None:
    """Work through folders; None where nothing was to be run. Raises as `plan`, `Journal` and `batch.run`."""
    share_heaps()
    args.inputs, args.out = list(map(_place, args.inputs)), _place(args.out)
    urls = [place for place in (*args.inputs, args.out) if "://" in place]
    if args.runner == "ray":
        return _run_ray(args, bool(urls))
    if urls:
        raise ValueError(f"{urls[0]} is a URL: add --runner ray")
    labels_of(args)  # what is missing is told before anything is loaded
    editor, out = load_editor(args.engine), Path(args.out)
    recipes = _recipes(args, editor.looks)
    looks = [recipe.look for recipe in recipes]

    def jobs_now() -> list[Job]:
        return shard(plan(list(map(Path, args.inputs)), out, looks, args.format), args.shard, out)

    jobs = jobs_now()  # what makes no sense is told before anything is written
    if args.dry_run:
        _dry_run(args, jobs, out, editor, recipes)
        return None
    results: list[batch.Result] = []
    total = batch.Tally()

    def once(jobs: Sequence[Job]) -> batch.Summary:
        with _telling(args, len(jobs), results, total, asked) as how:
            return batch.run(jobs, editor, recipes, journal, threads=args.threads, **how)

    name = "-of-".join(map(str, args.shard)) if args.shard else ""
    with _interruptible() as asked, Journal(out, shard=name) as journal:
        if args.watch:
            watch(jobs_now, lambda jobs: not once(jobs).out_of_space, asked, say=say)
            summary = total.summary()
        else:
            summary = once(jobs)
    if not summary.is_interrupted:
        _write_reports(args, results)
    return summary


def _place(text: str) -> str:
    """A path of this machine stays or becomes one; other URLs stay."""
    return url2pathname(urlsplit(text).path) if text.startswith("file://") else text


def _run_ray(args: argparse.Namespace, is_remote: bool) -> batch.Summary | None:
    try:
        from camera_nano import runner_ray, stores
    except ImportError as error:
        raise ModelError(f'--runner ray needs {error.name}: pip install "camera-nano[ray]"') from error
    given = {"--watch": args.watch, "--shard": args.shard}
    if is_remote:
        given |= {"--dry-run": args.dry_run, "--report": args.report, "--contact-sheet": args.contact_sheet}
    if refused := [flag for flag, value in given.items() if value]:
        raise ValueError(f"{refused[0]} is for folders of this machine and --runner local")
    verify(pipeline_dir())  # before a cluster is started
    recipes = _recipes(args, load_looks(pipeline_dir()))
    looks, jobs, out = [recipe.look for recipe in recipes], list[JobAt[Any]](), Path(args.out).absolute()
    if is_remote:
        url = args.out.rstrip("/") if stores.is_url(args.out) else str(out)
        jobs += stores.plan_urls(args.inputs, url, looks, args.format)
        stores.STORED.look_at(url)
        journal_of = Journal(stores.journal_dir(url), root=url, files=stores.STORED)
    else:
        here = plan([Path(place).absolute() for place in args.inputs], out, looks, args.format)
        if args.dry_run:
            _dry_run(args, here, out, load_editor(args.engine), recipes)
            return None
        jobs += here
        journal_of = Journal(out)
    results: list[batch.Result] = []
    with (
        _interruptible() as asked,
        journal_of as journal,
        _telling(args, len(jobs), results, batch.Tally(), asked) as how,
        redirect_stdout(sys.stderr),  # Ray prints there too
    ):
        summary = runner_ray.run(jobs, args.engine, recipes, journal, workers=args.threads, **how)
    if not summary.is_interrupted:
        _write_reports(args, results)
    return summary


def _recipes(args: argparse.Namespace, named: Mapping[str, Look]) -> list[Recipe]:
    model = f"{args.engine}:{model_digest(pipeline_dir())}"
    looks = choose_aloud(named, args.looks)
    return [Recipe(look, args.strength, args.steps, args.format, model, args.seed) for look in looks]


@contextmanager
def _telling(
    args: argparse.Namespace, n_jobs: int, results: list[batch.Result], total: batch.Tally, asked: Stop
) -> Iterator[dict[str, Any]]:
    """How to run, with results told as they come, and kept for a report; the counts at the end, whatever ends it."""
    progress, tally, data = Progress(n_jobs), batch.Tally(), sys.stdout
    is_kept = args.report or args.contact_sheet

    def tell(result: batch.Result) -> None:
        progress.step()
        tally.add(result)
        total.add(result)
        if is_kept:
            results.append(result)
        if args.json:
            print_json(result.as_dict(), data)
            return
        for line in (result.error and f"failed: {result.error}", *result.notes):
            if line:
                progress.note(line)

    try:
        yield {
            "force": args.force,
            "retry_failed": args.retry_failed,
            "max_failures": args.max_failures,
            "asked": asked,
            "labels": labels_of(args),
            "on_done": tell,
        }
    finally:
        progress.close()
        say(str(tally.summary(n_jobs, is_interrupted=asked.is_set() or sys.exc_info()[0] is not None)))


@contextmanager
def _interruptible() -> Iterator[Stop]:
    """What the first Ctrl-C or SIGTERM sets; the second ends at once, and the next run tidies up."""

    def ask(*_: object) -> None:
        if asked.is_set():
            os._exit(_INTERRUPTED)
        asked.set()
        os.write(2, b"\nfinishing what is being written; once more ends at once\n")  # print may be in the midst of one

    asked = Stop()
    is_main = threading.current_thread() is threading.main_thread()
    numbers = (signal.SIGINT, signal.SIGTERM) if is_main else ()
    before = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _dry_run(
    args: argparse.Namespace, jobs: Sequence[Job], out: Path, editor: Editor, recipes: Sequence[Recipe]
) -> None:
    """Say what would be done, and about how long and how large; nothing is written."""
    with Journal(out, read_only=True) as journal:
        found = estimate(
            jobs,
            out,
            editor,
            recipes,
            journal,
            threads=args.threads,
            force=args.force,
            retry_failed=args.retry_failed,
            labels=labels_of(args),
        )
    for job in found.todo:
        print_json({"input": str(job.input), "outputs": [str(path) for path in job.outputs]})
    say(str(found))


def _write_reports(args: argparse.Namespace, results: Sequence[batch.Result]) -> None:
    if args.report:
        say(f"report: {args.report}")
        report.write_html(args.report, results)
    if args.contact_sheet:
        say(f"contact sheet: {args.contact_sheet}")
        report.write_contact_sheet(args.contact_sheet, results)


def run_journal(args: argparse.Namespace) -> int:
    """Merge or verify; how many outputs are not as they were made."""
    if not Journal.exists(args.out):
        raise ValueError(f"{args.out} has no journal: give the --out of a batch")
    if args.action == "merge":
        with Journal(args.out) as journal:
            say(f"{journal.merge()} outputs taken over from shards")
        return 0
    if any(args.out.glob(f"{FOLDER}/journal-*.sqlite")):
        raise ValueError(f"{args.out} has journals of shards: camera-nano journal merge {args.out} first")
    with Journal(args.out, read_only=True) as journal:
        problems = list(journal.verify())
        for path, problem in problems:
            print_json({"output": path, "problem": problem}) if args.json else print(printable(f"{path}: {problem}"))
        say(f"{sum(1 for _ in journal.entries())} outputs looked at, {len(problems)} not as they were made")
    return len(problems)
