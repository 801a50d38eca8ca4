#!/usr/bin/env bash
# Lists the public interface of each library in docs/api/CRATE.txt, one line per item.
#
#   scripts/public_api.sh               writes the lists
#   scripts/public_api.sh --check       compares the lists; exits with 1 on a difference
#
# Needs nightly Rust and cargo-public-api (cargo install cargo-public-api --locked). Exits with 3 if
# cargo-public-api is missing.
#
# With the lists, a review shows each change of an interface.
set -euo pipefail
cd "$(dirname "$0")/.."
check=false
case ${1:-} in
    --check) check=true ;;
    "") ;;
    *) echo "usage: scripts/public_api.sh [--check]" >&2; exit 2 ;;
esac
if ! cargo public-api --version >/dev/null 2>&1; then
    echo "error: cargo-public-api is missing; install it with: cargo install cargo-public-api --locked" >&2
    exit 3
fi
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
# The published libraries. The libraries of the programs have no stable interface.
for crate in inert-pickle clipshard clip-loader clip-flow cuda-delayload candle-convnet; do
    grep -qx "name = \"$crate\"" ./*/Cargo.toml || continue
    # -sss omits blanket, auto and derived implementations.
    cargo +nightly public-api -sss --package "$crate" >"$made/$crate.txt"
    echo "$crate: $(wc -l <"$made/$crate.txt") items"
done
if $check; then
    diff -ru docs/api "$made" || {
        echo "error: the public interface differs; run scripts/public_api.sh and describe it in CHANGELOG.md" >&2
        exit 1
    }
else
    mkdir -p docs/api
    rm -f docs/api/*.txt
    cp "$made"/*.txt docs/api
fi
