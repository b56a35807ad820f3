#!/usr/bin/env bash
# Unmodified third-party clients against a live four-validator network.
# Usage: tests/clients/run.sh path/to/hallmark      (needs node and npm; installs viem)
set -euo pipefail
binary=$(realpath "$1")
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
cleanup() { [ -n "${pid:-}" ] && kill "$pid" 2>/dev/null; wait 2>/dev/null; rm -rf "$work"; }
trap cleanup EXIT
cp "$here"/package.json "$here"/*.mjs "$work"/
(cd "$work" && npm install --no-audit --no-fund --silent)
"$binary" demo --serve --json --orders 1 --skip-cheats --home "$work/demo" >"$work/demo.json" 2>"$work/demo.err" &
pid=$!
for _ in $(seq 600); do
  [ -s "$work/demo.json" ] && break
  kill -0 "$pid" 2>/dev/null || { cat "$work/demo.err"; exit 1; }
  sleep 0.1
done
[ -s "$work/demo.json" ] || { echo "the network did not come up"; cat "$work/demo.err"; exit 1; }
cd "$work"
timeout 120 node viem.mjs demo.json
