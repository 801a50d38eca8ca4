#!/usr/bin/env python3
"""Times two builds of the programs in turns (A B A B ...) and prints medians and their ratio: training step, loader, packing.

    scripts/bench_turns.py BASE_BIN_DIR NEW_BIN_DIR [--rounds N] [--seconds S]

Each folder holds ucfpack and ucftrain, built with `cargo build --release --bins`. The data are made up. A ratio above 1 means that
the new build is faster. Packing is measured in processor time, which other programs on the machine disturb less.
"""

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path


def run(command, cwd):
    """Runs a program and returns what it prints and the processor seconds that it took."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")
    return done.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(programs, work, seconds):
    """Returns a speed for each benchmark of one build, higher is faster."""
    speeds = {}
    train, pack = programs / "ucftrain", programs / "ucfpack"
    for stream in ("rgb", "flow"):
        text, _ = run([train, "bench", "loader", "--data", "packed", "--stream", stream, "--seconds", seconds, "--json"], work)
        speeds[f"loader {stream}, samples/s"] = json.loads(text)["samples_per_second"]
    for name, options in (("25 x 224 x 224", []), ("8 x 112 x 112", ["--batch-size", 8, "--input-size", 112])):
        text, _ = run([train, "bench", "step", "--device", "cpu", *options, "--seconds", seconds, "--json"], work)
        speeds[f"step {name}, images/s"] = json.loads(text)["images_per_second"]
    shutil.rmtree(work / "again", ignore_errors=True)
    _, busy = run([pack, "build", "--tree", "tree", "--lists", "tree/lists", "--out", "again"], work)
    speeds["packing, 1/processor seconds"] = 1 / busy
    return speeds


def processor():
    """Returns the name of the processor."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("base", type=Path)
    parser.add_argument("new", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=4)
    args = parser.parse_args()
    base, new = args.base.resolve(), args.new.resolve()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        run([new / "ucfpack", "synth", "--out", "tree", "--classes", 4, "--clips", 16, "--size", "340x256", "--seed", 1], work)
        run([new / "ucfpack", "build", "--tree", "tree", "--lists", "tree/lists", "--out", "packed"], work)
        found = {base: [], new: []}
        for turn in range(args.rounds):
            for side in (base, new) if turn % 2 == 0 else (new, base):
                found[side].append(measure(side, work, args.seconds))
    print(f"{processor()}, {os.cpu_count()} cores, medians of {args.rounds} turns")
    for name in found[base][0]:
        before, after = (statistics.median(speeds[name] for speeds in found[side]) for side in (base, new))
        print(f"{name:<30} {before:10.2f} {after:10.2f}   x {after / before:.3f}")


if __name__ == "__main__":
    main()
