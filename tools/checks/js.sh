#!/usr/bin/env bash
# Lints and type-checks the page's JavaScript. What that takes goes to tools/checks/js; the page itself needs no package.
set -u
source "$(dirname "${BASH_SOURCE[0]}")/../install/setup.sh"
page="camera_nano/web/static camera_nano/web/pwa" tools=tools/checks/js
command -v node >/dev/null && command -v npm >/dev/null || install_system nodejs npm
wanted=$(node --version | cat - $tools/package-lock.json $tools/.npmrc | cksum)
if [ "$(cat $tools/node_modules/installed 2>/dev/null)" != "$wanted" ]; then
  npm ci --prefix $tools --no-audit --no-fund --loglevel=error >&2 ||
    fail "could not install the packages of $tools: is the network there?"
  printf '%s' "$wanted" > $tools/node_modules/installed
fi
failed=0
$tools/node_modules/.bin/eslint --config $tools/eslint.config.js --max-warnings 0 $page || failed=1
$tools/node_modules/.bin/tsc --project $tools || failed=1
exit $failed
