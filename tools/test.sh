#!/usr/bin/env bash
# Fresh machine -> everything the checks need, then all checks. Arguments go to pytest.
set -u
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || install_system chromium
make_environment "[dev]"
PATH=$PWD/.venv/bin:$PATH
failed=0
run() { echo "== $*"; "$@" || failed=1; }
run ruff format --check .
run ruff check .
run mypy
run lint-imports
run pytest "$@"
exit $failed
