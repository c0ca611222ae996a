#!/usr/bin/env bash
# Makes tools/checks/constraints.txt anew: the newest versions that fit together on Python 3.11 to 3.13, for all that
# tools/test.sh installs. With --upgrade all move; without it, only those that pyproject.toml has ruled out.
set -eu
source "$(dirname "${BASH_SOURCE[0]}")/../install/setup.sh"
make_environment "" lock
# torch has its one version in pyproject.toml; which of its builds is installed depends on the machine
.venv/bin/python - <<'END' >.venv/beside_torch.txt
import tomllib
from pathlib import Path

extra = tomllib.loads(Path("pyproject.toml").read_text())["project"]["optional-dependencies"]["torch"]
print("\n".join(name for name in extra if not name.startswith("torch=")))
END
.venv/bin/uv pip compile --quiet --universal --python-version 3.11 --annotation-style line \
  --extra bench --extra c2pa --extra hdr --extra heic --extra raw --extra ray --group dev --group lock --group wheels \
  --custom-compile-command "bash tools/checks/lock.sh" "$@" --output-file tools/checks/constraints.txt \
  pyproject.toml .venv/beside_torch.txt
