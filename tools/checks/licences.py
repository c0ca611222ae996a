"""The licence of every package that camera_nano requires on this machine, and of those that its extras require.

    python tools/checks/licences.py [EXTRA ...]

Reads what is installed. A star marks licences that ask for more than a notice (GPL, LGPL, MPL and the like), those of
libraries inside a wheel among them. Exit code 1 if a GPL package is required that no extra brings.
"""

from __future__ import annotations

import re
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement

_COPYLEFT = re.compile(r"GPL|GNU|MPL|Mozilla", re.IGNORECASE)
_GPL = re.compile(r"(?<!L)GPL|GNU General", re.IGNORECASE)
_INSIDE = {  # what wheels carry, by the lists of licences in them
    "opencv-python-headless": "FFmpeg: LGPL-2.1-or-later",
    "pillow-heif": "x265: GPL-2.0-or-later; libheif, libde265: LGPL-3.0-or-later",
    "rawpy": "LibRaw: LGPL-2.1-only OR CDDL-1.0",
}


def licence(package: Distribution) -> str:
    """What a package says of its licence: an expression, its classifiers or a line of text; and what it has inside."""
    said = package.metadata.json
    classifiers = [line.split(" :: ") for line in said.get("classifier", []) if line.startswith("License ::")]
    names = "; ".join(names[-1] for names in classifiers if names[-1] != "OSI Approved")
    own = said.get("license_expression") or names or str(said.get("license", "")).strip().split("\n")[0] or "says none"
    return "; inside ".join(filter(None, [str(own), _INSIDE.get(package.name)]))


def required(extras: list[str]) -> dict[str, Distribution | None]:
    """Every package required, directly or through others, by name; None where it is not installed."""
    found: dict[str, Distribution | None] = {}
    waiting, seen = [("camera-nano", extras)], set()
    while waiting:
        name, wanted = waiting.pop()
        if (key := (name, tuple(wanted))) in seen:
            continue
        seen.add(key)
        try:
            found[name] = package = distribution(name)
        except PackageNotFoundError:
            found[name] = None
            continue
        for requirement in map(Requirement, package.requires or ()):
            if requirement.marker is None or any(requirement.marker.evaluate({"extra": e}) for e in ["", *wanted]):
                waiting.append((requirement.name, sorted(requirement.extras)))
    return found


def main(extras: list[str]) -> int:
    """Print a line for each package; 1 if a GPL one is required without extras, else 0."""
    for name, package in sorted(required(extras).items(), key=lambda item: item[0].lower()):
        words = "is not installed" if package is None else licence(package)
        version = "" if package is None else package.version
        print(f"{'*' if _COPYLEFT.search(words) else ' '} {name:24} {version:14} {words}")
    found = [name for name, package in required([]).items() if package and _GPL.search(licence(package))]
    for name in found:
        print(f"{name} is GPL, and no extra brings it: make it one", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
