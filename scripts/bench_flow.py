#!/usr/bin/env python3
"""Compares the TV-L1 and DIS flow of clip-flow with OpenCV's on real clips: results and speed.

    scripts/bench_flow.py CLIPS [--method tvl1|dis] [--pairs 32] [--size 341x256] [--rounds 3]
                          [--program PATH] [--json FILE]

Needs the example program of clip-flow, numpy and OpenCV:

    cargo build --release -p clip-flow --example pairs
    python3 -m venv env && env/bin/pip install numpy opencv-contrib-python-headless==5.0.0.93
    env/bin/python scripts/bench_flow.py CLIPS

CLIPS is a folder that is searched for *.avi. The pairs come from clips of the whole folder. Both
programs get the same decoded and resized grey frames, and take turns. OpenCV runs with one thread
and computes DualTVL1 or DIS (PRESET_MEDIUM).

The script prints how far the quantised images differ, and the CPU seconds per pair. A time is the
median over the rounds for each pair, then the median over the pairs. The start of the program does
not count: the script subtracts a run of one computation from a run of several. Run nothing else on
the machine.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import cv2
import numpy


def quantise(flow):
    """Returns the bytes that dense_flow writes: 128 is no motion."""
    return numpy.rint(255 * (numpy.clip(flow.astype(numpy.float64), -20, 20) + 20) / 40).astype(numpy.int16)


def grey_pairs(clips, count, size):
    """Returns at most `count` pairs of consecutive frames, one per clip, from different parts of the clips."""
    pairs = []
    for i in range(min(count, len(clips))):
        clip = clips[i * len(clips) // min(count, len(clips))]
        frames = []
        video = cv2.VideoCapture(str(clip))
        while True:
            there, frame = video.read()
            if not there:
                break
            frames.append(frame)
        if len(frames) < 2:
            print(f"{clip}: skipped, because it has fewer than two frames", file=sys.stderr)
            continue
        at = (len(frames) - 2) * (i % 7) // 6
        grey = [
            cv2.cvtColor(
                cv2.resize(frame, size, interpolation=cv2.INTER_AREA if frame.shape[1] > size[0] else cv2.INTER_LINEAR),
                cv2.COLOR_BGR2GRAY,
            )
            for frame in frames[at : at + 2]
        ]
        pairs.append((clip, at, grey))
    return pairs


# Number of computations that are timed together.
REPEATS = {"tvl1": 1, "dis": 20}


def make_opencv(method):
    if method == "tvl1":
        return cv2.optflow.DualTVL1OpticalFlow_create()
    return cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)


def run_ours(args, frames, result):
    """Returns the CPU seconds per computation of the pair."""

    def seconds(times):
        command = [args.program, args.size, frames, result, f"--times={times}"] + (
            ["--dis"] if args.method == "dis" else []
        )
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise SystemExit(f"error: {args.program} failed with exit code {child.returncode}")
        return usage.ru_utime + usage.ru_stime

    repeats = REPEATS[args.method]
    return (seconds(1 + repeats) - seconds(1)) / repeats


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    program = pathlib.Path("target/release/examples/pairs")
    parser.add_argument("clips", type=pathlib.Path, metavar="CLIPS", help="folder with *.avi files")
    parser.add_argument("--method", choices=["tvl1", "dis"], default="tvl1", help="flow method [default: tvl1]")
    parser.add_argument("--pairs", type=int, default=32, help="largest number of pairs [default: 32]")
    parser.add_argument("--size", default="341x256", help="WIDTHxHEIGHT of the frames [default: 341x256]")
    parser.add_argument("--rounds", type=int, default=3, help="measurements per pair [default: 3]")
    parser.add_argument("--program", type=pathlib.Path, default=program, help=f"example program [default: {program}]")
    parser.add_argument("--json", type=pathlib.Path, help="file for the figures of each pair")
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))
    clips = sorted(args.clips.rglob("*.avi"))
    if not clips:
        raise SystemExit(f"error: {args.clips} has no *.avi files")
    cv2.setNumThreads(1)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        frames, result = pathlib.Path(folder, "frames"), pathlib.Path(folder, "flow")
        for clip, at, (first, second) in grey_pairs(clips, args.pairs, (width, height)):
            frames.write_bytes(first.tobytes() + second.tobytes())
            ours_seconds, theirs_seconds = [], []
            for _ in range(args.rounds):
                ours_seconds.append(run_ours(args, frames, result))
                solver = make_opencv(args.method)
                theirs = solver.calc(first, second, None)
                started = time.process_time()
                for _ in range(REPEATS[args.method]):
                    theirs = solver.calc(first, second, None)
                theirs_seconds.append((time.process_time() - started) / REPEATS[args.method])
            ours = numpy.fromfile(result, numpy.uint8).reshape(2, height, width).astype(numpy.int16)
            levels = numpy.abs(ours - quantise(theirs.transpose(2, 0, 1)))
            row = {
                "clip": clip.stem,
                "frame": at,
                "mean": float(levels.mean()),
                "within2": float((levels <= 2).mean()),
                "ours": statistics.median(ours_seconds),
                "opencv": statistics.median(theirs_seconds),
            }
            rows.append(row)
            print(
                f"{row['clip']:34} frame {at:4}: {row['mean']:.3f} levels, {100 * row['within2']:6.2f} % within 2; "
                f"{1000 * row['ours']:6.1f} ms, OpenCV {1000 * row['opencv']:7.1f} ms",
                flush=True,
            )
    column = lambda name: [row[name] for row in rows]
    ratios = [row["opencv"] / row["ours"] for row in rows]
    print(f"\n{args.method}: {len(rows)} pairs of {args.size}, OpenCV {cv2.__version__}")
    means, within, ours, opencv = (column(name) for name in ("mean", "within2", "ours", "opencv"))
    print(f"mean absolute difference {statistics.mean(means):.3f} levels (worst pair {max(means):.3f})")
    print(f"within 2 levels {100 * statistics.mean(within):.2f} % (worst pair {100 * min(within):.2f} %)")
    for name, seconds in (("clip-flow", ours), ("OpenCV", opencv)):
        median, mean = 1000 * statistics.median(seconds), 1000 * statistics.mean(seconds)
        print(f"{name}: median {median:.1f} ms per pair, mean {mean:.1f} ms")
    print(
        f"speed relative to OpenCV: {sum(opencv) / sum(ours):.1f} x over all pairs, "
        f"{min(ratios):.1f} to {max(ratios):.1f} x for single pairs"
    )
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
