#!/usr/bin/env bash
# Builds the package as a user would, in a fresh virtual environment, and tests it: pytest, the type
# stubs against the built module, the example. Needs Rust, a C compiler, python3 (3.10 or newer) and
# its package registry.
# Usage: python/run-tests.sh [path/to/hallmark]    (the binary that must read the same files)
set -euo pipefail
binary=${1:+$(realpath "$1")}
here=$(cd "$(dirname "$0")" && pwd)
# The root's target directory: sources fetched and rustc asked once, one lock, one place to clean.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$(realpath "$here/..")/target}
export PIP_DISABLE_PIP_VERSION_CHECK=1
# Always the same place: builds depend on the interpreter's path.
work=$CARGO_TARGET_DIR/python-tests
rm -rf "$work"
mkdir -p "$work"
python3 -m venv "$work/venv"
pip() { "$work/venv/bin/python" -m pip --quiet "$@"; }
python() { "$work/venv/bin/python" "$@"; }
pip install "$here[test]"

cd "$work"   # so that what is imported is the installed package
export TMPDIR=$work
HALLMARK_BINARY=$binary python -m pytest --quiet -p no:cacheprovider "$here/tests"
export MYPY_CACHE_DIR=$work/mypy
python -m mypy --config-file "$here/pyproject.toml" "$here/tests"
python -m mypy.stubtest hallmark
python "$here/examples/digits.py"
