"""The product killed at random moments, again and again over what is left, and what must hold afterwards.

A moment is chosen by progress: after so many results, and a random part of what the next one takes; so it means the
same on a slow machine.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import signal
import socket
import struct
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from PIL import Image
from product import Product, Run
from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from camera_nano.batch import FOLDER, Journal

SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT)
LOOK = "natural"
Image.MAX_IMAGE_PIXELS = None  # what is looked into here was made here
_N_PHOTOS, _SIZE_WH = 12, (240, 180)
_CHILDREN_S = 15.0  # for a child to finish the file it is at and to see that its parent has gone
_START_S, _PHOTO_S, _SHOT_S = 1.5, 0.1, 0.15  # moments are spread over these
_SHOTS, _PRESSES = 4, 8
_KILLS_OF_A_FOLDER = 5


@dataclass(frozen=True, slots=True)
class Outcome:
    """What was done to the product, how often, what was there afterwards, and what must not be."""

    fault: str
    how: str
    n: int = 1
    n_files: int = 0  # that were looked into
    n_confirmed: int = 0  # results that were told before, and are there
    violations: tuple[str, ...] = ()
    note: str = ""  # why it was not tried


def photos(folder: Path, n: int = _N_PHOTOS) -> Path:
    """A folder of small photos, always the same."""
    folder.mkdir()
    rng, (width, height) = np.random.default_rng(0), _SIZE_WH
    for number in range(n):
        light = np.outer(np.linspace(0.1, 1, height), np.linspace(1, 0.2, width))[..., None] * rng.uniform(20, 255, 3)
        pixels = np.clip(light + rng.normal(0, 4, (height, width, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.jpg", quality=92)
    return folder


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file in a folder, by its relative path, without what a journal keeps there."""
    files = (path for path in folder.rglob("*") if path.is_file() and FOLDER not in path.relative_to(folder).parts)
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def batch(product: Product, inputs: Path, out: Path, **environment: str) -> Run:
    """A batch with one look, a line of JSON for each photo."""
    return product.start("batch", inputs, "--out", out, "--looks", LOOK, "--json", **environment)


def undisturbed(product: Product, inputs: Path, out: Path) -> dict[str, str]:
    """The files of a run that nobody disturbs. Raises RuntimeError where it fails."""
    run = batch(product, inputs, out)
    if run.end() != 0:
        raise RuntimeError(f"the product does not work here: {run.said.strip()}")
    return digests(out)


def shoot(product: Product, frames: Path, out: Path, n_shots: int, **environment: str) -> Run:
    """Shots without a page, one after the other, a line of JSON for each."""
    argv = ["live", "--headless", "--source", f"folder:{frames}", "--looks", LOOK, "--every", "0"]
    return product.start(*argv, "--shots", str(n_shots), "--out", out, **environment)


def of_batch(lab: Path, product: Product, n: int, dice: random.Random) -> Iterator[Outcome]:
    """Kill a batch, start it again over what it left, and kill that, until it ends by itself; then the next folder."""
    inputs = photos(lab / "photos")
    wanted = undisturbed(product, inputs, lab / "wanted")
    while n:
        with tempfile.TemporaryDirectory(dir=lab) as folder:
            out = Path(folder) / "out"
            for _ in range(min(n, _KILLS_OF_A_FOLDER)):
                how, n_left = dice.choice(SIGNALS), len(wanted.keys() - digests(out).keys())
                run = batch(product, inputs, out)
                if not _hit(run, how, dice.randint(0, n_left), _PHOTO_S, dice):
                    run.end()
                    break
                n -= 1
                yield _after_batch(product, run, how, out, wanted)
            violations = finished(product, inputs, out, wanted)
            yield Outcome("batch", "then run to its end", 1, len(wanted), 0, violations)


def finished(product: Product, inputs: Path, out: Path, wanted: Mapping[str, str]) -> tuple[str, ...]:
    """What is wrong after one more run, which nobody disturbs: it has to make the rest, and to tidy up."""
    run = batch(product, inputs, out)
    code, found, wrong = run.end(), digests(out), run.chatter()
    if code != 0:
        wrong.append(f"the next run ended with {code}: {run.said.strip()[-200:]}")
    wrong += [f"{name} is missing after the next run" for name in wanted.keys() - found.keys()]
    wrong += [f"{name} is left over after the next run" for name in found.keys() - wanted.keys()]
    wrong += [f"{name} has other bytes" for name in wanted.keys() & found.keys() if wanted[name] != found[name]]
    return (*wrong, *_left(product))


