#!/usr/bin/env bash
# pwa.sh OUT: makes the folder of the web app that needs no server: the page, the model, and what runs it in a browser.
# Any web server that speaks https can hand it out. npm fetches the run time, in one version; nothing else is fetched.
set -u
out=$(realpath -m -- "${1:?pwa.sh OUT: say which folder to make}")
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
tools=tools/install/pwa
command -v node >/dev/null && command -v npm >/dev/null || install_system nodejs npm
wanted=$(cat $tools/package-lock.json $tools/.npmrc | cksum)
if [ "$(cat $tools/node_modules/installed 2>/dev/null)" != "$wanted" ]; then
  npm ci --prefix $tools --ignore-scripts --no-audit --no-fund --loglevel=error >&2 ||
    fail "could not install the packages of $tools: is the network there?"
  printf '%s' "$wanted" > $tools/node_modules/installed
fi
[ -n "${CAMERA_NANO_PYTHON:-}" ] || make_environment ""
exec "${CAMERA_NANO_PYTHON:-.venv/bin/python}" tools/install/pwa.py "$out"
