"""What comes with the package: the document of it, and what refuses the GPL."""

import json
import os
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

pytestmark = pytest.mark.slow

TOOLS = Path(__file__).parents[2] / "tools"


def licences(*args, **env):
    argv = [sys.executable, str(TOOLS / "checks" / "licences.py"), *map(str, args)]
    return subprocess.run(argv, capture_output=True, text=True, env=os.environ | env)


def installed(folder, name, *lines):
    """Let a folder look as if a package were installed there."""
    about = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("\n".join(["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0", *lines, ""]))


def test_no_required_package_is_gpl():
    done = licences()
    assert done.returncode == 0, done.stderr
    assert "numpy" in done.stdout and "is not installed" not in done.stdout


@pytest.mark.parametrize(
    "line",
    [
        "License-Expression: GPL-3.0-only",
        "License: GPLv2",
        "Classifier: License :: OSI Approved :: GNU General Public License v3 (GPLv3)",
    ],
)
def test_a_required_gpl_package_is_refused_and_one_of_an_extra_is_not(tmp_path, line):
    needs = ["Requires-Dist: between", "Requires-Dist: free", "Provides-Extra: more"]
    installed(tmp_path, "camera-nano", *needs, "Requires-Dist: other; extra == 'more'")
    installed(tmp_path, "between", "License-Expression: MIT", "Requires-Dist: bad")
    installed(tmp_path, "free", "License-Expression: LGPL-2.1-or-later")
    for name in ("bad", "other"):
        installed(tmp_path, name, line)
    done = licences("more", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == "bad is GPL, and no extra brings it: make it one\n"
    assert "* other" in done.stdout and "* free" in done.stdout


def test_a_required_package_that_is_not_there_is_told(tmp_path):
    installed(tmp_path, "camera-nano", "Requires-Dist: not-there-at-all")
    done = licences(PYTHONPATH=str(tmp_path))
    assert done.returncode == 1 and done.stderr == "not-there-at-all is not installed\n"


def test_a_package_is_listed_once_with_what_is_inside_however_it_is_spelled(tmp_path):
    installed(tmp_path, "camera-nano", "Requires-Dist: pillow-heif", "Requires-Dist: one")
    installed(tmp_path, "one", "License-Expression: MIT", "Requires-Dist: Pillow_HEIF")
    installed(tmp_path, "pillow_heif", "License-Expression: MIT")
    done = licences(PYTHONPATH=str(tmp_path))
    [line] = [line for line in done.stdout.splitlines() if "heif" in line.lower()]
    assert line.startswith("* pillow-heif ") and "x265: GPL" in line


def test_a_document_that_lacks_a_package_is_refused_and_a_licence_is_put_in(tmp_path):
    installed(tmp_path, "camera-nano", "Requires-Dist: one", "Requires-Dist: two")
    for name in ("one", "two"):
        installed(tmp_path, name, "License: 3-Clause BSD License")
    document = tmp_path / "sbom.json"
    document.write_text(json.dumps({"components": [{"name": "One", "version": "1.0"}]}))
    done = licences("--sbom", document, PYTHONPATH=str(tmp_path))
    assert done.returncode == 1 and done.stderr == "two 1.0 is required, and the document names None\n"
    [one] = json.loads(document.read_text())["components"]
    assert one["licenses"] == [{"license": {"name": "3-Clause BSD License"}}]


def test_the_document_names_every_required_package_with_version_and_licence(tmp_path):
    tool = shutil.which("cyclonedx-py", path=Path(sys.executable).parent) or shutil.which("cyclonedx-py")
    assert tool, "cyclonedx-bom is missing: run tools/test.sh, which installs it"
    document, env = tmp_path / "sbom.json", os.environ | {"PATH": f"{Path(tool).parent}:{os.environ['PATH']}"}
    subprocess.run(["bash", TOOLS / "install" / "sbom.sh", "--of", sys.executable, document], check=True, env=env)
    named = {canonicalize_name(part["name"]): part for part in json.loads(document.read_text())["components"]}
    waiting, seen = ["camera-nano"], set()
    while waiting:
        for requirement in map(Requirement, distribution(waiting.pop()).requires or ()):
            is_needed = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
            if is_needed and requirement.name not in seen:
                seen.add(requirement.name)
                waiting.append(requirement.name)
    assert len(seen) > 13
    for name in seen:
        part = named[canonicalize_name(name)]
        assert part["version"] == distribution(name).version and part["licenses"], name
