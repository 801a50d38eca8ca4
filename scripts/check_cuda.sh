#!/usr/bin/env bash
# Compiles and lints everything with the feature cuda, on a machine without a card: with the CUDA installation of CUDA_HOME or
# /usr/local/cuda, else with a toolkit of PyPI's wheels (scripts/cuda-toolkit.sh). Where neither can be had it says so and ends well.
# The first time takes ten to thirty minutes of two cores, most of it for candle's own kernels.
set -euo pipefail
cd "$(dirname "$0")/.."
cache="${XDG_CACHE_HOME:-$HOME/.cache}/ucf-two-stream"
if [ -z "${CUDA_HOME:-}" ] && [ ! -x /usr/local/cuda/bin/nvcc ]; then
    if ! scripts/cuda-toolkit.sh "$cache/cuda" --lint; then
        echo "The CUDA code was not looked at: there is no CUDA toolkit here, and none could be fetched."
        exit 0
    fi
    . "$cache/cuda/env.sh"
fi
# Without a card nothing says what to compile for.
export CUDA_COMPUTE_CAP="${CUDA_COMPUTE_CAP:-90}"
export CARGO_TARGET_DIR="${CUDA_TARGET_DIR:-$cache/target-cuda}"
cargo clippy --workspace --all-targets --locked --features ucftrain/cuda,candle-convnet/cuda,ucfpack/cuda,clip-flow/cuda -- -D warnings
