#!/usr/bin/env bash
# Runs all tests. Needs Rust stable, a C compiler and python3.
set -euo pipefail
cd "$(dirname "$0")/.."
# The tests of the programs run the binaries, which cargo test does not build for another package.
cargo build --workspace --bins --locked
cargo test --workspace --locked "$@"
# Once more without the processor's own vector instructions, as on a machine that lacks them.
CANDLE_CONVNET_SIMD=portable cargo test --locked -p candle-convnet --lib --tests "$@"