def _left(product: Product) -> list[str]:
    """Processes and temporary files that outlived their command."""
    wrong = [f"process {pid} is still alive" for pid in product.alive(_CHILDREN_S)]
    return wrong + [f"{path.name} is left in the folder of temporary files" for path in product.temporary.iterdir()]


def _hit(run: Run, how: signal.Signals, n_results: int, each_s: float, dice: random.Random) -> bool:
    """Send a signal once so many results are new, and a random part of the next; whether it met the process."""
    run.wait_for(lambda: sum(line.get("status", "done") == "done" for line in run.lines) >= n_results)
    time.sleep(dice.uniform(0, each_s if n_results else _START_S))
    return run.send(how)


def _after_batch(product: Product, run: Run, how: signal.Signals, out: Path, wanted: Mapping[str, str]) -> Outcome:
    code, found, wrong = run.end(), digests(out), run.chatter()
    if code is None:
        wrong.append(f"it went on after {how.name}")
    told = [Path(path).name for line in run.lines if line["status"] == "done" for path in line["outputs"]]
    wrong += [f"{name} was told as done and is not there" for name in told if found.get(name) != wanted[name]]
    final = {name: digest for name, digest in found.items() if not Path(name).name.startswith(".camera_nano-")}
    wrong += [f"{name} is half a file" for name, digest in final.items() if wanted.get(name) != digest]
    if Journal.exists(out):
        with Journal(out, read_only=True) as journal:
            wrong += [f"the journal knows {path}, which {what}" for path, what in journal.verify()]
    wrong += [f"process {pid} is still alive" for pid in product.alive(_CHILDREN_S)]
    return Outcome("batch", how.name, 1, len(final), len(told), tuple(wrong))


def of_headless(lab: Path, product: Product, n: int, dice: random.Random) -> Iterator[Outcome]:
    """Kill a session that shoots by the clock, several times over the same folder."""
    frames = photos(lab / "frames", 3)
    while n:
        with tempfile.TemporaryDirectory(dir=lab) as folder:
            album = Album(Path(folder))
            for _ in range(min(n, _KILLS_OF_A_FOLDER)):
                how, hit = dice.choice(SIGNALS), False
                while not hit:
                    run = shoot(product, frames, album.out, _SHOTS)
                    hit = _hit(run, how, dice.randint(0, _SHOTS - 1), _SHOT_S, dice)
                    code = run.end()
                n -= 1
                wrong = [] if code is not None else [f"it went on after {how.name}"]
                wrong += [*run.chatter(), *album.check(run.lines, product)]
                yield Outcome("headless", how.name, 1, album.n_new, len(run.lines), tuple(wrong))
            yield _then_run_to_its_end("headless", product, frames, album)


class Album:
    """A folder of shots that grows from run to run: every file in it is looked into once, and must stay as it is."""

    def __init__(self, folder: Path) -> None:
        self.out, self.n_new = folder / "shots", 0
        self._known: dict[str, str] = {}

    def check(self, confirmed: list[dict[str, Any]], product: Product) -> list[str]:
        """What is wrong with the shots, also with those that were confirmed: none may be lost."""
        found = {name: digest for name, digest in digests(self.out).items() if not name.startswith(".")}
        wrong = [f"{name} was changed or lost" for name, digest in self._known.items() if found.get(name) != digest]
        new = found.keys() - self._known.keys()
        self.n_new, self._known = len(new), found
        wrong += [f"{name} is half a file" for name in new if not is_whole(self.out / name)]
        stems = {name.split("_")[0] for name in found if name.endswith("_original.png")}
        wrong += [f"{name} has no original" for name in new if name.split("_")[0] not in stems]
        paths = [Path(path) for shot in confirmed for path in (shot["original"], *shot["looks"].values())]
        wrong += [f"{path.name} was confirmed and is lost" for path in paths if path.name not in found]
        return wrong + [f"process {pid} is still alive" for pid in product.alive(_CHILDREN_S)]

    def left_over(self) -> list[str]:
        """Files that are no shots."""
        return [f"{path.name} is left in the folder of the shots" for path in self.out.glob(".*")]


