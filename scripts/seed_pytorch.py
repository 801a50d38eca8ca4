#!/usr/bin/env python3
"""Trains the recipe `seed` in PyTorch on a packed dataset, to compare its accuracy with ucftrain's.

    scripts/seed_pytorch.py spatial|temporal --data PACKED --weights resnet18.safetensors
                            [--input-size 112] [--batch-size 8] [--epochs 6]

Needs these Python packages:

    python3 -m venv venv && venv/bin/pip install torch torchvision safetensors pillow numpy zstandard
    venv/bin/python scripts/seed_pytorch.py spatial --data PACKED --weights resnet18.safetensors

The sampling rules are those in docs/training/recipes.md. The random numbers come from Python and PyTorch, so
compare the spread over several seeds, not single seeds. The script reads shards with
read_clipshard.py. It prints a line per epoch, then a JSON document with the history.
"""

import argparse
import io
import json
import pathlib
import random
import time

import numpy
import safetensors.torch
import torch
import torchvision
from PIL import Image

from check_exchange import MEAN, STD, sample
from read_clipshard import Shard


class Clip:
    def __init__(self, entry, streams):
        self.id, self.label = entry["id"], entry["label"]
        self.rgb = entry["frames"].get("rgb", 0)
        self.flow = entry["frames"].get("flow", 0) if "flow" in streams else self.rgb - 1


class Data:
    """The clips of a split, with their pixels."""

    def __init__(self, args):
        manifest = json.loads((args.data / "manifest.json").read_text())
        self.shards = [Shard(path) for path in sorted(args.data.glob("*.clipshard"))]
        self.stream, self.side, self.classes = (
            {"spatial": "rgb", "temporal": "flow"}[args.stream],
            args.input_size,
            manifest["classes"],
        )
        split, streams = manifest["splits"].index(args.split), [s["name"] for s in manifest["streams"]]

        def clips(subset):
            found = [Clip(c, streams) for c in manifest["clips"] if c["subsets"][split] == subset]
            return [c for c in found if c.flow >= 10]

        self.train, self.test = clips("train"), clips("test")

    def crop(self, clip, frame, draw):
        """Returns a random square of a stored frame, mirrored half of the time, [3, side, side]."""
        shard = next(s for s in self.shards if s.stream == "rgb" and clip.id in s.ids)
        image = Image.open(io.BytesIO(shard.record(shard.entries(shard.ids.index(clip.id))[frame])))
        top, left = draw.randint(0, image.height - self.side), draw.randint(0, image.width - self.side)
        image = image.crop((left, top, left + self.side, top + self.side))
        if draw.random() < 0.5:
            image = image.transpose(Image.FLIP_LEFT_RIGHT)
        return ((numpy.asarray(image, numpy.float32) / 255 - MEAN) / STD).transpose(2, 0, 1)

    def views(self, clip, draw):
        """Returns the inputs of one training sample: three frames, or one stack."""
        n = clip.flow - 9
        if self.stream == "flow":
            return [sample(self.shards, "flow", clip.id, draw.randint(1, n) - 1, self.side)]
        frames = [
            draw.randint(1, max(1, n // 3)),
            draw.randint(max(1, n // 3), max(1, 2 * n // 3)),
            draw.randint(max(1, 2 * n // 3), n + 1),
        ]
        return [self.crop(clip, min(max(frame, 1), clip.rgb) - 1, draw) for frame in frames]

    def test_inputs(self, clip):
        interval = max(1, (clip.flow - 9) // 19)
        most = clip.rgb - 1 if self.stream == "rgb" else clip.flow - 10
        return numpy.stack(
            [sample(self.shards, self.stream, clip.id, min(i * interval, most), self.side) for i in range(19)]
        )


def network(args, classes):
    net = torchvision.models.resnet18(num_classes=classes)
    state = net.state_dict()
    if args.stream == "temporal":
        net.conv1 = torch.nn.Conv2d(20, 64, 7, stride=2, padding=3, bias=False)
    weights = {name: w.float() for name, w in safetensors.torch.load_file(args.weights).items()}
    if args.stream == "temporal":
        weights["conv1.weight"] = weights["conv1.weight"].mean(1, keepdim=True).repeat(1, 20, 1, 1)
    weights.update({name: state[name] for name in ("fc.weight", "fc.bias")})
    net.load_state_dict(weights, strict=False)
    return net


def evaluate(net, data):
    net.eval()
    with torch.no_grad():
        sums = torch.stack([net(torch.from_numpy(data.test_inputs(clip))).sum(0) for clip in data.test])
    labels = torch.tensor([clip.label for clip in data.test])
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
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    draw, data = random.Random(args.seed), Data(args)
    batch = args.batch_size or {"spatial": 25, "temporal": 32}[args.stream]
    net = network(args, len(data.classes))
    sgd = torch.optim.SGD(net.parameters(), args.lr or {"spatial": 5e-4, "temporal": 1e-2}[args.stream], momentum=0.9)
    plateau = torch.optim.lr_scheduler.ReduceLROnPlateau(sgd, patience=1)
    history, start = [], time.time()
    for epoch in range(args.epochs):
        net.train()
        order, losses, right = data.train[:], 0.0, 0
        draw.shuffle(order)
        for at in range(0, len(order), batch):
            clips = order[at : at + batch]
            views = zip(*(data.views(clip, draw) for clip in clips))
            logits = sum(net(torch.from_numpy(numpy.stack(view))) for view in views)
            labels = torch.tensor([clip.label for clip in clips])
            loss = torch.nn.functional.cross_entropy(logits, labels)
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            losses += loss.item() * len(clips)
            right += (logits.argmax(1) == labels).sum().item()
        test_loss, top1 = evaluate(net, data)
        plateau.step(test_loss)
        history.append(
            {
                "train_loss": losses / len(order),
                "train_top1": 100 * right / len(order),
                "test_loss": test_loss,
                "test_top1": top1,
            }
        )
        print(
            f"epoch {epoch}: train {history[-1]['train_top1']:.1f}, test {top1:.1f}, {time.time() - start:.0f} s",
            flush=True,
        )
    print(
        json.dumps(
            {"stream": args.stream, "seed": args.seed, "best": max(e["test_top1"] for e in history), "history": history}
        )
    )


if __name__ == "__main__":
    main()
