#!/usr/bin/env bash
# Compiles, lints and tests everything with the feature cuda, on a machine without a card: with the CUDA installation of CUDA_HOME or
# /usr/local/cuda, else with a toolkit of PyPI's wheels (scripts/cuda-toolkit.sh). Where neither can be had it says so and ends well.
# The first time takes half an hour of two cores, most of it for candle's own kernels. On a card: scripts/gpu_check.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
cache="${XDG_CACHE_HOME:-$HOME/.cache}/ucf-two-stream"
if [ -z "${CUDA_HOME:-}" ] && [ ! -x /usr/local/cuda/bin/nvcc ]; then
    if ! scripts/cuda-toolkit.sh "$cache/cuda"; then
        echo "The CUDA code was not looked at: there is no CUDA toolkit here, and none could be fetched."
        exit 0
    fi
    . "$cache/cuda/env.sh"
fi
export PATH="${CUDA_HOME:-/usr/local/cuda}/bin:$PATH"
# Without a card nothing says what to compile for.
export CUDA_COMPUTE_CAP="${CUDA_COMPUTE_CAP:-90}"
export CARGO_TARGET_DIR="${CUDA_TARGET_DIR:-$cache/target-cuda}"
# The same packages and features each time, or cargo builds candle anew.
all=(--workspace --locked --features ucftrain/cuda,candle-convnet/cuda,ucfpack/cuda,clip-flow/cuda,whole-program-tests/cuda)
cargo clippy "${all[@]}" --all-targets -- -D warnings
cargo build "${all[@]}" --bins
# Development builds are linked to CUDA's run-time library, for kernels of candle's that nothing here uses.
LD_LIBRARY_PATH="${CUDA_HOME:-/usr/local/cuda}/lib64${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" cargo test "${all[@]}" --lib --test cards
