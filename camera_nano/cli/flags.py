"""What flags of several commands share, and what the text of a flag may be: each kind raises ArgumentTypeError."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from camera_nano.formats import WRITTEN
from camera_nano.values import ASSUMED


def add_model(command: argparse.ArgumentParser) -> None:
    """Which model, how it draws, and how much of it is used."""
    command.add_argument("--engine", choices=["onnx", "torch"], default="onnx", help="the library that runs the model")
    command.add_argument(
        "--strength", type=strength, default=1.0, metavar="0..1", help="0 keeps the original, 1 is the full look"
    )
    command.add_argument(
        "--seed", type=seed, default=0, help="of the model's noise; the same seed gives the same bytes"
    )
    command.add_argument("--steps", type=int, choices=[1, 2], default=2, help="steps of the diffusion; 1 is faster")


def add_labels(command: argparse.ArgumentParser) -> None:
    """What is written into files beside the picture; `parser.labels_of` reads it."""
    command.add_argument(
        "--no-marking", action="store_true", help="do not write into files that a model edited them, nor the recipe"
    )
    command.add_argument("--sign", action="store_true", help="sign the looks' files with this device's own key (C2PA)")


def add_format(command: argparse.ArgumentParser, help: str) -> None:
    """The kind of file to write."""
    command.add_argument("--format", choices=("auto", *WRITTEN), default="auto", help=help)


def add_strip_location(command: argparse.ArgumentParser) -> None:
    """Whether files say where a photo was taken."""
    command.add_argument("--strip-location", action="store_true", help="do not write where the photo was taken")


def add_assume(command: argparse.ArgumentParser) -> None:
    """What the model takes photos for."""
    command.add_argument(
        "--assume",
        choices=ASSUMED,
        default="auto",
        help="captured gives new light to photos that look finished, too; finished keeps the light of all",
    )


def add_keep_times(command: argparse.ArgumentParser) -> None:
    """Whose time the files get."""
    command.add_argument(
        "--keep-times",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="give the files the time of the photo's last change",
    )


def add_json(command: argparse.ArgumentParser) -> None:
    """JSON on stdout."""
    command.add_argument("--json", action="store_true", help="print JSON, for scripts")


def strength(text: str) -> float:
    """A number from 0 to 1."""
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"strength is 0 (the original) to 1 (the full look), not {text}")
    return value


def shard(text: str) -> tuple[int, int]:
    """I/N as (I, N), 1 <= I <= N."""
    number, slash, n_shards = text.partition("/")
    if not (slash and number.isdecimal() and n_shards.isdecimal() and 1 <= int(number) <= int(n_shards)):
        raise argparse.ArgumentTypeError(f"a shard is I/N with I from 1 to N, not {text}")
    return int(number), int(n_shards)


def names(text: str) -> list[str]:
    """What stands between commas, without the spaces around it."""
    return [name.strip() for name in text.split(",") if name.strip()]


def count(text: str) -> int:
    """A whole number from 1."""
    if not text.isdecimal() or not 1 <= int(text[:9]) < 10**8:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of them: give 1 or more")
    return int(text)


def seconds(text: str) -> float:
    """Seconds, 0 to a million."""
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 1e6:  # NaN is neither
        raise argparse.ArgumentTypeError(f"{text!r} is no time: give seconds, 0 to 1000000")
    return value


def seed(text: str) -> int:
    """A whole number of at most 15 digits."""
    if not text.isdecimal() or len(text) > 15:  # what every JSON reader holds
        raise argparse.ArgumentTypeError(f"{text!r} is no seed: give a whole number of up to 15 digits")
    return int(text)


def utf8(text: str) -> str:
    """A name that cameras and pages can show."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not UTF-8, which cameras and pages need: rename it") from error
    return text


def utf8_path(text: str) -> Path:
    """A path, as `utf8`."""
    return Path(utf8(text))


def port(text: str) -> int:
    """A port, 0 to 65535."""
    if not text.isdecimal() or not int(text[:9]) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: choose one from 1 to 65535, or 0 for any free one")
    return int(text)


def host_name(text: str) -> str:
    """A host, with its port or without."""
    if not re.fullmatch(r"[\w.-]+(:\d{1,5})?", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r} is no name: give it as in photos.example.org, without https://")
    return text


def root_path(text: str) -> str:
    """A path as /camera, or nothing."""
    path = f"/{text.strip('/')}".rstrip("/")
    if not re.fullmatch(r"(/[\w.~-]+)*", path, re.ASCII):
        raise argparse.ArgumentTypeError(f"{text!r} is no path of a page: give it as in /camera")
    return path
