#!/usr/bin/env python3
"""Compares the time of a training step on several ranks of one thread with that of one process.

    scripts/bench_ranks.py DATA [--ranks 2] [--steps 20] [--rounds 3] [-- OPTIONS OF THE TRAINING]

DATA is a packed dataset. The process has as many threads as there are ranks, and the same batch. A third
program computes the same micro-batches in one process (--accumulate). The programs take turns, and each runs
alone. The script prints medians over the rounds of each program's mean seconds per step.

UCFTRAIN names the program; without it, the script builds ucftrain.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent


def program():
    """Returns the path of ucftrain."""
    if "UCFTRAIN" in os.environ:
        return os.environ["UCFTRAIN"]
    subprocess.run(["cargo", "build", "--quiet", "--release", "--locked", "-p", "ucftrain"], cwd=ROOT, check=True)
    return str(pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "ucftrain")


def seconds_per_step(command, run):
    """Trains and returns the mean seconds of a step."""
    done = subprocess.run([*command, "--run", run, "--json"], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"error: {' '.join(command)} failed:\n{done.stderr}")
    events = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    steps = [event for event in events if event.get("event") == "progress" and event["stage"].startswith("epoch")]
    if not steps:
        sys.exit("error: the training is too short to be measured; use more --steps")
    return steps[-1]["means"]["seconds"]


def main():
    """Runs the programs in turn and prints the table."""
    argv = sys.argv[1:]
    more = []
    if "--" in argv:
        more = argv[argv.index("--") + 1 :]
        argv = argv[: argv.index("--")]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", metavar="DATA")
    parser.add_argument("--ranks", type=int, default=2)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args(argv)
    ucftrain, ranks = program(), options.ranks
    training = ["spatial", "--data", options.data, "--weights", "none", "--device", "cpu", "--batch-size", "24"]
    training += ["--limit-steps", str(options.steps), *more]
    programs = {
        f"one process, {ranks} threads": [ucftrain, *training, "--threads", str(ranks)],
        f"one process, {ranks} threads, --accumulate {ranks}": [
            ucftrain, *training, "--threads", str(ranks), "--accumulate", str(ranks),
        ],
        f"{ranks} ranks of one thread": [
            ucftrain, "launch", "--ranks", str(ranks), "--", *training, "--threads", "1",
        ],
    }
    times = {name: [] for name in programs}
    with tempfile.TemporaryDirectory() as folder:
        for round in range(options.rounds):
            for at, (name, command) in enumerate(programs.items()):
                times[name].append(seconds_per_step(command, f"{folder}/{round}-{at}"))
    first = statistics.median(next(iter(times.values())))
    for name, values in times.items():
        median = statistics.median(values)
        print(f"{name:45} {median:8.3f} s  {median / first:5.2f} x")


if __name__ == "__main__":
    main()
