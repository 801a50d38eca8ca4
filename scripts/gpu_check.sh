#!/usr/bin/env bash
# Everything that needs an NVIDIA card, on a machine without Rust and without network: tests of the ops, a small training beside the
# CPU's, speed beside PyTorch, and whole epochs at UCF101's counts.
#   scripts/gpu_check.sh BIN [IMAGES]
# BIN holds programs that were built elsewhere with the feature `cuda`: ucftrain, ucfpack, convnet_tests and flow_tests (the last two
# by `cargo test --release -p candle-convnet --features cuda --test convnet --no-run` and
# `cargo test --release -p clip-flow --features cuda --test cuda --no-run`). IMAGES is a small packed data set of real clips, whose images
# the full-size set takes; without it that part is left out. python3 must have torch and torchvision.
# Results go to $OUT (default: gpu-check), the full-size set to $WORK (default: /dev/shm/ucf-gpu-check, 45 GB for 11 KB frames).
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$(cd "${1:?usage: gpu_check.sh BIN [IMAGES]}" && pwd)
images=${2:-}
out=${OUT:-gpu-check} work=${WORK:-/dev/shm/ucf-gpu-check}
mkdir -p "$out" "$work"
# Programs find CUDA's libraries themselves; tests that are development builds are linked to its run-time library.
libraries=$(python3 -c 'import glob, nvidia; print(":".join(glob.glob(list(nvidia.__path__)[0] + "/*/lib")))'):${LD_LIBRARY_PATH:-}
if ! "$bin/ucftrain" bench step --device cuda:0 --input-size 32 --seconds 0 >/dev/null; then
  echo "Once more with $libraries"
  export LD_LIBRARY_PATH=$libraries
fi

echo "== tests of the ops"
LD_LIBRARY_PATH=$libraries CARGO_MANIFEST_DIR=$PWD/convnet "$bin/convnet_tests" --ignored --test-threads=1 | tee "$out/tests.txt"

echo "== TV-L1 flow"
"$bin/flow_tests" --include-ignored --nocapture --test-threads=1 | tee "$out/flow.txt"

echo "== a small training: card (bf16) and card (f32) with three seeds, CPU"
rm -rf "$work/small" && mkdir "$work/small"
"$bin/ucfpack" synth --out "$work/small/tree" --classes 4 --clips 60 2>/dev/null
"$bin/ucfpack" build --tree "$work/small/tree" --lists "$work/small/tree/lists" --out "$work/small/packed" --flow-size 64 2>/dev/null
for run in "cuda:0 --seed 0" "cuda:0 --seed 1" "cuda:0 --seed 2" "cuda:0 --precision f32 --seed 0" "cuda:0 --precision f32 --seed 1" \
  "cuda:0 --precision f32 --seed 2" "cpu --seed 0"; do
  common="--data $work/small/packed --weights none --input-size 64 --batch-size 8 --epochs 7 --overwrite --device $run"
  # shellcheck disable=SC2086
  "$bin/ucftrain" spatial $common --run "$work/small/spatial" --lr 1e-3 >/dev/null 2>&1
  # shellcheck disable=SC2086
  "$bin/ucftrain" temporal $common --run "$work/small/temporal" --lr 5e-3 >/dev/null 2>&1
  echo "$run"
  "$bin/ucftrain" fuse "$work/small/spatial" "$work/small/temporal"
done | tee "$out/accuracy.txt"

echo "== the same bits in another process, and after a stop"
exact="--data $work/small/packed --weights none --input-size 64 --batch-size 8 --epochs 1 --device cuda:0 --deterministic"
for run in once again stopped; do
  limit=; [ $run != stopped ] || limit="--limit-steps 7"
  # shellcheck disable=SC2086
  "$bin/ucftrain" temporal $exact --run "$work/small/$run" --overwrite $limit >/dev/null 2>&1
done
"$bin/ucftrain" temporal --run "$work/small/stopped" --resume >/dev/null 2>&1
for run in again stopped; do
  cmp "$work/small/once/best.safetensors" "$work/small/$run/best.safetensors" && echo "$run: the same network"
done | tee "$out/exact.txt"

echo "== speed beside PyTorch"
python3 scripts/bench_step_gpu.py --program "$bin/ucftrain" --rounds "${ROUNDS:-2}" --compile "${COMPILE:-2}" --json "$out/steps.json" | tee "$out/steps.txt"

echo "== each op beside the card's roof"
for shape in "rgb --batch-size 25" "flow --batch-size 32" "rgb --batch-size 256"; do
  # shellcheck disable=SC2086
  "$bin/ucftrain" bench step --device cuda:0 --seconds 1 --stream $shape
done | tee "$out/roofline.txt"

if [ -n "$images" ]; then
  echo "== whole epochs at UCF101's counts"
  "$bin/ucfpack" synth --like ucf101 --images "$images" --out "$work/ucf101" --overwrite 2>/dev/null
  for stream in temporal spatial; do
    "$bin/ucftrain" $stream --data "$work/ucf101" --run "$work/$stream" --overwrite --weights none --device cuda:0 --epochs 3 \
      --lr 1e-3 --json >"$out/$stream.json" 2>"$out/$stream.log"
  done
  python3 - "$out/spatial.json" "$out/temporal.json" <<'PY' | tee "$out/epochs.txt"
import json, sys
total = 0
for path, epochs in zip(sys.argv[1:], (17, 20)):
    run = json.load(open(path))
    last = run["history"][-1]
    train, wait, test = (last[a][b]["sum"] for a, b in (("train_seconds", "batch"), ("train_seconds", "data"), ("test_seconds", "batch")))
    first = run["seconds"] - sum(e["train_seconds"]["batch"]["sum"] + e["test_seconds"]["batch"]["sum"] for e in run["history"][1:])
    total += first + (epochs - 1) * (train + test)
    print(f"{path}: first epoch and start {first:.1f} s; last: training {train:.2f} s ({100 * wait / train:.1f} % waiting), test {test:.2f} s")
print(f"17 spatial and 20 temporal epochs, projected: {total / 60:.1f} minutes")
PY
fi
