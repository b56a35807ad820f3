#!/bin/sh
# Compares with onnxruntime over models of every supported operator: the importer's float graph or, with
# --prove, the compiled integers at int8 and at 16 bits, engine and reference interpreter alike, each
# with a proof of private inputs (crates/zkml/proof/examples/operators.rs says what is demanded).
#
#     run.sh [--prove [--every N] [--seed S]] [--require]
#
# --every N takes one case of N, chosen by the seed. Needs python3 with onnx, onnxruntime and numpy (PYTHON
# names another interpreter); says so and succeeds without them, or fails with --require.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
prove= require= every=1 seed=1
while [ $# -gt 0 ]; do
    case $1 in
        --prove) prove=yes ;;
        --require) require=yes ;;
        --every) every=$2; shift ;;
        --seed) seed=$2; shift ;;
        *) sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
    shift
done
if ! "$python" -c 'import onnx, onnxruntime, numpy' 2>/dev/null; then
    echo "skipped: $python lacks onnx, onnxruntime or numpy (pip install onnx onnxruntime numpy)"
    [ -z "$require" ]
    exit
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$here/../.."
if [ -n "$prove" ]; then
    "$python" "$here/generate.py" "$work" --samples 12 --every "$every" --seed "$seed"
    cargo run --quiet -p hallmark-proof --example operators -- "$work" > "$work/results.txt"
    "$python" "$here/generate.py" --check-integers "$work" "$work/results.txt"
else
    "$python" "$here/generate.py" "$work" --every "$every" --seed "$seed"
    cargo run --quiet -p hallmark-onnx --example evaluate -- "$work" > "$work/results.txt"
    "$python" "$here/generate.py" --check "$work" "$work/results.txt"
fi
