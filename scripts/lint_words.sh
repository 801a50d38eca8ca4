#!/usr/bin/env bash
# Checks words: the language rules of scripts/prose.py, and spelling with typos. Installs typos into target/python if it is
# missing.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/prose.py
python=$(scripts/python_env.sh)
"${python%python}typos" --config _typos.toml
