"""Trains ResNet-18 on single RGB frames, tests it after each epoch, and resumes after a stop.

    python train_resnet18.py --data ucf101.shards --epochs 30
    python train_resnet18.py --data ucf101.shards --epochs 30 --resume

Without --data, it trains on a small synthetic dataset: see synthetic.py. Needs torch and torchvision.
"""

import argparse
import pathlib

import torch
from synthetic import path_of
from torch.nn.functional import cross_entropy
from torchvision.models import resnet18

import clipshard as cs


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", metavar="DIR", help="dataset (default: a synthetic one)")
    parser.add_argument("--split", default="1", help="name of the split (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=5, help="(default: %(default)s)")
    parser.add_argument("--repeat", type=int, default=4, help="frames per clip and epoch (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=16, help="(default: %(default)s)")
    parser.add_argument("--size", type=int, help="side of the images (default: 224, or 48 for synthetic data)")
    parser.add_argument("--lr", type=float, default=0.01, help="learning rate (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=7, help="(default: %(default)s)")
    parser.add_argument("--checkpoint", type=pathlib.Path, default="resnet18.pt", help="(default: %(default)s)")
    parser.add_argument("--resume", action="store_true", help="continue from the checkpoint")
    return parser.parse_args()


class Normalise(torch.nn.Module):
    """Makes network input of stored pixels: uint8 from 0 to 255, on the device that trains."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.tensor([123.7, 116.3, 103.5]).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor([58.4, 57.1, 57.4]).view(3, 1, 1), persistent=False)

    def forward(self, pixels):
        return (pixels - self.mean) / self.std


def train_epoch(model, optimizer, loader, device):
    """Trains until the end of the loader's epoch. Returns the mean loss."""
    model.train()
    total, count = 0.0, 0
    for batch in loader:
        # Pixels travel to the device as uint8, in the background if their memory is page-locked.
        images = batch["rgb"].to(device, non_blocking=True)
        labels = batch["label"].to(device, non_blocking=True)
        loss = cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total, count = total + loss.detach() * len(labels), count + len(labels)
    return float(total) / count


@torch.inference_mode()
def accuracy(model, loader, device):
    """Averages the scores of the samples of each clip. Returns the share of clips that are right."""
    model.eval()
    scores, labels = {}, {}
    for batch in loader:
        found = model(batch["rgb"].to(device, non_blocking=True)).softmax(1).cpu()
        # batch["index"] are the numbers of the samples, and batch["id"] are the ids of their clips.
        for name, label, row in zip(batch["id"], batch["label"].tolist(), found, strict=True):
            scores[name] = scores.get(name, 0) + row
            labels[name] = label
    return sum(int(scores[name].argmax()) == labels[name] for name in scores) / len(scores)


def main():
    options = parse_arguments()
    torch.manual_seed(options.seed)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    data = cs.Dataset(path_of(options.data))
    size = options.size or (224 if options.data else 48)

    # Training: frames at random places of each clip. Tests: five frames at equal distances.
    view = cs.Frames(1, size=size, crop="random-resized", flip=True, layout="CHW")
    train = data.samples(split=options.split, subset="train", streams={"rgb": view}, repeat=options.repeat)
    view = cs.Frames(1, size=size, crop="center", layout="CHW")
    test = data.samples(split=options.split, subset="test", streams={"rgb": view}, per_clip=5)
    shared = {"to": "torch", "pin_memory": device.type == "cuda"}
    train = cs.Loader(train, options.batch_size, seed=options.seed, **shared)
    test = cs.Loader(test, 4 * options.batch_size, **shared)

    network = resnet18(num_classes=len(data.classes))
    # Batches are in channels_last order already, in which convolutions are fastest.
    model = torch.nn.Sequential(Normalise(), network).to(device, memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), options.lr, momentum=0.9, weight_decay=1e-4)

    if options.resume:
        saved = torch.load(options.checkpoint, map_location=device)
        model.load_state_dict(saved["model"])
        optimizer.load_state_dict(saved["optimizer"])
        train.load_state_dict(saved["loader"])

    for epoch in range(train.epoch, options.epochs):
        loss = train_epoch(model, optimizer, train, device)
        print(f"epoch {epoch}: loss {loss:.3f}, accuracy {accuracy(model, test, device):.1%}", flush=True)
        saved = {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "loader": train.state_dict(),
        }
        torch.save(saved, options.checkpoint)


if __name__ == "__main__":
    main()
