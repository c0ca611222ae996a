"""The `batch` command: folders of photos from the command line."""

from __future__ import annotations

import argparse
import functools
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from camera_nano import batch
from camera_nano.cli.parser import labels_of
from camera_nano.console import Level, Progress, line_of, print_json, say
from camera_nano.engines import load_editor, model_id, verify
from camera_nano.errors import ExitCode, ModelError
from camera_nano.files import Decoder
from camera_nano.looks import choose_aloud, load_looks
from camera_nano.machine import share_heaps
from camera_nano.paths import pipeline_dir
from camera_nano.recipe import Recipe
from camera_nano.seams import Editor
from camera_nano.stop import Stop, on_signals
from camera_nano.values import Look


def run_batch(args: argparse.Namespace) -> batch.Summary | None:
    """Work through folders; None where nothing was to be run. Raises as `plan` and `Journal`."""
    share_heaps()
    args.inputs, args.out = list(map(_place, args.inputs)), _place(args.out)
    urls = [place for place in (*args.inputs, args.out) if "://" in place]
    if args.runner == "ray":
        return _run_ray(args, bool(urls))
    if urls:
        raise ValueError(f"{urls[0]} is a URL: add --runner ray")
    return _run_here(args)


def _run_here(args: argparse.Namespace) -> batch.Summary | None:
    labels, out = labels_of(args), Path(args.out)  # a missing extra is named before anything is loaded
    editor = load_editor(args.engine)
    recipes = _recipes(args, editor.looks)
    looks, passed_over = [recipe.look for recipe in recipes], Counter[str]()

    def jobs_of(photos: Sequence[batch.PhotoAt[Path]], claims: batch.Claims = batch.NOTHING_MADE) -> list[batch.Job]:
        return batch.shard(batch.arrange(photos, out, looks, args.format, claims), args.shard, out)

    photos = batch.find(map(Path, args.inputs), out, passed_over)
    jobs_of(photos)  # what makes no sense is told before anything is written
    _say_found(args, len(photos), passed_over)
    scenes = _Scenes(args)
    if args.dry_run:
        _dry_run(args, lambda journal: jobs_of(scenes.of(photos, journal), journal), out, editor, recipes)
        return None
    results, total = list[batch.Result](), batch.Tally()

    def once(jobs: Sequence[batch.Job]) -> batch.Summary:
        with _reporting(args, len(jobs), results, total, interrupt) as on_done, Decoder() as decoder:
            maker = batch.Maker(editor, recipes, decoder, labels, args.keep_times)
            return batch.run(
                jobs, maker, journal, threads=args.threads, policy=_policy(args), interrupt=interrupt, on_done=on_done
            )

    name = "-of-".join(map(str, args.shard or ()))
    with _interruptible() as interrupt, batch.Journal(out, shard=name) as journal:
        if args.watch:
            batch.watch(
                lambda: jobs_of(scenes.of(batch.find(map(Path, args.inputs), out), journal, interrupt), journal),
                lambda jobs: not once(jobs).out_of_space,
                interrupt,
                say=say,
            )
            summary = total.summary()
        else:
            summary = once(jobs_of(scenes.of(photos, journal, interrupt), journal))
    _write_reports(args, summary, results, scenes.told)
    return summary


class _Scenes:
    """Adds the groups of photos that are to be merged, and tells once why others are not."""

    def __init__(self, args: argparse.Namespace) -> None:
        self._is_off, self._threads = args.merge == "off", args.threads
        self.told: list[str] = []

    def of(
        self, photos: list[batch.PhotoAt[Path]], journal: batch.Journal, interrupt: Stop | None = None
    ) -> list[batch.PhotoAt[Path]]:
        """The photos, and one for each group. Raises as `batch.add_groups`."""
        if self._is_off:
            return photos
        is_over = interrupt.is_set if interrupt else lambda: False
        found = batch.add_groups(photos, journal, threads=self._threads, is_over=is_over)
        for doubt in found.doubts:
            if doubt not in self.told:
                self.told.append(doubt)
                say(doubt)
        return found.photos


