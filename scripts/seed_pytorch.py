#!/usr/bin/env python3
"""Trains the recipe `seed` in PyTorch on a packed dataset, to compare its accuracy with ucftrain's.

    scripts/seed_pytorch.py spatial|temporal --data PACKED --weights resnet18.safetensors
                            [--input-size 112] [--batch-size 8] [--epochs 6] [--out run.json]

Needs torch, torchvision, safetensors, pillow, numpy and zstandard:

    python3 -m venv venv && venv/bin/pip install torch torchvision safetensors pillow numpy zstandard
    venv/bin/python scripts/seed_pytorch.py spatial --data PACKED --weights resnet18.safetensors

The rules are those in docs/training/recipes.md. The random numbers come from Python and PyTorch, so
compare the spread over several seeds, not single seeds: scripts/parity.py does. The script reads
shards with read_clipshard.py, and resizes with PIL. It decodes each frame once, and keeps its pixels
in memory, up to --cache-gb.

It prints a line per epoch, then a JSON document with the history: loss, top-1 in percent, and
seconds of training and testing of each epoch. --out writes the document to a file instead.
"""

import argparse
import json
import os
import pathlib
import random
import time

# Threads that wait must not keep a core busy that other programs need. torch reads it while it is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy
import safetensors.torch
import torch
import torchvision
from PIL import Image

from check_exchange import MEAN, STD, image
from read_clipshard import Shard

STACK = 10
TEST_SAMPLES = 19
# Number of test clips per forward pass. It does not change the logits.
TEST_CLIPS = 4
DEFAULTS = {"spatial": {"batch_size": 25, "lr": 5e-4}, "temporal": {"batch_size": 32, "lr": 1e-2}}


class Clip:
    """A clip of the split: its label, its frames of the stream, and F, its number of flow frames."""

    def __init__(self, entry, stream, has_flow):
        self.id, self.label = entry["id"], entry["label"]
        self.frames = entry["frames"].get(stream, 0)
        self.flow = entry["frames"].get("flow", 0) if has_flow else entry["frames"].get("rgb", 0) - 1


