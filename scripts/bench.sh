#!/usr/bin/env bash
# Slotwise and its peers side by side: see docs/benchmarks.md. Arguments go to `python -m bench.peers`.
set -euo pipefail
exec </dev/null
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/setup.sh
exec .venv/bin/python -m bench.peers "$@"
