"""Kill the product, fill its disk, take its folders away: what must hold afterwards holds, or the exit code is 1.

    python tools/checks/faults.py [--kills 1000] [--seed 0] [--json]

Half of the kills meet a batch, a quarter shots without a page, a quarter the live app with a page that shoots. After
each: no half file under a final name, nothing lost that was told as done, a journal that opens and knows no file that
is not there, no process left alive. The next run makes the rest, byte for byte as if nothing had happened, and leaves
no temporary file. Faults that need a small or a read-only file system need the right to mount. Ctrl-C ends it with the
table so far.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import random
import shlex
import shutil
import signal
import sqlite3
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

import kills
from kills import Outcome, batch, digests, finished, shoot, undisturbed
from lab import Lab, NotHere, ended, half, mount, mounted
from product import AS_INSTALLED, Product

from camera_nano.batch import FOLDER
from camera_nano.paths import pipeline_dir

_FULL_KIB, _ROOM_KIB = 192, 8192
_ENVIRONMENT, _NO_SPACE = 3, 4  # exit codes
# the product with a clock that is set back by a day after some looks at it, as another program may do
_CLOCK = """
import sys, time
now, n = time.time, 0
def clock():
    global n
    n += 1
    return now() - (86400 if n > 6 else 0)
time.time = clock
from camera_nano.cli import main
sys.exit(main())
"""


def disk_full(lab: Lab) -> Iterator[Outcome]:
    """A batch and shots on a disk without room, and once more with room."""
    place = lab.place()
    with mounted(place, "-t", "tmpfs", "-o", f"size={_FULL_KIB}k", "tmpfs"):
        out = place / "out"
        wrong = ended(batch(lab.product, lab.inputs, out), _NO_SPACE, telling="no space")
        wrong += half(lab, out)
        mount("-o", f"remount,size={_ROOM_KIB}k", str(place))
        wrong += finished(lab.product, lab.inputs, out, lab.wanted)
        yield Outcome("disk full", "batch", 1, len(lab.wanted), 0, tuple(wrong))
    for is_freed in (False, True):
        with mounted(place, "-t", "tmpfs", "-o", f"size={_FULL_KIB}k", "tmpfs"):
            yield _shots_on_full_disk(lab, place, is_freed)


def _shots_on_full_disk(lab: Lab, place: Path, is_freed: bool) -> Outcome:
    n_shots, album = 12, kills.Album(place)
    run = shoot(lab.product, lab.inputs, album.out, n_shots)
    wrong = [] if run.wait_for(lambda: "kept in memory" in run.said) else ["a full disk is not told"]
    if is_freed:
        mount("-o", f"remount,size={_ROOM_KIB}k", str(place))
        wrong += ended(run, 0, telling="room again")
        wrong += [] if len(run.lines) == n_shots else [f"{len(run.lines)} of {n_shots} shots are saved"]
    else:
        run.send(signal.SIGTERM)
        wrong += ended(run, _NO_SPACE, telling="could not be saved")
    wrong += album.check(run.lines, lab.product) + album.left_over()
    how = "shots, then room is made" if is_freed else "shots, then told to end"
    return Outcome("disk full", how, 1, album.n_new, len(run.lines), tuple(wrong))


def read_only(lab: Lab) -> Iterator[Outcome]:
    """Outputs into a folder that cannot be written."""
    place = lab.place()
    with mounted(place, "--bind", str(place)):
        mount("-o", "remount,ro,bind", str(place))
        for how, run in (
            ("batch", batch(lab.product, lab.inputs, place / "out")),
            ("shots", shoot(lab.product, lab.inputs, place / "out", 2)),
        ):
            yield Outcome("folder read-only", how, violations=tuple(ended(run, 1, _ENVIRONMENT, telling=str(place))))


def removed(lab: Lab) -> Iterator[Outcome]:
    """The output folder goes away in the middle of a run."""
    place = lab.place()
    run = batch(lab.product, lab.inputs, place / "out")
    run.wait_for(lambda: len(run.lines) >= 3)
    (place / "out").rename(place / "gone")
    wrong = ended(run, 1, 0)
    last = {line["input"]: line for line in run.lines}
    told = [Path(path) for line in last.values() if line["status"] == "done" for path in line["outputs"]]
    wrong += [f"{path.name} was told as done and is not there" for path in told if not path.is_file()]
    wrong += finished(lab.product, lab.inputs, place / "out", lab.wanted)
    yield Outcome("folder removed", "batch", 1, len(lab.wanted), len(told), tuple(wrong))

    place = lab.place()
    album = kills.Album(place)
    run = shoot(lab.product, lab.inputs, album.out, 8)
    run.wait_for(lambda: len(run.lines) >= 3)
    album.out.rename(place / "gone")
    n_before = len(run.lines) + 1  # one may have been on its way
    wrong = ended(run, 0) + album.check(run.lines[n_before:], lab.product)
    yield Outcome("folder removed", "shots", 1, album.n_new, len(run.lines), tuple(wrong))


def clock_back(lab: Lab) -> Iterator[Outcome]:
    """The clock is set back by a day in the middle of a run."""
    product = Product(lab.product.home, (sys.executable, "-P", "-c", _CLOCK))
    place = lab.place()
    wrong = ended(batch(product, lab.inputs, place), 0)
    wrong += finished(lab.product, lab.inputs, place, lab.wanted)
    yield Outcome("clock set back", "batch", 1, len(lab.wanted), 0, tuple(wrong))

    n_shots, album = 12, kills.Album(lab.place())
    run = shoot(product, lab.inputs, album.out, n_shots)
    wrong = ended(run, 0) + album.check(run.lines, product)
    days = {line["taken_at"][:10] for line in run.lines}
    wrong += [] if album.n_new == 2 * n_shots else [f"{album.n_new} files of {n_shots} shots are there"]
    wrong += [] if len(days) == 2 else [f"the shots are of {len(days)} days: nothing was tried"]
    yield Outcome("clock set back", "shots", 1, album.n_new, len(run.lines), tuple(wrong))


def _garbage(journal: Path) -> None:
    journal.write_bytes(b"this is no database\n" * 500)


def _torn(journal: Path) -> None:
    data = journal.read_bytes()
    journal.write_bytes(data[: len(data) // 2] + bytes(len(data) // 4))


def _sql(text: str) -> Callable[[Path], None]:
    def write(journal: Path) -> None:
        with contextlib.closing(sqlite3.connect(journal)) as database:
            database.executescript(text)

    return write


_JOURNALS: dict[str, Callable[[Path], None]] = {
    "no database": _garbage,
    "torn": _torn,
    "of another program": _sql("PRAGMA application_id = 42; DROP TABLE outputs; CREATE TABLE songs (title TEXT);"),
    "of a newer version": _sql("PRAGMA user_version = 99;"),
}


def journals(lab: Lab) -> Iterator[Outcome]:
    """A journal that cannot be used is told and left as it is; without it, the outputs are known again."""
    for how, spoil in _JOURNALS.items():
        out = lab.place() / "out"
        undisturbed(lab.product, lab.inputs, out)
        journal = out / FOLDER / "journal.sqlite"
        spoil(journal)
        before = journal.read_bytes()
        wrong = ended(batch(lab.product, lab.inputs, out), _ENVIRONMENT, telling=str(journal))
        wrong += half(lab, out) + ([] if journal.read_bytes() == before else ["the journal was changed"])
        for part in journal.parent.glob("journal.*"):
            part.rename(lab.place() / part.name)
        wrong += finished(lab.product, lab.inputs, out, lab.wanted)
        yield Outcome("journal", how, 1, len(lab.wanted), 0, tuple(wrong))
    yield from _locked(lab)


def _locked(lab: Lab) -> Iterator[Outcome]:
    out = lab.place() / "out"
    undisturbed(lab.product, lab.inputs, out)
    journal = out / FOLDER / "journal.sqlite"
    with journal.with_suffix(".lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wrong = ended(batch(lab.product, lab.inputs, out), _ENVIRONMENT, telling="another run")
    yield Outcome("journal", "locked by another run", violations=(*wrong, *half(lab, out)))
    with contextlib.closing(sqlite3.connect(journal, isolation_level=None)) as database:
        database.execute("PRAGMA locking_mode = EXCLUSIVE")
        database.execute("BEGIN EXCLUSIVE")
        wrong = ended(batch(lab.product, lab.inputs, out), _ENVIRONMENT, telling=str(journal))
    wrong += half(lab, out) + list(finished(lab.product, lab.inputs, out, lab.wanted))
    yield Outcome("journal", "open in another program", 1, len(lab.wanted), 0, tuple(wrong))


def weights(lab: Lab) -> Iterator[Outcome]:
    """Weights that are not the ones that were shipped: nothing is made with them."""
    names = sorted(path.name for path in pipeline_dir().glob("*.onnx"))
    spoiled = dict.fromkeys(names, "one bit flipped") | {f"{names[0]} <-> {names[1]}": "swapped"}
    for number, (which, how) in enumerate(spoiled.items()):
        copy = shutil.copytree(pipeline_dir(), lab.place() / "relight")
        first, *second = (copy / name for name in which.split(" <-> "))
        data = bytearray(first.read_bytes())
        data[len(data) // 2] ^= 1
        if second:
            second[0].rename(first)
        else:
            first.write_bytes(data)
        out, start = lab.place() / "out", (batch, shoot)[number % 2]
        own = {"CAMERA_NANO_PIPELINE": str(copy)}
        run = (
            batch(lab.product, lab.inputs, out, **own)
            if start is batch
            else shoot(lab.product, lab.inputs, out, 1, **own)
        )
        wrong = ended(run, _ENVIRONMENT, telling=first.name)
        wrong += [f"{name} was made with them" for name in digests(out)]
        yield Outcome("weights", how, violations=tuple(wrong))


FAULTS = (disk_full, read_only, removed, clock_back, journals, weights)
KILLS = ((kills.of_batch, 2), (kills.of_headless, 1), (kills.of_live, 1))  # and how large a part of them


def outcomes(folder: Path, product: Product, n_kills: int, seed: int) -> Iterator[Outcome]:
    """Every fault, then every kill, as they are tried."""
    lab = Lab(folder, product)
    for fault in FAULTS:
        try:
            yield from fault(lab)
        except NotHere as error:
            yield Outcome((fault.__name__).replace("_", " "), "-", 0, note=str(error))
    dice, n_parts = random.Random(seed), sum(part for _, part in KILLS)
    for kill, part in KILLS:
        yield from kill(folder, product, -(-n_kills * part // n_parts), dice)


def summed(found: Sequence[Outcome]) -> list[Outcome]:
    """One outcome for each fault and way, with its counts, and each violation once."""
    order = {(each.fault, each.how): number for number, each in reversed(list(enumerate(found)))}
    rows = []
    for (fault, how), group in groupby(sorted(found, key=lambda each: order[each.fault, each.how]), _name):
        same = list(group)
        n, n_files, n_confirmed = (
            sum(getattr(each, name) for each in same) for name in ("n", "n_files", "n_confirmed")
        )
        wrong = tuple(line for each in same for line in each.violations)
        rows.append(Outcome(fault, how, n, n_files, n_confirmed, wrong, same[0].note))
    return rows


def _name(outcome: Outcome) -> tuple[str, str]:
    return outcome.fault, outcome.how


def table(rows: Sequence[Outcome]) -> str:
    """The rows as text, with every violation under its row."""
    lines = [f"{'fault':<18}{'how':<38}{'times':>6}{'files':>8}{'told':>7}{'violations':>12}"]
    for row in rows:
        lines.append(
            f"{row.fault:<18}{row.how:<38}{row.n:>6}{row.n_files:>8}{row.n_confirmed:>7}{len(row.violations):>12}"
        )
        lines += [f"    {text}" for text in (row.note, *dict.fromkeys(row.violations)) if text]
    return "\n".join(lines)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000, metavar="N", help="0 tries the other faults alone")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and the signals")
    parser.add_argument("--product", type=shlex.split, default=AS_INSTALLED, help="another command to try")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    found: list[Outcome] = []
    with contextlib.suppress(KeyboardInterrupt), tempfile.TemporaryDirectory(prefix="camera_nano-faults-") as folder:
        product = Product(Path(folder) / "home", tuple(args.product))
        for outcome in outcomes(Path(folder), product, args.kills, args.seed):
            found.append(outcome)
            for line in outcome.violations:
                print(f"{outcome.fault}, {outcome.how}: {line}", file=sys.stderr, flush=True)
    rows = summed(found)
    is_held = not any(row.violations for row in rows)
    print(json.dumps({"rows": [asdict(row) for row in rows], "held": is_held}) if args.json else table(rows))
    return 0 if is_held else 1


if __name__ == "__main__":
    sys.exit(main())
