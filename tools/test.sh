#!/usr/bin/env bash
# Fresh machine -> everything the checks need, then all checks. Arguments go to pytest.
set -u
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || install_system chromium
make_environment "[dev]"
# CAMERA_NANO_PI=1 also builds what the picamera2 tests need to run on the real library; without it they run on a fake
[ "${CAMERA_NANO_PI:-}" != 1 ] || bash tools/pi_env.sh || echo "going on without the real picamera2" >&2
PATH=$PWD/.venv/bin:$PATH
failed=0
run() { echo "== $*"; "$@" || failed=1; }
run ruff format --check .
run ruff check .
run mypy
run lint-imports
run pytest "$@"
exit $failed
