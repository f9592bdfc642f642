#!/usr/bin/env bash
# Builds the image and runs compose.yaml on a real engine, and does to it what happens to services: tests/containers/drive.py.
#   scripts/test-containers.sh        six to eight minutes, the first time two more; Debian, as root
# Nothing of the machine is used or changed: Docker's packages are unpacked, not installed, and the engine runs in
# namespaces of its own (network, mounts, processes) without a way out, so its bridges are real ones and it ends with
# this script. No image registry is asked: one Debian tree stands in for the base images (tests/containers/base.sh).
# What it takes for granted is therefore what the official images say of themselves: entry points and users.
#   CONTAINERS_CACHE  where packages, the tree and wheels are kept between runs (default: /var/tmp/slotwise-containers)
set -euo pipefail
exec </dev/null
cd "$(dirname "${BASH_SOURCE[0]}")/.."

missing() {
    echo "test-containers: $*" >&2
    exit 2
}
[[ "$(uname)" == Linux ]] || missing "needs Linux: it starts a container engine in namespaces of its own"
[[ "$(id -u)" == 0 ]] || missing "needs root, for namespaces, bridges and mounts: sudo $0"
command -v apt-get >/dev/null || missing "needs Debian's apt-get: the engine comes from Debian's packages"
for tool in unshare ip dpkg; do
    command -v "$tool" >/dev/null || missing "needs $tool (Debian: apt-get install util-linux iproute2 dpkg)"
done
unshare --net --mount --pid --fork true 2>/dev/null || missing "may not make namespaces here (a container without --privileged?)"

scripts/setup.sh
export CACHE="${CONTAINERS_CACHE:-/var/tmp/slotwise-containers}"
tests/containers/base.sh

# Gone with the last process of the namespace, however this script ends.
export PATH="$PWD/.venv/bin:$PATH"
exec unshare --net --mount --pid --fork --kill-child --mount-proc tests/containers/engine.sh \
    python -P tests/containers/drive.py "$@"
