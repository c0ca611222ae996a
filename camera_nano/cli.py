"""The command line. Imports happen inside the chosen command.

stdout is data, stderr is progress and errors. Exit codes: 0 all ok, 1 some files failed, 2 usage, 3 environment
(model, camera, port), 4 no space, 130 interrupted.
"""

from __future__ import annotations

import argparse
import errno
from collections.abc import Sequence
from typing import TYPE_CHECKING

from camera_nano.arguments import parser
from camera_nano.progress import print_json, say

if TYPE_CHECKING:
    from camera_nano.batch import Result
    from camera_nano.plan import Job

OK, SOME_FAILED, USAGE, ENVIRONMENT, NO_SPACE, INTERRUPTED = 0, 1, 2, 3, 4, 130


def _live(args: argparse.Namespace) -> int:
    from camera_nano.live import run

    return NO_SPACE if run(args) else OK


def _batch(args: argparse.Namespace) -> int:
    from camera_nano import batch
    from camera_nano.engines import load_editor, model_digest
    from camera_nano.journal import Journal, Recipe
    from camera_nano.looks import choose_aloud
    from camera_nano.paths import pipeline_dir
    from camera_nano.plan import plan, shard
    from camera_nano.progress import Progress

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
            elif result.error:
                progress.note(f"failed: {result.error}")
            elif result.note:
                progress.note(result.note)

        options = {"threads": args.threads, "force": args.force, "retry_failed": args.retry_failed}
        summary = batch.run(
            jobs, editor, recipes, journal, **options, max_failures=args.max_failures, on_done=tell
        )  # fmt: skip
        progress.close()
        say(str(summary))
        return summary

    def jobs_now() -> list[Job]:
        return shard(plan(args.inputs, args.out, looks, args.format), args.shard, args.out)

    jobs = jobs_now()  # what makes no sense is told before anything is written
    if args.dry_run:
        return _dry_run(jobs)
    with Journal(args.out, shard="-of-".join(map(str, args.shard)) if args.shard else "") as journal:
        if args.watch:
            from camera_nano.watch import watch

            watch(jobs_now, lambda jobs: once(jobs, journal), say=say)
            return OK
        summary = once(jobs, journal)
    _write_reports(args, results)
    if summary.out_of_space:
        return NO_SPACE
    return SOME_FAILED if summary.failed else OK


def _dry_run(jobs: Sequence[Job]) -> int:
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
    return OK


def _write_reports(args: argparse.Namespace, results: Sequence[Result]) -> None:
    if args.report or args.contact_sheet:
        from camera_nano import report

        if args.report:
            report.write_html(args.report, results)
            say(f"report: {args.report}")
        if args.contact_sheet:
            report.write_contact_sheet(args.contact_sheet, results)
            say(f"contact sheet: {args.contact_sheet}")


def _journal(args: argparse.Namespace) -> int:
    from camera_nano.journal import Journal

    if not args.out.is_dir():
        raise ValueError(f"{args.out} is not a folder: give the --out of a batch")
    with Journal(args.out) as journal:
        if args.action == "merge":
            say(f"{journal.merge()} outputs taken over from shards")
            return OK
        problems = list(journal.verify())
        for path, problem in problems:
            print_json({"output": path, "problem": problem}) if args.json else print(f"{path}: {problem}")
        say(f"{sum(1 for _ in journal.entries())} outputs looked at, {len(problems)} not as they were made")
        return SOME_FAILED if problems else OK


def _enhance(args: argparse.Namespace) -> int:
    from camera_nano.decode import open_image
    from camera_nano.encode import WITH_HEADROOM, format_of, save
    from camera_nano.engines import load_editor
    from camera_nano.enhance import enhance_frame
    from camera_nano.gainmap import draw
    from camera_nano.looks import choose_aloud

    form = format_of(args.output, args.format)
    if args.output.exists() and args.input.exists() and args.output.samefile(args.input):
        raise ValueError(f"{args.output} is the input itself: originals are never overwritten, choose another name")
    picture = open_image(args.input)
    editor = load_editor(args.engine, threads=2)
    looks = choose_aloud(editor.looks, [args.look])
    [alternative] = enhance_frame(picture.frame, editor, looks, strength=args.strength, n_steps=args.steps, threads=2)
    gain = draw(picture.frame.pixels, alternative.field, threads=2) if form in WITH_HEADROOM else None
    if form in WITH_HEADROOM and gain is None:
        say(f"{args.output}: nothing is brighter than white here, so this is a plain SDR picture")
    save(args.output, alternative.image, format=form, metadata=picture.metadata, alpha=picture.alpha, gain=gain)
    return OK


def _inspect(args: argparse.Namespace) -> int:
    from camera_nano.inspect_file import inspect

    report = inspect(args.file)
    if args.json:
        print_json(report.as_dict())
    else:
        print(report)
    return SOME_FAILED if report.problems else OK


