#!/usr/bin/env bash
# Installs what tests need beside Rust, a C compiler and python3: ffmpeg, a browser, and a Python with zstandard (scripts/python_env.sh).
# For Debian and Ubuntu; packages that are missing need root or sudo. Fails if something cannot be installed.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=()
command -v ffmpeg >/dev/null || packages+=(ffmpeg)
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null || packages+=(chromium)
if [ ${#packages[@]} -gt 0 ]; then
    sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo)
    install=("${sudo[@]}" timeout 600 apt-get install -y --no-install-recommends "${packages[@]}")
    echo "Installing ${packages[*]}"
    "${install[@]}" >/dev/null 2>&1 || { "${sudo[@]}" timeout 300 apt-get update >/dev/null && "${install[@]}" >/dev/null; } || {
        echo "error: cannot install ${packages[*]}; tests that need them would be ignored" >&2
        exit 1
    }
fi
scripts/python_env.sh
