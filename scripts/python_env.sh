#!/usr/bin/env bash
# Makes a Python environment in target/python, where tests find it. Prints the path of its python.
#
#   scripts/python_env.sh
#
# Needs python3 with venv, and network access if the environment does not exist yet. It installs
# numpy and zstandard for scripts/read_clipshard.py, typos for scripts/lint_words.sh, and maturin
# for scripts/python_wheel.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
dir=${CARGO_TARGET_DIR:-target}/python
if ! "$dir/bin/python" -c 'import numpy, zstandard' 2>/dev/null || ! [ -x "$dir/bin/typos" ] ||
    ! [ -x "$dir/bin/maturin" ]; then
    python3 -m venv "$dir"
    "$dir/bin/pip" install --quiet 'numpy>=1.26' 'zstandard>=0.23' 'typos==1.52.0' 'maturin==1.16.0'
fi
echo "$dir/bin/python"
