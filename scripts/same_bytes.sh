#!/usr/bin/env bash
# Compares the output of two builds of the programs, byte for byte.
#
#   scripts/same_bytes.sh BASE_BIN_DIR NEW_BIN_DIR [CLIPS]
#
# Needs two folders that hold ucfpack and ucftrain. CLIPS is a folder with videos in one folder per
# class, and needs ffmpeg.
#
# Both builds pack a synthetic tree in several ways, also in parts that they merge, and pack and
# extract the videos. Then they train on the CPU with a seed: both streams and both recipes. The
# script compares all files, also the networks of all epochs and the scores.
#
# Exits with 0 if all files are the same, with 1 if a file differs, and with 2 on wrong usage.
set -euo pipefail
if [ $# -lt 2 ] || [ $# -gt 3 ] || [ ! -x "$1/ucfpack" ] || [ ! -x "$2/ucfpack" ]; then
  sed -n '2,13s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
base=$(cd "$1" && pwd) new=$(cd "$2" && pwd)
clips=${3:+$(cd "$3" && pwd)}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# make BIN: makes all files in the current folder. Paths are relative, so that both builds get the
# same paths.
make() {
  program=$1
  local pack=$1/ucfpack
  quiet() { "$pack" "$@" 2>log || { cat log >&2; return 1; }; }
  quiet synth --out tree --classes 4 --clips 8 --size 96x72 --seed 3 >/dev/null
  quiet synth --like ucf101 --out like --size 8x8 >/dev/null
  local tree=(build --tree tree --lists tree/lists)
  quiet "${tree[@]}" --out plain >/dev/null
  quiet "${tree[@]}" --out small --shard-size 300kB --flow-size 32 --jobs 3 >/dev/null
  quiet "${tree[@]}" --out zstd --rgb-codec zstd --rgb-short-side 40 --flow-codec zstd --flow-size native \
    --level 3 >/dev/null
  quiet "${tree[@]}" --out lz4 --rgb-codec lz4 --flow-codec lz4 --check decode >/dev/null
  quiet "${tree[@]}" --out raw --rgb-codec raw --flow-codec jpeg >/dev/null
  for part in 1 2 3; do
    quiet "${tree[@]}" --out "part$part" --part "$part/3" --shard-size 300kB --flow-size 32 >/dev/null
  done
  quiet merge --out merged part1 part2 part3 >/dev/null
  quiet export plain --out exported >/dev/null
  if [ -n "$clips" ]; then
    ln -s "$clips" clips
    quiet build --videos clips --dataset custom --flow-method dis --keep-going --out videos >/dev/null
    quiet build --videos clips --dataset custom --flow-method none --rgb-codec zstd --rgb-short-side 64 \
      --keep-going --out rgb >/dev/null
    quiet extract --videos clips --dataset custom --flow-method dis --rgb-short-side 64 --keep-going \
      --out extracted >/dev/null
    rm clips extracted/.extract.json
  fi
  train spatial plain seed "--recipe seed --input-size 64"
  train temporal small seed "--recipe seed --input-size 32"
  train spatial plain tsn "--recipe tsn --input-size 48 --color-jitter 0.4 --precise-bn 8 --ema 0.9 --test-crop ten \
    --test-samples 3"
  train temporal small tsn "--recipe tsn --input-size 32 --dropout 0.5 --test-crop three --test-samples 4"
  rm log
}

# train STREAM DATA NAME OPTIONS: trains a network. Keeps only files that do not contain times.
train() {
  local run=run-$1-$3
  # shellcheck disable=SC2086
  "$program/ucftrain" "$1" --data "$2" --run "$run" --weights none --epochs 2 --batch-size 5 --threads 2 --seed 7 \
    --device cpu --keep-epochs 2 $4 >log 2>&1 || { cat log >&2; return 1; }
  find "$run" -type f ! -name '*.safetensors' ! -name '*.npz' -delete
  rm "$run/checkpoint.safetensors"
}

for side in base new; do
  mkdir "$work/$side"
  (cd "$work/$side" && make "${!side}")
done
cmp -s "$work/new/small/manifest.json" "$work/new/merged/manifest.json" || {
  echo "error: the merged parts differ from the dataset that was packed at once" >&2
  exit 1
}
if ! diff -rq "$work/base" "$work/new"; then
  echo "error: the output of the builds differs" >&2
  exit 1
fi
sum() { find "$work/$1" -type f -print0 | xargs -0 cat | wc -c; }
echo "the output is the same: $(find "$work/new" -type f | wc -l) files, $(sum new) bytes"
