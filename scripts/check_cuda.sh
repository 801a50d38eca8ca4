#!/usr/bin/env bash
# Compiles, lints and tests the feature cuda on a machine without a GPU.
#
#   scripts/check_cuda.sh
#
# Needs the CUDA toolkit in CUDA_HOME or /usr/local/cuda. If there is none, scripts/cuda-toolkit.sh
# makes one from PyPI wheels (0.4 GB, one minute). Exits with 3 if that fails.
#
# The first run takes half an hour on two cores, mostly to compile candle's kernels. For checks on a
# GPU, use scripts/gpu_check.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
cache="${XDG_CACHE_HOME:-$HOME/.cache}/ucf-two-stream"
if [ -z "${CUDA_HOME:-}" ] && [ ! -x /usr/local/cuda/bin/nvcc ]; then
    if ! scripts/cuda-toolkit.sh "$cache/cuda"; then
        echo "error: cannot check the CUDA code: no CUDA toolkit is installed or can be downloaded; set CUDA_HOME" >&2
        exit 3
    fi
    . "$cache/cuda/env.sh"
fi
export PATH="${CUDA_HOME:-/usr/local/cuda}/bin:$PATH"
# On a machine without a GPU, the compute capability cannot be detected.
export CUDA_COMPUTE_CAP="${CUDA_COMPUTE_CAP:-90}"
export CARGO_TARGET_DIR="${CUDA_TARGET_DIR:-$cache/target-cuda}"
# All commands use the same packages and features. Otherwise, cargo would compile candle again.
features=ucftrain/cuda,candle-convnet/cuda,ucfpack/cuda,clip-flow/cuda,whole-program-tests/cuda
all=(--workspace --locked --features "$features")
cargo clippy "${all[@]}" --all-targets -- -D warnings
cargo build "${all[@]}" --bins
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
# Development builds link to the CUDA runtime library, because of candle's kernels.
LD_LIBRARY_PATH="${CUDA_HOME:-/usr/local/cuda}/lib64${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" \
    cargo test "${all[@]}" --lib --test gpu 2>&1 | tee "$log" || status=$?
scripts/count_tests.py "$log" || { [ $status != 0 ] || status=1; }
exit $status
