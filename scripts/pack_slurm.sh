#!/usr/bin/env bash
# Packs one dataset on N machines of a SLURM cluster, in parts, and merges the parts.
#
#   scripts/pack_slurm.sh N DIR BUILD_OPTIONS...
#   scripts/pack_slurm.sh 16 ucf101.shards --tree UCF101 --lists ucfTrainTestlist --keep-going
#
# Needs SLURM (sbatch) and ucfpack. All machines must see the tree, the lists and DIR.
#
# The script submits an array of N jobs, then a job that merges their parts. The result equals that
# of one machine, byte for byte. A part that is killed or times out continues after its finished
# shards when it is requeued. Environment variables:
#
#   SBATCH_OPTIONS   options for sbatch, for example "--partition=cpu --time=2:00:00"
#   CPUS             CPU cores per part, default 8
#   UCFPACK          path of ucfpack
set -euo pipefail
ucfpack=${UCFPACK:-ucfpack}
if [ "${PACK_SLURM_STEP:-}" = part ]; then
  n=$1 out=$2
  shift 2
  exec "$ucfpack" build "$@" --jobs "${SLURM_CPUS_PER_TASK:-1}" --part "$SLURM_ARRAY_TASK_ID/$n" --resume \
    --out "$out.parts/$SLURM_ARRAY_TASK_ID"
elif [ "${PACK_SLURM_STEP:-}" = merge ]; then
  n=$1 out=$2
  parts=()
  for i in $(seq "$n"); do parts+=("$out.parts/$i"); done
  "$ucfpack" merge --out "$out" "${parts[@]}"
  rm -r "$out.parts"
  exit
fi
if [ $# -lt 3 ]; then
  sed -n '2,16s/^# \{0,1\}//p' "$0" >&2
  exit 2
fi
n=$1 out=$2
mkdir -p "$out.parts"
self=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
read -ra options <<< "${SBATCH_OPTIONS:-}"
parts=$(sbatch --parsable --requeue --array="1-$n" --cpus-per-task="${CPUS:-8}" --job-name=ucfpack \
  --output="$out.parts/%a.log" --export="ALL,PACK_SLURM_STEP=part" ${options[@]+"${options[@]}"} "$self" "$@")
merge=$(sbatch --parsable --dependency="afterok:${parts%%;*}" --job-name=ucfpack-merge --output="$out.parts/merge.log" \
  --export="ALL,PACK_SLURM_STEP=merge" ${options[@]+"${options[@]}"} "$self" "$n" "$out")
echo "parts: job $parts, merge: job $merge; logs in $out.parts"
