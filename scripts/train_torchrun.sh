#!/usr/bin/env bash
# Trains one stream with the processes of torchrun. If RUN has a checkpoint, continues it.
#
#   scripts/train_torchrun.sh "TORCHRUN_OPTIONS" RUN STREAM OPTIONS...
#   scripts/train_torchrun.sh "--nnodes 1 --nproc-per-node 2" runs/spatial spatial --data DATA --weights none
#
# TORCHRUN_OPTIONS are options of torchrun, and OPTIONS are those of `ucftrain STREAM`.
# RUN is the run folder. All machines must see it and the dataset.
# UCFTRAIN and TORCHRUN are the paths of the programs (ucftrain, torchrun).
set -euo pipefail
if [ $# -lt 3 ]; then
  sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
read -ra launcher <<<"$1"
run=$2 stream=$3
shift 3
program=$(command -v "${UCFTRAIN:-ucftrain}") || {
  echo "error: ucftrain is not installed; set UCFTRAIN" >&2
  exit 2
}
command=("$program" "$stream" --run "$run")
if [ -e "$run/checkpoint.safetensors" ]; then command+=(--resume); else command+=("$@"); fi
# Without the --, torchrun would take --run for an option of its own.
exec "${TORCHRUN:-torchrun}" "${launcher[@]}" --no-python -- "${command[@]}"
