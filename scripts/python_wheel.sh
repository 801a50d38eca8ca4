#!/usr/bin/env bash
# Builds the wheel and the source distribution of the Python package into target/wheels, and checks
# them.
#
#   scripts/python_wheel.sh [--programs]
#   scripts/python_wheel.sh --dev FOLDER
#
#   --programs       also builds the wheels of ucfpack and ucftrain, and starts the programs from a
#                    new environment
#   --dev FOLDER     only builds a wheel for tests into FOLDER, with the profile of `cargo build`
#
# Needs Rust, a C compiler and python3, and network access the first time.
#
# The wheel is built from the source distribution, in a temporary folder: this shows that the
# distribution is complete. scripts/check_wheels.py lists what the files must contain.
set -euo pipefail
cd "$(dirname "$0")/.."
programs=false dev=
while [ $# -gt 0 ]; do
    case $1 in
        --programs) programs=true; shift ;;
        --dev) dev=${2:?"--dev needs a folder"}; shift 2 ;;
        *) sed -n '2,12s/^# \?//p' "$0" >&2; exit 2 ;;
    esac
done
CARGO_TARGET_DIR=$(realpath -m "${CARGO_TARGET_DIR:-target}")
export CARGO_TARGET_DIR
python=$(scripts/python_env.sh)
maturin=${python%python}maturin

if [ -n "$dev" ]; then
    exec "$maturin" build --quiet --locked --profile dev --manifest-path python/Cargo.toml --out "$dev"
fi

wheels=$CARGO_TARGET_DIR/wheels
rm -rf "$wheels"
# Without --locked: the distribution has fewer crates, so that cargo shortens its Cargo.lock. In a
# folder of its own: cargo would take the crates of the distribution for those of the checkout.
CARGO_TARGET_DIR=$CARGO_TARGET_DIR/sdist \
    "$maturin" build --release --sdist --manifest-path python/Cargo.toml --out "$wheels"
if $programs; then
    for folder in preprocess train; do
        "$maturin" build --locked --release --manifest-path "$folder/Cargo.toml" --out "$wheels"
    done
fi
"$python" scripts/check_wheels.py "$wheels"/*

place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
"$python" -m venv "$place/env"
# numpy comes from the environment of the scripts, so that this step needs no network.
site=$("$place/env/bin/python" -c 'import site; print(site.getsitepackages()[0])')
"$python" -c 'import numpy; print(numpy.__path__[0].removesuffix("numpy"))' >"$site/numpy.pth"
"$place/env/bin/pip" install --quiet --no-index "$wheels"/*.whl
cd "$place"
env/bin/python -c 'import clipshard; print("clipshard", clipshard.__version__, "is imported from its wheel")'
if $programs; then
    env/bin/ucfpack --version
    env/bin/ucftrain --version
    env/bin/ucfpack synth --out tree --classes 2 --clips 4 --size 32x32 >/dev/null
    env/bin/ucfpack build --tree tree --lists tree/lists --out packed >/dev/null
    env/bin/ucftrain bench loader --data packed --stream rgb --input-size 32 --seconds 1
fi
