#!/usr/bin/env bash
# Packages all crates as for publishing, and builds each crate from its package, offline.
#
#   scripts/package.sh [--quick] [--test CRATE...]
#
#   --quick            does not build the packages
#   --test CRATE...    also runs the tests of these crates from their packages, outside of the
#                      repository
#
# Needs Rust and python3, and all dependencies in cargo's cache.
set -euo pipefail
cd "$(dirname "$0")/.."
# The Python package is published as a wheel: scripts/python_wheel.sh.
options=(--locked --allow-dirty --workspace --exclude whole-program-tests --exclude clipshard-python)
tested=()
while [ $# -gt 0 ]; do
  case $1 in
    --quick) options+=(--no-verify); shift ;;
    --test) shift; tested=("$@"); break ;;
    *) sed -n '2,10s/^# \?//p' "$0" >&2; exit 2 ;;
  esac
done
# Cargo makes a temporary registry of the members, so that no crate must be published first.
cargo package "${options[@]}"

target=$(cargo metadata --format-version 1 --no-deps --locked |
  python3 -c 'import json, sys; print(json.load(sys.stdin)["target_directory"])')
# Name and folder of each member that can be published.
members=$(cargo metadata --format-version 1 --no-deps --locked | python3 -c '
import json, os, sys
for package in json.load(sys.stdin)["packages"]:
    if package["publish"] != []:
        print(package["name"], os.path.dirname(package["manifest_path"]))')
patches=()
while read -r name folder; do
  for file in README.md LICENSE-MIT LICENSE-APACHE; do
    tar -tf "$target/package/$name-"*.crate | grep "/$file\$" >/dev/null || {
      echo "error: the package of $name does not contain $file" >&2
      exit 1
    }
  done
  patches+=(--config "patch.crates-io.$name.path='$folder'")
done <<< "$members"
for crate in "${tested[@]}"; do
  place=$(mktemp -d)
  trap 'rm -rf "$place"' EXIT
  tar -xf "$target/package/$crate-"*.crate -C "$place"
  echo "== tests of $crate from its package"
  (cd "$place/$crate-"* && CARGO_TARGET_DIR="$target/package-tests" cargo test --offline "${patches[@]}")
  rm -rf "$place"
done
