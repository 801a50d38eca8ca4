#!/usr/bin/env bash
# Fuzzes the readers of clip shards, torch files, weights and scores for a bounded time. Needs cargo-fuzz (cargo install cargo-fuzz),
# a C++ compiler and unzip; works with stable Rust. Failing inputs go to fuzz/artifacts, inputs that reach new code to fuzz/corpus.
#   scripts/fuzz.sh [SECONDS PER TARGET] [TARGET...]      # default: 60 seconds, all targets
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(open index decode manifest jpeg torch weights scores)
# The sanitizer and the coverage counters are unstable options of a stable compiler.
export RUSTC_BOOTSTRAP=1
golden=shard/tests/golden attacks=shard/tests/attacks
for target in "${targets[@]}"; do
  corpus=fuzz/corpus/$target
  features=()
  mkdir -p "$corpus"
  case $target in
    open|index) cp "$golden"/*.clipshard "$attacks"/*.clipshard "$corpus" ;;
    manifest) cp "$golden"/manifest.json "$attacks"/*.json "$corpus" ;;
    jpeg) cp shard/tests/jpeg/*.jpg "$corpus" ;;
    torch)
      cp pickle/tests/goldens/* pickle/tests/scores/* train/tests/goldens/*.pickle "$corpus"
      for file in pickle/tests/goldens/*.pth; do
        unzip -p "$file" '*/data.pkl' > "$corpus/$(basename "$file").pkl" 2> /dev/null || rm -f "$corpus/$(basename "$file").pkl"
      done ;;
    weights)
      features=(--features weights)
      cp convnet/tests/goldens/tiny.pth pickle/tests/goldens/*.pth "$corpus"
      printf '\x43\0\0\0\0\0\0\0{"module.fc.bias":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}\0\x3c\0\x40' > "$corpus/safetensors" ;;
    scores)
      features=(--features scores)
      cp train/tests/goldens/*.npz train/tests/goldens/*.npy train/tests/goldens/*.pickle "$corpus"
      printf 'name,label,samples,0,1\nv_a,1,19,0.5,-2\n' > "$corpus/csv"
      for file in train/tests/goldens/*.npz; do
        unzip -p "$file" names.npy logits.npy labels.npy > "$corpus/$(basename "$file").arrays" 2> /dev/null || true
      done ;;
    decode)
      # A record's kind and size in four bytes, then its bytes: a JPEG file of 16 x 12 pixels, and what the golden shards hold.
      { printf '\x01\x0f\x0b\x02'; cat "$golden/wave.jpg"; } > "$corpus/jpeg"
      for shard in "$golden"/*.clipshard; do { printf '\x06\x0d\x09\x00'; tail -c +65 "$shard" | head -c 200; } > "$corpus/$(basename "$shard")"; done ;;
    *) echo "no target $target; there are open, index, decode, manifest, jpeg, torch, weights, scores" >&2; exit 2 ;;
  esac
  cargo fuzz run "${features[@]}" --target "$(rustc -vV | sed -n 's/^host: //p')" "$target" -- -max_total_time="$seconds" -max_len=65536 -timeout=20 -rss_limit_mb=2048 -print_final_stats=1
done
