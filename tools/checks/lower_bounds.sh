#!/usr/bin/env bash
# Do the lowest versions that pyproject.toml allows work? In an environment of their own: the quick tests of the rooms
# that use them, one shot of the live app and a small batch, by the installed package. Other arguments go to pytest.
set -eu
source "$(dirname "${BASH_SOURCE[0]}")/../install/setup.sh"
make_environment "" lock
uv=$PWD/.venv/bin/uv dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
unset PYTHONPATH
export UV_FIND_LINKS=${PIP_FIND_LINKS:-} VIRTUAL_ENV=$dir/venv
"$uv" venv --quiet --python "$(find_python)" "$dir/venv"
"$uv" pip install --quiet --resolution lowest-direct ".[c2pa,hdr,heic,raw]"
"$uv" pip list --format freeze | grep -v '^camera-nano' >"$dir/lowest"
"$uv" pip install --quiet --constraint "$dir/lowest" exiv2 gpiozero httpx hypothesis pytest scikit-image
"$dir/venv/bin/pytest" -m "not (browser or ray or training or slow)" tests/{files,light,live,looks,sources,web} "$@"
cd "$dir" # away from the checkout
mkdir photos
venv/bin/python -c 'import camera_nano, skimage.data, PIL.Image as i; print(camera_nano.__file__); i.fromarray(skimage.data.astronaut()).save("photos/a.jpg")'
venv/bin/camera-nano live --headless --source demo --shots 1 --out shots
venv/bin/camera-nano batch photos --out batch
[ -n "$(find batch -name '*.jpg')" ] && [ -n "$(find shots -name '*.jpg')" ] || fail "no pictures were made"
echo "the lowest versions work"
