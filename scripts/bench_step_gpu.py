#!/usr/bin/env python3
"""Times ResNet training steps and evaluation passes on an NVIDIA GPU in ucftrain and in PyTorch.

    scripts/bench_step_gpu.py --program target/release/ucftrain [--rounds 3] [--compile 4] [--json FILE]

Needs a ucftrain with the feature cuda, and torch and torchvision for the GPU.

The two programs take turns. PyTorch runs in eager mode with AMP bf16, channels_last,
cudnn.benchmark and foreach SGD. Both programs synchronise after each step. Figures are medians of
20 steps, then medians over the rounds. Only the network is timed: its inputs are in GPU memory.
--compile N also times torch.compile once for the first N cases, which takes long.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time

CASES = [  # network, channels, batch
    ("resnet18", 3, 25),
    ("resnet18", 20, 32),
    ("resnet18", 3, 256),
    ("resnet18", 20, 256),
    ("resnet18", 3, 512),
    ("resnet50", 3, 128),
]
NAMES = ["forward", "backward", "training step", "evaluation"]
RECORDED = "recorded step"  # Only in ucftrain: the step as a CUDA graph, which training uses.


def pytorch(case, steps=20, compile=False):
    import torch
    import torchvision

    network, channels, batch = case
    torch.backends.cudnn.benchmark = True
    net = getattr(torchvision.models, network)(num_classes=101)
    if channels != 3:
        net.conv1 = torch.nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
    net = net.cuda().to(memory_format=torch.channels_last).train()
    model = torch.compile(net) if compile else net
    optimiser = torch.optim.SGD(net.parameters(), lr=1e-3, momentum=0.9)
    x = torch.randn(batch, channels, 224, 224, device="cuda").to(torch.bfloat16).to(memory_format=torch.channels_last)
    labels = torch.arange(batch, device="cuda") % 101
    times = {name: [] for name in NAMES}
    for i in range(steps + 5):
        net.train()
        torch.cuda.synchronize()
        start = time.perf_counter()
        with torch.autocast("cuda", torch.bfloat16):
            loss = torch.nn.functional.cross_entropy(model(x), labels)
        torch.cuda.synchronize()
        forward = time.perf_counter()
        loss.backward()
        torch.cuda.synchronize()
        backward = time.perf_counter()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        torch.cuda.synchronize()
        whole = time.perf_counter()
        net.eval()
        torch.cuda.synchronize()
        before = time.perf_counter()
        with torch.no_grad(), torch.autocast("cuda", torch.bfloat16):
            model(x)
        torch.cuda.synchronize()
        if i >= 5:
            for name, value in zip(
                NAMES, [forward - start, backward - forward, whole - start, time.perf_counter() - before]
            ):
                times[name].append(1e3 * value)
    return {name: statistics.median(values) for name, values in times.items()}


def ours(case, program, precision="bf16"):
    network, channels, batch = case
    stream = {3: "rgb", 20: "flow"}[channels]
    options = [
        f"--arch={network}",
        f"--stream={stream}",
        f"--batch-size={batch}",
        "--seconds=2",
        "--device=cuda:0",
        f"--precision={precision}",
    ]
    command = [program, "bench", "step", *options, "--json"]
    out = subprocess.run(command, capture_output=True, text=True)
    if out.returncode:
        sys.exit(f"error: {' '.join(command)} failed: {out.stderr}")
    found = json.loads(out.stdout)
    keys = ["forward_ms", "backward_ms", "step_ms", "eval_ms", "recorded_step_ms"]
    return {name: found[key] for name, key in zip([*NAMES, RECORDED], keys)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True, help="path of ucftrain")
    parser.add_argument("--rounds", type=int, default=3, help="measurements per case [default: 3]")
    parser.add_argument("--cases", type=int, default=len(CASES), help="number of cases, from the first [default: all]")
    parser.add_argument(
        "--compile", type=int, default=0, metavar="N", help="also time torch.compile on the first N cases [default: 0]"
    )
    parser.add_argument("--json", help="file for all figures")
    args = parser.parse_args()
    rows = []
    for number, case in enumerate(CASES[: args.cases]):
        found = {"ucftrain": [], "PyTorch": []}
        for _ in range(args.rounds):
            found["ucftrain"].append(ours(case, args.program))
            found["PyTorch"].append(pytorch(case))
        if number < args.compile:
            try:
                found["PyTorch compiled"] = [pytorch(case, compile=True)]
            except Exception as error:  # torch.compile needs a C compiler and Triton.
                print(
                    f"torch.compile is not measured: {type(error).__name__}: {str(error).splitlines()[0]}",
                    flush=True,
                )
                args.compile = 0
        medians = {
            who: {name: statistics.median(run[name] for run in runs) for name in runs[0]} for who, runs in found.items()
        }
        rows.append({"network": case[0], "channels": case[1], "batch": case[2], **medians})
        for who, times in medians.items():
            ratios = {name: medians["PyTorch"][name] / times[name] for name in NAMES}
            if RECORDED in times:
                ratios[RECORDED] = medians["PyTorch"]["training step"] / times[RECORDED]
            cells = "  ".join(f"{name} {times[name]:7.2f} ms x{ratio:.2f}" for name, ratio in ratios.items())
            rate = 1e3 * case[2] / times["training step"]
            print(f"{case[0]} {case[2]:4} x {case[1]:2}  {who:16} {cells}  {rate:7.0f} images/s", flush=True)
    if args.json:
        import torch

        versions = {
            "gpu": torch.cuda.get_device_name(),
            "torch": torch.__version__,
            "cudnn": torch.backends.cudnn.version(),
        }
        json.dump({"versions": versions, "rows": rows}, open(args.json, "w"), indent=1)


if __name__ == "__main__":
    main()
