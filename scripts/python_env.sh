#!/usr/bin/env bash
# Makes a Python with what the second reader (scripts/read_clipshard.py) needs, where its test finds it: target/python.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=${CARGO_TARGET_DIR:-target}/python
python3 -m venv "$dir"
"$dir/bin/pip" install --quiet 'numpy>=1.26' 'zstandard>=0.23'
echo "$dir/bin/python"
