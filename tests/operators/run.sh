#!/bin/sh
# Compares the importer's float graph with onnxruntime over models of every supported operator.
# Needs python3 with onnx, onnxruntime and numpy (PYTHON names another interpreter); says so and
# succeeds without them.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
python=${PYTHON:-python3}
if ! "$python" -c 'import onnx, onnxruntime, numpy' 2>/dev/null; then
    echo "skipped: $python lacks onnx, onnxruntime or numpy (pip install onnx onnxruntime numpy)"
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" "$here/generate.py" "$work"
cd "$here/../.."
cargo run --quiet -p hallmark-onnx --example evaluate -- "$work" > "$work/results.txt"
"$python" "$here/generate.py" --check "$work" "$work/results.txt"
