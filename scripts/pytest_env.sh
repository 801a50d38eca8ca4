#!/usr/bin/env bash
# Installs the Python packages that the tests of the Python package need. Prints the folders that
# hold them, one per line.
#
#   scripts/pytest_env.sh             installs numpy, Pillow, zstandard and pytest (100 MB)
#   scripts/pytest_env.sh --all       also installs torch and torchvision (1.3 GB), and jax (0.5 GB)
#
# Needs python3 (3.10 or later) with pip, and network access if a folder does not exist yet. torch
# also needs a C compiler with nm and readelf. PYTHON names another Python than python3.
#
# The folders are in ~/.cache/ucf-two-stream, for all environments of the same Python version.
# torch is installed without NVIDIA's libraries, which need 3 GB: scripts/torch_cpu.py replaces them.
set -euo pipefail
cd "$(dirname "$0")/.."
case "${1:-}" in
    "" | --all) ;;
    *) echo "usage: scripts/pytest_env.sh [--all]" >&2; exit 2 ;;
esac
python=${PYTHON:-python3}
tag=$("$python" -c 'import sys, sysconfig; print(sys.implementation.cache_tag, sysconfig.get_platform(), sep="-")')
cache=${XDG_CACHE_HOME:-$HOME/.cache}/ucf-two-stream/pytest
torch=2.15.0 jax=0.10.2

# make NAME VERSION FINISH PACKAGE...: installs packages into a folder and finishes it with a
# command. A folder with another version is replaced.
make() {
    local folder=$cache/$tag/$1-$2 finish=$3
    if [ ! -d "$folder" ]; then
        rm -rf "$cache/$tag/$1"-*
        mkdir -p "$cache/$tag"
        local made
        made=$(mktemp -d "$cache/$tag/new.XXXXXX")
        if ! { "$python" -m pip install --quiet --no-warn-script-location --root-user-action ignore \
            --target "$made" "${@:4}" && "$finish" "$made"; } >&2; then
            rm -rf "$made"
            return 1
        fi
        mv -T "$made" "$folder"
    fi
    echo "$folder"
}

# Python 3.14 and later have zstd.
make base 2 true 'numpy>=1.26' 'pillow>=11' 'zstandard>=0.23; python_version < "3.14"' 'pytest>=9' \
    'pytest-timeout>=2.4' 'pytest-xdist>=3.8'
if [ "${1:-}" = --all ]; then
    packages=("torch==$torch" torchvision==0.29.2)
    # What `import torch` needs. numpy and Pillow are in the folder above.
    packages+=(filelock fsspec jinja2 markupsafe mpmath networkx sympy typing_extensions)
    # torch calls this library while it starts.
    [ "$(uname -s)" != Linux ] || packages+=(nvidia-cuda-runtime==13.2.86)
    make torch "$torch" scripts/torch_cpu.py --no-deps "${packages[@]}"
    make jax "$jax" true --no-deps "jax==$jax" "jaxlib==$jax" ml_dtypes opt_einsum scipy
else
    for folder in "$cache/$tag/torch-$torch" "$cache/$tag/jax-$jax"; do
        [ ! -d "$folder" ] || echo "$folder"
    done
fi
