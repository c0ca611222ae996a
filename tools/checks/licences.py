"""The licence of every package that camera_nano requires on this machine, and of those that its extras require.

    python tools/checks/licences.py [EXTRA ...] [--sbom FILE]

Reads what is installed. A star marks licences that ask for more than a notice (GPL, LGPL, MPL and the like), those of
libraries inside a wheel among them. In a CycloneDX document, it writes the licences that are missing there. Exit code 1
if a GPL package is required that no extra brings, or one is not installed, or the document does not name it.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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
    return "; inside ".join(filter(None, [str(own), _INSIDE.get(canonicalize_name(package.name))]))


def required(extras: list[str]) -> dict[str, Distribution | None]:
    """Every package required, directly or through others, by normal name; None where it is not installed."""
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
                waiting.append((canonicalize_name(requirement.name), sorted(requirement.extras)))
    return found


def complete(sbom: dict[str, Any], packages: Mapping[str, Distribution]) -> list[str]:
    """Put the licences in that a CycloneDX document lacks; returns what else is wrong with it, a line each."""
    named = {canonicalize_name(part["name"]): part for part in sbom.get("components", [])}
    wrong = []
    for name, package in packages.items():
        part = named.get(canonicalize_name(name), {})
        if part.get("version") != package.version:
            wrong.append(f"{name} {package.version} is required, and the document names {part.get('version')}")
        elif not part.get("licenses"):
            part["licenses"] = [{"license": {"name": licence(package)}}]
    return wrong


def main() -> int:
    """Print a line for each package, then what is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("extras", nargs="*", metavar="EXTRA")
    parser.add_argument("--sbom", type=Path, metavar="FILE", help="a CycloneDX document in JSON to check and complete")
    args = parser.parse_args()
    asked = required(args.extras)
    for name, package in sorted(asked.items(), key=lambda item: item[0].lower()):
        words = "is not installed" if package is None else licence(package)
        version = "" if package is None else package.version
        print(f"{'*' if _COPYLEFT.search(words) else ' '} {name:24} {version:14} {words}")
    always = required([])
    wrong = [f"{name} is not installed" for name, package in always.items() if package is None]
    gpl = [name for name, package in always.items() if package and _GPL.search(licence(package))]
    wrong += [f"{name} is GPL, and no extra brings it: make it one" for name in gpl]
    if args.sbom:
        sbom = json.loads(args.sbom.read_text(encoding="utf-8"))
        installed = {name: package for name, package in asked.items() if package and name != "camera-nano"}
        wrong += complete(sbom, installed)
        args.sbom.write_text(json.dumps(sbom, indent=2), encoding="utf-8")
    print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
