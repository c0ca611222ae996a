"""The flags of the command line, one to one the arguments of functions."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from camera_nano import __version__

if TYPE_CHECKING:
    from camera_nano.photo import Labels

FORMATS = ("auto", "jpeg", "ultrahdr", "png", "tiff", "webp", "avif", "heic")


def _strength(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"strength is 0 (the original) to 1 (the full look), not {text}")
    return value


def _shard(text: str) -> tuple[int, int]:
    number, slash, n_shards = text.partition("/")
    if not (slash and number.isdecimal() and n_shards.isdecimal() and 1 <= int(number) <= int(n_shards)):
        raise argparse.ArgumentTypeError(f"a shard is I/N with I from 1 to N, not {text}")
    return int(number), int(n_shards)


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--engine", choices=["onnx", "torch"], default="onnx", help="what runs the model")
    parser.add_argument("--strength", type=_strength, default=1.0, metavar="0..1", help="0 keeps the original")
    parser.add_argument("--seed", type=int, default=0, help="of the noise; the same seed gives the same bytes")
    parser.add_argument("--steps", type=int, choices=[1, 2], default=2, help="of the diffusion; 1 is faster")


def _add_labels(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--no-marking", action="store_true", help="do not write that a model edited it, nor the recipe")
    parser.add_argument("--sign", action="store_true", help="sign looks with this device's own key (C2PA)")


def labels_of(args: argparse.Namespace) -> Labels:
    """What goes into files. Raises ValueError where the extra that signs is asked for and not there."""
    from camera_nano.photo import Labels
    from camera_nano.provenance import require

    if args.sign:
        require()
    location = not getattr(args, "strip_location", False)
    return Labels(marking=not args.no_marking, location=location, signature=args.sign)


def parser() -> argparse.ArgumentParser:
    """Every command and its flags."""
    show = argparse.ArgumentDefaultsHelpFormatter
    root = argparse.ArgumentParser(prog="camera-nano", description="The light of a photo, chosen before the shutter.")
    root.add_argument("--version", action="version", version=f"camera-nano {__version__}")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")

    live = commands.add_parser("live", help="live view, looks beside it, shutter", formatter_class=show)
    live.add_argument(
        "--source",
        default="auto",
        help="auto, demo[:SCENE], v4l2:N, picamera2[:N], video:PATH, folder:PATH or browser",
    )
    live.add_argument("--looks", type=_names, help="names or words, with commas between; all by default")
    live.add_argument("--host", help="address to listen on; this device only by default")
    live.add_argument("--lan", action="store_true", help="let devices of the network in that pair by the code shown")
    live.add_argument("--tls-cert", type=Path, metavar="FILE", help="certificate (PEM): https, as phones need to lend")
    live.add_argument("--tls-key", type=Path, metavar="FILE", help="its key")
    live.add_argument("--port", type=int, default=8000, help="0 takes any free port")
    live.add_argument("--out", type=Path, default=Path("shots"), help="folder of the shots")
    live.add_argument("--dng", action="store_true", help="also save the sensor's own values, where the camera has them")
    live.add_argument(
        "--headless", action="store_true", help="no page: shoot --shots times, or on the button; print JSON lines"
    )
    live.add_argument("--shots", type=int, metavar="N", help="1, or with a button as many as it is pressed")
    live.add_argument("--every", type=float, default=1.0, metavar="S", help="seconds between shots")
    live.add_argument("--gpio-button", type=int, metavar="PIN", help="a shutter button on a Pi's header (BCM number)")
    live.add_argument("--gpio-led", type=int, metavar="PIN", help="a light that is on while a picture is saved")
    live.add_argument("--virtual-camera", metavar="DEVICE", help="also be a camera to other programs (v4l2loopback)")
    live.add_argument("--virtual-look", metavar="LOOK", help="what it shows; the original by default")
    _add_common(live)
    _add_labels(live)

    batch = commands.add_parser("batch", help="folders of photos through the same looks", formatter_class=show)
    batch.add_argument("inputs", nargs="+", metavar="INPUT", help="photos or folders of photos")
    batch.add_argument("--out", required=True, help="folder to write; the tree of folders is mirrored")
    runner = "ray: on a cluster (RAY_ADDRESS), or one made here; takes URLs too, such as s3://bucket/photos"
    batch.add_argument("--runner", choices=["local", "ray"], default="local", help=runner)
    batch.add_argument("--looks", type=_names, default=["natural"], help="names or words, with commas between")
    batch.add_argument("--format", choices=FORMATS, default="auto", help="auto: the same kind as the input")
    batch.add_argument("--threads", type=int, default=2, help="photos worked on at a time")
    batch.add_argument("--strip-location", action="store_true", help="outputs do not say where they were taken")
    batch.add_argument("--retry-failed", action="store_true", help="read again what failed before")
    batch.add_argument("--max-failures", type=int, metavar="N", help="stop when so many photos have failed")
    batch.add_argument("--watch", action="store_true", help="go on, and take photos that come, until Ctrl-C")
    batch.add_argument("--shard", type=_shard, metavar="I/N", help="only the I-th of N parts, for N machines")
    batch.add_argument("--report", type=Path, metavar="FILE.html", help="before and after of every photo, in one file")
    batch.add_argument("--contact-sheet", type=Path, metavar="FILE.jpg", help="all of them on one picture")
    batch.add_argument("--force", action="store_true", help="also redo what is there already")
    batch.add_argument("--dry-run", action="store_true", help="say what would be done")
    batch.add_argument("--json", action="store_true", help="one JSON line per photo on stdout")
    _add_common(batch)
    _add_labels(batch)

    journal = commands.add_parser("journal", help="the journal of a batch: take over those of shards, check every file")
    journal.add_argument("action", choices=["merge", "verify"])
    journal.add_argument("out", type=Path, metavar="OUT", help="the --out of the batch")
    journal.add_argument("--json", action="store_true")

    enhance = commands.add_parser("enhance", help="one photo", formatter_class=show)
    enhance.add_argument("input", type=Path, metavar="IN")
    enhance.add_argument("output", type=Path, metavar="OUT", help="its extension is the format")
    enhance.add_argument(
        "--format",
        choices=FORMATS,
        default="auto",
        help="auto: as the extension says; ultrahdr is a JPEG with the light above white in it, and so are avif, heic",
    )
    enhance.add_argument("--strip-location", action="store_true", help="OUT does not say where it was taken")
    enhance.add_argument("--look", default="natural", help="a name, or words: 'warm evening light'")
    _add_common(enhance)
    _add_labels(enhance)

    inspect = commands.add_parser("inspect", help="what a picture file holds, and what is wrong with it")
    inspect.add_argument("file", type=Path, metavar="FILE")
    inspect.add_argument("--json", action="store_true")
    recipe = commands.add_parser("recipe", help="how a look's file was made; make it once more")
    recipe.add_argument("input", type=Path, metavar="FILE", help="a file that camera_nano has made")
    recipe.add_argument("--redo", nargs=2, type=Path, metavar=("PHOTO", "OUT"), help="make it of this photo, into OUT")
    recipe.add_argument("--json", action="store_true")
    recipe.add_argument("--strip-location", action="store_true", help="OUT does not say where it was taken")
    _add_labels(recipe)

    looks = commands.add_parser("looks", help="the looks there are, and what words for light are understood as")
    looks.add_argument("text", nargs="?", help="words to try: 'slightly darker, open shadows'")
    looks.add_argument("--words", action="store_true", help="list the words")
    looks.add_argument("--json", action="store_true")
    doctor = commands.add_parser("doctor", help="what works on this machine, and what to do about the rest")
    doctor.add_argument("--json", action="store_true")
    bench = commands.add_parser("bench", help="how long each stage takes on this machine, and what it sustains")
    bench.add_argument("--json", action="store_true")
    bench.add_argument("--quick", action="store_true", help="seconds instead of minutes, with rougher figures")
    bench.add_argument("--live", action="store_true", help="also the live app with one page: rates, age, memory, start")
    bench.add_argument("--scale", action="store_true", help="also how the cost grows with looks, pixels and pages")
    bench.add_argument("--plot", type=Path, metavar="FILE.png", help="draw what --scale measures, and measure it")
    bench.add_argument("--target", choices=["pi5"], help="instead: an estimate for another machine, from counts")
    model = commands.add_parser("model", help="the model's files")
    model.add_argument("action", choices=["verify"])
    return root
