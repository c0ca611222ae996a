"""What is installed works on its own, outside the checkout."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from PIL import Image

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
QUIET = {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}


def test_the_wheel_is_complete_on_its_own(tmp_path):
    argv = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", str(tmp_path)]
    subprocess.run([*argv, str(ROOT)], check=True, env=os.environ | QUIET)
    [wheel] = tmp_path.glob("*.whl")
    assert wheel.stat().st_size < 25 * 2**20
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    env = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    check = "import camera_nano, camera_nano.paths as p; print(camera_nano.__file__, p.pipeline_dir(), p.scenes_dir())"
    where = subprocess.run([sys.executable, "-c", check], env=env, cwd=tmp_path, capture_output=True, text=True)
    assert all(path.startswith(str(tmp_path / "site")) for path in where.stdout.split()), where
    for command in (["looks"], ["model", "verify"], ["--help"]):
        run = [sys.executable, "-m", "camera_nano", *command]
        assert subprocess.run(run, env=env, cwd=tmp_path, capture_output=True).returncode == 0
    names = {Path(name).name for name in zipfile.ZipFile(wheel).namelist()}
    assert "py.typed" in names
    assert not {"sheet.jpg", "training.csv"} & names


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """What a release has: the source distribution, a wheel for this machine and a pure one, each by its kind."""
    files = {}
    for kind, target, machine in (("sdist", "sdist", ""), ("wheel", "wheel", ""), ("pure", "wheel", "pure")):
        folder = tmp_path_factory.mktemp(kind)
        argv = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(folder)]
        subprocess.run(argv, check=True, cwd=ROOT, env=os.environ | {"CAMERA_NANO_WHEEL": machine})
        [files[kind]] = folder.iterdir()
    return files


@pytest.fixture
def venv(tmp_path):
    """A new environment with what the package requires, which is this one's: so nothing is downloaded.

    Python reads no `.pth` files in folders that a `.pth` file adds: an editable checkout stays out of sight.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    [site] = (tmp_path / "venv" / "lib").glob("python*/site-packages")
    paths = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (site / "required.pth").write_text("\n".join(paths))
    return tmp_path / "venv"


def install(venv, package):
    argv = ["--python", str(venv), "install", "-q", "--ignore-installed", "--no-build-isolation", "--no-deps"]
    run = [sys.executable, "-m", "pip", *argv, "--no-index", str(package)]
    subprocess.run(run, check=True, cwd=venv, env=outside())


def outside():
    """This environment without what shows the way to the checkout."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")} | QUIET


@pytest.mark.parametrize("kind", ["wheel", "sdist", "pure"])
def test_what_is_built_can_be_installed_and_works(kind, built, venv, photo, tmp_path):
    install(venv, built[kind])
    Image.fromarray(photo).save(tmp_path / "photo.jpg")
    program = venv / "bin" / "camera-nano"
    for command in (
        ["live", "--headless", "--source", "demo", "--shots", "1", "--out", "shots"],
        ["batch", "photo.jpg", "--out", "batch", "--looks", "natural"],
    ):
        done = subprocess.run([program, *command], cwd=tmp_path, env=outside(), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert any((tmp_path / "shots").rglob("*.jpg"))
    assert any((tmp_path / "batch").rglob("*natural*.jpg"))
    check = "import camera_nano, camera_nano.light.render as r, camera_nano.merge as m;"
    check += "print(camera_nano.__file__, bool(r.kernel()), bool(m.kernel()))"
    run = [venv / "bin" / "python", "-c", check]
    module, *compiled = subprocess.check_output(run, cwd=tmp_path, env=outside(), text=True).split()
    assert module.startswith(str(venv))
    assert compiled == [str(kind != "pure")] * 2
