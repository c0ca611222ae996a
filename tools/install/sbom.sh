#!/usr/bin/env bash
# Makes dist/sbom.json: all that the wheel in dist/ brings to a machine like this one, with licences, as CycloneDX JSON.
#     bash tools/install/sbom.sh [EXTRA,...]
#     bash tools/install/sbom.sh --of PYTHON FILE     of an environment that is there, into FILE; installs nothing
set -eu
if [ "${1:-}" = --of ]; then
  python=$2 file=$3 extras=
  cd "$(dirname "${BASH_SOURCE[0]}")/../.."
else
  source "$(dirname "${BASH_SOURCE[0]}")/setup.sh"
  make_environment "" wheels
  PATH=$PWD/.venv/bin:$PATH
  extras=${1:-} file=dist/sbom.json
  wheels=(dist/*manylinux*"$(uname -m)".whl)
  [ -e "${wheels[0]}" ] || fail "there is no wheel for this machine in dist/: run tools/install/wheels.sh"
  dir=$(mktemp -d)
  trap 'rm -rf "$dir"' EXIT
  python=$dir/bin/python
  .venv/bin/python -m venv --without-pip "$dir"
  .venv/bin/python -m pip --python "$python" install --quiet --disable-pip-version-check "${wheels[0]}${extras:+[$extras]}" >&2
fi
cyclonedx-py environment --pyproject pyproject.toml --output-reproducible --output-file "$file" "$python"
# shellcheck disable=SC2086 # each extra is an argument of its own
"$python" tools/checks/licences.py ${extras//,/ } --sbom "$file" >&2
echo "$file names $(grep -c '"purl"' "$file") packages"