def _place(text: str) -> str:
    """A path of this machine stays or becomes one; other URLs stay."""
    return url2pathname(urlsplit(text).path) if text.startswith("file://") else text


def _refuse_for_ray(args: argparse.Namespace, is_remote: bool) -> None:
    """Raises ValueError for a flag that only works on folders of this machine."""
    given = {"--watch": args.watch, "--shard": args.shard}
    if is_remote:
        given |= {
            "--merge auto": args.merge == "auto",
            "--dry-run": args.dry_run,
            "--report": args.report,
            "--contact-sheet": args.contact_sheet,
        }
    if refused := [flag for flag, value in given.items() if value]:
        raise ValueError(f"{refused[0]} is for folders of this machine and --runner local")


def _run_ray(args: argparse.Namespace, is_remote: bool) -> batch.Summary | None:
    try:
        from camera_nano.batch import ray as on_ray
    except ImportError as error:
        raise ModelError(f'--runner ray needs {error.name}: pip install "camera-nano[ray]"') from error
    _refuse_for_ray(args, is_remote)
    verify(pipeline_dir())  # before a cluster is started
    recipes = _recipes(args, load_looks(pipeline_dir()))
    looks, passed_over, scenes = [recipe.look for recipe in recipes], Counter[str](), _Scenes(args)
    out, photos = _found_for_ray(args, is_remote, passed_over)

    def jobs_of(journal: batch.Journal) -> list[batch.JobAt[Any]]:
        found = photos if is_remote else scenes.of(photos, journal)
        return batch.arrange(found, out, looks, args.format, journal)

    batch.arrange(photos, out, looks, args.format)  # what makes no sense is told before anything is written
    _say_found(args, len(photos), passed_over)
    if args.dry_run:
        _dry_run(args, jobs_of, out, load_editor(args.engine), recipes)
        return None
    journal_of = _journal_for_ray(out, is_remote)
    jobs = jobs_of(journal_of)
    results: list[batch.Result] = []
    with (
        _interruptible() as interrupt,
        journal_of as journal,
        _reporting(args, len(jobs), results, batch.Tally(), interrupt) as on_done,
        redirect_stdout(sys.stderr),  # Ray prints there too
    ):
        spec = on_ray.MakerSpec(args.engine, tuple(recipes), labels_of(args), args.keep_times)
        summary = on_ray.run(
            jobs, spec, journal, workers=args.threads, policy=_policy(args), interrupt=interrupt, on_done=on_done
        )
    _write_reports(args, summary, results, scenes.told)
    return summary


def _found_for_ray(
    args: argparse.Namespace, is_remote: bool, passed_over: Counter[str]
) -> tuple[Any, list[batch.PhotoAt[Any]]]:
    """Where outputs go, and the photos: absolute paths, or URLs."""
    from camera_nano.batch import stores

    out = Path(args.out).absolute()
    if not is_remote:
        return out, [*batch.find([Path(each).absolute() for each in args.inputs], out, passed_over)]
    url = args.out.rstrip("/") if stores.is_url(args.out) else str(out)
    return url, [*stores.find_urls(args.inputs, url, passed_over)]


def _journal_for_ray(out: Any, is_remote: bool) -> batch.Journal:
    """The journal beside the outputs; that of a store is in a folder of the user."""
    from camera_nano.batch import stores

    if not is_remote:
        return batch.Journal(out)
    stores.STORED.look_at(out)
    return batch.Journal(stores.journal_dir(out), root=out, files=stores.STORED)


def _recipes(args: argparse.Namespace, named: Mapping[str, Look]) -> list[Recipe]:
    model = model_id(args.engine, pipeline_dir())
    looks = choose_aloud(named, args.looks)
    recipe = functools.partial(Recipe, strength=args.strength, n_steps=args.steps, format=args.format, model=model)
    return [recipe(look, seed=args.seed, assume=args.assume) for look in looks]