class Data:
    """The training and test clips of a split, with their pixels."""

    def __init__(self, args):
        manifest = json.loads((args.data / "manifest.json").read_text())
        self.stream, self.side = {"spatial": "rgb", "temporal": "flow"}[args.stream], args.input_size
        self.classes, names = manifest["classes"], [stream["name"] for stream in manifest["streams"]]
        split = manifest["splits"].index(args.split)

        def clips(subset):
            listed = [c for c in manifest["clips"] if c["subsets"][split] == subset and c["label"] is not None]
            found = [Clip(entry, self.stream, "flow" in names) for entry in listed]
            return [clip for clip in found if clip.frames and clip.flow >= STACK]

        # As in ucftrain, val clips choose the best epoch and the learning rate if there are any.
        self.train, self.test = clips("train"), clips("val") or clips("test")
        shards = [Shard(path) for path in sorted(args.data.glob("*.clipshard"))]
        self.places = {
            id: (shard, number)
            for shard in shards
            if shard.stream == self.stream
            for number, id in enumerate(shard.ids)
        }
        self.kept, self.free = {}, args.cache_gb * 1e9

    def pixels(self, clip, frame, is_whole):
        """Returns the images of a frame, u8: as stored, or resized to a square, [planes, side, side, ...]."""
        key = clip.id, frame, is_whole
        if key in self.kept:
            return self.kept[key]
        shard, number = self.places[clip.id]
        entries, planes = shard.entries(number), 2 if self.stream == "flow" else 1
        images = [image(shard, entry) for entry in entries[planes * frame : planes * (frame + 1)]]
        if is_whole:
            images = [one.resize((self.side, self.side), Image.BILINEAR) for one in images]
        found = numpy.stack([numpy.asarray(one) for one in images])
        if found.nbytes <= self.free:
            self.kept[key] = found
            self.free -= found.nbytes
        return found

    def whole(self, clip, start):
        """Returns one frame [side, side, 3], or a stack of flow [20, side, side]: the whole frames, resized."""
        if self.stream == "rgb":
            return self.pixels(clip, start, True)[0]
        return numpy.concatenate([self.pixels(clip, frame, True) for frame in range(start, start + STACK)])

    def crop(self, clip, frame, draw):
        """Returns a random square of a stored frame, mirrored half of the time, [side, side, 3]."""
        (stored,) = self.pixels(clip, frame, False)
        top, left = draw.randint(0, stored.shape[0] - self.side), draw.randint(0, stored.shape[1] - self.side)
        square = stored[top : top + self.side, left : left + self.side]
        return square[:, ::-1] if draw.random() < 0.5 else square

    def views(self, clip, draw):
        """Returns the views of a training sample: three frames, or one stack. Frames count from 1 up to the return."""
        n = clip.flow - STACK + 1
        if self.stream == "flow":
            return [self.whole(clip, draw.randint(1, n) - 1)]
        bounds = [(1, n // 3), (n // 3, 2 * n // 3), (2 * n // 3, n + 1)]
        frames = [draw.randint(low, max(low, high)) for low, high in bounds]
        return [self.crop(clip, min(max(frame, 1), clip.frames) - 1, draw) for frame in frames]

    def test_starts(self, clip):
        interval = max(1, (clip.flow - STACK + 1) // TEST_SAMPLES)
        last = clip.frames - (1 if self.stream == "rgb" else STACK)
        return [min(i * interval, last) for i in range(TEST_SAMPLES)]

    def inputs(self, views):
        """Returns the network's input, f32 [n, channels, side, side] in the layout `channels_last`."""
        pixels = torch.from_numpy(numpy.stack(views))
        if self.stream == "flow":
            return (pixels.float() / 255).contiguous(memory_format=torch.channels_last)
        return ((pixels.float() / 255 - torch.from_numpy(MEAN)) / torch.from_numpy(STD)).permute(0, 3, 1, 2)


def network(args, classes):
    """Returns a ResNet-18 with the weights. What the file lacks, and the last layer, starts at random."""
    net = torchvision.models.resnet18(num_classes=classes)
    if args.stream == "temporal":
        net.conv1 = torch.nn.Conv2d(2 * STACK, 64, 7, stride=2, padding=3, bias=False)
    weights = {name: w.float() for name, w in safetensors.torch.load_file(args.weights).items()}
    if args.stream == "temporal":
        weights["conv1.weight"] = weights["conv1.weight"].mean(1, keepdim=True).repeat(1, 2 * STACK, 1, 1)
    for name in ("fc.weight", "fc.bias"):
        weights.pop(name, None)
    unknown = net.load_state_dict(weights, strict=False).unexpected_keys
    if unknown:
        raise SystemExit(f"error: {args.weights}: ResNet-18 has no tensor {unknown[0]}; use weights of a ResNet-18")
    return net.to(memory_format=torch.channels_last)


def train_epoch(net, sgd, data, draw, batch):
    """Takes the steps of an epoch. Returns the mean loss and the top-1 of the clips, in training mode."""
    net.train()
    order, losses, right = data.train[:], 0.0, 0
    draw.shuffle(order)
    for at in range(0, len(order), batch):
        clips = order[at : at + batch]
        views = zip(*(data.views(clip, draw) for clip in clips))
        logits = sum(net(data.inputs(view)) for view in views)
        labels = torch.tensor([clip.label for clip in clips])
        loss = torch.nn.functional.cross_entropy(logits, labels)
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        losses += loss.item() * len(clips)
        right += (logits.argmax(1) == labels).sum().item()
    return losses / len(order), 100 * right / len(order)


def evaluate(net, data):
    """Returns the loss and the top-1 of the sums of the logits of the samples of each test clip."""
    net.eval()
    sums = []
    with torch.inference_mode():
        for at in range(0, len(data.test), TEST_CLIPS):
            clips = data.test[at : at + TEST_CLIPS]
            logits = net(data.inputs([data.whole(clip, start) for clip in clips for start in data.test_starts(clip)]))
            sums.append(logits.unflatten(0, (len(clips), TEST_SAMPLES)).sum(1))
    sums, labels = torch.cat(sums), torch.tensor([clip.label for clip in data.test])
    right = (sums.argmax(1) == labels).float().mean().item() * 100
    return torch.nn.functional.cross_entropy(sums, labels).item(), right


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stream", choices=["spatial", "temporal"], help="network to train")
    parser.add_argument("--data", required=True, type=pathlib.Path, help="packed dataset")
    parser.add_argument("--weights", required=True, help="safetensors file of a ResNet-18 trained on ImageNet")
    parser.add_argument("--split", default="1", help="split of the dataset [default: 1]")
    parser.add_argument("--input-size", type=int, default=224, help="height and width in pixels [default: 224]")
    parser.add_argument("--batch-size", type=int, help="clips per batch [default: 25 spatial, 32 temporal]")
    parser.add_argument("--epochs", type=int, default=6, help="number of epochs [default: 6]")
    parser.add_argument("--lr", type=float, help="learning rate [default: 5e-4 spatial, 1e-2 temporal]")
    parser.add_argument("--seed", type=int, default=0, help="seed of random numbers [default: 0]")
    parser.add_argument("--threads", type=int, default=2, help="number of threads [default: 2]")
    parser.add_argument("--cache-gb", type=float, default=4, help="memory for decoded frames [default: 4]")
    parser.add_argument("--out", type=pathlib.Path, help="file for the JSON document [default: standard output]")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    draw, data = random.Random(args.seed), Data(args)
    batch, lr = (getattr(args, name) or DEFAULTS[args.stream][name] for name in ("batch_size", "lr"))
    net = network(args, len(data.classes))
    sgd = torch.optim.SGD(net.parameters(), lr, momentum=0.9)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(sgd, patience=1)
    history = []
    for epoch in range(args.epochs):
        start, rate = time.perf_counter(), sgd.param_groups[0]["lr"]
        train_loss, train_top1 = train_epoch(net, sgd, data, draw, batch)
        trained = time.perf_counter()
        test_loss, test_top1 = evaluate(net, data)
        tested = time.perf_counter()
        plateau.step(test_loss)
        result = {
            "lr": rate,
            "train_loss": train_loss,
            "train_top1": train_top1,
            "test_loss": test_loss,
            "test_top1": test_top1,
            "train_seconds": trained - start,
            "test_seconds": tested - trained,
        }
        history.append(result)
        print(
            f"epoch {epoch}: lr {rate:.0e}, train loss {train_loss:.3f} top-1 {train_top1:.1f} "
            f"in {trained - start:.1f} s, test loss {test_loss:.2f} top-1 {test_top1:.1f} in {tested - trained:.1f} s",
            flush=True,
        )
    document = {
        "stream": args.stream,
        "seed": args.seed,
        "batch_size": batch,
        "lr": lr,
        "input_size": args.input_size,
        "split": args.split,
        "clips": {"train": len(data.train), "test": len(data.test)},
        "torch": torch.__version__,
        "best": max((e["test_top1"] for e in history), default=None),
        "history": history,
    }
    text = json.dumps(document)
    if args.out:
        args.out.write_text(text + "\n")
    else:
        print(text)


if __name__ == "__main__":
    main()
