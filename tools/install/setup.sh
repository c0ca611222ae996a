# Sourced by start.sh and test.sh: system packages, then a virtual environment that is made or updated only when
# what is to be installed has changed.
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 3

fail() { printf 'camera-nano: %s\n' "$1" >&2; exit 3; }

install_system() { # install_system NAME...: through apt where we may, else say what is missing
  if ! command -v apt-get >/dev/null; then
    fail "needs $* and knows only apt to install it: install it yourself and run this again"
  elif [ "$(id -u)" = 0 ]; then
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
  elif command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
    sudo apt-get update -qq && sudo DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
  else
    fail "needs $*; run: sudo apt-get install $*"
  fi
}

find_python() {
  local candidate
  for candidate in python3 python3.13 python3.12 python3.11; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
}

# make_environment EXTRAS [GROUP]: EXTRAS such as "[torch]" or ""; GROUP is a dependency group of pyproject.toml.
# What developers install has the versions of tools/checks/constraints.txt; what users install has the newest.
make_environment() {
  local python stamp wanted constraints=tools/checks/constraints.txt
  local packages=(-e ".$1")
  [ -z "${2:-}" ] || packages+=(--group "$2" --constraint "$constraints")
  stamp=.venv/installed-${2:-}$(printf '%s' "$1" | tr -dc 'a-z0-9')
  wanted=$(cat pyproject.toml camera_nano/*/_*.c tools/install/build_kernel.py $constraints | cksum)
  if [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then return; fi
  python=$(find_python)
  [ -n "$python" ] || { install_system python3 python3-venv; python=$(find_python); }
  [ -n "$python" ] || fail "needs Python 3.11 or newer, found $(python3 --version 2>&1)"
  "$python" -c 'import ensurepip, venv' 2>/dev/null || install_system python3-venv
  echo "setting up .venv (once) ..." >&2
  if [ ! -x .venv/bin/python ]; then
    # a Pi's camera library comes with the system's Python and only its own packages see it
    if "$python" -c 'import picamera2' 2>/dev/null; then
      "$python" -m venv --system-site-packages .venv || fail "could not make .venv: is the disk full?"
    else
      "$python" -m venv .venv || fail "could not make .venv: is the disk full?"
    fi
  fi
  # for the render kernel; without it pictures are right, but render more slowly
  command -v cc >/dev/null || (install_system gcc libc6-dev) || echo "going on without a C compiler" >&2
  local pip=(.venv/bin/python -m pip install --quiet --disable-pip-version-check)
  # --group came with pip 25.1; older Pythons bring an older pip
  [ -z "${2:-}" ] || "${pip[@]}" "pip>=25.1" >&2 || fail "could not update pip: is the network there?"
  "${pip[@]}" "${packages[@]}" >&2 ||
    fail "could not install the packages of pyproject.toml: is the network there?"
  printf '%s' "$wanted" > "$stamp"
}
