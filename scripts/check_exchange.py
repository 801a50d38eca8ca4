#!/usr/bin/env python3
"""Checks ucftrain's export and import against PyTorch.

    scripts/check_exchange.py --data PACKED --ucftrain target/release/ucftrain RUN...

Needs runs of the recipe `seed`, and these Python packages:

    python3 -m venv venv && venv/bin/pip install torch torchvision safetensors pillow numpy zstandard

Export: loads the exported network of each run into torchvision's network, and computes the logits
of some test samples. It compares them with those of `ucftrain eval --sample-scores`. The samples
are read with read_clipshard.py and resized with PIL.

Import: saves the network as the reference code saves it (DataParallel, conv1_custom, rotated flow
channels) and imports it again. `ucftrain eval` must print exactly the same figures.

Exits with 1 if a check fails.
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

MEAN, STD = numpy.float32([0.485, 0.456, 0.406]), numpy.float32([0.229, 0.224, 0.225])


def image(shard, entry):
    """Returns the image of a record."""
    stored = shard.record(entry)
    if entry.codec == JPEG:
        return Image.open(io.BytesIO(stored))
    shape = entry.shape if entry.shape[2] > 1 else entry.shape[:2]
    return Image.fromarray(numpy.frombuffer(stored, shard.dtype).reshape(shape))


def plane(shard, entry, side):
    """Returns the image of a record, resized to a square as the recipe `seed` does in tests."""
    return numpy.asarray(image(shard, entry).resize((side, side), Image.BILINEAR), numpy.float32) / 255


def sample(shards, stream, clip, frame, side):
    """Returns the input of one sample, [channels, side, side]."""
    shard = next(shard for shard in shards if shard.stream == stream and clip in shard.ids)
    entries = shard.entries(shard.ids.index(clip))
    if stream == "rgb":
        return ((plane(shard, entries[frame], side) - MEAN) / STD).transpose(2, 0, 1)
    return numpy.stack([plane(shard, entry, side) for entry in entries[2 * frame : 2 * frame + 20]])


def check(args, run, shards, temp):
    def ucftrain(*words):
        return subprocess.run([args.ucftrain, *map(str, words)], check=True, capture_output=True, text=True).stdout

    exported, scores, pth, back = (
        temp / name for name in ("out.safetensors", "samples.npz", "theirs.pth.tar", "back.safetensors")
    )
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
    inputs = [
        sample(shards, stream, str(scores["names"][c]), int(scores["frames"][c, s]), network["input_size"])
        for c, s in picked
    ]
    with torch.no_grad():
        theirs = torch.cat([net(torch.from_numpy(x)[None]) for x in inputs]).numpy()
    ours = numpy.stack([scores["logits"][c, s] for c, s in picked])
    worst, size = abs(theirs - ours).max(), abs(ours).max()
    same = (theirs.argmax(1) == ours.argmax(1)).mean()
    print(
        f"{run}: {len(picked)} samples, logits up to {size:.2f} differ by at most {worst:.4f}; "
        f"{same:.1%} have the same class"
    )

    custom = {
        name.replace("conv1", "conv1_custom") if name == "conv1.weight" else name.replace("fc.", "fc_custom."): w
        for name, w in net.state_dict().items()
    }
    if stream == "flow":
        custom["conv1_custom.weight"] = torch.roll(custom["conv1_custom.weight"], -2, 1)
    checkpoint = {"epoch": 1, "state_dict": {f"module.{name}": w for name, w in custom.items()}, "best_prec1": 1.0}
    side, is_same = network["input_size"], True
    words = ["--data", args.data, "--stream", network["stream"], "--input-size", side, "--out", back, "--overwrite"]
    for kind, is_new in (("zip file", True), ("file from before PyTorch 1.6", False)):
        torch.save(checkpoint, pth, _use_new_zipfile_serialization=is_new)
        ucftrain("import", pth, *words)
        again = ucftrain("eval", "--checkpoint", back, "--data", args.data, "--json", "--device", "cpu")
        is_same = is_same and again == own
        outcome = "the same figures" if again == own else f"{again} instead of {own}"
        print(f"{run}: imported from a {kind} in the form of the reference code: {outcome}")
    # The pixels of the two resizers may differ by one.
    return worst < 0.02 * size and is_same


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=pathlib.Path, metavar="RUN", help="run folder of the recipe seed")
    parser.add_argument("--data", required=True, type=pathlib.Path, help="packed dataset of the runs")
    parser.add_argument("--ucftrain", default="ucftrain", help="path of ucftrain [default: ucftrain]")
    args = parser.parse_args()
    shards = [Shard(path) for path in sorted(args.data.glob("*.clipshard"))]
    with tempfile.TemporaryDirectory() as temp:
        results = [check(args, run, shards, pathlib.Path(temp)) for run in args.runs]
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
