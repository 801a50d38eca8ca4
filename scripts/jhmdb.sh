#!/usr/bin/env bash
# Measures a recipe on JHMDB, or on another small dataset with several splits: packs the clips once, trains the
# networks of all streams on all splits with all seeds, fuses them and writes tables and a report page.
#
#   scripts/jhmdb.sh CLIPS LISTS OUT [OPTIONS] [-- OPTIONS OF THE TRAINING]
#
# CLIPS is the folder of videos. LISTS is the folder of their lists: the official ones, or one CSV file per split, as
# docs/packing/own-data.md describes.
#
#   --recipe R          recipe of the training (tsn).
#   --seeds 0,1,2       seeds (0).
#   --splits 1,2,3      splits (1,2,3).
#   --epochs N          epochs, or epochs per stream: spatial=8,temporal=10 (those of the recipe).
#   --weights FILE      weights to start from: a file, imagenet or none (imagenet).
#   --from-spatial      the other streams start from the spatial network of the same split and seed.
#   --val-share SHARE   share of the training clips of each class that chooses the best epoch (0.15). With 0, the
#                       networks train on all training clips, the last epoch counts, and no weights are fitted.
#                       With recipe seed, the test clips then set the learning rate.
#   --input-size N      side of the input of the networks in pixels (112).
#   --streams A,B       commands of ucftrain that train (spatial,temporal).
#   --ratio A:B         fixed weights of the fusion (1:1.5, or 1:1.5:1 for three streams).
#   --flow-method M     method of optical flow (tvl1).
#
# Options after -- are for the training of every stream, such as: -- --label-smoothing 0.1
#
# Writes into OUT:
#   table.md, table.json      accuracies; a second run from the start gives the same bytes.
#   minutes.md, minutes.json  times of all steps, and the processor.
#   report.html               page about all runs.
#   packed/ runs/ fused/      dataset, run folders, results of the fusions.
#
# Run the same command again after an interruption: it skips complete steps and continues the others. --seeds, --splits,
# --streams and --ratio may then name others. Any other changed option is an error.
#
# Needs ffmpeg, flock, Python 3, Rust and a C compiler. If UCFPACK and UCFTRAIN name programs, these are not built.
set -euo pipefail

fail() {
  echo "error: $1" >&2
  exit "${2:-2}"
}
case ${1:-} in
  -h | --help)
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p;}' "${BASH_SOURCE[0]}"
    exit
    ;;
esac
repo=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
recipe=tsn seeds=0 splits=1,2,3 epochs='' weights=imagenet val_share=0.15 input_size=112
streams=spatial,temporal ratio='' flow_method=tvl1 from_spatial=no
folders=() more=()
while [ $# -gt 0 ]; do
  case $1 in
    --recipe | --seeds | --splits | --epochs | --weights | --val-share | --input-size | --streams | --ratio | \
      --flow-method)
      [ $# -ge 2 ] || fail "$1 needs a value; see $0 --help"
      name=${1#--}
      declare "${name//-/_}=$2"
      shift
      ;;
    --from-spatial) from_spatial=yes ;;
    --)
      shift
      more=("$@")
      break
      ;;
    -*) fail "unknown option $1; see $0 --help" ;;
    *) folders+=("$1") ;;
  esac
  shift
