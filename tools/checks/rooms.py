"""The package as a house: its rooms, which of them know which, and how many floors that makes. Over `ast` alone.

    python tools/checks/rooms.py [--json] [PACKAGE_DIR]

A room is a sub-package, or a group of the top-level modules. An arrow leads from a room to one it imports from, at once
or late. The floor of a room is one above the highest room it knows. An inner door is a module inside a room that other
rooms name; a name that the room's own `__init__` holds comes through the room's door, even where a module is called the
same. The exit code is 1 where rooms know each other in a circle, or have more than 10 inner doors.
"""

from __future__ import annotations

import argparse
import ast
import json
import sys
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

Arrows = dict[str, set[str]]
MOST_INNER_DOORS = 10
# single modules that share a room: plain values, what everything stands on, and so on
_TOGETHER = {
    "values": ("values", "seams", "color", "version"),
    "ground": (
        "recipe",
        "errors",
        "formats",
        "atomic",
        "compiled",
        "paths",
        "console",
        "stop",
        "machine",
        "environment",
        "opencv",
        "sandbox",
    ),
    "face": ("camera_nano",),
    "cli": ("__main__",),
}
_ROOM_OF_MODULE = {module: room for room, modules in _TOGETHER.items() for module in modules}


def held_by(path: Path, modules: Collection[str]) -> set[str]:
    """The names that a module holds itself: what it defines, and what it imports but for modules."""
    held = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            held.add(node.name)
        elif isinstance(node, ast.Assign):
            held |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.ImportFrom):
            held |= {name.asname or name.name for name in node.names if f"{node.module}.{name.name}" not in modules}
    return held


def imports_of(path: Path, modules: Mapping[str, Path]) -> Iterator[str]:
    """The package's modules that a file imports, but for those that only a type checker sees."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for_types = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in for_types:
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names if name.name in modules)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module in modules:
            for name in node.names:
                inner = f"{node.module}.{name.name}"
                is_module = inner in modules and name.name not in held_by(modules[node.module], modules)
                yield inner if is_module else node.module


@dataclass(frozen=True, slots=True)
class Survey:
    """Counts, and what they were counted from; plain values for JSON."""

    modules: int
    rooms: int
    arrows: int
    floors: int  # 0 where there is a circle
    circle: list[str]
    inner_doors: dict[str, list[str]]  # the rooms that use each
    floor_of: dict[str, int]
    knows: dict[str, list[str]]

    def complaints(self) -> list[str]:
        """What is wrong with the house, a line each."""
        found = [f"circle: {' -> '.join(self.circle)}"] if self.circle else []
        if len(self.inner_doors) > MOST_INNER_DOORS:
            found.append(
                f"{len(self.inner_doors)} inner doors, {MOST_INNER_DOORS} at most: use names of the rooms' own doors"
            )
        return found


def modules_of(package: Path) -> dict[str, Path]:
    """Dotted names of all modules, with their files."""
    found = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def room_of(module: str) -> str:
    """`camera_nano.files.decode` -> `files`."""
    name = module.split(".")[:2][-1]
    return _ROOM_OF_MODULE.get(name, name)


def floors(arrows: Arrows) -> dict[str, int]:
    """The floor of each room, from 1. Raises CycleError."""
    found: dict[str, int] = {}
    for room in TopologicalSorter(arrows).static_order():
        found[room] = 1 + max((found[known] for known in arrows.get(room, ())), default=0)
    return found


def survey(package: Path) -> Survey:
    """Count a package, given its folder."""
    modules = modules_of(package)
    arrows: Arrows = {room_of(module): set() for module in modules}
    doors: dict[str, set[str]] = defaultdict(set)
    for module, path in modules.items():
        for known in imports_of(path, modules):
            if room_of(known) != room_of(module):
                arrows[room_of(module)].add(room_of(known))
                doors[known].add(room_of(module))
    by_room: dict[str, int] = {}
    circle: list[str] = []
    try:
        by_room = floors(arrows)
    except CycleError as error:
        circle = list(error.args[1])
    return Survey(
        modules=len(modules),
        rooms=len(arrows),
        arrows=sum(map(len, arrows.values())),
        floors=max(by_room.values(), default=0),
        circle=circle,
        inner_doors={name: sorted(users) for name, users in sorted(doors.items()) if name.count(".") > 1},
        floor_of=dict(sorted(by_room.items(), key=lambda item: (-item[1], item[0]))),
        knows={room: sorted(known) for room, known in sorted(arrows.items())},
    )


def main() -> int:
    """Print the survey; 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", nargs="?", type=Path, default=Path(__file__).parents[2] / "camera_nano")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    found = survey(args.package.resolve())
    if args.json:
        print(json.dumps(asdict(found)))
    else:
        print(f"{found.modules} modules, {found.rooms} rooms, {found.arrows} arrows, {found.floors} floors")
        print(f"{len(found.inner_doors)} inner doors:")
        for module, users in found.inner_doors.items():
            print(f"  {module.split('.', 1)[1]:<22} from {', '.join(users)}")
    complaints = found.complaints()
    for complaint in complaints:
        print(complaint, file=sys.stderr)
    return bool(complaints)


if __name__ == "__main__":
    sys.exit(main())
