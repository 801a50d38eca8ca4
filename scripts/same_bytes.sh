#!/usr/bin/env bash
# Compares what two builds of the programs make, byte for byte.
#
#   scripts/same_bytes.sh BASE_BIN_DIR NEW_BIN_DIR [CLIPS]
#
# Each folder holds ucfpack. CLIPS is a folder of videos, one a clip, in folders of their classes; it needs ffmpeg. Both
# programs make a synthetic tree, pack it in several ways, pack it in parts that they merge, and pack and extract the videos.
# Exits 0 if all files are the same, 1 if one differs, 2 if the command is wrong.
set -euo pipefail
if [ $# -lt 2 ] || [ $# -gt 3 ] || [ ! -x "$1/ucfpack" ] || [ ! -x "$2/ucfpack" ]; then
  sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
base=$(cd "$1" && pwd) new=$(cd "$2" && pwd)
clips=${3:+$(cd "$3" && pwd)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# make BIN: makes everything in the current folder. Names are relative, so that both programs see the same.
make() {
  local pack=$1/ucfpack
  quiet() { "$pack" "$@" 2>log || { cat log >&2; return 1; }; }
  quiet synth --out tree --classes 4 --clips 8 --size 96x72 --seed 3 >/dev/null
  quiet synth --like ucf101 --out like --size 8x8 >/dev/null
  local tree=(build --tree tree --lists tree/lists)
  quiet "${tree[@]}" --out plain >/dev/null
  quiet "${tree[@]}" --out small --shard-size 300kB --flow-size 32 --jobs 3 >/dev/null
  quiet "${tree[@]}" --out zstd --rgb-codec zstd --rgb-short-side 40 --flow-codec zstd --flow-size native --level 3 >/dev/null
  quiet "${tree[@]}" --out lz4 --rgb-codec lz4 --flow-codec lz4 --check decode >/dev/null
  quiet "${tree[@]}" --out raw --rgb-codec raw --flow-codec jpeg >/dev/null
  for part in 1 2 3; do quiet "${tree[@]}" --out "part$part" --part "$part/3" --shard-size 300kB --flow-size 32 >/dev/null; done
  quiet merge --out merged part1 part2 part3 >/dev/null
  quiet export plain --out exported >/dev/null
  if [ -n "$clips" ]; then
    ln -s "$clips" clips
    quiet build --videos clips --dataset custom --flow-method dis --keep-going --out videos >/dev/null
    quiet build --videos clips --dataset custom --flow-method none --rgb-codec zstd --rgb-short-side 64 --keep-going --out rgb >/dev/null
    quiet extract --videos clips --dataset custom --flow-method dis --rgb-short-side 64 --keep-going --out extracted >/dev/null
    rm clips extracted/.extract.json
  fi
  rm log
}

for side in base new; do
  mkdir "$work/$side"
  (cd "$work/$side" && make "${!side}")
done
cmp -s "$work/new/small/manifest.json" "$work/new/merged/manifest.json" || {
  echo "the merged parts differ from the whole" >&2
  exit 1
}
if ! diff -rq "$work/base" "$work/new"; then
  echo "not the same" >&2
  exit 1
fi
sum() { find "$work/$1" -type f -print0 | xargs -0 cat | wc -c; }
echo "the same: $(find "$work/new" -type f | wc -l) files, $(sum new) bytes"
