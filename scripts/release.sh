#!/usr/bin/env bash
# Makes what a release consists of, in dist/: the sdist, the wheel (from the sdist), and a CycloneDX list of what the
# lock file installs. The version is the git tag: `git tag v1.2.3 && scripts/release.sh`. Publishes nothing.
#   scripts/release.sh [directory]
set -euo pipefail
exec </dev/null
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh
export PATH="$PWD/.venv/bin:$PATH"
out="${1:-dist}"
mkdir -p "$out"
rm -f "$out"/slotwise-*

hatchling build --target sdist --directory "$out" >/dev/null
unpacked="$(mktemp -d)"
trap 'rm -rf "$unpacked"' EXIT
tar -C "$unpacked" -xzf "$out"/slotwise-*.tar.gz
# What nobody could build from the sdist, nobody gets as a wheel.
target="$(cd "$out" && pwd)"
(cd "$unpacked"/slotwise-* && hatchling build --target wheel --directory "$target" >/dev/null)

wheel="$(ls "$out"/slotwise-*.whl)"
lister=.venv/release # an environment of its own, for the reason that pyproject.toml gives
locked="$(sha256sum requirements-release.lock 2>/dev/null || shasum -a 256 requirements-release.lock)"
if [[ ! -f "$lister/locked" || "$(<"$lister/locked")" != "$locked" ]]; then
    python -m venv --clear "$lister"
    "$lister/bin/python" -m pip install --quiet --quiet --disable-pip-version-check \
        --require-hashes -r requirements-release.lock
    echo "$locked" >"$lister/locked"
fi
"$lister/bin/cyclonedx-py" requirements requirements.lock --pyproject pyproject.toml --mc-type application --output-reproducible \
    --output-format JSON --output-file "${wheel%-py3-none-any.whl}.cdx.json" 2>/dev/null
python scripts/check_release.py "$out"
ls "$out"
