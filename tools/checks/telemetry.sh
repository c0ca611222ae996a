#!/usr/bin/env bash
# Does the live app look up or call any host? System calls are traced, so libraries' own are seen too. Needs strace.
set -u
source "$(dirname "${BASH_SOURCE[0]}")/../install/setup.sh"
command -v strace >/dev/null || install_system strace
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
HOME=$out XDG_CACHE_HOME=$out/cache strace -f -qq -s 200 -e trace=connect,sendto,sendmmsg,sendmsg -o "$out/calls" \
  timeout --signal=INT 40 .venv/bin/camera-nano live --headless --source demo --shots 1000 --every 5 --looks natural --out "$out/shots" \
  >/dev/null 2>&1
[ -e "$(find "$out/shots" -name '*.jpg' -print -quit 2>/dev/null)" ] || fail "no shot was made, so nothing was tried"
! grep -E 'AF_INET|htons\(53\)' "$out/calls" || fail "it called out"
[ -z "$(find "$out" -iname '*microsoft*')" ] || fail "ONNX Runtime has left a queue of telemetry"
echo "no call and no look-up in 40 s"
