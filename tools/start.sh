#!/usr/bin/env bash
# Fresh machine -> live app on the best camera there is. Arguments go to `camera-nano live`.
set -u
from=$PWD
source "$(dirname "${BASH_SOURCE[0]}")/install/setup.sh"
make_environment ""
root=$PWD
cd "$from" || exit 3 # paths in the arguments are the caller's
exec "$root/.venv/bin/camera-nano" live "$@"
