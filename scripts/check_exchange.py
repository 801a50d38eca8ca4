#!/usr/bin/env python3
"""Checks ucftrain's export and import against PyTorch: a network that goes there gives the same logits, one that comes back too.

    python3 -m venv venv && venv/bin/pip install torch torchvision safetensors pillow numpy zstandard
    venv/bin/python scripts/check_exchange.py --data PACKED --ucftrain target/release/ucftrain RUN_OF_RECIPE_SEED...

Each run's network is exported and loaded into torchvision's, which sees some of the test samples, read with the second reader
and resized by PIL, beside what `ucftrain eval --sample-scores` says of them. Then it is saved as the reference code saves its
networks (DataParallel, conv1_custom, rotated flow channels), imported, and must evaluate to the very same figures.
"""
import argparse
import io
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy
import safetensors.torch
import torch
import torchvision
from PIL import Image

from read_clipshard import JPEG, Shard

MEAN, STD = numpy.float32([.485, .456, .406]), numpy.float32([.229, .224, .225])


def plane(shard, entry, side):
    """A record's image, squashed to the network's input as the seed's recipe does in testing."""
    stored = shard.image(entry)
    if entry.codec == JPEG:
        image = Image.open(io.BytesIO(stored))
    else:
        shape = (entry.height, entry.width) + ((entry.channels,) if entry.channels > 1 else ())
        image = Image.fromarray(numpy.frombuffer(stored, "u1").reshape(shape))
    return numpy.asarray(image.resize((side, side), Image.BILINEAR), numpy.float32) / 255


def sample(shards, stream, clip, frame, side):
    """Input of one sample, [channels, side, side]."""
    shard = next(shard for shard in shards if shard.stream == stream and clip in shard.ids)
    entries = shard.entries(shard.ids.index(clip))
    if stream == "rgb":
        return ((plane(shard, entries[frame], side) - MEAN) / STD).transpose(2, 0, 1)
    return numpy.stack([plane(shard, entry, side) for entry in entries[2 * frame:2 * frame + 20]])


def check(args, run, shards, temp):
    def ucftrain(*words):
        return subprocess.run([args.ucftrain, *map(str, words)], check=True, capture_output=True, text=True).stdout

    exported, scores, pth, back = (temp / name for name in ("out.safetensors", "samples.npz", "theirs.pth.tar", "back.safetensors"))
    ucftrain("export", "--run", run, "--out", exported, "--overwrite")
    own = ucftrain("eval", "--run", run, "--data", args.data, "--sample-scores", scores, "--json", "--device", "cpu")
    stream = {"spatial": "rgb", "temporal": "flow"}[json.loads(own)["stream"]]
    weights, scores = safetensors.torch.load_file(exported), numpy.load(scores)
    with open(exported, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    network = json.loads(header["__metadata__"]["ucftrain"])
    net = getattr(torchvision.models, network["arch"])(num_classes=len(network["classes"]))
    if stream == "flow":
        net.conv1 = torch.nn.Conv2d(20, 64, 7, stride=2, padding=3, bias=False)
    net.load_state_dict(weights)
    net.eval()
    picked = [(c, s) for c in range(0, len(scores["names"]), 7) for s in range(0, scores["logits"].shape[1], 9)]
    inputs = [sample(shards, stream, str(scores["names"][c]), int(scores["frames"][c, s]), network["input_size"]) for c, s in picked]
    with torch.no_grad():
        theirs = torch.cat([net(torch.from_numpy(x)[None]) for x in inputs]).numpy()
    ours = numpy.stack([scores["logits"][c, s] for c, s in picked])
    worst, size = abs(theirs - ours).max(), abs(ours).max()
    same = (theirs.argmax(1) == ours.argmax(1)).mean()
    print(f"{run}: {len(picked)} samples, logits up to {size:.2f} differ by at most {worst:.4f}; the same class for {same:.1%}")

    custom = {name.replace("conv1", "conv1_custom") if name == "conv1.weight" else name.replace("fc.", "fc_custom."): w
              for name, w in net.state_dict().items()}
    if stream == "flow":
        custom["conv1_custom.weight"] = torch.roll(custom["conv1_custom.weight"], -2, 1)
    checkpoint = {"epoch": 1, "state_dict": {f"module.{name}": w for name, w in custom.items()}, "best_prec1": 1.0}
    side, is_same = network["input_size"], True
    words = ["--data", args.data, "--stream", network["stream"], "--input-size", side, "--out", back, "--overwrite"]
    for kind, is_new in (("saves it", True), ("saved it before PyTorch 1.6", False)):
        torch.save(checkpoint, pth, _use_new_zipfile_serialization=is_new)
        ucftrain("import", pth, *words)
        again = ucftrain("eval", "--checkpoint", back, "--data", args.data, "--json", "--device", "cpu")
        is_same = is_same and again == own
        print(f"{run}: as the reference code {kind}, imported: {'the same figures' if again == own else f'{again} in place of {own}'}")
    # The two resizers may differ by one level of 255.
    return worst < 0.02 * size and is_same


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=pathlib.Path)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--ucftrain", default="ucftrain")
    args = parser.parse_args()
    shards = [Shard(path) for path in sorted(args.data.glob("*.clipshard"))]
    with tempfile.TemporaryDirectory() as temp:
        results = [check(args, run, shards, pathlib.Path(temp)) for run in args.runs]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
