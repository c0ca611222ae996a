"""The command line: argparse maps flags to function arguments one to one; imports happen inside the chosen command.

stdout is data, stderr is progress and errors. Exit codes: 0 all ok, 1 some files failed, 2 usage, 3 environment
(model, camera, port), 4 no space, 130 interrupted.
"""

from __future__ import annotations

import argparse
import errno
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from camera_nano import __version__

OK, SOME_FAILED, USAGE, ENVIRONMENT, NO_SPACE, INTERRUPTED = 0, 1, 2, 3, 4, 130
FORMATS = ("auto", "jpeg", "png", "tiff", "webp")


def _strength(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"strength is 0 (the original) to 1 (the full look), not {text}")
    return value


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--engine", choices=["onnx", "torch"], default="onnx", help="what runs the model")
    parser.add_argument("--strength", type=_strength, default=1.0, metavar="0..1", help="0 keeps the original")


def _parser() -> argparse.ArgumentParser:
    show = argparse.ArgumentDefaultsHelpFormatter
    parser = argparse.ArgumentParser(prog="camera-nano", description="The light of a photo, chosen before the shutter.")
    parser.add_argument("--version", action="version", version=f"camera-nano {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    live = commands.add_parser("live", help="live view, looks beside it, shutter", formatter_class=show)
    live.add_argument(
        "--source",
        default="auto",
        help="auto, demo[:SCENE], v4l2:N, picamera2[:N], video:PATH or folder:PATH",
    )
    live.add_argument("--looks", type=_names, help="names, with commas between; all by default")
    live.add_argument("--host", default="127.0.0.1", help="address to listen on; this device only by default")
    live.add_argument("--port", type=int, default=8000, help="0 takes any free port")
    live.add_argument("--out", type=Path, default=Path("shots"), help="folder of the shots")
    live.add_argument("--headless", action="store_true", help="no page: shoot --shots times, print JSON lines")
    live.add_argument("--shots", type=int, default=1, metavar="N")
    live.add_argument("--every", type=float, default=1.0, metavar="S", help="seconds between shots")
    _add_common(live)

    batch = commands.add_parser("batch", help="folders of photos through the same looks", formatter_class=show)
    batch.add_argument("inputs", nargs="+", type=Path, metavar="INPUT", help="photos or folders of photos")
    batch.add_argument("--out", type=Path, required=True, help="folder to write; the tree of folders is mirrored")
    batch.add_argument("--looks", type=_names, default=["natural"], help="names, with commas between")
    batch.add_argument("--format", choices=FORMATS, default="auto", help="auto: the same kind as the input")
    batch.add_argument("--threads", type=int, default=2, help="photos worked on at a time")
    batch.add_argument("--force", action="store_true", help="also redo what is there already")
    batch.add_argument("--dry-run", action="store_true", help="say what would be done")
    batch.add_argument("--json", action="store_true", help="one JSON line per photo on stdout")
    _add_common(batch)

    enhance = commands.add_parser("enhance", help="one photo", formatter_class=show)
    enhance.add_argument("input", type=Path, metavar="IN")
    enhance.add_argument("output", type=Path, metavar="OUT", help="its extension is the format")
    enhance.add_argument("--look", default="natural")
    _add_common(enhance)

    looks = commands.add_parser("looks", help="the looks there are")
    looks.add_argument("--json", action="store_true")
    doctor = commands.add_parser("doctor", help="what works on this machine, and what to do about the rest")
    doctor.add_argument("--json", action="store_true")
    bench = commands.add_parser("bench", help="how long each stage takes on this machine")
    bench.add_argument("--json", action="store_true")
    model = commands.add_parser("model", help="the model's files")
    model.add_argument("action", choices=["verify"])
    return parser


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _json(value: Any) -> None:
    print(json.dumps(value), flush=True)


def _live(args: argparse.Namespace) -> int:
    from camera_nano.engines import load_editor, verify
    from camera_nano.looks import choose, load_looks
    from camera_nano.paths import pipeline_dir
    from camera_nano.session import Session
    from camera_nano.sources import open_source

    choose(load_looks(pipeline_dir()), args.looks)  # a wrong name or a broken model is told before anything starts
    verify(pipeline_dir())
    _check_writable(args.out)
    session = Session(open_source(args.source), lambda: load_editor(args.engine), args.out, looks=args.looks)
    _say(f"camera: {session.source.name}")
    try:
        if args.headless:
            from camera_nano.headless import shoot

            for shot in shoot(session, args.shots, args.every, args.strength):
                _json(shot.as_dict())
            return OK
        from camera_nano.web.guard import ALWAYS_ALLOWED
        from camera_nano.web.server import serve

        if args.host not in ALWAYS_ALLOWED:
            _say(f"warning: everyone who can reach {args.host} can see the camera and press the shutter")
        serve(session, host=args.host, port=args.port, on_ready=lambda url: _say(f"open {url}  (Ctrl-C ends)"))
        return OK
    finally:
        session.close()


def _check_writable(folder: Path) -> None:
    """Fail before the first shot is lost. Raises OSError naming the folder."""
    import tempfile

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=folder):
        pass


