#!/usr/bin/env bash
# Runs a crate's tests under ThreadSanitizer, which reports data races, and lists the tests that ran.
#   scripts/sanitize.sh [CRATE [ARGUMENTS OF CARGO TEST]]
#   scripts/sanitize.sh clip-loader --lib ring::
#   scripts/sanitize.sh clipshard --test dataset
# Needs Linux x86-64 and rustup; installs nightly Rust and its source, because the standard library is instrumented as well.
# C code (zstd, lz4) is not instrumented: races inside it are not found.
set -euo pipefail
cd "$(dirname "$0")/.."
crate=${1:-clip-loader}
if [ $# -gt 0 ]; then shift; fi
arguments=("$@")
if [ ${#arguments[@]} = 0 ]; then
    case $crate in
        # The ring of the loader.
        clip-loader) arguments=(--lib ring::) ;;
        *) arguments=(--lib --tests) ;;
    esac
fi

rustup component list --toolchain nightly --installed 2>/dev/null | grep -q '^rust-src' ||
    rustup toolchain install nightly --profile minimal --component rust-src --no-self-update
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/tsan"
export RUSTFLAGS="-Zsanitizer=thread"
# A data race ends the test program; an allocation that is too large fails, as it does without the sanitizer.
export TSAN_OPTIONS="allocator_may_return_null=1 halt_on_error=1 exitcode=66 history_size=4${TSAN_OPTIONS:+ $TSAN_OPTIONS}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
cargo +nightly test -Zbuild-std --target x86_64-unknown-linux-gnu --locked -p "$crate" "${arguments[@]}" 2>&1 | tee "$log" || status=$?
echo
if grep -q "WARNING: ThreadSanitizer: data race" "$log"; then
    echo "error: ThreadSanitizer found a data race in $crate ${arguments[*]}" >&2
    exit 1
fi
[ $status = 0 ] || exit $status
scripts/count_tests.py "$log"
echo "ThreadSanitizer found no data race in these tests of $crate:"
sed -n 's/^test \(.*\) \.\.\. ok$/  \1/p' "$log"
