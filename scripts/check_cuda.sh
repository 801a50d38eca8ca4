#!/usr/bin/env bash
# Compiles, lints and tests the feature cuda, on a machine without a GPU. Uses the CUDA installation in CUDA_HOME or /usr/local/cuda;
# without one, scripts/cuda-toolkit.sh makes a toolkit from PyPI wheels (0.4 GB, one minute).
# The first run takes half an hour on two cores, mostly for candle's own kernels. Exits with 3 if there is no toolkit.
# On a GPU: scripts/gpu_check.sh.
set -euo pipefail
cd "$(dirname "$0")/.."
cache="${XDG_CACHE_HOME:-$HOME/.cache}/ucf-two-stream"
if [ -z "${CUDA_HOME:-}" ] && [ ! -x /usr/local/cuda/bin/nvcc ]; then
    if ! scripts/cuda-toolkit.sh "$cache/cuda"; then
        echo "error: the CUDA code was not checked: no CUDA toolkit is installed, and none could be downloaded; set CUDA_HOME" >&2
        exit 3
    fi
    . "$cache/cuda/env.sh"
fi
export PATH="${CUDA_HOME:-/usr/local/cuda}/bin:$PATH"
# Without a GPU, nothing else sets the compute capability to compile for.
export CUDA_COMPUTE_CAP="${CUDA_COMPUTE_CAP:-90}"
export CARGO_TARGET_DIR="${CUDA_TARGET_DIR:-$cache/target-cuda}"
# Other packages or features would make cargo build candle again.
all=(--workspace --locked --features ucftrain/cuda,candle-convnet/cuda,ucfpack/cuda,clip-flow/cuda,whole-program-tests/cuda)
cargo clippy "${all[@]}" --all-targets -- -D warnings
cargo build "${all[@]}" --bins
log=$(mktemp)
trap 'rm -f "$log"' EXIT
status=0
# Development builds are linked to CUDA's run-time library, for kernels of candle that nothing here uses.
LD_LIBRARY_PATH="${CUDA_HOME:-/usr/local/cuda}/lib64${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}" \
    cargo test "${all[@]}" --lib --test gpu 2>&1 | tee "$log" || status=$?
scripts/count_tests.py "$log" || { [ $status != 0 ] || status=1; }
exit $status
