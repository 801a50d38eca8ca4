#!/usr/bin/env bash
# Trains one stream with several tasks of a SLURM cluster, and continues after the time limit.
#
#   sbatch SBATCH_OPTIONS scripts/train_slurm.sh RUN STREAM OPTIONS...
#   sbatch --ntasks 8 --cpus-per-task 4 --time 4:00:00 scripts/train_slurm.sh runs/spatial \
#     spatial --data ucf101.shards --weights imagenet
#
# RUN is the run folder, and OPTIONS are those of `ucftrain STREAM`. All machines must see RUN and the dataset.
# Two minutes before the time limit, the tasks stop with a checkpoint, and the job is queued again. If RUN has a
# checkpoint, the job continues it. UCFTRAIN is the path of ucftrain (ucftrain).
#SBATCH --job-name=ucftrain
#SBATCH --signal=TERM@120
#SBATCH --requeue
#SBATCH --open-mode=append
set -euo pipefail
if [ $# -lt 2 ]; then
  sed -n '2,11s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
run=$1 stream=$2
shift 2
command=("${UCFTRAIN:-ucftrain}" "$stream" --run "$run")
if [ -e "$run/checkpoint.safetensors" ]; then command+=(--resume); else command+=("$@"); fi
status=0
srun --kill-on-bad-exit=1 "${command[@]}" || status=$?
# 128 plus the number of SIGTERM.
if [ $status = 143 ]; then scontrol requeue "$SLURM_JOB_ID"; fi
exit $status
