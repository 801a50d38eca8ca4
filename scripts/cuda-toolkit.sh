#!/usr/bin/env bash
# Makes a CUDA 13.0 toolkit from PyPI wheels, to build the feature cuda.
#
#   scripts/cuda-toolkit.sh DIR     makes the toolkit (0.4 GB), if it does not exist yet
#   . DIR/env.sh                    sets CUDA_HOME, PATH, LIBRARY_PATH, and by default
#                                   CUDA_COMPUTE_CAP=90
#
# Needs Linux x86-64, python3 with pip and venv, and a C compiler.
#
# The toolkit holds the compilers and the runtime library only. Programs of this project find the
# driver, cuBLAS, cuRAND and cuDNN when they run (delayload/).
set -euo pipefail
mkdir -p "${1:?usage: scripts/cuda-toolkit.sh DIR}"
dir=$(cd "$1" && pwd)
[ ! -f "$dir/complete-3" ] || exit 0

wheels=(
    nvidia-cuda-nvcc==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-cuda-runtime==13.0.96
    nvidia-cuda-cccl==13.0.85
)
python3 -m venv "$dir/python"
"$dir/python/bin/pip" install --quiet --no-deps --only-binary=:all: --no-compile --upgrade \
    --target "$dir/wheels" "${wheels[@]}"

nvidia=$dir/wheels/nvidia
mkdir -p "$dir/include" "$dir/lib64"
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
cat >"$dir/env.sh" <<END
export CUDA_HOME=$dir CUDA_PATH=$dir CUDA_COMPUTE_CAP=\${CUDA_COMPUTE_CAP:-90}
export PATH=$dir/bin:\$PATH LIBRARY_PATH=$dir/lib64\${LIBRARY_PATH:+:\$LIBRARY_PATH}
END
touch "$dir/complete-3"
"$dir/bin/nvcc" --version | tail -n 2
