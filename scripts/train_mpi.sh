#!/usr/bin/env bash
# Trains one stream with the processes of mpirun. If RUN has a checkpoint, continues it.
#
#   scripts/train_mpi.sh "MPIRUN_OPTIONS" RUN STREAM OPTIONS...
#   scripts/train_mpi.sh "-n 2" runs/spatial spatial --data DATA --weights none
#
# MPIRUN_OPTIONS are options of mpirun of Open MPI or MPICH, and OPTIONS are those of `ucftrain STREAM`.
# RUN is the run folder. All machines must see it and the dataset.
# UCFTRAIN and MPIRUN are the paths of the programs (ucftrain, mpirun).
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
exec "${MPIRUN:-mpirun}" "${launcher[@]}" "${command[@]}"
