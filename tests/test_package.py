import os
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_wheel_is_complete_on_its_own(tmp_path):
    argv = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", str(tmp_path)]
    subprocess.run([*argv, str(ROOT)], check=True, env=os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"})
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
