#!/usr/bin/env bash
# Fuzzes the readers of clip shards and of torch files for a bounded time. Needs cargo-fuzz (cargo install cargo-fuzz) and a C++ compiler; Rust
# stable will do. Finds are in fuzz/artifacts; inputs that reach something new are kept in fuzz/corpus.
#   scripts/fuzz.sh [SECONDS A TARGET] [TARGET...]      # default: 60 seconds, all targets
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=${1:-60}
shift || true
targets=("$@")
[ ${#targets[@]} -gt 0 ] || targets=(open index decode manifest jpeg torch)
# The sanitizer and the coverage counters are unstable options of a stable compiler.
export RUSTC_BOOTSTRAP=1
golden=shard/tests/golden attacks=shard/tests/attacks
for target in "${targets[@]}"; do
  corpus=fuzz/corpus/$target
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
    decode)
      # A record's kind and size in four bytes, then its bytes: a JPEG file of 16 x 12 pixels, and what the golden shards hold.
      { printf '\x01\x0f\x0b\x02'; cat "$golden/wave.jpg"; } > "$corpus/jpeg"
      for shard in "$golden"/*.clipshard; do { printf '\x06\x0d\x09\x00'; tail -c +65 "$shard" | head -c 200; } > "$corpus/$(basename "$shard")"; done ;;
    *) echo "no target $target; there are open, index, decode, manifest, jpeg, torch" >&2; exit 2 ;;
  esac
  cargo fuzz run --target "$(rustc -vV | sed -n 's/^host: //p')" "$target" -- -max_total_time="$seconds" -max_len=65536 -timeout=20 -rss_limit_mb=2048 -print_final_stats=1
done
