#!/usr/bin/env bash
# Lists the public interface of each library in docs/api/CRATE.txt: one line an item. A change of an interface then shows in a review.
#   scripts/public_api.sh               writes the lists
#   scripts/public_api.sh --check       compares them with the code; exits with 1 if one differs
# Needs nightly Rust and cargo-public-api (cargo install cargo-public-api --locked).
set -euo pipefail
cd "$(dirname "$0")/.."
check=false
case ${1:-} in
    --check) check=true ;;
    "") ;;
    *) echo "usage: scripts/public_api.sh [--check]" >&2; exit 2 ;;
esac
if ! cargo public-api --version >/dev/null 2>&1; then
    echo "error: cargo-public-api is not installed: cargo install cargo-public-api --locked" >&2
    exit 3
fi
made=$(mktemp -d)
trap 'rm -rf "$made"' EXIT
# Each library of the workspace that is published. The programs' libraries promise nothing.
for crate in inert-pickle clipshard clip-loader clip-flow cuda-delayload candle-convnet; do
    grep -qx "name = \"$crate\"" ./*/Cargo.toml || continue
    # Without blanket, automatic and derived implementations.
    cargo +nightly public-api -sss --package "$crate" >"$made/$crate.txt"
    echo "$crate: $(wc -l <"$made/$crate.txt") items"
done
if $check; then
    diff -ru docs/api "$made" || {
        echo "error: the public interface changed; run scripts/public_api.sh and describe the change in CHANGELOG.md" >&2
        exit 1
    }
else
    mkdir -p docs/api
    rm -f docs/api/*.txt
    cp "$made"/*.txt docs/api
fi
