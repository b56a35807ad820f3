#!/bin/sh
# Builds the fuzz targets with coverage on a stable compiler and runs each for a while.
# usage: fuzz/run.sh [SECONDS [TARGET…]]; needs a C++ compiler. `cargo fuzz` on nightly adds sanitizers.
set -eu
cd "$(dirname "$0")"
seconds=${1:-60}
[ $# -gt 0 ] && shift
host=$(rustc -vV | sed -n 's/^host: //p')
[ $# -gt 0 ] || set -- proof verifying_key graph onnx block simulate topics wire
# What cargo-fuzz passes, without the sanitizers, which only nightly has. `--target` keeps build
# scripts free of it.
export RUSTFLAGS="--cfg fuzzing -C target-cpu=native -C debug-assertions -C codegen-units=4 \
-C passes=sancov-module \
-C llvm-args=-sanitizer-coverage-level=4 \
-C llvm-args=-sanitizer-coverage-inline-8bit-counters \
-C llvm-args=-sanitizer-coverage-pc-table"
bins=$(for target; do printf -- '--bin %s ' "$target"; done)
# shellcheck disable=SC2086
cargo build --release --target "$host" $bins
for target; do
    mkdir -p "corpus/$target" "artifacts/$target"
    # Valid bytes to begin with; `onnx` has none of its own: copy models into corpus/onnx.
    HALLMARK_FUZZ_SEEDS="corpus/$target" "target/$host/release/$target" -runs=0 2>&1 | tail -n 1
    echo "== $target, $seconds s"
    "target/$host/release/$target" -max_total_time="$seconds" -timeout=30 -rss_limit_mb=4096 \
        -print_final_stats=1 -artifact_prefix="artifacts/$target/" "corpus/$target" 2>&1 |
        tail -n 12
    [ -z "$(ls "artifacts/$target")" ] || { echo "found: artifacts/$target"; exit 1; }
done