def _then_run_to_its_end(kind: str, product: Product, frames: Path, album: Album) -> Outcome:
    """A session over a folder in which others were killed."""
    run = shoot(product, frames, album.out, 1)
    wrong = [] if run.end() == 0 else [f"the next session failed: {run.said.strip()[-200:]}"]
    wrong += [*album.check(run.lines, product), *album.left_over(), *_left(product)]
    return Outcome(kind, "then run to its end", 1, album.n_new, len(run.lines), tuple(wrong))


def is_whole(path: Path) -> bool:
    """Whether a picture file can be read to its end."""
    try:
        with Image.open(path) as picture:
            picture.load()
    except OSError:
        return False
    return path.suffix != ".jpg" or b"\xff\xd9" in path.read_bytes()[-2:]


def of_live(lab: Path, product: Product, n: int, dice: random.Random) -> Iterator[Outcome]:
    """Kill the live app while a page takes shots; after a signal that asks it to end, every press must be on disk."""
    frames = photos(lab / "live frames", 3)
    while n:
        with tempfile.TemporaryDirectory(dir=lab) as folder:
            album = Album(Path(folder))
            for _ in range(min(n, _KILLS_OF_A_FOLDER)):
                n -= 1
                yield _kill_live(product, frames, album, dice)
            yield _then_run_to_its_end("live", product, frames, album)


def _kill_live(product: Product, frames: Path, album: Album, dice: random.Random) -> Outcome:
    how, n_presses = dice.choice(SIGNALS), dice.randint(1, _PRESSES)
    argv: list[str | Path] = [
        "live",
        "--source",
        f"folder:{frames}",
        "--looks",
        LOOK,
        "--port",
        "0",
        "--out",
        album.out,
    ]
    run = product.start(*argv)
    run.wait_for(lambda: "http://" in run.said)
    confirmed, wrong = list[dict[str, Any]](), list[str]()
    try:
        confirmed = _press_and_kill(run, how, n_presses, dice)
    except (OSError, WebSocketException) as error:
        wrong.append(f"a page lost the app before it was killed ({error!r}): {run.said.strip()[-200:]}")
    if run.end() is None:
        wrong.append(f"it went on after {how.name}")
    wrong += [*run.chatter(), *album.check(confirmed, product)]
    if how is not signal.SIGKILL and not wrong and album.n_new != 2 * n_presses:
        wrong.append(f"{n_presses} presses were taken before {how.name}, and {album.n_new} files are there")
    return Outcome("live", how.name, 1, album.n_new, len(confirmed), tuple(wrong))


def _press_and_kill(run: Run, how: signal.Signals, n_presses: int, dice: random.Random) -> list[dict[str, Any]]:
    """Press, wait for some of the answers, send the signal; returns the shots that were answered."""
    found = urlsplit(re.findall(r"http://\S+", run.said)[-1])
    own = socket.create_connection((found.hostname, found.port), timeout=60)  # none through a proxy
    with connect(
        f"ws://{found.netloc}/ws", sock=own, compression=None, max_size=None, max_queue=None, ping_interval=None
    ) as page:
        shown = _first_look(page)
        press = {"type": "shoot", "look": LOOK, "strength": 1.0} | shown
        for _ in range(n_presses):
            page.send(json.dumps(press))
        page.send("{}")  # it is refused: whoever reads that knows that the presses before it were taken
        confirmed, is_taken, n_wanted = list[dict[str, Any]](), False, dice.randint(0, n_presses)
        while not is_taken or len(confirmed) < n_wanted:
            message = page.recv(timeout=60)
            answer = {} if isinstance(message, bytes) else json.loads(message)
            is_taken |= answer.get("type") == "error"
            confirmed += [answer] if answer.get("type") == "shot" else []
        time.sleep(dice.uniform(0, _SHOT_S))
        run.send(how)
        return confirmed


def _first_look(page: ClientConnection) -> dict[str, int]:
    """The numbers of a frame and a proposal that the page shows."""
    while True:
        message = page.recv(timeout=60)
        if isinstance(message, bytes):
            (length,) = struct.unpack_from(">I", message)
            header = json.loads(message[4 : 4 + length])
            if header["proposal_id"] is not None:
                return {name: header[name] for name in ("frame_id", "proposal_id")}
            page.send('{"type": "ready"}')
