#!/usr/bin/env bash
# Checks that all launchers give the bits of one process: trains a small network with two and three ranks of
# `ucftrain launch`, torchrun, Open MPI, MPICH, SLURM and Ray, and compares the results with --accumulate.
#
#   scripts/check_launchers.sh
#
# Skips launchers that are not installed, and names them. On Debian, these commands install them:
#
#   apt-get install openmpi-bin mpich slurm-wlm munge
#   python3 -m venv venv && venv/bin/pip install torch ray
#
# TORCHRUN names torchrun (torchrun), and PYTHON a Python with Ray (python3). UCFPACK and UCFTRAIN name the programs;
# without them, they are built.
# Without a SLURM controller, the script starts one for this machine, which needs root. Takes about five minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ -z "${UCFPACK:-}" ] || [ -z "${UCFTRAIN:-}" ]; then
  cargo build --quiet --release --locked --bins
  target=${CARGO_TARGET_DIR:-target}
  UCFPACK=$(realpath "$target/release/ucfpack") UCFTRAIN=$(realpath "$target/release/ucftrain")
fi
torchrun=${TORCHRUN:-torchrun} python=${PYTHON:-python3} scripts=$PWD/scripts
dir=$(mktemp -d)
started=()
cleanup() {
  for program in "${started[@]}"; do pkill -x "$program" || true; done
  rm -rf "$dir"
}
trap cleanup EXIT

cd "$dir"
"$UCFPACK" synth --out tree --classes 4 --clips 6 --size 44x36 --seed 5 >/dev/null
"$UCFPACK" build --tree tree --lists tree/lists --out packed --flow-size 32 >/dev/null 2>&1
training=(spatial --data packed --weights none --input-size 32 --lr 0.01 --seed 3 --threads 1 --batch-size 6 --epochs 2)

# Starts a SLURM controller and a node on this machine, if no controller answers.
start_slurm() {
  if sinfo >/dev/null 2>&1; then return; fi
  local host
  host=$(hostname -s)
  mkdir -p state spool /run/munge
  cat >slurm.conf <<EOF
ClusterName=one
SlurmctldHost=$host
SlurmUser=root
AuthType=auth/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
StateSaveLocation=$dir/state
SlurmdSpoolDir=$dir/spool
SlurmctldPidFile=$dir/slurmctld.pid
SlurmdPidFile=$dir/slurmd.pid
SlurmctldLogFile=$dir/slurmctld.log
SlurmdLogFile=$dir/slurmd.log
NodeName=$host CPUs=$(nproc) State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES State=UP
EOF
  export SLURM_CONF=$dir/slurm.conf
  if ! munge -n >/dev/null 2>&1; then
    chown munge: /run/munge
    runuser -u munge -- munged
    started+=(munged)
  fi
  slurmctld
  slurmd
  started+=(slurmctld slurmd)
  for _ in $(seq 20); do
    sinfo -h -o %T 2>/dev/null | grep -q idle && return
    sleep 0.5
  done
  echo "error: the SLURM node of this machine does not start; see the messages of slurmd" >&2
  cat "$dir/slurmd.log" >&2
  return 1
}

status=0
# Trains with a launcher and compares the result: check NAME RANKS COMMAND...
check() {
  local name=$1 ranks=$2
  shift 2
  if "$@" "$UCFTRAIN" "${training[@]}" --run "$name-$ranks" >log 2>&1 &&
    grep -q "ranks: $ranks, started by" log &&
    cmp "$name-$ranks/scores.npz" "alone-$ranks/scores.npz" &&
    cmp "$name-$ranks/best.safetensors" "alone-$ranks/best.safetensors"; then
    echo "$name, $ranks ranks: the bits of one process"
  else
    cat log
    echo "error: $name, $ranks ranks: failed, or the result differs from that of one process" >&2
    status=1
  fi
}
skip() { echo "$1: skipped, because it is not installed"; }

for ranks in 2 3; do
  "$UCFTRAIN" "${training[@]}" --run "alone-$ranks" --accumulate "$ranks" >/dev/null 2>&1
  launch() { "$1" launch --ranks "$ranks" -- "${@:2}"; }
  # The arguments are those of the program, which end with --run NAME.
  with_ray() { "$python" "$scripts/train_ray.py" --ranks "$ranks" --ucftrain "$1" --run "${*: -1}" -- "${@:2:$#-3}"; }
  check launch "$ranks" launch
  if command -v "$torchrun" >/dev/null; then
    check torchrun "$ranks" "$torchrun" --nproc-per-node "$ranks" --no-python --
  else
    skip torchrun
  fi
  if command -v mpirun.openmpi >/dev/null; then
    check openmpi "$ranks" mpirun.openmpi --allow-run-as-root --oversubscribe -n "$ranks"
  else
    skip "Open MPI"
  fi
  if command -v mpirun.mpich >/dev/null; then check mpich "$ranks" mpirun.mpich -n "$ranks"; else skip MPICH; fi
  if command -v slurmctld srun >/dev/null; then
    start_slurm
    check slurm "$ranks" srun --overcommit -n "$ranks"
  else
    skip SLURM
  fi
  # Ray gives each rank a core of its own.
  if ! "$python" -c "import ray" 2>/dev/null; then
    skip Ray
  elif [ "$ranks" -gt "$(nproc)" ]; then
    echo "Ray, $ranks ranks: skipped, because this machine has $(nproc) cores"
  else
    check ray "$ranks" with_ray
  fi
done
exit $status
