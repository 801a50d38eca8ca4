#!/usr/bin/env python3
"""Times single operations of candle-convnet and of PyTorch on the CPU.

    scripts/bench_ops.py [--rounds 3] [--threads 2] [--filter depthwise]

Needs Rust and torch:

    python3 -m venv venv && venv/bin/pip install torch
    venv/bin/python scripts/bench_ops.py

The script builds the example `ops` of the crate, which defines the cases. The two programs take
turns, and each runs alone. PyTorch runs in eager mode with channels_last and float32. Times with
the backward pass do not count candle's own sums of gradients. The script
prints the medians over the rounds of each program's medians. A ratio below 1 means that
candle-convnet is faster.
"""

import argparse
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
IMAGES = 16
RUNS = 9
CONVOLUTION = re.compile(r"(conv|depthwise) (\d)x\d (\d+)(?: to (\d+))?(?: /(\d))? at (\d+)(?:, (\d+) groups)?$")


def operation(name):
    """Returns the operation of a case, and the shape of its images."""
    import torch
    from torch import nn

    if found := CONVOLUTION.match(name):
        kind, kernel, c, o, stride, side, groups = found.groups()
        kernel, c, stride, side = int(kernel), int(c), int(stride or 1), int(side)
        groups = c if kind == "depthwise" else int(groups or 1)
        op = nn.Conv2d(c, int(o or c), kernel, stride, kernel // 2, groups=groups, bias=False)
        return op, (IMAGES, c, side, side)
    words = name.split()
    c, side = int(words[-3]), int(words[-1])

    class Excitation(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc1, self.fc2 = nn.Conv2d(c, 64, 1), nn.Conv2d(64, c, 1)

        def forward(self, x):
            scale = self.fc2(nn.functional.relu(self.fc1(nn.functional.adaptive_avg_pool2d(x, 1))))
            return x * nn.functional.hardsigmoid(scale)

    ops = {
        "batch norm": lambda: nn.BatchNorm2d(c),
        "max pool 3x3 /2": lambda: nn.MaxPool2d(3, 2, 1),
        "average pool 2x2 /2": lambda: nn.AvgPool2d(2, 2),
        "hard swish": nn.Hardswish,
        "silu": nn.SiLU,
        "squeeze and excitation": Excitation,
    }
    return ops[" ".join(words[:-3])](), (IMAGES, c, side, side)


def pytorch(names, threads):
    """Prints the times of all cases as JSON."""
    import torch

    torch.set_num_threads(threads)
    times = {}
    for name in names:
        op, shape = operation(name)
        op = op.to(memory_format=torch.channels_last).train()
        x = torch.randn(shape).to(memory_format=torch.channels_last)
        learned = x.clone().requires_grad_()
        grad = torch.randn_like(op(x))

        def forward(op=op, x=x):
            with torch.no_grad():
                op(x)

        def both(op=op, learned=learned, grad=grad):
            learned.grad = None
            op(learned).backward(grad)

        times[name] = [median(forward), median(both)]
    print(json.dumps(times))


def median(run):
    milliseconds = []
    for i in range(RUNS + 2):
        start = time.perf_counter()
        run()
        if i >= 2:
            milliseconds.append(1e3 * (time.perf_counter() - start))
    return statistics.median(milliseconds)


def ours(program, part, threads):
    """Returns the times of the cases whose names contain `part`."""
    environment = os.environ | {"RAYON_NUM_THREADS": str(threads)}
    text = subprocess.run([program, part], check=True, capture_output=True, text=True, env=environment).stdout
    rows = (line.split("\t") for line in text.splitlines())
    return {name: [float(forward), float(both)] for name, forward, both in rows}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cores = os.cpu_count()
    parser.add_argument("--rounds", type=int, default=3, help="measurements per program [default: 3]")
    parser.add_argument("--threads", type=int, default=cores, help=f"number of threads [default: {cores}]")
    parser.add_argument("--filter", default="", help="part of the names of the cases to time")
    parser.add_argument("--pytorch", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.pytorch:
        return pytorch(json.loads(args.pytorch), args.threads)
    build = ["cargo", "build", "--release", "--locked", "-p", "candle-convnet", "--example", "ops"]
    subprocess.run(build, cwd=ROOT, check=True)
    program = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/examples/ops"
    rounds = []
    for _ in range(args.rounds):
        own = ours(program, args.filter, args.threads)
        if not own:
            parser.error(f"--filter {args.filter}: no case has this in its name")
        command = [sys.executable, __file__, "--threads", str(args.threads), "--pytorch", json.dumps(list(own))]
        peer = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        rounds.append((own, peer))
    print(f"{IMAGES} images, {args.threads} threads, float32, milliseconds")
    print(f"{'':34}{'forward':>9}{'PyTorch':>9}{'ratio':>7}{'both':>10}{'PyTorch':>9}{'ratio':>7}")
    for name in rounds[0][0]:
        own, peer = ([statistics.median(found[who][name][k] for found in rounds) for k in (0, 1)] for who in (0, 1))
        cells = (f"{a:9.2f}{b:9.2f}{a / b:7.2f}" for a, b in zip(own, peer, strict=True))
        print(f"{name:34}{' '.join(cells)}")
    return None


if __name__ == "__main__":
    main()
