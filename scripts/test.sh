#!/usr/bin/env bash
# Runs all tests, and ends with a table: passed, failed and ignored tests, and why tests were ignored.
# Needs Rust stable, a C compiler and python3. Tests that need more (ffmpeg, a browser, the Python module zstandard) are ignored
# where it is missing; scripts/install_test_tools.sh installs it on Debian.
#   scripts/test.sh [ARGUMENTS OF CARGO TEST]
#   STRICT=1 scripts/test.sh                    fails if a test is ignored
set -euo pipefail
cd "$(dirname "$0")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT

run() {
    # Cargo prints the name of each test program to standard error; the table needs it.
    cargo test --locked "$@" 2>&1 | tee -a "$log"
}

# The tests of the programs run the binaries, which cargo test does not build for another package.
cargo build --workspace --bins --locked
status=0
run --workspace "$@" || status=$?
if [ $status = 0 ]; then
    # Once more without the CPU's vector instructions, as on a machine that lacks them.
    CANDLE_CONVNET_SIMD=portable run -p candle-convnet --lib --tests "$@" || status=$?
fi
scripts/count_tests.py "$log" || { [ $status != 0 ] || status=1; }
exit $status
