#!/usr/bin/env bash
# Goes from nothing to a fused score: builds the programs, makes a synthetic dataset whose classes need both streams,
# packs it, trains both networks from random weights and fuses their scores. Takes one to three minutes on two cores,
# after the build.
#
#   scripts/demo.sh [DIR]      DIR is ./demo if omitted; an earlier demo there is replaced
#
# Needs Rust and a C compiler. If UCF_BIN names a folder with the programs, they are not built.
set -euo pipefail
case ${1:-} in
  -h | --help)
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}"
    exit
    ;;
  -*)
    echo "error: unknown option $1; see $0 --help" >&2
    exit 2
    ;;
esac
if [ $# -gt 1 ]; then
  echo "error: expected at most one folder; see $0 --help" >&2
  exit 2
fi
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
out=${1:-demo}
if [ -e "$out" ] && [ ! -e "$out/.ucf-demo" ]; then
  echo "error: $out exists and is not an earlier demo; name another folder" >&2
  exit 2
fi
bin=${UCF_BIN:-}
if [ -z "$bin" ]; then
  (cd "$repo" && cargo build --release --locked -p ucfpack -p ucftrain)
  bin=${CARGO_TARGET_DIR:-$repo/target}/release
fi
rm -rf "$out"
mkdir -p "$out"
touch "$out/.ucf-demo"
start=$(date +%s)
step() { printf '\n== %s\n' "$1"; }

step "Making a synthetic dataset"
"$bin/ucfpack" synth --out "$out/tree" --classes 4 --clips 60

step "Packing it"
"$bin/ucfpack" build --tree "$out/tree" --lists "$out/tree/lists" --out "$out/packed" --flow-size 64
"$bin/ucfpack" inspect "$out/packed" --sheet "$out/sheet.png" >/dev/null

common=(--data "$out/packed" --weights none --input-size 64 --batch-size 8 --epochs 7 --precise-bn 156)
step "Training the spatial network (RGB frames)"
"$bin/ucftrain" spatial "${common[@]}" --run "$out/spatial" --lr 1e-3

step "Training the temporal network (optical flow)"
"$bin/ucftrain" temporal "${common[@]}" --run "$out/temporal" --lr 5e-3

step "Fusing their scores"
"$bin/ucftrain" fuse "$out/spatial" "$out/temporal"
"$bin/ucftrain" report "$out/spatial" "$out/temporal" --out "$out/report.html" >/dev/null

printf '\nDone in %s s. Look at:\n' "$(($(date +%s) - start))"
printf '  %-22s %s\n' "$out/sheet.png" "frames of each class, above their optical flow" \
  "$out/report.html" "accuracy, curves, confusions and the fusion"
