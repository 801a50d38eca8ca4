"""Feeds an existing training loop: PyTorch's DataLoader over the samples, with your own transforms.

    python use_dataloader.py --data ucf101.shards --workers 4

When to use which:

* `cs.Loader` is the fastest, because its threads decode into the memory of the batch. It resumes
  exactly and divides samples among GPUs. Use it if the crops and flips of `cs.Frames` are enough.
* `DataLoader` runs Python code for each sample: transforms of torchvision, a sampler of your own, or
  a loop that you do not want to change. Each batch passes from a worker process to yours.

Without --data, it trains on a small synthetic dataset: see synthetic.py. Needs torch and torchvision.
"""

import argparse

import torch
from synthetic import path_of
from torch import nn
from torch.utils.data import DataLoader, WeightedRandomSampler
from torchvision.transforms import v2

import clipshard as cs


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", metavar="DIR", help="dataset (default: a synthetic one)")
    parser.add_argument("--split", default="1", help="name of the split (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=6, help="(default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=16, help="(default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="worker processes (default: %(default)s)")
    parser.add_argument("--lr", type=float, default=0.005, help="learning rate (default: %(default)s)")
    return parser.parse_args()


class Transformed(torch.utils.data.Dataset):
    """Applies a function to the images of each sample. Pass a view of `Dataset.samples`."""

    def __init__(self, view, transform):
        self.view, self.transform = view, transform

    def __len__(self):
        return len(self.view)

    def __getitem__(self, index):
        return self.apply(self.view[index])

    def __getitems__(self, indices):
        """Decodes a whole batch with one call, which is faster. The DataLoader calls it if it exists."""
        return [self.apply(sample) for sample in self.view.__getitems__(indices)]

    def apply(self, sample):
        # Make a new dict, so that the sample itself stays as it was decoded.
        return {**sample, "rgb": self.transform(torch.as_tensor(sample["rgb"]))}


def network(classes):
    """A small network for images [B, 3, H, W]. Replace it with your own."""
    layers, channels = [], 3
    for outputs in (16, 32, 64):
        layers += [nn.Conv2d(channels, outputs, 3, padding=1), nn.GroupNorm(4, outputs), nn.ReLU(), nn.MaxPool2d(2)]
        channels = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))


def main():
    options = parse_arguments()
    torch.manual_seed(7)
    data = cs.Dataset(path_of(options.data))

    frames = cs.Frames(1, size=48, crop="random-resized", flip=True, layout="CHW")
    # Without a seed, each access draws a new frame and a new crop. For results that repeat, pass seed=7
    # here and call view.set_epoch(epoch) before each epoch.
    view = data.samples(split=options.split, subset="train", streams={"rgb": frames})
    # Images are uint8 tensors [3, H, W], so that transforms of torchvision fit.
    normalise = v2.Compose([v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.25] * 3)])
    transform = v2.Compose([v2.ColorJitter(0.3, 0.3, 0.3), normalise])
    # A sampler of your own: here, each class is drawn equally often. An epoch has 4 samples per clip.
    labels = torch.tensor(view.labels)
    weights = 1.0 / labels.bincount()[labels]
    sampler = WeightedRandomSampler(weights, 4 * len(view))
    train = DataLoader(Transformed(view, transform), options.batch_size, sampler=sampler, num_workers=options.workers)

    # Without changes of single samples, the view itself is the dataset.
    frames = cs.Frames(1, size=48, crop="center", layout="CHW")
    test = DataLoader(data.samples(split=options.split, subset="test", streams={"rgb": frames}), options.batch_size)

    model = network(len(data.classes))
    optimizer = torch.optim.AdamW(model.parameters(), options.lr)
    for epoch in range(options.epochs):
        model.train()
        losses = []
        for batch in train:
            loss = nn.functional.cross_entropy(model(batch["rgb"]), batch["label"])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.detach())
        model.eval()
        with torch.inference_mode():
            correct = [model(normalise(batch["rgb"])).argmax(1) == batch["label"] for batch in test]
        accuracy = torch.cat(correct).float().mean()
        print(f"epoch {epoch}: loss {torch.stack(losses).mean():.3f}, accuracy {accuracy:.1%}", flush=True)


if __name__ == "__main__":
    main()
