#!/usr/bin/env bash
# Makes a CUDA 13.0 toolkit out of PyPI wheels, to build the feature cuda on a machine without one (to run it takes a card
# and its driver). Linux x86-64; needs python3 with pip, and a C compiler.
#
#   scripts/cuda-toolkit.sh DIR [--lint]     2.5 GB; with --lint 0.4 GB, enough for cargo check and clippy. Does nothing if it is there
#   . DIR/env.sh                             sets CUDA_HOME, PATH, LIBRARY_PATH and, unless it is set, CUDA_COMPUTE_CAP=90
set -euo pipefail
mkdir -p "${1:?usage: cuda-toolkit.sh DIR [--lint]}"
dir=$(cd "$1" && pwd)
want=link
[ "${2:-}" = --lint ] && want=lint
if [ -f "$dir/env.sh" ] && { [ "$want" = lint ] || [ ! -f "$dir/lint-only" ]; }; then exit 0; fi

wheels=(nvidia-cuda-nvcc==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-cuda-runtime==13.0.96 nvidia-cuda-cccl==13.0.85)
libraries=(nvidia-cuda-nvrtc==13.0.88 nvidia-cublas==13.1.0.3 nvidia-curand==10.4.0.35 nvidia-cudnn-cu13==9.19.0.56 nvidia-nccl-cu13==2.28.9)
[ "$want" = link ] && wheels+=("${libraries[@]}")
python3 -m venv "$dir/python"
"$dir/python/bin/pip" install --quiet --no-deps --only-binary=:all: --no-compile --upgrade --target "$dir/wheels" "${wheels[@]}"

nvidia=$dir/wheels/nvidia
mkdir -p "$dir/include" "$dir/lib64/stubs"
for part in bin nvvm; do
    rm -rf "${dir:?}/$part"
    cp -rs "$nvidia/cu13/$part" "$dir/$part"
done
for include in "$nvidia"/*/include; do cp -rsf "$include/." "$dir/include/"; done
for library in "$nvidia"/*/lib/*; do
    name=$(basename "$library")
    ln -sf "$library" "$dir/lib64/$name"
    case $name in *.so.*) ln -sf "$name" "$dir/lib64/${name%%.so.*}.so" ;; esac
done
# No wheel has the driver's library: programs are linked against one that only has its names, and find the real one when they run.
grep -ohE '\bcu[A-Z][A-Za-z0-9_]+' "$dir/include/cuda.h" | sort -u | sed 's/.*/void &(void){}/' >"$dir/driver.c"
cc -w -shared -fPIC -Wl,-soname,libcuda.so.1 -o "$dir/lib64/stubs/libcuda.so" "$dir/driver.c"
rm -f "$dir/lint-only"
[ "$want" = lint ] && touch "$dir/lint-only"
cat >"$dir/env.sh" <<END
export CUDA_HOME=$dir CUDA_PATH=$dir CUDA_COMPUTE_CAP=\${CUDA_COMPUTE_CAP:-90}
export PATH=$dir/bin:\$PATH LIBRARY_PATH=$dir/lib64:$dir/lib64/stubs\${LIBRARY_PATH:+:\$LIBRARY_PATH}
END
"$dir/bin/nvcc" --version | tail -n 2
