"""The check that counts rooms and doors, on small packages made here."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

CHECK = Path(__file__).parents[2] / "tools" / "checks" / "rooms.py"


@pytest.fixture
def house(tmp_path):
    """Write a package named `house` from {module: source}, and check it: exit code, and what was found."""

    def check(files):
        for name, source in {"__init__": "", **files}.items():
            path = tmp_path / "house" / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(source)
        argv = [sys.executable, str(CHECK), str(tmp_path / "house"), "--json"]
        done = subprocess.run(argv, capture_output=True, text=True)
        return done.returncode, json.loads(done.stdout), done.stderr

    return check


KITCHEN = {"kitchen/cook": "def cook(): ...\nSALT = 1\n", "kitchen/pan": ""}
DOOR = {"kitchen/__init__": "from house.kitchen.cook import cook\n"}


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("from house.kitchen import cook", []),  # the function, though a module is called the same
        ("from house.kitchen.cook import cook", ["house.kitchen.cook"]),
        ("from house.kitchen import pan", ["house.kitchen.pan"]),
        ("import house.kitchen.cook", ["house.kitchen.cook"]),
        ("def late():\n    from house.kitchen.cook import SALT", ["house.kitchen.cook"]),
    ],
)
def test_only_what_passes_by_the_door_is_an_inner_door(house, how, expected):
    code, found, _ = house({**KITCHEN, **DOOR, "hall/__init__": how + "\n"})
    assert (code, list(found["inner_doors"]), found["knows"]["hall"]) == (0, expected, ["kitchen"])


def test_a_module_handed_on_by_the_door_is_still_an_inner_door(house):
    door = {"kitchen/__init__": "from house.kitchen import pan\n"}
    assert house({**KITCHEN, **door, "hall/__init__": "from house.kitchen import pan\n"})[1]["inner_doors"]


def test_too_many_inner_doors_and_circles_fail(house):
    many = {f"kitchen/pot{i}": "" for i in range(11)}
    code, found, told = house({**many, "hall/__init__": "".join(f"import house.kitchen.pot{i}\n" for i in range(11))})
    assert (code, found["circle"]) == (1, [])
    assert told.startswith("11 inner doors, 10 at most")
    code, found, told = house({"kitchen/__init__": "import house.hall\n", "hall/__init__": "import house.kitchen\n"})
    assert code == 1
    assert "circle: " in told
