#!/usr/bin/env python3
"""Times a training step and an evaluation pass on the CPU in ucftrain, PyTorch and candle_nn.

    scripts/bench_step.py [--stream rgb|flow] [--arch resnet18] [--batch N] [--size 224] [--rounds 5] [--threads 2]

Needs Rust, torch and torchvision, and a C++ compiler for torch.compile:

    python3 -m venv venv && venv/bin/pip install torch torchvision
    venv/bin/python scripts/bench_step.py

The script builds ucftrain, unless the environment variable UCFTRAIN names the program. The programs
take turns, and each runs alone. ucftrain runs in float32 and in bf16. PyTorch runs with
channels_last: eager and compiled, in float32 and under bf16 autocast. The script prints the medians
over the rounds of each program's medians, the peak memory, and the ratios to PyTorch's eager float32.
`--peers eager` measures only that peer. `--peers candle` adds a ResNet-18 of candle_nn's layers, which
the example `candle_nn` of candle-convnet defines.
"""

import argparse
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

CHANNELS = {"rgb": 3, "flow": 20}
ROOT = pathlib.Path(__file__).resolve().parent.parent


# Precisions of ucftrain, by the name of its row.
OURS = {"ucftrain": "f32", "ucftrain bf16": "bf16"}
# The peers by their names in --peers, and the names of their rows.
PEERS = {
    "eager": "PyTorch eager",
    "compile": "PyTorch compiled",
    "bf16": "PyTorch bf16",
    "bf16-compile": "PyTorch bf16 compiled",
    "candle": "candle_nn",
}
DEFAULT_PEERS = "eager,compile,bf16,bf16-compile"


def pytorch(args, peer):
    """Prints the times of PyTorch as JSON."""
    import torch
    import torchvision

    torch.set_num_threads(args.threads)
    channels = CHANNELS[args.stream]
    net = getattr(torchvision.models, args.arch)(num_classes=101)
    if channels != 3:
        replace_first(net, channels)
    net = net.to(memory_format=torch.channels_last).train()
    optimiser = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9)
    x = torch.randn(args.batch, channels, args.size, args.size).to(memory_format=torch.channels_last)
    labels = torch.arange(args.batch) % 101
    forward = torch.compile(net) if "compile" in peer else net
    autocast = torch.autocast("cpu", dtype=torch.bfloat16, enabled="bf16" in peer)

    def step():
        optimiser.zero_grad()
        with autocast:
            loss = torch.nn.functional.cross_entropy(forward(x).float(), labels)
        loss.backward()
        optimiser.step()

    def evaluate():
        with torch.no_grad(), autocast:
            forward(x)

    found = {"step_ms": median(step)}
    net.eval()
    found["eval_ms"] = median(evaluate)
    # Linux reports kilobytes.
    found["peak_bytes"] = 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps(found))


def replace_first(net, channels):
    """Gives the first convolution another number of input channels."""
    import torch

    for module in net.modules():
        for name, first in module.named_children():
            if isinstance(first, torch.nn.Conv2d):
                new = torch.nn.Conv2d(
                    channels, first.out_channels, first.kernel_size, first.stride, first.padding, bias=False
                )
                setattr(module, name, new)
                return


def median(run, times=5):
    milliseconds = []
    for i in range(times + 2):
        start = time.perf_counter()
        run()
        if i >= 2:
            milliseconds.append(1e3 * (time.perf_counter() - start))
    return statistics.median(milliseconds)


def ours(args, program, precision):
    options = [
        f"--stream={args.stream}",
        f"--arch={args.arch}",
        f"--batch-size={args.batch}",
        f"--input-size={args.size}",
        f"--threads={args.threads}",
        f"--precision={precision}",
    ]
    command = [program, "bench", "step", *options, "--device=cpu", "--seconds=0", "--json"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def build(*options):
    """Builds a program with cargo. Returns the folder of the build."""
    subprocess.run(["cargo", "build", "--release", "--locked", *options], cwd=ROOT, check=True)
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cores = os.cpu_count()
    parser.add_argument("--stream", choices=CHANNELS, default="rgb", help="stream of the network [default: rgb]")
    parser.add_argument("--arch", default="resnet18", help="network [default: resnet18]")
    parser.add_argument("--batch", type=int, help="images per batch [default: 25 for rgb, 32 for flow]")
    parser.add_argument("--size", type=int, default=224, help="height and width in pixels [default: 224]")
    parser.add_argument("--rounds", type=int, default=5, help="measurements per program [default: 5]")
    parser.add_argument("--threads", type=int, default=cores, help=f"number of threads [default: {cores}]")
    parser.add_argument("--peers", default=DEFAULT_PEERS, help=f"any of {', '.join(PEERS)} [default: {DEFAULT_PEERS}]")
    parser.add_argument("--pytorch", choices=PEERS, help=argparse.SUPPRESS)
    args = parser.parse_args()
    args.batch = args.batch or {"rgb": 25, "flow": 32}[args.stream]
    if args.pytorch:
        return pytorch(args, args.pytorch)
    peers = list(dict.fromkeys(["eager", *args.peers.split(",")]))
    if unknown := set(peers) - set(PEERS):
        parser.error(f"--peers: unknown names {', '.join(sorted(unknown))}; choose from {', '.join(PEERS)}")
    if "candle" in peers and args.arch != "resnet18":
        parser.error("--peers candle: the example has only resnet18; omit --arch, or omit candle")
    program = os.environ.get("UCFTRAIN") or build("-p", "ucftrain") / "ucftrain"
    commands = {peer: [sys.executable, __file__, *sys.argv[1:], "--pytorch", peer] for peer in peers}
    if "candle" in peers:
        example = build("-p", "candle-convnet", "--example", "candle_nn") / "examples/candle_nn"
        commands["candle"] = [example, *map(str, (CHANNELS[args.stream], args.batch, args.size, args.threads))]
    rows = {name: [] for name in OURS} | {PEERS[peer]: [] for peer in peers}
    for _ in range(args.rounds):
        for name, precision in OURS.items():
            rows[name].append(ours(args, program, precision))
        for peer in peers:
            rows[PEERS[peer]].append(
                json.loads(subprocess.run(commands[peer], check=True, capture_output=True, text=True).stdout)
            )
    names = ["step_ms", "eval_ms", "peak_bytes"]
    medians = {
        who: {name: statistics.median(row[name] for row in found) for name in names} for who, found in rows.items()
    }
    eager = medians[PEERS["eager"]]
    shape = f"{args.batch} x {CHANNELS[args.stream]} x {args.size} x {args.size}"
    print(f"{args.arch}, batch {shape}, {args.threads} threads")
    print(f"{'':22}{'step':>10}{'ratio':>8}{'evaluation':>13}{'ratio':>8}{'memory':>12}{'ratio':>8}")
    for who, found in medians.items():
        step, evaluation, memory = (found[name] / eager[name] for name in names)
        print(
            f"{who:22}{found['step_ms'] / 1e3:8.3f} s{step:8.2f}{found['eval_ms'] / 1e3:11.3f} s{evaluation:8.2f}"
            f"{found['peak_bytes'] / 1e9:9.2f} GB{memory:8.2f}"
        )
    return None


if __name__ == "__main__":
    main()
