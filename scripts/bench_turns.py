#!/usr/bin/env python3
"""Compares the speed of two builds of the programs: training step, loader and packing.

    scripts/bench_turns.py BASE_BIN_DIR NEW_BIN_DIR [--rounds N] [--seconds S]

Needs two folders that hold ucfpack and ucftrain, built with `cargo build --release --bins`.

The builds take turns (A B, B A, ...) on a synthetic dataset. The script prints the median speed of
each build and their ratio. A ratio above 1 means that the new build is faster. Packing is measured
in CPU time, because other programs on the machine affect it less.
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
    """Runs a program. Returns its standard output and its CPU seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(f"error: {' '.join(map(str, command))} failed:\n{done.stderr}")
    return done.stdout, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure(programs, work, seconds):
    """Returns the speed of one build in each benchmark. A higher number is faster."""
    speeds = {}
    train, pack = programs / "ucftrain", programs / "ucfpack"
    for stream in ("rgb", "flow"):
        text, _ = run(
            [train, "bench", "loader", "--data", "packed", "--stream", stream, "--seconds", seconds, "--json"], work
        )
        speeds[f"loader {stream}, samples/s"] = json.loads(text)["samples_per_second"]
    for name, options in (("25 x 224 x 224", []), ("8 x 112 x 112", ["--batch-size", 8, "--input-size", 112])):
        text, _ = run([train, "bench", "step", "--device", "cpu", *options, "--seconds", seconds, "--json"], work)
        speeds[f"step {name}, images/s"] = json.loads(text)["images_per_second"]
    shutil.rmtree(work / "again", ignore_errors=True)
    _, busy = run([pack, "build", "--tree", "tree", "--lists", "tree/lists", "--out", "again"], work)
    speeds["packing, 1/CPU seconds"] = 1 / busy
    return speeds


def processor():
    """Returns the name of the CPU."""
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=Path, metavar="BASE_BIN_DIR", help="programs of the first build")
    parser.add_argument("new", type=Path, metavar="NEW_BIN_DIR", help="programs of the second build")
    parser.add_argument("--rounds", type=int, default=7, help="measurements per build [default: 7]")
    parser.add_argument("--seconds", type=float, default=4, help="seconds per measurement [default: 4]")
    args = parser.parse_args()
    base, new = args.base.resolve(), args.new.resolve()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        run(
            [
                new / "ucfpack",
                "synth",
                "--out",
                "tree",
                "--classes",
                4,
                "--clips",
                16,
                "--size",
                "340x256",
                "--seed",
                1,
            ],
            work,
        )
        run([new / "ucfpack", "build", "--tree", "tree", "--lists", "tree/lists", "--out", "packed"], work)
        found = {base: [], new: []}
        for turn in range(args.rounds):
            for side in (base, new) if turn % 2 == 0 else (new, base):
                found[side].append(measure(side, work, args.seconds))
    print(f"{processor()}, {os.cpu_count()} cores, medians of {args.rounds} rounds")
    for name in found[base][0]:
        before, after = (statistics.median(speeds[name] for speeds in found[side]) for side in (base, new))
        print(f"{name:<30} {before:10.2f} {after:10.2f}   x {after / before:.3f}")


if __name__ == "__main__":
    main()
