"""Trains a linear classifier (softmax regression) on optical flow, with JAX.

    python train_jax.py --data ucf101.shards --epochs 20

Without --data, it trains on a small synthetic dataset: see synthetic.py. train_numpy.py is the same
program in numpy.
"""

import argparse

import jax
import jax.numpy as jnp
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


def scores(parameters, stacks):
    """Returns one score per class: of stacks [B, 20, 16, 16] of uint8, where 128 means no motion."""
    weights, bias = parameters
    x = (stacks.reshape(len(stacks), -1).astype(jnp.float32) - 128) / 64
    return x @ weights + bias


def loss(parameters, stacks, labels):
    chances = jax.nn.log_softmax(scores(parameters, stacks))
    return -jnp.take_along_axis(chances, labels[:, None], 1).mean()


@jax.jit
def step(parameters, stacks, labels, lr):
    """Returns better parameters and the loss before the step."""
    value, gradients = jax.value_and_grad(loss)(parameters, stacks, labels)
    return jax.tree.map(lambda p, g: p - lr * g, parameters, gradients), value


def accuracy(parameters, loader):
    """Averages the chances of the samples of each clip. Returns the share of clips that are right."""
    sums, labels = {}, {}
    for batch in loader:
        chances = jax.nn.softmax(scores(parameters, batch["flow"]))
        for name, label, row in zip(batch["id"], batch["label"].tolist(), chances, strict=True):
            sums[name] = sums.get(name, 0) + row
            labels[name] = label
    return sum(int(sums[name].argmax()) == labels[name] for name in sums) / len(sums)


def main():
    options = parse_arguments()
    data = cs.Dataset(path_of(options.data))

    # Ten frames of flow, x and y of each, shrunk to 16 x 16 pixels.
    stack = cs.Stack(10, size=16, crop="random-resized", flip=True)
    train = data.samples(split=options.split, subset="train", streams={"flow": stack})
    stack = cs.Stack(10, size=16, crop="center")
    test = data.samples(split=options.split, subset="test", streams={"flow": stack}, per_clip=5)
    # JAX compiles `step` again for each size of a batch, so all batches are full.
    batch_size = min(options.batch_size, len(train))
    train = cs.Loader(train, batch_size, seed=options.seed, drop_last=True, to="jax")
    test = cs.Loader(test, 4 * options.batch_size, to="jax")

    parameters = jnp.zeros((20 * 16 * 16, len(data.classes))), jnp.zeros(len(data.classes))
    for epoch in range(options.epochs):
        losses = []
        for batch in train:
            parameters, value = step(parameters, batch["flow"], batch["label"], options.lr)
            losses.append(value)
        mean = jnp.stack(losses).mean()
        print(f"epoch {epoch}: loss {mean:.3f}, accuracy {accuracy(parameters, test):.1%}")


if __name__ == "__main__":
    main()
