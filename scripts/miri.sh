#!/usr/bin/env bash
# Runs tests under Miri, which finds undefined behaviour in unsafe code.
#
#   scripts/miri.sh [CRATE...]      default: clip-loader, clipshard, inert-pickle
#
# Needs nightly Rust with Miri: rustup toolchain install nightly --component miri,rust-src
#
# Miri only interprets Rust. It cannot call C code (zstd, LZ4), map files into memory, or start
# programs. The script therefore selects tests by name. AVX2 code runs in a second pass, except for
# streaming stores, which are inline assembly.
set -euo pipefail
cd "$(dirname "$0")/.."
crates=("$@")
[ ${#crates[@]} -gt 0 ] || crates=(clip-loader clipshard inert-pickle)
export MIRIFLAGS="${MIRIFLAGS:-} -Zmiri-disable-isolation -Zmiri-strict-provenance"

miri() { # crate, extra target features, test arguments
  local crate=$1 features=$2
  shift 2
  echo "== $crate${features:+, $features}: $*"
  RUSTFLAGS="${RUSTFLAGS:-}${features:+ -C target-feature=$features}" \
    cargo +nightly miri test --locked -p "$crate" --lib -- "$@"
}

for crate in "${crates[@]}"; do
  case $crate in
    clipshard)
      # Skipped: codec::tests and codec::zstd (C code), codec::matches and codec::jpeg::tests (safe
      # code that takes hours), and tests that open shards and manifests (O_NONBLOCK).
      miri "$crate" "" order:: budget:: codec::uncached codec::filter codec::jpeg::baseline manifest:: \
        --skip comes_back_as_written --skip is_written_twice
      miri "$crate" +avx2,+bmi2 codec::jpeg::baseline::avx2
      ;;
    clip-loader)
      # Skipped: tests that open a dataset or resize images.
      miri "$crate" "" ring:: sampling:: view:: pixels::mirror
      ;;
    inert-pickle)
      miri "$crate" "" dtype:: machine:: op:: input::
      ;;
    *) miri "$crate" "" ;;
  esac
done