def _batch(args: argparse.Namespace) -> int:
    from camera_nano import batch
    from camera_nano.engines import load_editor
    from camera_nano.looks import choose
    from camera_nano.progress import Progress

    editor = load_editor(args.engine)
    looks = choose(editor.looks, args.looks)
    jobs = batch.plan(args.inputs, args.out, looks, args.format)
    if args.dry_run:
        for job in jobs:
            _json({"input": str(job.input), "outputs": [str(path) for path in job.outputs]})
        _say(f"{len(jobs)} photos would be read, {sum(len(job.outputs) for job in jobs)} written")
        return OK
    progress = Progress(len(jobs))

    def report(result: batch.Result) -> None:
        progress.step()
        if args.json:
            _json(result.as_dict())
        elif result.error:
            progress.note(f"failed: {result.error}")

    summary = batch.run(
        jobs,
        editor,
        looks=looks,
        strength=args.strength,
        threads=args.threads,
        force=args.force,
        on_done=report,
    )
    progress.close()
    _say(str(summary))
    if summary.out_of_space:
        return NO_SPACE
    return SOME_FAILED if summary.failed else OK


def _enhance(args: argparse.Namespace) -> int:
    from camera_nano.decode import open_image
    from camera_nano.encode import format_of, save
    from camera_nano.engines import load_editor
    from camera_nano.enhance import enhance_frame
    from camera_nano.looks import choose

    form = format_of(args.output)
    if args.output.exists() and args.input.exists() and args.output.samefile(args.input):
        raise ValueError(f"{args.output} is the input itself: originals are never overwritten, choose another name")
    picture = open_image(args.input)
    editor = load_editor(args.engine, threads=2)
    [alternative] = enhance_frame(
        picture.frame, editor, choose(editor.looks, [args.look]), strength=args.strength, threads=2
    )
    save(args.output, alternative.image, format=form, metadata=picture.metadata, alpha=picture.alpha)
    return OK


def _looks(args: argparse.Namespace) -> int:
    from camera_nano.looks import load_looks
    from camera_nano.paths import pipeline_dir
    from camera_nano.values import CONTROLS

    looks = load_looks(pipeline_dir()).values()
    if args.json:
        _json([look.as_dict() for look in looks])
        return OK
    print(f"{'look':<12}" + "".join(f"{name:>13}" for name in CONTROLS))
    for look in looks:
        print(f"{look.name:<12}" + "".join(f"{value:>13.2f}" for value in look.controls()))
    return OK


def _doctor(args: argparse.Namespace) -> int:
    from camera_nano.doctor import examine

    findings = examine()
    if args.json:
        _json([finding.as_dict() for finding in findings])
    else:
        for finding in findings:
            print(finding)
    return OK if all(finding.ok or finding.optional for finding in findings) else ENVIRONMENT


def _bench(args: argparse.Namespace) -> int:
    from camera_nano.bench import measure, table

    report = measure(on_row=None if args.json else lambda name: _say(f"measuring {name} ..."))
    if args.json:
        _json(report)
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
    "enhance": _enhance,
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
        args = _parser().parse_args(argv)
    except SystemExit as done:  # argparse exits 2 for usage, 0 for --help
        return int(done.code or 0)
    from camera_nano.engines import ModelError
    from camera_nano.sources import CameraLost

    try:
        return _COMMANDS[args.command](args)
    except KeyboardInterrupt:
        _say("camera-nano: interrupted")
        return INTERRUPTED
    except (ModelError, CameraLost) as error:
        _say(f"camera-nano: {error}")
        return ENVIRONMENT
    except OSError as error:
        _say(f"camera-nano: {_explain(error)}")
        if error.errno == errno.ENOSPC:
            return NO_SPACE
        return SOME_FAILED if args.command in ("enhance", "batch") else ENVIRONMENT
    except ValueError as error:
        from camera_nano.decode import UnreadableImage  # loads libvips: only here

        _say(f"camera-nano: {error}")
        return SOME_FAILED if isinstance(error, UnreadableImage) else USAGE
