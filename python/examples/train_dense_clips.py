"""Trains a network on dense clips: 16 frames of RGB, of optical flow, or of both at a time.

    python train_dense_clips.py --data ucf101.shards --model r2plus1d_18 --epochs 30
    python train_dense_clips.py --data ucf101.shards --streams rgb flow

Without --data, it trains on a small synthetic dataset: see synthetic.py. Needs torch and torchvision.
"""

import argparse

import torch
from synthetic import path_of
from torch import nn
from torch.nn.functional import cross_entropy
from torchvision.models.video import r2plus1d_18

import clipshard as cs

CHANNELS = {"rgb": 3, "flow": 2}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", metavar="DIR", help="dataset (default: a synthetic one)")
    parser.add_argument("--split", default="1", help="name of the split (default: %(default)s)")
    parser.add_argument("--streams", nargs="+", default=["rgb"], choices=CHANNELS, help="(default: rgb)")
    parser.add_argument("--model", default="small", choices=["small", "r2plus1d_18"], help="(default: %(default)s)")
    parser.add_argument("--frames", type=int, default=16, help="frames per sample (default: %(default)s)")
    parser.add_argument("--stride", type=int, default=2, help="take every STRIDE-th frame (default: %(default)s)")
    parser.add_argument("--size", type=int, help="side of the frames (default: 112, or 32 for synthetic data)")
    parser.add_argument("--epochs", type=int, default=6, help="(default: %(default)s)")
    parser.add_argument("--repeat", type=int, default=2, help="samples per clip and epoch (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=8, help="(default: %(default)s)")
    parser.add_argument("--lr", type=float, default=0.001, help="learning rate (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=7, help="(default: %(default)s)")
    return parser.parse_args()


def small_network(channels, classes):
    """A 3-D network for clips [B, channels, T, H, W] that trains in seconds."""
    layers = []
    for inputs, outputs in [(channels, 16), (16, 32), (32, 64)]:
        convolution = nn.Conv3d(inputs, outputs, kernel_size=3, stride=(1, 2, 2), padding=1, bias=False)
        layers += [convolution, nn.BatchNorm3d(outputs), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool3d(1), nn.Flatten(), nn.Linear(64, classes))


def r2plus1d(channels, classes):
    """torchvision's R(2+1)D-18 with random weights. Flow has two channels instead of three."""
    network = r2plus1d_18(num_classes=classes)
    if channels != 3:
        network.stem[0] = nn.Conv3d(channels, 45, (1, 7, 7), stride=(1, 2, 2), padding=(0, 3, 3), bias=False)
    return network


class Streams(nn.Module):
    """One network per stream. The score of a clip is the mean of their scores."""

    def __init__(self, names, make, classes):
        super().__init__()
        self.networks = nn.ModuleDict({name: make(CHANNELS[name], classes) for name in names})

    def forward(self, clips):
        # Pixels arrive as uint8. In flow, 128 means no motion, so that it becomes 0.
        scores = [network((clips[name].float() - 128) / 64) for name, network in self.networks.items()]
        return torch.stack(scores).mean(0)


def main():
    options = parse_arguments()
    torch.manual_seed(options.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    data = cs.Dataset(path_of(options.data))
    size = options.size or (112 if options.data else 32)

    def samples(subset, **choices):
        # Layout CTHW is what 3-D convolutions expect: [B, 3, 16, H, W], and [B, 2, 16, H, W] for flow.
        window = {"stride": options.stride, "size": size, "layout": "CTHW"}
        # All streams of a sample show the same frames and the same part of them, and are mirrored together.
        streams = {name: cs.Frames(options.frames, **window, **choices) for name in options.streams}
        # A training sample has a random start. A test clip gives three samples at equal distances.
        number = {"repeat": options.repeat} if subset == "train" else {"per_clip": 3}
        # Clips that are too short start again from their first frame.
        return data.samples(split=options.split, subset=subset, streams=streams, short="loop", **number)

    shared = {"to": "torch", "pin_memory": device.type == "cuda"}
    train = samples("train", crop="random-resized", flip=True)
    train = cs.Loader(train, options.batch_size, seed=options.seed, **shared)
    test = cs.Loader(samples("test", crop="center"), options.batch_size, **shared)

    make = small_network if options.model == "small" else r2plus1d
    model = Streams(options.streams, make, len(data.classes)).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), options.lr)

    def score(batch):
        return model({name: batch[name].to(device, non_blocking=True) for name in options.streams})

    for epoch in range(options.epochs):
        model.train()
        losses = []
        for batch in train:
            loss = cross_entropy(score(batch), batch["label"].to(device))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())

        model.eval()
        clips = {}  # id: the sum of the scores, and the label
        with torch.inference_mode():
            for batch in test:
                found = score(batch).softmax(1).cpu()
                for name, label, row in zip(batch["id"], batch["label"].tolist(), found, strict=True):
                    clips[name] = clips.get(name, (0,))[0] + row, label
        correct = sum(int(scores.argmax()) == label for scores, label in clips.values())
        print(
            f"epoch {epoch}: loss {torch.stack(losses).mean():.3f}, accuracy {correct / len(clips):.1%}", flush=True
        )


if __name__ == "__main__":
    main()
