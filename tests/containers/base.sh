#!/usr/bin/env bash
# What the engine needs and cannot fetch, into $CACHE: its programs (engine/), one Debian tree that stands in for all
# base images (base.tar), and the wheels of the lock files for the tree's Python (in the tree, with a pip.conf that
# names them: so `docker build` needs no network).
set -euo pipefail
mkdir -p "$CACHE"
say() { echo "containers: $*" >&2; }

fetch() { # packages, unpacked into a directory
    local into="$1" debs
    shift
    debs="$(mktemp -d)"
    chmod 755 "$debs"
    (cd "$debs" && apt-get download -qq -o APT::Sandbox::User=root "$@" >/dev/null)
    for deb in "$debs"/*.deb; do dpkg -x "$deb" "$into"; done
    rm -r "$debs"
}

if [[ ! -e "$CACHE/engine/done" ]]; then
    say "fetching the engine's packages"
    rm -rf "$CACHE/engine" && mkdir "$CACHE/engine"
    apt-get update -qq >&2 || true # an old list may do
    fetch "$CACHE/engine" docker.io containerd runc tini debootstrap \
        iptables libip4tc2 libip6tc2 libxtables12 libnftnl11 libmnl0
    touch "$CACHE/engine/done"
fi

wanted="$(sha256sum requirements.lock requirements-build.lock tests/containers/base.sh | sha256sum)"
if [[ "$(cat "$CACHE/base.of" 2>/dev/null)" != "$wanted" ]]; then
    if [[ ! -e "$CACHE/tree.done" ]]; then
        say "making a Debian tree (a minute or two)"
        rm -rf "$CACHE/tree"
        # shellcheck disable=SC1091
        suite="$(. /etc/os-release && echo "$VERSION_CODENAME")"
        mirror="$(apt-get indextargets --format '$(SITE)' "Codename: $suite" "Created-By: Packages" | head -1)"
        DEBOOTSTRAP_DIR="$CACHE/engine/usr/share/debootstrap" "$CACHE/engine/usr/sbin/debootstrap" --variant=minbase \
            --include=ca-certificates,python3,python3-venv,redis-server,haproxy,prometheus \
            "$suite" "$CACHE/tree" "$mirror" >"$CACHE/tree.log" 2>&1 || {
            tail -5 "$CACHE/tree.log" >&2
            exit 1
        }
        touch "$CACHE/tree.done"
    fi
    say "fetching wheels"
    tree="$CACHE/tree"
    full="$(chroot "$tree" python3 -c 'import platform; print(platform.python_version())')"
    rm -rf "$tree/wheels" && mkdir "$tree/wheels"
    for lock in requirements.lock requirements-build.lock; do
        # What is for the tree's Python: pip reads the markers for the one that runs it.
        .venv/bin/python - "$lock" "$full" >"$CACHE/wanted.lock" <<'PYTHON'
import re, sys
from packaging.requirements import Requirement

for block in re.findall(r"^\S.*(?:\n .*)*", open(sys.argv[1]).read(), re.MULTILINE):
    first, _, hashes = block.partition(" \\\n")
    wanted = Requirement(first)
    if wanted.marker is None or wanted.marker.evaluate({"python_full_version": sys.argv[2]}):
        print(f"{wanted.name}{wanted.specifier} \\\n{hashes}")
PYTHON
        .venv/bin/python -m pip download --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
            --python-version "${full%.*}" --dest "$tree/wheels" -r "$CACHE/wanted.lock"
    done
    printf '[global]\nno-index = true\nfind-links = /wheels\n' >"$tree/etc/pip.conf"

    # The names that the images have, and what the entry points of valkey and redis do.
    ln -sf python3 "$tree/usr/bin/python"
    # Debian's server under the name of the other: 7.0 has all that is asked of either.
    ln -sf redis-server "$tree/usr/bin/valkey-server"
    ln -sf redis-cli "$tree/usr/bin/valkey-cli"
    cat >"$tree/usr/local/bin/as-redis" <<'SH'
#!/bin/sh
set -e
if [ "$(id -u)" = 0 ]; then
    find . \! -user redis -exec chown redis '{}' +
    exec setpriv --reuid=redis --regid=redis --clear-groups -- "$0" "$@"
fi
umask 0077
exec "$@"
SH
    chmod 755 "$tree/usr/local/bin/as-redis"
    chroot "$tree" install -d -o redis -g redis /data
    chroot "$tree" install -d -o nobody -g nogroup /prometheus
    tar -C "$tree" --exclude=./var/cache/apt/archives/\*.deb --exclude=./var/lib/apt/lists/\* -cf "$CACHE/base.tar" .
    echo "$wanted" >"$CACHE/base.of"
fi
