#!/usr/bin/env bash
# Makes dist/sbom.json: all that the wheel in dist/ brings to a machine like this one, with licences, as CycloneDX JSON.
#     bash tools/install/sbom.sh [EXTRA,...]
set -eu
source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
make_environment "" wheels
wheels=(dist/*manylinux*"$(uname -m)".whl)
[ -e "${wheels[0]}" ] || fail "there is no wheel for this machine in dist/: run tools/install/wheels.sh"
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
.venv/bin/python -m venv --without-pip "$dir"
.venv/bin/python -m pip --python "$dir/bin/python" install --quiet --disable-pip-version-check "${wheels[0]}${1:+[$1]}" >&2
.venv/bin/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-file dist/sbom.json "$dir/bin/python"
echo "dist/sbom.json names $(grep -c '"purl"' dist/sbom.json) packages"
