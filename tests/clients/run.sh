#!/usr/bin/env bash
# Unmodified third-party clients, installed here from their registries, against a live network of four
# processes: viem, ethers and solc from npm, web3.py from PyPI, alloy from crates.io; then our example
# contracts. Needs node 20, npm, python3 with venv, and the examples of hallmark-e2e.
# Usage: tests/clients/run.sh path/to/hallmark [CLIENT…]      (all, or some of: viem ethers web3py alloy examples)
set -euo pipefail
binary=$(realpath "$1")
shift
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
chosen=("$@")
[ $# -gt 0 ] || chosen=(viem ethers web3py alloy examples)
# Where cargo puts the examples; a caller that built them elsewhere says so.
helpers=$(realpath -m "${HALLMARK_CLIENT_HELPERS:-$root/target/debug/examples}")
if [ -z "${HALLMARK_CLIENT_HELPERS:-}" ]; then
  (cd "$root" && cargo build --locked --package hallmark-e2e --examples)
fi
work=$(mktemp -d)
network=
cleanup() {
  # The network ends itself, and all its processes, when its standard input closes.
  exec 9>&- || true
  [ -z "$network" ] || wait "$network" 2>/dev/null || true
  rm -rf "$work"
}
trap cleanup EXIT
wanted() { [[ " ${chosen[*]} " == *" $1 "* ]]; }

cp "$here"/package.json "$here"/*.mjs "$work"/
(cd "$work" && npm install --no-audit --no-fund --silent)
if wanted web3py; then
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
fi
(cd "$work" && node compile.mjs "$root/contracts" >artifacts.json)

mkfifo "$work/stdin"
"$helpers/network" "$binary" "$work/network" <"$work/stdin" >"$work/network.json" 2>"$work/network.err" &
network=$!
exec 9>"$work/stdin"
for _ in $(seq 1800); do
  [ -s "$work/network.json" ] && break
  kill -0 "$network" 2>/dev/null || { cat "$work/network.err"; exit 1; }
  sleep 0.1
done
[ -s "$work/network.json" ] || { echo "the network did not come up"; cat "$work/network.err"; exit 1; }

cd "$work"
for client in "${chosen[@]}"; do
  started=$SECONDS
  case $client in
    viem | ethers) timeout 180 node "$client.mjs" network.json artifacts.json ;;
    web3py) timeout 180 "$work/venv/bin/python" "$here/web3py.py" network.json artifacts.json ;;
    alloy) timeout 180 "$helpers/alloy-client" network.json artifacts.json ;;
    examples) timeout 300 node examples.mjs network.json artifacts.json "$work" ;;
    *) echo "no such client: $client"; exit 2 ;;
  esac || { status=$?; echo "$client failed"; tail -n 30 "$work/network.err"; exit "$status"; }
  echo "$client took $((SECONDS - started)) s"
done
