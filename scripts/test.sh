#!/usr/bin/env bash
# Runs all tests. Prints a table of passed, failed and ignored tests, and why tests were ignored.
#
#   scripts/test.sh [ARGUMENTS OF CARGO TEST]   with arguments, runs only tests of Rust
#   STRICT=1 scripts/test.sh                    fails if a test is ignored
#
# Needs stable Rust, a C compiler and python3. Some tests need ffmpeg, a browser, or the Python
# modules zstandard, torch and jax, and are ignored if they are missing. The tests of the Python package
# (scripts/test_python.sh) need pip. scripts/install_test_tools.sh installs these tools.
set -euo pipefail
cd "$(dirname "$0")/.."
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
log=$place/log results=()

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
if [ $status = 0 ] && [ $# = 0 ]; then
    results=("$place/python.xml")
    scripts/test_python.sh --results "${results[0]}" || status=$?
fi
scripts/count_tests.py "$log" "${results[@]}" || { [ $status != 0 ] || status=1; }
exit $status
