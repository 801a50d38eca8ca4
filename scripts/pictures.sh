#!/usr/bin/env bash
# Makes the pictures of README.md and docs/ from the demo: docs/images/sheet.png and docs/images/report.png.
#
#   scripts/pictures.sh [DEMO]      DEMO is a finished demo; without it, the script runs scripts/demo.sh
#
# Needs Chromium and ffmpeg (scripts/install_test_tools.sh).
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
"$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars --force-device-scale-factor=1.5 \
  --window-size=1200,1150 --screenshot="$scratch/report.png" "file://$(realpath "$demo/report.html")" 2>/dev/null
# A palette keeps the files small.
shrink() {
  ffmpeg -loglevel error -y -i "$1" \
    -vf "$3split[a][b];[a]palettegen=max_colors=128[p];[b][p]paletteuse=dither=none" "$2" </dev/null
}
shrink "$scratch/report.png" "$images/report.png" "scale=1000:-1:flags=lanczos,"
# One clip of each class: rows 1, 4, 7 and 9 of the sheet.
rows="[0]crop=iw:334:0:0[a];[0]crop=iw:258:0:850[b];[0]crop=iw:258:0:1624[c];[0]crop=iw:258:0:2140[d]"
ffmpeg -loglevel error -y -i "$demo/sheet.png" -filter_complex "$rows;[a][b][c][d]vstack=inputs=4" \
  "$scratch/sheet.png" </dev/null
shrink "$scratch/sheet.png" "$images/sheet.png" "scale=1000:-1:flags=lanczos,"
ls -l "$images"
