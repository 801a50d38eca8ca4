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
[ ${#targets[@]} -gt 0 ] || targets=(open index decode round_trip manifest attributes jpeg torch weights scores)
# The sanitizer and the coverage counters are unstable options. This variable allows them in stable
# Rust.
export RUSTC_BOOTSTRAP=1
golden=shard/tests/golden wide=shard/tests/golden-wide attacks=shard/tests/attacks unusual=shard/tests/unusual
for target in "${targets[@]}"; do
  corpus=fuzz/corpus/$target
  features=()
  mkdir -p "$corpus"
  case $target in
    open|index) cp {"$golden","$wide","$attacks","$unusual"}/*.clipshard "$corpus" ;;
    manifest)
      cp "$golden"/manifest.json "$attacks"/*.json "$unusual"/*.json "$corpus"
      cp "$wide"/manifest.json "$corpus/wide.json" ;;
    attributes)
      printf '{"fps":29.970,"labels":[1,0],"caption":"B\\u00e4ume","id":12345678901234567890123}' > "$corpus/golden"
      printf ' { "x" : {"y":[null,true,-0.0e-7]} , "\\"":"\\\\" } ' > "$corpus/spaces" ;;
    round_trip)
      # Eight bytes with codec and type, filter, level, rank, three sizes and the number of frames,
      # then samples.
      { printf '\x06\x03\x03\x00\x11\x0a\x00\x02'; head -c 64 "$golden/wave.rgb"; } > "$corpus/depth"
      { printf '\x12\x02\x03\x05\x04\x11\x00\x01'; head -c 64 "$golden/wave.rgb"; } > "$corpus/floats"
      { printf '\x09\x03\x08\x01\x30\x01\x00\x05'; head -c 64 "$golden/wave.rgb"; } > "$corpus/audio" ;;
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
      done
      # A depth image of 18 x 11 pixels, and arrays of f32.
      { printf '\x1e\x11\x0a\x00'; tail -c +65 "$wide/depth-00000.clipshard" | head -c 200; } > "$corpus/depth"
      { printf '\xca\x04\x03\x01'; tail -c +65 "$wide/boxes-00000.clipshard" | head -c 100; } > "$corpus/boxes" ;;
    *)
      echo "error: there is no target $target; use open, index, decode, round_trip, manifest, attributes, jpeg," \
        "torch, weights or scores" >&2
      exit 2 ;;
  esac
  cargo fuzz run "${features[@]}" --target "$(rustc -vV | sed -n 's/^host: //p')" "$target" -- \
    -max_total_time="$seconds" -max_len=65536 -timeout=20 -rss_limit_mb=2048 -print_final_stats=1
done