def _policy(args: argparse.Namespace) -> batch.RunPolicy:
    return batch.RunPolicy(args.force, args.retry_failed, args.max_failures)


@contextmanager
def _reporting(
    args: argparse.Namespace, n_jobs: int, results: list[batch.Result], total: batch.Tally, interrupt: Stop
) -> Iterator[Callable[[batch.Result], None]]:
    """Gives what prints each result, counts it, and keeps it for a report; says the counts at the end in any case."""
    progress, tally, data = Progress(n_jobs), batch.Tally(), sys.stdout
    is_kept = args.report or args.contact_sheet

    def on_done(result: batch.Result) -> None:
        if not result.was_done:
            progress.step()
        tally.add(result)
        total.add(result)
        if is_kept:
            results.append(result)
        if args.json:
            print_json(result.as_dict(), data)
        if args.log_json:
            level: Level = "error" if result.error else "warning" if result.notes or result.kept else "info"
            say(f"{result.status}: {result.job.input}", "photo", level, **result.as_dict())
        if args.json or args.log_json:
            return
        kept = (f"{path} is not as batch made it: left alone (--force replaces it)" for path in result.kept)
        why = result.error and f"{'failed' if result.status == 'failed' else 'not merged'}: {result.error}"
        for line in (why, *result.notes, *kept):
            if line:
                progress.note(line)

    try:
        yield on_done
    finally:
        progress.close()
        summary = tally.summary(n_jobs, is_interrupted=interrupt.is_set() or sys.exc_info()[0] is not None)
        say(str(summary), "summary", **asdict(summary))


@contextmanager
def _interruptible() -> Iterator[Stop]:
    """What the first Ctrl-C or SIGTERM sets; the second ends at once, and the next run tidies up."""

    def ask(*_: object) -> None:
        if asked.is_set():
            os._exit(ExitCode.INTERRUPTED)
        asked.set()
        text = line_of("finishing what is being written; once more ends at once", "ending")
        os.write(2, f"\n{text}\n".encode())  # print may be in the midst of one

    asked = Stop()
    with on_signals(ask):
        yield asked


def _say_found(args: argparse.Namespace, n_photos: int, passed_over: Counter[str]) -> None:
    if not n_photos:
        say(f"no photos in {', '.join(args.inputs)}")
    if passed_over:
        kinds = ", ".join(f"{n} {kind}" for kind, n in passed_over.most_common())
        say(f"passed over: {kinds}", "passed over", kinds=passed_over)


def _dry_run(
    args: argparse.Namespace,
    jobs_of: Callable[[batch.Journal], list[batch.Job]],
    out: Path,
    editor: Editor,
    recipes: Sequence[Recipe],
) -> None:
    """Say what would be done, and about how long and how large; nothing is written."""
    with batch.Journal(out, read_only=True) as journal, Decoder() as decoder:
        maker = batch.Maker(editor, recipes, decoder, labels_of(args))
        found = batch.estimate(jobs_of(journal), out, maker, journal, threads=args.threads, policy=_policy(args))
    for job in found.todo:
        merged_from = [str(photo) for photo in job.photos] if job.others else []
        outputs = [str(path) for path in job.outputs]
        print_json({"input": str(job.input), "outputs": outputs, "merged_from": merged_from})
    say(str(found))


def _write_reports(
    args: argparse.Namespace, summary: batch.Summary, results: Sequence[batch.Result], doubts: Sequence[str]
) -> None:
    if summary.is_interrupted:
        return
    if args.report:
        say(f"report: {args.report}")
        batch.write_html(args.report, results, doubts)
    if args.contact_sheet:
        say(f"contact sheet: {args.contact_sheet}")
        batch.write_contact_sheet(args.contact_sheet, results)
