#!/usr/bin/env python3
"""Times a ResNet training step and an evaluation forward pass in candle-convnet and in PyTorch, in turns on the same machine.

    python3 -m venv venv && venv/bin/pip install torch torchvision
    venv/bin/python scripts/bench_step.py [--batch 25] [--size 224] [--channels 3] [--rounds 5] [--threads 2]

Each round runs both programs, one after the other, alone. PyTorch: eager, channels_last, float32. Prints the median over the
rounds of each program's median, and the ratio.
"""
import argparse
import os
import pathlib
import re
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def pytorch(args):
    import torch
    import torchvision

    torch.set_num_threads(args.threads)
    net = torchvision.models.resnet18(num_classes=101)
    if args.channels != 3:
        net.conv1 = torch.nn.Conv2d(args.channels, 64, 7, 2, 3, bias=False)
    net = net.to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9)
    x = torch.randn(args.batch, args.channels, args.size, args.size).to(memory_format=torch.channels_last)
    labels = torch.arange(args.batch) % 101

    def step():
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(net(x), labels).backward()
        optimiser.step()

    def evaluate():
        with torch.no_grad():
            net(x)

    print(median(step), end=" ")
    net.eval()
    print(median(evaluate))


def median(run, times=3):
    seconds = []
    for i in range(times + 2):
        start = time.perf_counter()
        run()
        if i >= 2:
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def seconds(text):
    number, unit = re.fullmatch(r"([\d.]+)(s|ms|µs)", text).groups()
    return float(number) * {"s": 1, "ms": 1e-3, "µs": 1e-6}[unit]


def ours(args, program, more=()):
    size = [f"--{name}={getattr(args, name)}" for name in ("batch", "size", "channels")]
    environment = dict(os.environ, RAYON_NUM_THREADS=str(args.threads))
    out = subprocess.run([program, *size, "--steps=3", *more], check=True, capture_output=True, text=True, env=environment).stdout
    found = dict(re.findall(r"(training step|evaluation): median (\S+?)\s*,", out))
    return [seconds(found["training step"]), seconds(found["evaluation"])]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=25)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--channels", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--pytorch", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.pytorch:
        return pytorch(args)
    build = ["cargo", "build", "--release", "--locked", "-p", "candle-convnet", "--example", "step_time"]
    subprocess.run(build, cwd=ROOT, check=True)
    program = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release/examples/step_time"
    rows = {"candle-convnet": [], "without keep_freed_memory": [], "PyTorch": []}
    for _ in range(args.rounds):
        rows["candle-convnet"].append(ours(args, program))
        rows["without keep_freed_memory"].append(ours(args, program, ["--fresh-memory"]))
        peer = subprocess.run([sys.executable, __file__, *sys.argv[1:], "--pytorch"], check=True, capture_output=True, text=True)
        rows["PyTorch"].append([float(x) for x in peer.stdout.split()])
    medians = {name: [statistics.median(column) for column in zip(*row)] for name, row in rows.items()}
    print(f"ResNet-18, batch {args.batch} x {args.channels} x {args.size} x {args.size}, {args.threads} threads")
    print(f"{'':28}{'step':>9}{'ratio':>8}{'evaluation':>13}{'ratio':>8}")
    for name, (step, evaluation) in medians.items():
        peer = medians["PyTorch"]
        print(f"{name:28}{step:7.2f} s{step / peer[0]:8.2f}{evaluation:11.2f} s{evaluation / peer[1]:8.2f}")


if __name__ == "__main__":
    main()
