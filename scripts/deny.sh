#!/usr/bin/env bash
# Checks the licences and sources of all dependencies, with the rules in deny.toml. Installs cargo-deny if it is missing (minutes).
#   scripts/deny.sh                 works offline
#   scripts/deny.sh advisories      also downloads RustSec's database, and checks for known vulnerabilities
set -euo pipefail
cd "$(dirname "$0")/.."
cargo deny --version >/dev/null 2>&1 || cargo install cargo-deny --locked
case ${1:-} in
    advisories) cargo deny check ;;
    "") cargo deny --offline check licenses bans sources ;;
    *) echo "usage: scripts/deny.sh [advisories]" >&2; exit 2 ;;
esac
