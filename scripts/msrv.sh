#!/usr/bin/env bash
# Checks that the workspace compiles with the oldest Rust that it promises: `rust-version` in Cargo.toml. rustup installs that version.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' Cargo.toml)
# rustup names a toolchain by all three numbers.
[[ $version == *.*.* ]] || version=$version.0
rustup toolchain list | grep -q "^$version-" || rustup toolchain install "$version" --profile minimal --no-self-update
# A target folder of its own: two compilers in one folder would build everything again each time.
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/msrv"
cargo +"$version" check --workspace --locked
