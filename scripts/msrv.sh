#!/usr/bin/env bash
# Checks that the crates compile with the oldest Rust that they promise: `rust-version` in Cargo.toml. rustup installs that version.
# candle needs a newer Rust, and so do the crates that use it; theirs is the version that CI has.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
# rustup names a toolchain by all three numbers.
[[ $version == *.*.* ]] || version=$version.0
rustup toolchain list | grep -q "^$version-" || rustup toolchain install "$version" --profile minimal --no-self-update
# A target folder of its own: two compilers in one folder would build everything again each time.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/msrv"
cargo +"$version" check --workspace --exclude candle-convnet --exclude ucftrain --exclude whole-program-tests --locked
