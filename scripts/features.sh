#!/usr/bin/env bash
# Checks the Cargo features of clipshard: each alone, none, and all. Compiles it for WebAssembly and
# 64-bit ARM, and tests it in 32 bits.
#
#   scripts/features.sh [--allow-missing]
#
# Needs rustup, which installs the targets, and aarch64-linux-gnu-gcc for the C libraries of the codecs
# on ARM (Debian: gcc-aarch64-linux-gnu). Installs the latter where it can. Exits with 3 if something is
# missing after all checks that are possible, and with 1 if a check fails. With --allow-missing, a
# missing tool is only named.
#
# Uses its own target folder, FEATURES_TARGET_DIR, because each set of features compiles again.
set -euo pipefail
cd "$(dirname "$0")/.."
allow_missing=false
case "${1:-}" in
    "") ;;
    --allow-missing) allow_missing=true ;;
    *) echo "usage: scripts/features.sh [--allow-missing]" >&2 && exit 2 ;;
esac
export CARGO_TARGET_DIR="${FEATURES_TARGET_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/ucf-two-stream/target-features}"
missing=()

# shard COMMAND FEATURES [OPTION ...]: runs cargo for clipshard with these features only.
shard() {
    local command=$1 features=$2
    shift 2
    echo "== $command ${features:-no features} $*"
    cargo "$command" --quiet --package clipshard --locked --no-default-features --features "$features" "$@"
}

# has_target TARGET: installs the standard library of a target, unless it is there.
has_target() {
    rustup target list --installed 2>/dev/null | grep -qx "$1" && return
    if ! timeout 300 rustup target add "$1" 2>/dev/null; then
        missing+=("rustup cannot install the target $1")
        return 1
    fi
}

export RUSTFLAGS="${RUSTFLAGS:-} -D warnings"
all=$(sed -n '/^\[features\]/,/^$/s/^\([a-z0-9]*\) = .*/\1/p' shard/Cargo.toml | grep -vx default)
for feature in $all; do
    shard check "$feature"
done
# All features, and all that a test needs except for rayon.
shard check "${all//$'\n'/ }" --all-targets
shard check "jpeg lz4 write zstd" --all-targets
for features in "" zstd; do
    shard clippy "$features" --all-targets
    shard test "$features" --lib --tests
done
shard test "lz4 write" --lib --tests

# WebAssembly. The codec jpeg and raw samples need no C compiler.
for target in wasm32-unknown-unknown wasm32-wasip1; do
    if has_target $target; then
        shard check "" --target $target
        shard check jpeg --target $target
    fi
done

# 32 bits, linked by the linker of Rust. The tests include a shard that is larger than the addresses.
if has_target i686-unknown-linux-musl; then
    export CARGO_TARGET_I686_UNKNOWN_LINUX_MUSL_RUSTFLAGS="-D warnings -C linker=rust-lld -C linker-flavor=ld.lld"
    (unset RUSTFLAGS && shard test jpeg --lib --tests --target i686-unknown-linux-musl)
fi

# 64-bit ARM, with the C libraries if there is a compiler for them.
target=aarch64-unknown-linux-gnu
if has_target $target; then
    if ! command -v aarch64-linux-gnu-gcc >/dev/null; then
        sudo=()
        [ "$(id -u)" = 0 ] || sudo=(sudo -n)
        install=("${sudo[@]}" timeout 600 apt-get install -y --no-install-recommends
            gcc-aarch64-linux-gnu libc6-dev-arm64-cross)
        "${install[@]}" >/dev/null 2>&1 ||
            { "${sudo[@]}" timeout 300 apt-get update && "${install[@]}"; } >/dev/null 2>&1 || true
    fi
    if command -v aarch64-linux-gnu-gcc >/dev/null; then
        echo "== check clipshard and clip-loader with all codecs --target $target"
        cargo check --quiet --package clipshard --package clip-loader --locked --target $target
    else
        missing+=("there is no aarch64-linux-gnu-gcc, so zstd and lz4 are not checked for 64-bit ARM")
        shard check "jpeg rayon write" --target $target
    fi
fi

for what in "${missing[@]}"; do
    echo "missing: $what" >&2
done
[ ${#missing[@]} = 0 ] || $allow_missing || exit 3
