#!/usr/bin/env bash
# The checks, then the tests. Does all set-up by itself; other arguments go to pytest.
#   --quick  without the tests marked slow or soak (under 2 minutes)
#   (none)   without those marked soak; this is what CI runs
#   --full   all of them, the guard of the speed (bench/guard.py), and on Debian as root the containers
set -euo pipefail
exec </dev/null
cd "$(dirname "${BASH_SOURCE[0]}")/.."

chosen="not soak"
full=""
arguments=()
for argument in "$@"; do
    case "$argument" in
        --quick) chosen="not slow and not soak" ;;
        --full) chosen="" full=1 ;;
        *) arguments+=("$argument") ;;
    esac
done

scripts/setup.sh
# What tests need beyond Python is installed here, where we may; a test without it says so, and fails in CI.
if ! command -v jq >/dev/null || ! command -v curl >/dev/null || # tests/test_api_page.py
    ! command -v slowhttptest >/dev/null || # tests/service/test_connections.py
    ! command -v spin >/dev/null || ! command -v cc >/dev/null || # tests/model
    { ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null; } || # tests/page
    { [[ "$(uname)" == Linux ]] && ! command -v faketime >/dev/null; } || # tests/worker/test_clocks.py
    { [[ "$(uname)" == Linux ]] && ! command -v systemd-analyze >/dev/null; }; then # tests/test_deploy.py
    if [[ "$(id -u)" == 0 ]] && command -v apt-get >/dev/null; then
        apt-get update -qq >&2 || true # an old list may do
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
            jq curl slowhttptest spin gcc libc6-dev faketime systemd chromium >&2 || true
    fi
fi
# tests/test_monitoring.py: one file of Debian's package, whose other files would start a server
if ! command -v promtool >/dev/null && [[ ! -x .venv/bin/promtool ]] && command -v apt-get >/dev/null; then
    fetched="$(mktemp -d)"
    (cd "$fetched" && apt-get download -qq prometheus >&2 && dpkg-deb --fsys-tarfile prometheus_*.deb | tar -x ./usr/bin/promtool) &&
        cp "$fetched/usr/bin/promtool" .venv/bin/promtool || true
    rm -rf "$fetched"
fi
scripts/check.sh

# A file of tests at a time: its servers and fleets are its own.
processes=(-n auto --maxprocesses 4 --dist loadfile)
report="$(mktemp)"
trap 'rm -f "$report"' EXIT
status=0
# ${…+…}: an empty array counts as unset for macOS's bash 3.2.
.venv/bin/python -m pytest -m "$chosen" "${processes[@]}" --junitxml="$report" \
    ${arguments[@]+"${arguments[@]}"} || status=$?
if ! .venv/bin/python scripts/count_tests.py "$report" && [[ "$status" == 0 ]]; then status=1; fi
if [[ -n "$full" && "$(id -u)" == 0 ]] && command -v apt-get >/dev/null; then scripts/test-containers.sh || status=1; fi
if [[ -n "$full" && "$status" == 0 ]]; then
    if ! command -v wrk >/dev/null && [[ "$(id -u)" == 0 ]] && command -v apt-get >/dev/null; then
        DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends wrk >&2 || true
    fi
    .venv/bin/python -m bench.guard || status=1
fi
exit "$status"
