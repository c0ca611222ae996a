"""Where faults are tried: photos, what an undisturbed run makes of them, file systems of a test's own."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from kills import digests, photos, undisturbed
from product import Product, Run


class NotHere(Exception):
    """A fault that cannot be made on this machine."""


class Lab:
    """Photos, what an undisturbed run makes of them, and a product to be tried on them."""

    def __init__(self, folder: Path, product: Product) -> None:
        self.folder, self.product = folder, product
        self.inputs = photos(folder / "some photos")
        self.wanted = undisturbed(product, self.inputs, folder / "some wanted")

    def place(self) -> Path:
        """A new, empty folder."""
        return Path(tempfile.mkdtemp(dir=self.folder))


@contextlib.contextmanager
def mounted(place: Path, *options: str) -> Iterator[None]:
    """A file system at a folder, for as long as the block lasts."""
    mount(*options, str(place))
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def mount(*options: str) -> None:
    """Run mount. Raises NotHere where it may not."""
    done = subprocess.run(["mount", *options], capture_output=True, text=True)
    if done.returncode:
        raise NotHere(f"needs the right to mount: {done.stderr.strip()}")


def ended(run: Run, *codes: int, telling: str = "") -> list[str]:
    """What is wrong with how a command ended: one of these codes, one plain line that tells this."""
    code, said = run.end(), run.said.strip()
    wrong = [] if code in codes else [f"exit code {code} instead of {' or '.join(map(str, codes))}: {said[-200:]}"]
    return wrong + run.chatter() + ([] if telling in said else [f"it does not tell {telling!r}: {said[-200:]}"])


def half(lab: Lab, out: Path) -> list[str]:
    """Files in an output folder that are not what an undisturbed run makes."""
    return [f"{name} is half a file" for name, digest in digests(out).items() if lab.wanted.get(name) != digest]
