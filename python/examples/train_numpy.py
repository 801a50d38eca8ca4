"""Trains a linear classifier (softmax regression) on optical flow, with numpy alone.

    python train_numpy.py --data ucf101.shards --epochs 20

Without --data, it trains on a small synthetic dataset: see synthetic.py. train_jax.py is the same
program in JAX.
"""

import argparse

import numpy as np
from synthetic import path_of

import clipshard as cs


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", metavar="DIR", help="dataset (default: a synthetic one)")
    parser.add_argument("--split", default="1", help="name of the split (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=10, help="(default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=16, help="(default: %(default)s)")
    parser.add_argument("--lr", type=float, default=0.05, help="learning rate (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=7, help="(default: %(default)s)")
    return parser.parse_args()


def features(stacks):
    """Makes one vector per sample: stacks [B, 20, 16, 16] of uint8, where 128 means no motion."""
    return (stacks.reshape(len(stacks), -1).astype(np.float32) - 128) / 64


def softmax(scores):
    exponentials = np.exp(scores - scores.max(1, keepdims=True))
    return exponentials / exponentials.sum(1, keepdims=True)


def step(weights, bias, x, labels, lr):
    """Improves the weights with one batch, in place. Returns the loss before the step."""
    rows = np.arange(len(labels))
    chances = softmax(x @ weights + bias)
    loss = -np.log(chances[rows, labels] + 1e-9).mean()
    # The gradient of the scores: the chances, minus 1 for the true class.
    chances[rows, labels] -= 1
    chances /= len(labels)
    weights -= lr * (x.T @ chances)
    bias -= lr * chances.sum(0)
    return loss


def accuracy(weights, bias, loader):
    """Averages the chances of the samples of each clip. Returns the share of clips that are right."""
    sums, labels = {}, {}
    for batch in loader:
        chances = softmax(features(batch["flow"]) @ weights + bias)
        for name, label, row in zip(batch["id"], batch["label"], chances, strict=True):
            sums[name] = sums.get(name, 0) + row
            labels[name] = label
    return sum(sums[name].argmax() == labels[name] for name in sums) / len(sums)


def main():
    options = parse_arguments()
    data = cs.Dataset(path_of(options.data))

    # Ten frames of flow, x and y of each, shrunk to 16 x 16 pixels.
    stack = cs.Stack(10, size=16, crop="random-resized", flip=True)
    train = data.samples(split=options.split, subset="train", streams={"flow": stack})
    stack = cs.Stack(10, size=16, crop="center")
    test = data.samples(split=options.split, subset="test", streams={"flow": stack}, per_clip=5)
    train = cs.Loader(train, options.batch_size, seed=options.seed)
    test = cs.Loader(test, 4 * options.batch_size)

    weights = np.zeros((20 * 16 * 16, len(data.classes)), np.float32)
    bias = np.zeros(len(data.classes), np.float32)
    for epoch in range(options.epochs):
        losses = [
            step(weights, bias, features(batch["flow"]), batch["label"], options.lr) for batch in train
        ]
        print(f"epoch {epoch}: loss {np.mean(losses):.3f}, accuracy {accuracy(weights, bias, test):.1%}")


if __name__ == "__main__":
    main()
