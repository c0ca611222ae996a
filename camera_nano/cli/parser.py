"""The flags of the command line; most become an argument of the function that does the work."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from camera_nano import __version__
from camera_nano.cli import flags
from camera_nano.console import is_json, say
from camera_nano.errors import ExitCode

if TYPE_CHECKING:
    from camera_nano.recipe import Labels

    Commands = argparse._SubParsersAction["_Parser"]


def parser() -> argparse.ArgumentParser:
    """Every command and its flags."""
    root = _Parser(prog="camera-nano", description="The light of a photo, chosen before the shutter.")
    root.add_argument("--version", action="version", version=f"camera-nano {__version__}")
    commands = root.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for add in (_live, _batch, _journal, _enhance, _merge, _inspect, _recipe, _looks, _doctor, _bench, _model, _purge):
        add(commands)
    return root


def labels_of(args: argparse.Namespace) -> Labels:
    """What goes into the files. Raises ValueError where --sign needs an extra that is not installed."""
    from camera_nano.files.signing import require
    from camera_nano.recipe import Labels

    if args.sign:
        require()
    location = not getattr(args, "strip_location", False)
    return Labels(marking=not args.no_marking, location=location, signature=args.sign)


def _live(commands: Commands) -> None:
    live = _command(commands, "live", "Show a live view with the looks beside it, and take pictures.")
    live.add_argument(
        "--source",
        type=flags.utf8,
        default="auto",
        help="the camera: auto (the demo until there is one), camera (the first one that works), demo[:SCENE], v4l2:N, "
        "picamera2[:N], video:PATH, folder:PATH or browser",
    )
    live.add_argument(
        "--looks", type=flags.names, help="names of looks, or words, with commas between; without it, all"
    )
    _add_page(live)
    live.add_argument("--out", type=flags.utf8_path, default=Path("shots"), help="the folder to save shots in")
    live.add_argument("--dng", action="store_true", help="also save the sensor's raw values, if the camera gives them")
    live.add_argument(
        "--night",
        choices=["auto", "off"],
        default="auto",
        help="auto merges several frames for a look in the dark; off makes it of one",
    )
    live.add_argument(
        "--bracket",
        choices=["auto", "off"],
        help="auto, the default where the compiled loops are, takes darker frames between the others while light "
        "clips, where the camera can",
    )
    _add_unattended(live)
    flags.add_model(live)
    flags.add_labels(live)


def _add_page(live: argparse.ArgumentParser) -> None:
    """Where the page is, and who may open it."""
    live.add_argument("--host", help="the address to listen on; without it, only this device can open the page")
    live.add_argument("--lan", action="store_true", help="let other devices in, once they pair by the code shown")
    live.add_argument(
        "--tls-cert", type=Path, metavar="FILE", help="a certificate (PEM): https lets phones lend a camera"
    )
    live.add_argument("--tls-key", type=Path, metavar="FILE", help="the key of that certificate (PEM)")
    live.add_argument(
        "--allow-host",
        action="append",
        default=[],
        type=flags.host_name,
        metavar="NAME",
        help="another name that the page is opened by, that of a proxy; every device has to pair then, this one too",
    )
    live.add_argument(
        "--root-path", default="", type=flags.root_path, metavar="/PATH", help="where a proxy shows the page, as above"
    )
    live.add_argument("--pair-local", action="store_true", help="let programs on this device pair first, too")
    live.add_argument("--port", type=flags.port, default=8000, help="the port to listen on; 0 takes any free one")
    live.add_argument("--phone-app", type=Path, metavar="DIR", help="also hand out the web app of tools/install/pwa.sh")


def _add_unattended(live: argparse.ArgumentParser) -> None:
    """Without a page, or beside it: who shoots, and where the view goes."""
    live.add_argument("--headless", action="store_true", help="serve no page; print a JSON line for each shot")
    live.add_argument(
        "--shots",
        type=flags.count,
        metavar="N",
        help="end after N shots (--headless); without it 1, or no end with a button",
    )
    live.add_argument(
        "--every", type=flags.seconds, default=1.0, metavar="S", help="the seconds between shots (--headless)"
    )
    live.add_argument("--gpio-button", type=int, metavar="PIN", help="shoot by a button on this pin of a Pi (BCM)")
    live.add_argument("--gpio-led", type=int, metavar="PIN", help="light an LED on this pin while a shot is saved")
    live.add_argument("--virtual-camera", metavar="DEVICE", help="send the view to this v4l2loopback device as well")
    live.add_argument("--virtual-look", metavar="LOOK", help="the look to send there; without it, the original")


def _batch(commands: Commands) -> None:
    batch = _command(commands, "batch", "Give the same looks to all photos of some folders.")
    batch.add_argument("inputs", nargs="+", metavar="INPUT", help="photos, or folders of photos")
    batch.add_argument("--out", required=True, help="the folder to write to; it gets the same subfolders")
    batch.add_argument(
        "--runner",
        choices=["local", "ray"],
        default="local",
        help="ray works on the cluster at RAY_ADDRESS, or on one it starts here; INPUT and OUT may then be URLs, such"
        " as s3://bucket/photos",
    )
    batch.add_argument(
        "--looks", type=flags.names, default="natural", help="names of looks, or words, with commas between"
    )
    flags.add_format(batch, "auto keeps the kind of file that each photo is")
    batch.add_argument("--threads", type=flags.count, default=2, help="how many photos to work on at a time")
    batch.add_argument(
        "--merge",
        choices=["auto", "off"],
        help="auto also merges photos that surely are one bracket, or one burst in the dark, into a picture more, with "
        "its own looks; it is the default for folders of this machine",
    )
    flags.add_strip_location(batch)
    flags.add_assume(batch)
    flags.add_keep_times(batch)
    _add_share(batch)
    batch.add_argument("--report", type=Path, metavar="FILE.html", help="write a page of every photo, before and after")
    batch.add_argument("--contact-sheet", type=Path, metavar="FILE.jpg", help="write one picture of all photos")
    batch.add_argument(
        "--force",
        action="store_true",
        help="do photos again whose outputs are there already, even if others have changed or made what is there",
    )
    batch.add_argument("--dry-run", action="store_true", help="only tell what would be done")
    batch.add_argument("--json", action="store_true", help="print a JSON line for each photo")
    flags.add_model(batch)
    flags.add_labels(batch)


def _add_share(batch: argparse.ArgumentParser) -> None:
    """Which of the photos a run does, and when it ends."""
    batch.add_argument("--retry-failed", action="store_true", help="try photos again that failed in an earlier run")
    batch.add_argument("--max-failures", type=int, metavar="N", help="stop when N photos have failed")
    batch.add_argument("--watch", action="store_true", help="wait for new photos, and do them too, until Ctrl-C")
    batch.add_argument(
        "--shard", type=flags.shard, metavar="I/N", help="do only the I-th of N parts, on one of N machines"
    )


def _journal(commands: Commands) -> None:
    journal = _command(commands, "journal", "Merge the journals of a batch's shards, or verify every file it wrote.")
    journal.add_argument("action", choices=["merge", "verify"])
    journal.add_argument("out", type=Path, metavar="OUT", help="the folder that was the --out of the batch")
    flags.add_json(journal)


def _enhance(commands: Commands) -> None:
    enhance = _command(commands, "enhance", "Give one look to one photo.")
    enhance.add_argument("input", type=Path, metavar="IN", help="the photo")
    enhance.add_argument("output", type=Path, metavar="OUT", help="the file to write; its extension says the format")
    flags.add_format(enhance, "auto goes by the extension of OUT; ultrahdr, avif and heic keep the light above white")
    flags.add_strip_location(enhance)
    flags.add_assume(enhance)
    flags.add_keep_times(enhance)
    enhance.add_argument("--look", default="natural", help="the name of a look, or words: 'warm evening light'")
    flags.add_model(enhance)
    flags.add_labels(enhance)


def _merge(commands: Commands) -> None:
    merge = _command(commands, "merge", "Merge photos of one scene, a bracket or a burst, into one picture.")
    merge.add_argument("inputs", nargs="+", type=Path, metavar="PHOTO", help="two photos or more, hand-held or not")
    merge.add_argument(
        "-o",
        "--out",
        type=Path,
        required=True,
        metavar="OUT",
        help="the file to write: .tif holds linear light of 16 bits, .exr of floats; others hold a look, such as .jpg",
    )
    merge.add_argument(
        "--looks",
        type=flags.names,
        help="names of looks, or words, with commas between; of several, each "
        "gets its name into that of the file; natural where OUT cannot hold linear light",
    )
    flags.add_strip_location(merge)
    flags.add_keep_times(merge)
    flags.add_json(merge)
    flags.add_model(merge)
    flags.add_labels(merge)


def _inspect(commands: Commands) -> None:
    inspect = _command(commands, "inspect", "Tell what a picture file holds, and what is wrong with it.")
    inspect.add_argument("file", type=Path, metavar="FILE", help="the picture")
    flags.add_json(inspect)


def _recipe(commands: Commands) -> None:
    recipe = _command(commands, "recipe", "Tell how a look's file was made, or make it again.")
    recipe.add_argument("input", type=Path, metavar="FILE", help="a file that camera_nano made")
    recipe.add_argument(
        "--redo",
        nargs="+",
        type=Path,
        metavar=("PHOTO", "OUT"),
        help="do the same to PHOTO, into OUT; give all photos of what was merged, or one that has the others beside it",
    )
    flags.add_json(recipe)
    flags.add_strip_location(recipe)
    flags.add_keep_times(recipe)
    flags.add_labels(recipe)


def _looks(commands: Commands) -> None:
    looks = _command(commands, "looks", "List the looks, or tell what words for light are understood as.")
    looks.add_argument("text", nargs="?", help="words to try: 'slightly darker, open shadows'")
    looks.add_argument("--words", action="store_true", help="list the words that are understood")
    flags.add_json(looks)


def _doctor(commands: Commands) -> None:
    doctor = _command(commands, "doctor", "Tell what works on this machine, and how to get what does not.")
    flags.add_json(doctor)


def _bench(commands: Commands) -> None:
    bench = _command(commands, "bench", "Measure how long each stage takes on this machine, and what rate it keeps up.")
    flags.add_json(bench)
    bench.add_argument("--quick", action="store_true", help="take seconds instead of minutes; the times are rougher")
    bench.add_argument("--live", action="store_true", help="also measure the live app with one page open")
    bench.add_argument("--scale", action="store_true", help="also measure how times grow with looks, pixels and pages")
    bench.add_argument("--plot", type=Path, metavar="FILE.png", help="measure as with --scale, and plot that")
    bench.add_argument("--target", choices=["pi5"], help="measure nothing; estimate the times of this other machine")


def _model(commands: Commands) -> None:
    model = _command(commands, "model", "Check that the model's files are whole.")
    model.add_argument("action", choices=["verify"])


def _purge(commands: Commands) -> None:
    purge = _command(commands, "purge", "List what camera_nano keeps in your own folders, or remove it.")
    purge.add_argument("--yes", action="store_true", help="remove it: the key of --sign, and journals of object stores")


def _command(commands: Commands, name: str, does: str) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=does, description=does, formatter_class=_Help)
    log = "print JSON on stderr, an object a line: what happens, how far it is, and errors"
    command.add_argument("--log-json", action="store_true", help=log)
    return command


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with the flags as all else is said."""

    def error(self, message: str) -> NoReturn:
        if not is_json():
            super().error(message)
        say(f"{self.prog}: {message}", "error", "error", exit_code=int(ExitCode.USAGE))
        sys.exit(ExitCode.USAGE)


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Shows the defaults that say something: not None, nor the False of a switch."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        is_plain = action.default is None or action.default is False
        return action.help if is_plain else super()._get_help_string(action)
