#!/usr/bin/env python3
"""Compares the TV-L1 and DIS flow of opticalflow/ with OpenCV's DualTVL1 and DIS (PRESET_MEDIUM) on real clips: how far the quantised images differ, and the time that a
pair takes on one core.

    cargo build --release -p clip-flow --example pairs
    python3 -m venv env && env/bin/pip install numpy opencv-contrib-python-headless==5.0.0.93
    env/bin/python scripts/bench_flow.py CLIPS [--method tvl1|dis] [--pairs 32] [--size 341x256] [--rounds 3] [--program PATH] [--json FILE]

CLIPS is a folder that is searched for *.avi. Pairs are taken from clips all over it; both programs get the same decoded, resized grey
frames. OpenCV is set to one thread and takes turns with the program. Times are processor seconds of a pair in memory that was used before:
of the program from runs of many and of one computation, so that its start does not count; the median over the rounds for a pair, then
over the pairs. Nothing else should run.
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
    """Bytes as dense_flow writes them: 128 is no motion."""
    return numpy.rint(255 * (numpy.clip(flow.astype(numpy.float64), -20, 20) + 20) / 40).astype(numpy.int16)


def grey_pairs(clips, count, size):
    """At most `count` pairs of consecutive frames, one a clip, spread over the clips and over their lengths."""
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
            print(f"{clip}: fewer than two frames, left out", file=sys.stderr)
            continue
        at = (len(frames) - 2) * (i % 7) // 6
        grey = [cv2.cvtColor(cv2.resize(frame, size, interpolation=cv2.INTER_AREA if frame.shape[1] > size[0] else cv2.INTER_LINEAR),
                             cv2.COLOR_BGR2GRAY) for frame in frames[at:at + 2]]
        pairs.append((clip, at, grey))
    return pairs


# Computations that are timed together.
REPEATS = {"tvl1": 1, "dis": 20}


def make_opencv(method):
    if method == "tvl1":
        return cv2.optflow.DualTVL1OpticalFlow_create()
    return cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)


def run_ours(args, frames, result):
    """Processor seconds of the pair."""

    def seconds(times):
        command = [args.program, args.size, frames, result, f"--times={times}"] + (["--dis"] if args.method == "dis" else [])
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        if child.returncode:
            raise SystemExit(f"{args.program} failed with {child.returncode}")
        return usage.ru_utime + usage.ru_stime

    repeats = REPEATS[args.method]
    return (seconds(1 + repeats) - seconds(1)) / repeats


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=pathlib.Path)
    parser.add_argument("--method", choices=["tvl1", "dis"], default="tvl1")
    parser.add_argument("--pairs", type=int, default=32)
    parser.add_argument("--size", default="341x256", help="WIDTHxHEIGHT of the frames")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--program", type=pathlib.Path, default=pathlib.Path("target/release/examples/pairs"))
    parser.add_argument("--json", type=pathlib.Path, help="also write every pair's figures here")
    args = parser.parse_args()
    width, height = map(int, args.size.split("x"))
    clips = sorted(args.clips.rglob("*.avi"))
    if not clips:
        raise SystemExit(f"{args.clips}: no *.avi under it")
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
                "clip": clip.stem, "frame": at, "mean": float(levels.mean()), "within2": float((levels <= 2).mean()),
                "ours": statistics.median(ours_seconds), "opencv": statistics.median(theirs_seconds),
            }
            rows.append(row)
            print(f"{row['clip']:34} frame {at:4}: {row['mean']:.3f} levels, {100 * row['within2']:6.2f} % within 2; "
                  f"{1000 * row['ours']:6.1f} ms, OpenCV {1000 * row['opencv']:7.1f} ms", flush=True)
    column = lambda name: [row[name] for row in rows]
    ratios = [row["opencv"] / row["ours"] for row in rows]
    print(f"\n{args.method}: {len(rows)} pairs of {args.size}, OpenCV {cv2.__version__}")
    print(f"mean absolute difference {statistics.mean(column('mean')):.3f} levels (worst pair {max(column('mean')):.3f})")
    print(f"within 2 levels {100 * statistics.mean(column('within2')):.2f} % (worst pair {100 * min(column('within2')):.2f} %)")
    print(f"a pair {1000 * statistics.median(column('ours')):.1f} ms (mean {1000 * statistics.mean(column('ours')):.1f}), "
          f"OpenCV {1000 * statistics.median(column('opencv')):.1f} ms (mean {1000 * statistics.mean(column('opencv')):.1f}); "
          f"{sum(column('opencv')) / sum(column('ours')):.1f} times as fast over all, {min(ratios):.1f} to {max(ratios):.1f} by pair")
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
