#!/usr/bin/env bash
# Makes a Python with what the second reader (scripts/read_clipshard.py) needs, where its test finds it: target/python.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=${CARGO_TARGET_DIR:-target}/python
if ! "$dir/bin/python" -c 'import numpy, zstandard' 2>/dev/null; then
    python3 -m venv "$dir"
    "$dir/bin/pip" install --quiet 'numpy>=1.26' 'zstandard>=0.23'
fi
echo "$dir/bin/python"
