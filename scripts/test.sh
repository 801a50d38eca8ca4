#!/usr/bin/env bash
# Runs all tests. Prints a table of passed, failed and ignored tests, and why tests were ignored.
#
#   scripts/test.sh [ARGUMENTS OF CARGO TEST]
#   STRICT=1 scripts/test.sh                    fails if a test is ignored
#
# Needs stable Rust, a C compiler and python3. Some tests need ffmpeg, a browser or the Python
# module zstandard, and are ignored if it is missing. scripts/install_test_tools.sh installs these
# tools.
set -euo pipefail
cd "$(dirname "$0")/.."
log=$(mktemp)
trap 'rm -f "$log"' EXIT

run() {
    # Cargo prints the name of each test program to standard error. The table needs it.
    cargo test --locked "$@" 2>&1 | tee -a "$log"
}

# Some tests run the programs, which `cargo test` does not build for other packages.
cargo build --workspace --bins --locked
status=0
run --workspace "$@" || status=$?
if [ $status = 0 ]; then
    # Again without vector instructions, as on a CPU without them.
    CANDLE_CONVNET_SIMD=portable run -p candle-convnet --lib --tests "$@" || status=$?
fi
scripts/count_tests.py "$log" || { [ $status != 0 ] || status=1; }
exit $status
