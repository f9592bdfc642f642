#!/usr/bin/env bash
# What can be checked without running anything: style, types, the import contract, sizes.
set -euo pipefail
exec </dev/null
cd "$(dirname "${BASH_SOURCE[0]}")/.."

scripts/setup.sh
export PATH="$PWD/.venv/bin:$PATH"
ruff check --quiet .
ruff format --check --quiet .
mypy --no-error-summary
lint-imports >/dev/null || lint-imports
python scripts/check_sizes.py
echo "check: style, types, imports and sizes are in order"
