#!/usr/bin/env bash
# From nothing to a fused score: builds the programs, makes up a data set whose classes need both streams, packs it, trains
# both networks from a random start and fuses them. Needs Rust stable and a C compiler; a few minutes on two cores.
#   scripts/demo.sh [DIR]      # default: ./demo, replaced if it is there from an earlier demo
set -euo pipefail
repo=$(cd "$(dirname "$0")/.." && pwd)
out=${1:-demo}
(cd "$repo" && cargo build --release --locked -p ucfpack -p ucftrain)
bin=${CARGO_TARGET_DIR:-$repo/target}/release
if [ -e "$out" ] && [ ! -e "$out/.ucf-demo" ]; then
  echo "$out exists and is not an earlier demo; name another folder" >&2
  exit 2
fi
rm -rf "$out"
mkdir -p "$out"
touch "$out/.ucf-demo"
start=$(date +%s)
"$bin/ucfpack" synth --out "$out/tree" --classes 4 --clips 60
"$bin/ucfpack" build --tree "$out/tree" --lists "$out/tree/lists" --out "$out/packed" --flow-size 64
"$bin/ucfpack" inspect "$out/packed" --sheet "$out/sheet.png"
common=(--data "$out/packed" --weights none --input-size 64 --batch-size 8 --epochs 7 --precise-bn 156)
"$bin/ucftrain" spatial "${common[@]}" --run "$out/spatial" --lr 1e-3
"$bin/ucftrain" temporal "${common[@]}" --run "$out/temporal" --lr 5e-3
"$bin/ucftrain" fuse "$out/spatial" "$out/temporal"
echo "done in $(($(date +%s) - start)) s; look at $out/sheet.png, and at the runs in $out/spatial and $out/temporal"
