# Functions for the hidden setup blocks of docs/ (scripts/check_docs.py): they make small stand-ins for real data.
# shellcheck shell=bash

# synthetic_videos DIR [CLASSES] [CLIPS]: a folder of videos, one folder per class, and official lists in DIR-lists.
synthetic_videos() {
  local out=$1 classes=${2:-2} clips=${3:-4} clip name class
  ucfpack synth --out .tree --overwrite --classes "$classes" --clips "$clips" --size 96x72 >/dev/null
  for clip in .tree/jpegs_256/*; do
    name=${clip##*/} class=${name#v_}
    mkdir -p "$out/${class%%_*}"
    ffmpeg -loglevel error -framerate 25 -i "$clip/frame%06d.jpg" -c:v mpeg4 -q:v 3 \
      "$out/${class%%_*}/$name.avi" </dev/null
  done
  rm -rf "$out-lists"
  mv .tree/lists "$out-lists"
  rm -rf .tree
}

# short_training: from now on the trainings of this page (`ucftrain spatial` and so on) take a few small steps. Options
# of a command have priority.
short_training() {
  local program
  program=$(command -v ucftrain)
  cat >.bin/ucftrain <<SCRIPT
#!/usr/bin/env bash
more=()
case "\${1:-}" in spatial | temporal | difference)
  add() { [[ " \${command[*]} " == *" \$1 "* ]] || more+=("\$@"); }
  command=("\$@")
  [[ " \$* " == *" --help "* || " \$* " == *" --config "* ]] || {
    add --input-size 32; add --epochs 2; add --batch-size 4; add --test-samples 2; add --precise-bn 4
  } ;;
esac
words=()
for word in "\$@"; do
  [[ \$word == imagenet && -e .imagenet.safetensors ]] && word=.imagenet.safetensors
  words+=("\$word")
done
exec "$program" "\${words[@]}" "\${more[@]}"
SCRIPT
  chmod +x .bin/ucftrain
}

# imagenet_weights [FILE]: a file with the names and shapes of torchvision's ResNet-18, and random values. Without FILE,
# `--weights imagenet` of this page reads it after short_training.
imagenet_weights() {
  local out=${1:-.imagenet.safetensors}
  ucfpack synth --out .tree --classes 2 --clips 4 --size 32x32 >/dev/null
  ucfpack build --tree .tree --lists .tree/lists --out .packed >/dev/null
  "$UCF_BIN/ucftrain" spatial --data .packed --run .run --weights none --input-size 32 --epochs 1 --batch-size 2 \
    --test-samples 1 --precise-bn 0 >/dev/null
  "$UCF_BIN/ucftrain" export --run .run --out "$out" >/dev/null
  rm -rf .tree .packed .run
}
