#!/usr/bin/env bash
# Makes the pictures of README.md and docs/ from the demo: docs/images/sheet.png, docs/images/report.png and, from
# short runs on synthetic clips, docs/images/report-groups.png.
#
#   scripts/pictures.sh [DEMO]      DEMO is a finished demo; without it, the script runs scripts/demo.sh
#
# UCF_BIN names the folder of the programs if it is not target/release. Needs Chromium and ffmpeg
# (scripts/install_test_tools.sh).
set -euo pipefail
cd "$(dirname "$0")/.."
images=$PWD/docs/images
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
demo=${1:-}
if [ -z "$demo" ]; then
  demo=$scratch/demo
  scripts/demo.sh "$demo"
fi
for browser in chromium chromium-browser google-chrome; do
  command -v "$browser" >/dev/null && break
done
mkdir -p "$images"
# Takes a picture PNG of a PAGE that is HEIGHT pixels high.
picture() {
  "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars --force-device-scale-factor=1.5 \
    --window-size="1200,$3" --screenshot="$1" "file://$(realpath "$2")" 2>/dev/null
}
picture "$scratch/report.png" "$demo/report.html" 1150
# Two groups of each stream, with two splits and three seeds.
bin=${UCF_BIN:-${CARGO_TARGET_DIR:-target}/release}
program() { "$bin/$1" "${@:2}" >/dev/null; }
program ucfpack synth --out "$scratch/tree" --classes 4 --clips 9 --size 44x36 --seed 5
program ucfpack build --tree "$scratch/tree" --lists "$scratch/tree/lists" --out "$scratch/packed" --flow-size 32
for stream in spatial temporal; do for split in 1 2; do for seed in 0 1 2; do for smoothing in 0 0.1; do
  program ucftrain $stream --data "$scratch/packed" --run "$scratch/runs/$stream-$split-$seed-$smoothing" \
    --recipe tsn --weights none --input-size 32 --batch-size 8 --epochs 4 --segments 1 --test-samples 3 \
    --test-crop whole --val-groups g0$((3 * split + 1)) --split $split --seed $seed --label-smoothing $smoothing
done; done; done; done
program ucftrain report "$scratch"/runs/* --out "$scratch/groups.html"
picture "$scratch/groups.png" "$scratch/groups.html" 1150
# A palette keeps the files small.
shrink() {
  ffmpeg -loglevel error -y -i "$1" \
    -vf "$3split[a][b];[a]palettegen=max_colors=128[p];[b][p]paletteuse=dither=none" "$2" </dev/null
}
shrink "$scratch/report.png" "$images/report.png" "scale=1000:-1:flags=lanczos,"
shrink "$scratch/groups.png" "$images/report-groups.png" "scale=1000:-1:flags=lanczos,"
# One clip of each class: rows 1, 4, 7 and 9 of the sheet.
rows="[0]crop=iw:334:0:0[a];[0]crop=iw:258:0:850[b];[0]crop=iw:258:0:1624[c];[0]crop=iw:258:0:2140[d]"
ffmpeg -loglevel error -y -i "$demo/sheet.png" -filter_complex "$rows;[a][b][c][d]vstack=inputs=4" \
  "$scratch/sheet.png" </dev/null
shrink "$scratch/sheet.png" "$images/sheet.png" "scale=1000:-1:flags=lanczos,"
ls -l "$images"
