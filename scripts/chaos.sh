#!/usr/bin/env bash
# Breaks a whole service on purpose and judges every promise (docs/reliability.md): --jobs, --faults, --seed, --help.
set -euo pipefail
exec </dev/null
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/setup.sh
exec .venv/bin/python -m tests.chaos "$@"