def _looks(args: argparse.Namespace) -> int:
    from camera_nano.looks import load_looks
    from camera_nano.paths import pipeline_dir
    from camera_nano.values import CONTROLS
    from camera_nano.words import known_phrases, parse

    named = load_looks(pipeline_dir())
    if args.words:
        known = known_phrases(named)
        print_json(known) if args.json else print(*known, sep="\n")
        return OK
    understood = None if args.text is None else parse(args.text, named)
    looks = list(named.values()) if understood is None else [understood.look]
    if args.json:
        print_json([look.as_dict() for look in looks] if understood is None else understood.as_dict())
        return OK
    if understood is not None:
        for words, effect in understood.parts:
            print(f"{words:<26}{effect}")
        print()
    width = max(12, *(len(look.name) + 2 for look in looks))
    print(f"{'look':<{width}}" + "".join(f"{name:>13}" for name in CONTROLS))
    for look in looks:
        print(f"{look.name:<{width}}" + "".join(f"{value:>13.2f}" for value in look.controls()))
    return OK


def _doctor(args: argparse.Namespace) -> int:
    from camera_nano.doctor import examine

    findings = examine()
    if args.json:
        print_json([finding.as_dict() for finding in findings])
    else:
        for finding in findings:
            print(finding)
    return OK if all(finding.ok or finding.optional for finding in findings) else ENVIRONMENT


def _bench(args: argparse.Namespace) -> int:
    if args.target:
        from camera_nano.bench_cost import TARGETS, count_cost, estimate, estimate_table

        guess = estimate(TARGETS[args.target], count_cost())
        if args.json:
            print_json(guess)
        else:
            print(estimate_table(guess))
        return OK
    if args.plot and args.plot.suffix.lower() != ".png":
        raise ValueError(f"{args.plot}: the plot is a PNG, give it a name that ends in .png")
    if args.plot:
        from camera_nano.paths import check_writable

        check_writable(args.plot.parent)
    from camera_nano.bench import measure
    from camera_nano.bench_report import table

    scale = args.scale or args.plot is not None
    report = measure(quick=args.quick, live=args.live, scale=scale, say=lambda name: say(f"measuring {name} ..."))
    if args.plot:
        from camera_nano.bench_plot import plot

        plot(report).save(args.plot)
        say(f"drawn: {args.plot}")
    if args.json:
        print_json(report)
    else:
        print(table(report))
    return OK


def _model(args: argparse.Namespace) -> int:
    from camera_nano.engines import verify
    from camera_nano.paths import pipeline_dir

    for name in verify(pipeline_dir()):
        print(f"ok  {name}")
    return OK


_COMMANDS = {
    "live": _live,
    "batch": _batch,
    "journal": _journal,
    "enhance": _enhance,
    "inspect": _inspect,
    "looks": _looks,
    "doctor": _doctor,
    "bench": _bench,
    "model": _model,
}


def _explain(error: OSError) -> str:
    """One line: the thing, the cause, the way out."""
    ways_out = {
        errno.EADDRINUSE: "choose another --port, or end the program that has it",
        errno.ENOSPC: "free some space and start again: finished files are kept",
        errno.EROFS: "choose a folder that can be written with --out",
        errno.EACCES: "choose a folder that can be written, or change its permissions",
        errno.ENOENT: "check the path",
        errno.ENOTDIR: "choose a folder, not a file",
        errno.EEXIST: "choose a folder, not a file",
    }
    thing = f"{error.filename}: " if error.filename else ""
    hint = f"; {ways_out[error.errno]}" if error.errno in ways_out else ""
    return f"{thing}{error.strerror or error}{hint}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code, prints errors as one line."""
    try:
        args = parser().parse_args(argv)
    except SystemExit as done:  # argparse exits 2 for usage, 0 for --help
        return int(done.code or 0)
    from camera_nano.engines import ModelError
    from camera_nano.gpio import MissingDevice
    from camera_nano.journal import JournalBusy
    from camera_nano.sources import CameraLost

    try:
        return _COMMANDS[args.command](args)
    except KeyboardInterrupt:
        say("camera-nano: interrupted")
        return INTERRUPTED
    except (ModelError, CameraLost, MissingDevice, JournalBusy) as error:
        say(f"camera-nano: {error}")
        return ENVIRONMENT
    except OSError as error:
        say(f"camera-nano: {_explain(error)}")
        if error.errno == errno.ENOSPC:
            return NO_SPACE
        return SOME_FAILED if args.command in ("enhance", "batch", "inspect") else ENVIRONMENT
    except ValueError as error:
        from camera_nano.decode import UnreadableImage  # loads libvips: only here

        say(f"camera-nano: {error}")
        return SOME_FAILED if isinstance(error, UnreadableImage) else USAGE
