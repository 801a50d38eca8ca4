#!/usr/bin/env bash
# Runs the tests of a crate under ThreadSanitizer, which finds data races.
#
#   scripts/sanitize.sh [CRATE [ARGUMENTS OF CARGO TEST]]
#   scripts/sanitize.sh clip-loader --lib ring::
#   scripts/sanitize.sh clipshard --test dataset
#
# Needs Linux x86-64 and rustup. Installs nightly Rust with its source code, because the standard
# library is instrumented, too. C code (zstd, LZ4) is not instrumented, so races in it are not
# found.
set -euo pipefail
cd "$(dirname "$0")/.."
crate=${1:-clip-loader}
if [ $# -gt 0 ]; then shift; fi
arguments=("$@")
if [ ${#arguments[@]} = 0 ]; then
    case $crate in
        # Only the ring has unsafe code that threads share.
        clip-loader) arguments=(--lib ring::) ;;
        *) arguments=(--lib --tests) ;;
    esac
fi

rustup component list --toolchain nightly --installed 2>/dev/null | grep -q '^rust-src' ||
    rustup toolchain install nightly --profile minimal --component rust-src --no-self-update
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/tsan"
export RUSTFLAGS="-Zsanitizer=thread"
# A data race ends the test program. An allocation that is too large fails, as without the
# sanitizer.
tsan="allocator_may_return_null=1 halt_on_error=1 exitcode=66 history_size=4"
export TSAN_OPTIONS="$tsan${TSAN_OPTIONS:+ $TSAN_OPTIONS}"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
cargo +nightly test -Zbuild-std --target x86_64-unknown-linux-gnu --locked -p "$crate" "${arguments[@]}" 2>&1 |
    tee "$log" || status=$?
echo
if grep -q "WARNING: ThreadSanitizer: data race" "$log"; then
    echo "error: ThreadSanitizer found a data race in $crate ${arguments[*]}" >&2
    exit 1
fi
[ $status = 0 ] || exit $status
scripts/count_tests.py "$log"
echo "ThreadSanitizer found no data race in these tests of $crate:"
sed -n 's/^test \(.*\) \.\.\. ok$/  \1/p' "$log"
