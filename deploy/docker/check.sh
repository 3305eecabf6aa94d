#!/bin/bash
# Build the image and run it as a container runtime does: its own user, a read-only root, no capabilities, no new privileges.
# It needs root, buildah, and mmdebstrap for a base image of Debian packages, because no image is pulled. With podman and crun it also
# runs a container.
#   deploy/docker/check.sh [BASE.tar]     BASE.tar: the files of a base image with Python, instead of mmdebstrap
#   BUILD_OPTIONS="-v /etc/pip.conf:/etc/pip.conf:ro" deploy/docker/check.sh     more options of `buildah build`
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ "${1:-}" = --inside ]; then  # in mount and process namespaces of its own; $2 is the image's root, $3 the folder
    image=$2 work=$3
    mount --bind "$image" "$image" && mount -o remount,ro,bind "$image"
    mount -t tmpfs -o size=16m,mode=1777 tmpfs "$image/tmp"
    mount -t tmpfs tmpfs "$image/dev"
    for device in null zero random urandom; do touch "$image/dev/$device"; mount --bind "/dev/$device" "$image/dev/$device"; done
    mount -t proc proc "$image/proc"
    mount --bind "$work/config" "$image/etc/comfywarm" && mount -o remount,ro,bind "$image/etc/comfywarm"
    mount --bind "$work/data" "$image/var/lib/comfywarm"
    inside() { chroot --userspec=10001:10001 "$image" env -i PATH=/opt/comfywarm/bin:/usr/bin:/bin setpriv --no-new-privs "$@"; }
    health() { inside python /opt/comfywarm/healthcheck.py /etc/comfywarm/settings.json; }
    inside comfywarm --version
    ! health 2>/dev/null || { echo "the health check succeeds without a daemon"; exit 1; }
    inside comfywarm --settings /etc/comfywarm/settings.json serve &
    for try in $(seq 60); do health 2>/dev/null && break; [ "$try" -lt 60 ] || exit 1; sleep 1; done
    inside sh -c '! touch /opt/comfywarm/x 2>/dev/null && ! touch /etc/comfywarm/x 2>/dev/null && touch /var/lib/comfywarm/x'
    inside sh -c 'id -u; grep -E "^(CapEff|NoNewPrivs)" /proc/self/status' | tee "$work/status"
    grep -q '^10001$' "$work/status" && grep -Eq 'CapEff:\s0+$' "$work/status" && grep -Eq 'NoNewPrivs:\s1' "$work/status"
    echo "the image runs unprivileged with a read-only root, and its health check follows the daemon"
    exit 0
fi

if [ "${1:-}" = --container ]; then  # in a mount namespace of its own; $2 is the folder
    work=$2
    umount /sys/fs/cgroup/unified 2>/dev/null || true  # crun refuses a host with both versions of cgroups
    pod() { podman --root "$work/store" --runroot "$work/run" "$@"; }
    most=$(ulimit -Hn)
    trap 'pod rm --force --time 10 comfywarm >/dev/null 2>&1 || true' EXIT
    pod run --detach --name comfywarm --runtime crun --network host --cgroups disabled \
        --ulimit "nofile=$most:$most" --ulimit nproc=4096:4096 --health-interval disable \
        --read-only --cap-drop all --security-opt no-new-privileges \
        --volume "$work/config:/etc/comfywarm:ro" --volume "$work/data:/var/lib/comfywarm" localhost/comfywarm
    for try in $(seq 60); do pod healthcheck run comfywarm >/dev/null && break; [ "$try" -lt 60 ] || exit 1; sleep 1; done
    pod exec comfywarm sh -c 'id -u; touch /opt/comfywarm/x' 2>&1 | tee "$work/status" || true
    grep -q '^10001$' "$work/status" && grep -q 'Read-only file system' "$work/status"
    pod stop --time 20 comfywarm >/dev/null
    [ "$(pod inspect --format '{{.State.ExitCode}}' comfywarm)" = 0 ] || { echo "the daemon did not end cleanly"; exit 1; }
    echo "a container of the image runs unprivileged with a read-only root, is healthy, and ends cleanly when it is stopped"
    exit 0
fi

work=$(mktemp -d)
tool() { buildah --root "$work/store" --runroot "$work/run" "$@"; }
trap 'tool umount --all >/dev/null 2>&1 || true; rm -rf --one-file-system "$work"' EXIT
base=${1:-$work/base.tar}
[ -e "$base" ] || mmdebstrap --variant=minbase --include=python3,python3-venv,python-is-python3,ca-certificates bookworm "$base"
container=$(tool from scratch)
tool add "$container" "$base" / >/dev/null
tool commit --quiet "$container" localhost/base >/dev/null
# shellcheck disable=SC2086 - several options
tool build --isolation chroot --network host --format docker --build-arg BASE=localhost/base ${BUILD_OPTIONS:-} \
    --ignorefile deploy/docker/Containerfile.dockerignore -f deploy/docker/Containerfile -t localhost/comfywarm .
tool inspect --type image --format '{{.Docker.Config.User}} {{.Docker.Config.Healthcheck.Test}}' localhost/comfywarm
mkdir -p "$work/config" "$work/data"
chmod 0755 "$work" && chown 10001:10001 "$work/data"
cat >"$work/config/settings.json" <<'SETTINGS'
{"listen": {"port": 18799}, "data_dir": "/var/lib/comfywarm", "logging": {"file": null}, "servers": ["http://127.0.0.1:9"]}
SETTINGS
image=$(tool mount "$(tool from localhost/comfywarm)")
unshare --mount --pid --fork --kill-child "$0" --inside "$image" "$work"
if command -v podman crun >/dev/null; then
    tool umount --all >/dev/null
    unshare --mount "$0" --container "$work"
fi
