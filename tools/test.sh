#!/usr/bin/env bash
# Fresh machine -> everything the checks need, then all checks; other arguments go to pytest.
# --fast, within a minute once set up: lint, types, imports, and the tests without a marker (pyproject.toml lists them);
# those of nn, which all train, are not even collected, since torch takes seconds to import.
set -u
source "$(dirname "${BASH_SOURCE[0]}")/install/setup.sh"
fast=
[ "${1:-}" != --fast ] || { fast=1; shift; }
make_environment "[bench,c2pa,hdr,heic,raw,ray,torch]" dev
PATH=$PWD/.venv/bin:$PATH
failed=()
run() { echo "== $*"; "$@" || failed+=("$*"); }
run ruff format --check .
run ruff check .
run mypy
run lint-imports
run python tools/checks/rooms.py
if [ "$fast" ]; then
  run pytest -m "not (browser or ray or training or slow)" --ignore tests/nn "$@"
else
  command -v chromium >/dev/null || command -v chromium-browser >/dev/null || install_system chromium
  # CAMERA_NANO_PI=1 also builds what the picamera2 tests need to run on the real library; else they run on a fake
  [ "${CAMERA_NANO_PI:-}" != 1 ] || bash tools/install/pi_env.sh || echo "going on without the real picamera2" >&2
  run bash tools/checks/js.sh
  run pytest "$@"
fi
[ ${#failed[@]} = 0 ] || { printf 'failed: %s\n' "${failed[@]}" >&2; exit 1; }  # last, since pytest's end hides the rest
