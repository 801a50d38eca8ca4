#!/usr/bin/env bash
# Checks the licences and sources of all dependencies against the rules in deny.toml.
#
#   scripts/deny.sh                 works offline
#   scripts/deny.sh advisories      also checks for vulnerabilities with the RustSec database
#
# Needs cargo-deny, and installs it if it is missing (some minutes).
set -euo pipefail
cd "$(dirname "$0")/.."
cargo deny --version >/dev/null 2>&1 || cargo install cargo-deny --locked
case ${1:-} in
    advisories) cargo deny check ;;
    "") cargo deny --offline check licenses bans sources ;;
    *) echo "usage: scripts/deny.sh [advisories]" >&2; exit 2 ;;
esac