done
[ ${#folders[@]} = 3 ] || fail "expected CLIPS, LISTS and OUT; see $0 --help"
[ -d "${folders[0]}" ] || fail "${folders[0]}: no such folder; name the folder of the videos"
[ -e "${folders[1]}" ] || fail "${folders[1]}: no such file or folder; name the lists"
clips=$(cd "${folders[0]}" && pwd)
lists=$(cd "$(dirname "${folders[1]}")" && pwd)/$(basename "${folders[1]}")
out=${folders[2]}
IFS=, read -ra all_seeds <<<"$seeds"
IFS=, read -ra all_splits <<<"$splits"
IFS=, read -ra all_streams <<<"$streams"
[ ${#all_seeds[@]} -gt 0 ] || fail "--seeds names no seed"
[ ${#all_splits[@]} -gt 0 ] || fail "--splits names no split"
[ ${#all_streams[@]} -gt 1 ] || fail "--streams $streams: a fusion needs two streams or more"
[ $from_spatial = no ] || [ "${all_streams[0]}" = spatial ] ||
  fail "--from-spatial: the first of --streams must be spatial"
if [ -z "$ratio" ]; then
  case ${#all_streams[@]} in
    2) ratio=1:1.5 ;;
    3) ratio=1:1.5:1 ;;
    *) fail "--ratio is missing: name the weights of the ${#all_streams[@]} streams" ;;
  esac
fi
chooser=() fit=(--fit)
if [[ $val_share =~ ^0(\.0*)?$ ]]; then
  val_share=0 chooser=(--best-by last) fit=()
  for option in ${more[@]+"${more[@]}"}; do
    case $option in --best-by*) fail "--val-share 0 keeps the last epoch; remove --best-by" ;; esac
  done
elif ! [[ $val_share =~ ^0?\.[0-9]*[1-9][0-9]*$ ]]; then
  fail "--val-share $val_share is not 0 or a share below 1; the val clips choose the best epoch"
fi
case $weights in
  none | imagenet) ;;
  *)
    [ -f "$weights" ] || fail "--weights $weights: no such file; name a file, imagenet or none"
    weights=$(cd "$(dirname "$weights")" && pwd)/$(basename "$weights")
    ;;
esac

# Prints the number of epochs of a stream, or nothing for that of the recipe.
epochs_of() {
  case $epochs in
    *=*)
      local part parts
      IFS=, read -ra parts <<<"$epochs"
      for part in "${parts[@]}"; do
        if [ "${part%%=*}" = "$1" ]; then echo "${part#*=}"; fi
      done
      ;;
    *) echo "$epochs" ;;
  esac
}

if [ -e "$out" ] && [ ! -e "$out/options.txt" ] && [ -n "$(ls -A "$out")" ]; then
  fail "$out exists and is not a benchmark of this script; name another folder"
fi
mkdir -p "$out/steps" "$out/runs" "$out/fused" "$out/logs"
exec 9>"$out/lock"
flock -n 9 || fail "another process works in $out; wait for its end" 1
options=$(
  printf '%s\n' "clips=$clips" "lists=$lists" "recipe=$recipe" "epochs=$epochs" "weights=$weights" \
    "val-share=$val_share" "from-spatial=$from_spatial" "input-size=$input_size" "flow-method=$flow_method" \
    "training=${more[*]-}"
)
if [ -e "$out/options.txt" ]; then
  if ! changed=$(diff "$out/options.txt" <(echo "$options")); then
    fail "$out was begun with other options (<); restore them, or name another folder
$(grep '^[<>]' <<<"$changed")"
  fi
else
  echo "$options" >"$out/options.txt.partial"
  mv "$out/options.txt.partial" "$out/options.txt"
fi

# The time of a step that ends early counts too. It is kept in NAME.part.
step='' begun=0
record() {
  [ -z "$step" ] || echo $((SECONDS - begun)) >>"$out/steps/$step.part"
  step=''
}
interrupted() {
  record
  echo "interrupted; run the same command again to continue" >&2
  exit 130
}
trap record EXIT
trap interrupted INT TERM

# Runs a step unless it is complete: NAME COMMAND...
run_step() {
  if [ -e "$out/steps/$1" ]; then
    printf '== %s: complete\n' "$1"
    return
  fi
  step=$1 begun=$SECONDS
  shift
  printf '== %s\n' "$step"
  "$@" 9>&-
  local done=$step
  record
  awk '{ sum += $1 } END { print sum }' "$out/steps/$done.part" >"$out/steps/$done.partial"
  mv "$out/steps/$done.partial" "$out/steps/$done"
  rm "$out/steps/$done.part"
}

ucfpack=${UCFPACK:-} ucftrain=${UCFTRAIN:-}
if [ -z "$ucfpack" ] || [ -z "$ucftrain" ]; then
  (cd "$repo" && cargo build --release --locked -p ucfpack -p ucftrain 9>&-)
  built=${CARGO_TARGET_DIR:-$repo/target}/release
  ucfpack=${ucfpack:-$built/ucfpack} ucftrain=${ucftrain:-$built/ucftrain}
fi

pack() {
  "$ucfpack" build --videos "$clips" --lists "$lists" --out "$out/packed" --resume \
    --rgb-short-side 128 --flow-size 128 --flow-method "$flow_method"
}

# Trains one network: STREAM SPLIT SEED RUN
train() {
  local run=$4 start=$weights number given
  number=$(epochs_of "$1")
  if [ -e "$run/checkpoint.safetensors" ]; then
    "$ucftrain" "$1" --run "$run" --resume
    return
  fi
  if [ $from_spatial = yes ] && [ "$1" != spatial ]; then
    start=$out/runs/spatial-split$2-seed$3/best.safetensors
  fi
  given=(--data "$out/packed" --run "$run" --split "$2" --seed "$3" --recipe "$recipe" --weights "$start"
    --input-size "$input_size" --val-share "$val_share" ${number:+--epochs "$number"}
    ${chooser[@]+"${chooser[@]}"} ${more[@]+"${more[@]}"})
  if [ -e "$run" ]; then given+=(--overwrite); fi
  "$ucftrain" "$1" "${given[@]}"
}

# Fuses the networks of a seed on all splits: SEED
fuse() {
  local split stream scores=()
  for split in "${all_splits[@]}"; do
    [ ${#scores[@]} = 0 ] || scores+=(+)
    for stream in "${all_streams[@]}"; do scores+=("$out/runs/$stream-split$split-seed$1"); done
  done
  "$ucftrain" fuse "${scores[@]}" --ratio "$ratio" ${fit[@]+"${fit[@]}"} --json >"$out/fused/seed$1.json.partial"
  mv "$out/fused/seed$1.json.partial" "$out/fused/seed$1.json"
}

run_step pack pack
runs=()
for seed in "${all_seeds[@]}"; do
  for split in "${all_splits[@]}"; do
    for stream in "${all_streams[@]}"; do
      name=$stream-split$split-seed$seed
      run_step "$name" train "$stream" "$split" "$seed" "$out/runs/$name"
      runs+=("$out/runs/$name")
    done
  done
done
# These take a moment, and depend on --seeds, --splits and --streams.
for seed in "${all_seeds[@]}"; do
  printf '== fusion, seed %s\n' "$seed"
  fuse "$seed"
done
"$ucftrain" report "${runs[@]}" --out "$out/report.html" >"$out/logs/report.txt"
python3 "$repo/scripts/jhmdb_tables.py" "$out" --seeds "$seeds" --splits "$splits" --streams "$streams" \
  --ratio "$ratio"
cat "$out/table.md"
printf '\nLook at %s, %s and %s\n' "$out/table.md" "$out/minutes.md" "$out/report.html"
