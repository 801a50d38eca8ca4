#!/usr/bin/env bash
# Checks that the crates compile with the oldest supported Rust: `rust-version` in Cargo.toml.
#
#   scripts/msrv.sh
#
# Needs rustup, which installs that version. Crates that use candle are skipped, because candle
# needs a newer Rust.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
# Toolchain names of rustup have three numbers.
[[ $version == *.*.* ]] || version=$version.0
rustup toolchain list | grep -q "^$version-" || rustup toolchain install "$version" --profile minimal --no-self-update
# A separate target folder. If two compilers shared a folder, each would rebuild everything.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/msrv"
cargo +"$version" check --workspace --exclude candle-convnet --exclude ucftrain --exclude whole-program-tests --locked
