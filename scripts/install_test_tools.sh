#!/usr/bin/env bash
# Installs the tools that some tests need: ffmpeg, Chromium, a Python with zstandard, torch and jax.
#
#   scripts/install_test_tools.sh
#
# Needs Debian or Ubuntu, python3, and root or sudo if packages are missing. torch and jax
# download 0.8 GB and need 2 GB of disk. Exits with 1 if a tool cannot be installed.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=()
command -v ffmpeg >/dev/null || packages+=(ffmpeg)
command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null ||
    packages+=(chromium)
if [ ${#packages[@]} -gt 0 ]; then
    sudo=()
    [ "$(id -u)" = 0 ] || sudo=(sudo)
    install=("${sudo[@]}" timeout 600 apt-get install -y --no-install-recommends "${packages[@]}")
    echo "Installing ${packages[*]}"
    update=("${sudo[@]}" timeout 300 apt-get update)
    "${install[@]}" >/dev/null 2>&1 || { "${update[@]}" >/dev/null && "${install[@]}" >/dev/null; } || {
        echo "error: cannot install ${packages[*]}, which some tests need" >&2
        exit 1
    }
fi
scripts/python_env.sh
scripts/pytest_env.sh --all
