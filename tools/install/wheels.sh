#!/usr/bin/env bash
# Makes dist/: the source distribution; a wheel for x86-64 and one for aarch64, for every Linux with glibc 2.17 or
# newer (manylinux2014); and a pure one for all other machines, which renders with numpy, more slowly.
set -eu
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
make_environment "" wheels
PATH=$PWD/.venv/bin:$PATH
rm -rf dist
hatchling build --target sdist
for machine in x86_64 aarch64 pure; do CAMERA_NANO_WHEEL=$machine hatchling build --target wheel; done
# auditwheel knows which symbols of glibc a tag allows; it exits with an error where the kernel needs more
for wheel in dist/*manylinux*.whl; do
  auditwheel show "$wheel" | tee /dev/stderr | grep -q 'manylinux_2_17' || fail "$wheel needs a newer glibc than its name says"
done
ls -l dist
bash tools/install/sbom.sh
