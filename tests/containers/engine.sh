#!/usr/bin/env bash
# Inside the namespaces: starts containerd and dockerd, makes the stand-ins for the base images, and runs a command.
set -euo pipefail
engine="$CACHE/engine"
work="$CACHE/run"
rm -rf "$work" && mkdir "$work" # of a run that was killed: its mounts went with its namespace
# shellcheck disable=SC2046
trap 'kill $(jobs -p) && wait; rm -rf "$work"' EXIT

mount -t tmpfs tmpfs /run
ip link set lo up
mkdir "$work/bin"
# A name server in each container's own network is rules in that: iptables, over its unpacked libraries.
libraries="$(echo "$engine"/usr/lib/*-linux-gnu | head -1)"
printf '#!/bin/sh\nexport LD_LIBRARY_PATH=%s XTABLES_LIBDIR=%s\nexec %s/usr/sbin/xtables-nft-multi iptables "$@"\n' \
    "$libraries:${libraries/usr\//}" "$libraries/xtables" "$engine" >"$work/bin/iptables"
chmod 755 "$work/bin/iptables"
cp "$engine/usr/bin/tini-static" "$work/bin/docker-init"
export PATH="$work/bin:$engine/usr/bin:$engine/usr/sbin:$PATH"
export DOCKER_HOST="unix://$work/docker.sock" DOCKER_CONFIG="$work/config" DOCKER_BUILDKIT=1

printf 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n' >"$work/containerd.toml"
containerd --config "$work/containerd.toml" --root "$work/containerd" --state "$work/containerd-state" \
    --address "$work/containerd.sock" >"$work/containerd.log" 2>&1 &
for _ in $(seq 100); do [[ -S "$work/containerd.sock" ]] && break || sleep 0.1; done
dockerd --containerd "$work/containerd.sock" --host "$DOCKER_HOST" --group root --data-root "$work/data" \
    --exec-root "$work/exec" --pidfile "$work/dockerd.pid" --iptables=false --ip6tables=false --ip-forward=false \
    --bridge=none --init-path "$work/bin/docker-init" >"$work/dockerd.log" 2>&1 &
for _ in $(seq 300); do docker version >/dev/null 2>&1 && break || sleep 0.1; done
docker version --format 'containers: Docker {{.Server.Version}}' >&2 || {
    tail -20 "$work/containerd.log" "$work/dockerd.log" >&2
    exit 1
}

base() { # tag, and changes as in a Dockerfile
    local tag="$1"
    shift
    docker build --quiet --network none --tag "$tag" - >/dev/null <<<"FROM stand-in
$(printf '%s\n' "$@")"
}
docker import --message "stands in for all base images" "$CACHE/base.tar" stand-in >/dev/null
base python:3.11-slim 'CMD ["python3"]'
base valkey/valkey:9 'RUN chown 999:999 /data' 'VOLUME /data' 'WORKDIR /data' 'ENTRYPOINT ["as-redis"]'
base redis:8 'VOLUME /data' 'WORKDIR /data' 'ENTRYPOINT ["as-redis"]'
base haproxy:3.2 'STOPSIGNAL SIGUSR1'
base prom/prometheus:v3.7.3 'USER nobody' 'VOLUME /prometheus' 'ENTRYPOINT ["prometheus"]'

status=0
"$@" || status=$?
[[ "$status" == 0 ]] || grep -h 'level=error\|level=fatal' "$work/dockerd.log" | tail -5 >&2
exit "$status"
