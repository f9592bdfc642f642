#!/usr/bin/env bash
# Proves the cap from outside the service: a fleet of its own, 200 jobs, and a witness that counts living processes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/setup.sh
exec .venv/bin/python -m bench.witness "$@"
