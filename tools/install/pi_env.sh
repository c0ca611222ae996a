#!/usr/bin/env bash
# Real picamera2 on a machine without a camera: builds libcamera with its virtual camera, and installs picamera2
# beside it, into DIR (.pi in the checkout by default). About ten minutes and root, once; the picamera2 tests use it
# where it is. Debian's testing source of libcamera is taken from the mirror that this machine's apt uses already.
set -eu
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
dir=$(realpath -m "${1:-$root/.pi}")
python=${PYTHON:-$root/.venv/bin/python}
version=${LIBCAMERA_VERSION:-0.7.2-1}

fail() { printf 'pi_env: %s\n' "$1" >&2; exit 3; }
[ -e "$dir/done" ] && { echo "$dir is there already"; exit 0; }
command -v apt-get >/dev/null || fail "needs apt-get (Debian, Ubuntu, Raspberry Pi OS)"
[ "$(id -u)" = 0 ] || fail "needs root, to install what libcamera is built with"
[ -x "$python" ] || fail "$python is not there: run tools/start.sh first, or set PYTHON"

apt-get install -y -qq --no-install-recommends libcap-dev dpkg-dev libyuv-dev libyaml-dev libgnutls28-dev libssl-dev \
  libudev-dev libevent-dev pkg-config build-essential xz-utils >&2 || fail "apt could not install the build tools"
mkdir -p "$dir/apt/lists/partial" "$dir/apt/cache/archives/partial" "$dir/tools" "$dir/site"
mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' | grep -v security | head -1)
[ -n "$mirror" ] || fail "apt names no mirror on this machine"
echo "deb-src ${mirror%/} sid main" > "$dir/apt/src.list"
apt() {
  apt-get -o Dir::Etc::sourcelist="$dir/apt/src.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$dir/apt/lists" \
    -o Dir::Cache="$dir/apt/cache" -qq "$@"
}
cd "$dir"
apt update || fail "the mirror $mirror has no sources of Debian sid"
apt source --only-source --download-only "libcamera=$version" ||
  fail "the mirror has no libcamera $version any more: set LIBCAMERA_VERSION to one it has"
[ -d libcamera ] || dpkg-source --no-check -x "libcamera_$version.dsc" libcamera >/dev/null

"$python" -m pip install -q --disable-pip-version-check --target "$dir/tools" meson ninja pybind11 jinja2 pyyaml ply
export PYTHONPATH=$dir/tools PATH=$dir/tools/bin:$PATH
[ -d build ] || meson setup build libcamera --prefix="$dir" --libdir=lib -Dbuildtype=release -Dpipelines=virtual -Dipas= \
  -Dpycamera=enabled -Dgstreamer=disabled -Dv4l2=disabled -Dcam=disabled -Dqcam=disabled -Dlc-compliance=disabled \
  -Ddocumentation=disabled -Dtest=false -Dtracing=disabled -Dandroid=disabled -Dwerror=false -Dwrap_mode=nofallback >build.log ||
  { tail -20 build.log >&2; fail "libcamera could not be configured"; }
ninja -C build install >>build.log || { tail -20 build.log >&2; fail "libcamera could not be built"; }
"$python" -m pip install -q --disable-pip-version-check --target "$dir/site" "picamera2==0.3.38" ||
  fail "picamera2 could not be installed"
rm -rf build libcamera apt tools "libcamera_"*
touch done
echo "$dir is ready"
