#!/usr/bin/env bash
# Fuzzes the readers of untrusted files: shards, JPEG files, torch files, weights and scores.
#
#   scripts/fuzz.sh [SECONDS] [TARGET...]     SECONDS per target, default 60; default: all targets
#
# Needs stable Rust, cargo-fuzz (cargo install cargo-fuzz), a C++ compiler and unzip.
#
# Failing inputs go to fuzz/artifacts. Inputs that reach new code go to fuzz/corpus.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(open index decode manifest jpeg torch weights scores)
# The sanitizer and the coverage counters are unstable options. This variable allows them in stable
# Rust.
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
        pickle=$corpus/$(basename "$file").pkl
        unzip -p "$file" '*/data.pkl' > "$pickle" 2> /dev/null || rm -f "$pickle"
      done ;;
    weights)
      features=(--features weights)
      cp convnet/tests/goldens/tiny.pth pickle/tests/goldens/*.pth "$corpus"
      header='{"module.fc.bias":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}'
      printf '\x43\0\0\0\0\0\0\0%s\0\x3c\0\x40' "$header" > "$corpus/safetensors" ;;
    scores)
      features=(--features scores)
      cp train/tests/goldens/*.npz train/tests/goldens/*.npy train/tests/goldens/*.pickle "$corpus"
      printf 'name,label,samples,0,1\nv_a,1,19,0.5,-2\n' > "$corpus/csv"
      for file in train/tests/goldens/*.npz; do
        unzip -p "$file" names.npy logits.npy labels.npy > "$corpus/$(basename "$file").arrays" 2> /dev/null || true
      done ;;
    decode)
      # Four bytes with the codec and size of a record, then its stored bytes: a JPEG file of 16 x
      # 12 pixels, and the first bytes of the golden shards' records.
      { printf '\x01\x0f\x0b\x02'; cat "$golden/wave.jpg"; } > "$corpus/jpeg"
      for shard in "$golden"/*.clipshard; do
        { printf '\x06\x0d\x09\x00'; tail -c +65 "$shard" | head -c 200; } > "$corpus/$(basename "$shard")"
      done ;;
    *)
      echo "error: there is no target $target; use open, index, decode, manifest, jpeg, torch, weights or scores" >&2
      exit 2 ;;
  esac
  cargo fuzz run "${features[@]}" --target "$(rustc -vV | sed -n 's/^host: //p')" "$target" -- \
    -max_total_time="$seconds" -max_len=65536 -timeout=20 -rss_limit_mb=2048 -print_final_stats=1
done
