#!/usr/bin/env bash
# Run the whole service from this directory: the embedded server, the front end, one worker.
set -euo pipefail
exec </dev/null
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh
exec .venv/bin/slotwise up "$@"
