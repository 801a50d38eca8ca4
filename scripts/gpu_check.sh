#!/usr/bin/env bash
# Runs all checks and measurements that need an NVIDIA GPU, on a machine without Rust and network.
#
#   scripts/gpu_check.sh BIN [IMAGES]
#
# Checks: tests of the ops and of TV-L1, a small training on GPU and CPU, reproducible results,
# speed against PyTorch, the roofline of each op, and whole epochs at the size of UCF101.
#
# Needs python3 with torch and torchvision, and a folder BIN of programs that were built with the
# feature cuda:
#
# * ucftrain and ucfpack.
# * convnet_tests: cargo test --release -p candle-convnet --features cuda --test convnet --no-run
# * flow_tests: cargo test --release -p clip-flow --features cuda --test cuda --no-run
#
# IMAGES is a small packed dataset of real clips. Its images fill the dataset of the size of UCF101.
# If omitted, the whole epochs are skipped. Environment variables:
#
# * OUT: folder of the results, default gpu-check.
# * WORK: folder of the datasets, default /dev/shm/ucf-gpu-check (45 GB for frames of 11 KB).
# * ROUNDS, COMPILE: options of scripts/bench_step_gpu.py.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$(cd "${1:?usage: gpu_check.sh BIN [IMAGES]}" && pwd)
images=${2:-}
out=${OUT:-gpu-check} work=${WORK:-/dev/shm/ucf-gpu-check}
mkdir -p "$out" "$work"
# The programs find the CUDA libraries themselves. Test programs link to the CUDA runtime library.
wheels='import glob, nvidia; print(":".join(glob.glob(list(nvidia.__path__)[0] + "/*/lib")))'
libraries=$(python3 -c "$wheels"):${LD_LIBRARY_PATH:-}
if ! "$bin/ucftrain" bench step --device cuda:0 --input-size 32 --seconds 0 >/dev/null; then
  echo "ucftrain does not start; trying again with LD_LIBRARY_PATH=$libraries"
  export LD_LIBRARY_PATH=$libraries
fi

echo "== tests of the ops"
LD_LIBRARY_PATH=$libraries CARGO_MANIFEST_DIR=$PWD/convnet "$bin/convnet_tests" --ignored --test-threads=1 |
  tee "$out/tests.txt"

echo "== TV-L1 flow"
"$bin/flow_tests" --include-ignored --nocapture --test-threads=1 | tee "$out/flow.txt"

echo "== a small training: GPU (bf16) and GPU (f32) with three seeds each, CPU"
rm -rf "$work/small" && mkdir "$work/small"
"$bin/ucfpack" synth --out "$work/small/tree" --classes 4 --clips 60 2>/dev/null
"$bin/ucfpack" build --tree "$work/small/tree" --lists "$work/small/tree/lists" --out "$work/small/packed" \
  --flow-size 64 2>/dev/null
for run in "cuda:0 --seed 0" "cuda:0 --seed 1" "cuda:0 --seed 2" "cuda:0 --precision f32 --seed 0" \
  "cuda:0 --precision f32 --seed 1" "cuda:0 --precision f32 --seed 2" "cpu --seed 0"; do
  common="--data $work/small/packed --weights none --input-size 64 --batch-size 8 --epochs 7 --overwrite --device $run"
  # shellcheck disable=SC2086
  "$bin/ucftrain" spatial $common --run "$work/small/spatial" --lr 1e-3 >/dev/null 2>&1
  # shellcheck disable=SC2086
  "$bin/ucftrain" temporal $common --run "$work/small/temporal" --lr 5e-3 >/dev/null 2>&1
  echo "$run"
  "$bin/ucftrain" fuse "$work/small/spatial" "$work/small/temporal"
done | tee "$out/accuracy.txt"

echo "== the same bits in a second run, and in a run that is stopped and resumed"
exact="--data $work/small/packed --weights none --input-size 64 --batch-size 8 --epochs 1 --device cuda:0"
exact="$exact --deterministic"
for run in once again stopped; do
  limit=; [ $run != stopped ] || limit="--limit-steps 7"
  # shellcheck disable=SC2086
  "$bin/ucftrain" temporal $exact --run "$work/small/$run" --overwrite $limit >/dev/null 2>&1
done
"$bin/ucftrain" temporal --run "$work/small/stopped" --resume >/dev/null 2>&1
for run in again stopped; do
  cmp "$work/small/once/best.safetensors" "$work/small/$run/best.safetensors" && echo "$run: the same network"
done | tee "$out/exact.txt"

echo "== speed of training steps, against PyTorch"
python3 scripts/bench_step_gpu.py --program "$bin/ucftrain" --rounds "${ROUNDS:-2}" --compile "${COMPILE:-2}" \
  --json "$out/steps.json" | tee "$out/steps.txt"

echo "== speed of each op, against the limit of the GPU (roofline)"
for shape in "rgb --batch-size 25" "flow --batch-size 32" "rgb --batch-size 256"; do
  # shellcheck disable=SC2086
  "$bin/ucftrain" bench step --device cuda:0 --seconds 1 --stream $shape
done | tee "$out/roofline.txt"

if [ -n "$images" ]; then
  echo "== whole epochs at the size of UCF101"
  "$bin/ucfpack" synth --like ucf101 --images "$images" --out "$work/ucf101" --overwrite 2>/dev/null
  for stream in temporal spatial; do
    "$bin/ucftrain" $stream --data "$work/ucf101" --run "$work/$stream" --overwrite --weights none --device cuda:0 \
      --epochs 3 --lr 1e-3 --json >"$out/$stream.json" 2>"$out/$stream.log"
  done
  python3 - "$out/spatial.json" "$out/temporal.json" <<'PY' | tee "$out/epochs.txt"
import json, sys
total = 0
for path, epochs in zip(sys.argv[1:], (17, 20)):
    run = json.load(open(path))
    last = run["history"][-1]
    seconds = lambda epoch, kind, part="batch": epoch[f"{kind}_seconds"][part]["sum"]
    train, wait, test = seconds(last, "train"), seconds(last, "train", "data"), seconds(last, "test")
    first = run["seconds"] - sum(seconds(epoch, "train") + seconds(epoch, "test") for epoch in run["history"][1:])
    total += first + (epochs - 1) * (train + test)
    waiting = f"{100 * wait / train:.1f} % of it waiting for data"
    print(f"{path}: start and first epoch {first:.1f} s")
    print(f"  last epoch: training {train:.2f} s ({waiting}), test {test:.2f} s")
print(f"estimate for 17 spatial and 20 temporal epochs: {total / 60:.1f} minutes")
PY
fi
