#!/usr/bin/env bash
# Checks the language rules of scripts/prose.py, and the spelling with typos.
#
#   scripts/lint_words.sh
#
# Needs python3. Installs typos in target/python if it is missing.
set -euo pipefail
cd "$(dirname "$0")/.."
scripts/prose.py
python=$(scripts/python_env.sh)
"${python%python}typos" --config _typos.toml
