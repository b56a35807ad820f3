#!/usr/bin/env bash
# Four validators of strangers, each in a network namespace of its own (its own addresses, its own
# loopback), joined by a bridge: as four hosts on one segment.
#
#   tests/network/namespaces.sh target/debug/hallmark
#
# Needs root and `ip netns`; prints why and ends well where it cannot run.
set -euo pipefail

skip() { echo "skipped: $1"; exit 0; }
hallmark=$(readlink -f "${1:?usage: namespaces.sh PATH_OF_HALLMARK}")
[ "$(id -u)" = 0 ] || skip "network namespaces need root"
command -v ip >/dev/null || skip "there is no ip command (iproute2)"

tag=hm$$
ip netns add "$tag-0" 2>/dev/null || skip "this kernel or container allows no network namespaces"
dir=$(mktemp -d)
pids=()
cleanup() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait || true
    for i in 0 1 2 3; do ip netns del "$tag-$i" 2>/dev/null || true; done
    ip link del "$tag" 2>/dev/null || true
    rm -rf "$dir"
}
trap cleanup EXIT

ip link add "$tag" type bridge 2>/dev/null || skip "no bridge can be made here"
ip link set "$tag" up
for i in 0 1 2 3; do
    [ "$i" = 0 ] || ip netns add "$tag-$i"
    ip link add "$tag-$i" type veth peer name eth0 netns "$tag-$i"
    ip link set "$tag-$i" master "$tag" up
    ip -n "$tag-$i" address add "10.61.8.$((i + 1))/24" dev eth0
    ip -n "$tag-$i" link set eth0 up
    ip -n "$tag-$i" link set lo up
done

echo "correct horse" >"$dir/password"
export HALLMARK_PASSWORD_FILE="$dir/password"
entries=()
for i in 0 1 2 3; do
    "$hallmark" keys new "$dir/v$i" --validator --quiet >/dev/null
    "$hallmark" network entry --home "$dir/v$i" --address "10.61.8.$((i + 1)):9000" --chain-id 77003 >"$dir/entry$i.json"
    entries+=("$dir/entry$i.json")
done
"$hallmark" network genesis "${entries[@]}" --chain-id 77003 --time 1760000000000 \
    --treasury 0x00000000000000000000000000000000000071e5 --out "$dir/genesis.json"
for i in 0 1 2 3; do
    "$hallmark" network join "${entries[@]}" --home "$dir/v$i" --genesis "$dir/genesis.json" \
        --listen "10.61.8.$((i + 1)):9000" >/dev/null
    ip netns exec "$tag-$i" "$hallmark" node --home "$dir/v$i" >"$dir/log$i" 2>&1 &
    pids+=($!)
done

# The height of a host, or nothing while it does not answer (`pipefail` would end the script there).
height() {
    { ip netns exec "$tag-$1" "$hallmark" node status --json 2>/dev/null || true; } |
        sed -n 's/.*"height":\([0-9]*\).*/\1/p'
}
wait_for() {
    for _ in $(seq 240); do
        low=$2
        for i in $1; do
            h=$(height "$i")
            [ "${h:-0}" -ge "$2" ] || low=0
        done
        [ "$low" = 0 ] || return 0
        sleep 0.5
    done
    echo "failed: the hosts $1 did not reach block $2"
    tail -n 5 "$dir"/log*
    exit 1
}
wait_for "0 1 2 3" 5
echo "four hosts are at block 5"

# One host loses its link: the other three go on; it catches up when the link is back.
ip link set "$tag-3" down
before=$(height 0)
wait_for "0 1 2" $((before + 5))
ip link set "$tag-3" up
wait_for "0 1 2 3" $((before + 8))
echo "three went on without the fourth, and it caught up"

# Each stops by itself when it is asked to.
for i in 0 1 2 3; do
    kill -TERM "${pids[$i]}"
    if ! wait "${pids[$i]}"; then
        echo "failed: host $i did not stop well"
        tail -n 5 "$dir/log$i"
        exit 1
    fi
done
pids=()
echo "passed"
