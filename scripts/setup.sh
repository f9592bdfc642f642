#!/usr/bin/env bash
# Make .venv with everything that running and testing needs; quick when nothing changed.
# Needs Python 3.11 or newer (PYTHON=… names one) and, the first time, a package index.
set -euo pipefail
exec </dev/null
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { echo "setup: $*" >&2; }

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11 python}; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    say "no Python 3.11 or newer found. Install one (Debian: apt-get install python3 python3-venv;" \
        "macOS: from python.org or Homebrew), or name it: PYTHON=/path/to/python3 $0"
    return 2
}

# Debian packs venv's pip apart from Python.
need_venv() {
    if "$python" -c 'import ensurepip, venv' 2>/dev/null; then return; fi
    local package
    package="$("$python" -c 'import sys; print("python3.%d-venv" % sys.version_info[1])')"
    if [[ "$(id -u)" == 0 ]] && command -v apt-get >/dev/null; then
        say "installing $package"
        apt-get update -qq >&2 || true # an old list may do
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >&2 || true
    fi
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        say "$python has no module venv or ensurepip. Install it (Debian, as root: apt-get install $package)"
        return 2
    fi
}

# One hash of files, of where they are (a virtual environment cannot be moved) and of the Python that is used.
hash_of() {
    "$python" - "$@" <<'PYTHON'
import hashlib, pathlib, sys

seen = hashlib.sha256(f"{pathlib.Path.cwd()} {sys.version}".encode())
for name in sys.argv[1:]:
    seen.update(pathlib.Path(name).read_bytes())
print(seen.hexdigest())
PYTHON
}

stamped() { [[ -f ".venv/$1" && "$(<".venv/$1")" == "$2" ]]; }

python="$(find_python)"

# Two starts at once: the second waits for the first. The lock goes with this shell's descriptor.
exec 9<scripts/setup.sh
"$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'

locked="$(hash_of requirements-dev.lock)"
project="$(hash_of requirements-dev.lock pyproject.toml)"

if ! stamped locked "$locked" || ! .venv/bin/python -c '' 2>/dev/null; then
    need_venv
    say "making .venv (once, about a minute)"
    "$python" -m venv --clear .venv 9<&-
    .venv/bin/python -m pip install --quiet --quiet --disable-pip-version-check \
        --require-hashes -r requirements-dev.lock 9<&-
    echo "$locked" >.venv/locked
fi
if ! stamped project "$project"; then
    .venv/bin/python -m pip install --quiet --quiet --disable-pip-version-check \
        --no-deps --no-build-isolation --editable . 9<&-
    echo "$project" >.venv/project
fi
# What the dashboard loads in the browser. Everything else works without it, so what keeps it away stops nothing.
PYTHON="$python" scripts/browser.sh 9<&- || say "the dashboard was not fetched, see above: / will say so, all else works"
