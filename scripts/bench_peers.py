#!/usr/bin/env python3
"""Compares ucftrain's loader with other loaders: same samples, same machine, same number of threads.

    scripts/bench_peers.py --tree TREE --lists LISTS --stream flow|rgb
                           [--videos CLIPS] [--classes A,B] [--rounds 3] [--cold]

Needs the programs and the Python packages of the other loaders. A loader that is not installed gets
a row that says so.

    sudo apt-get install libturbojpeg0-dev libopencv-dev pkg-config      # for FFCV
    sudo apt-get install ffmpeg                                          # for torchcodec
    python3 -m venv venv
    venv/bin/pip install torch torchvision webdataset litdata mosaicml-streaming \\
        nvidia-dali-cuda130 spdl grain torchcodec pylance
    venv/bin/pip install --no-deps ffcv          # opencv-python-headless serves as well as opencv-python
    venv/bin/pip install numba opencv-python-headless tqdm psutil terminaltables fastargs assertpy \\
        pytorch-pfn-extras
    venv/bin/pip install ./python                                        # clipshard
    cargo build --release -p ucfpack -p ucftrain
    venv/bin/python scripts/bench_peers.py --tree TREE --lists LISTS --stream flow

TREE is a frame tree in the feichtenhofer layout. The script uses the training clips of split 1. A
sample is a stack of 10 consecutive flow frames, 20 x 224 x 224, or a random crop of an RGB frame,
3 x 224 x 224, mirrored half of the time. Samples are u8 in host memory, in batches of 32 (flow) or
25 (RGB). Each loader gets the data in its own format, made once and kept in --work, and the
settings that its documentation recommends (scripts/peers).

The loaders take turns, each in its own process. Figures are medians over the rounds. The first
batches do not count. Columns:

* per core-s: samples per second of CPU time, of all processes together. It changes less than
  samples/s if other programs run. The measurement of ucftrain does not return it.
* memory: peak memory of the process and its children. A shared page counts once.
* own: the same without pages of files.
* disk: size of the loader's files. Ours include one test clip, which ucftrain requires.
* cold (--cold): samples per second with an empty page cache, for at most one pass.
* read (--cold): bytes that the cold run has read from disk.

A small dataset is read from disk completely before the clock starts, because of read-ahead. Only a
large dataset shows how fast a disk feeds a loader. Run nothing else on the machine.
"""

import argparse
import importlib
import json
import os
import pathlib
import shutil
import statistics
import sys
import tempfile
import time

from peers import measure
from peers.job import Job

MODULES = ["ours", "clipshard_python", "pil_files", "ffcv_beton", "webdataset_tar", "litdata_chunks", "mosaic_mds"]
MODULES += ["dali_cpu", "spdl_threads", "grain_records", "lance_rows", "torchcodec_videos"]
PEERS = [importlib.import_module(f"peers.{name}") for name in MODULES]
# Pairs of subjects whose ratio of speed, or of size, is printed.
SPEED_RATIOS = {
    "flow": [
        ("ours zstd", "PIL files"),
        ("ours zstd", "WebDataset"),
        ("ours lz4", "FFCV raw"),
        ("ours raw", "FFCV raw"),
        ("ours zstd, Python", "ours zstd"),
        ("ours lz4, Python", "ours lz4"),
        ("ours raw, Python", "ours raw"),
        ("ours zstd, Python", "PIL files"),
        ("ours lz4, Python", "FFCV raw"),
        ("ours raw, Python", "FFCV raw"),
        ("ours zstd, Python", "SPDL"),
        ("ours zstd, DataLoader", "PIL files"),
    ],
    "rgb": [
        ("ours jpeg", "FFCV jpg"),
        ("ours jpeg", "PIL files"),
        ("ours jpeg, Python", "ours jpeg"),
        ("ours jpeg, Python", "PIL files"),
        ("ours jpeg, Python", "FFCV jpg"),
        ("ours jpeg, Python", "SPDL"),
        ("ours jpeg, DataLoader", "PIL files"),
        ("ours jpeg, Python", "torchcodec"),
    ],
}
SIZE_RATIOS = {"flow": [("FFCV raw", "ours zstd")], "rgb": [("FFCV jpg", "ours jpeg")]}


class Subject:
    def __init__(self, peer, name, note, args):
        self.peer, self.name, self.note = peer, name, note
        data_of = getattr(peer, "data_of", lambda name: name)(name)
        self.place = pathlib.Path(args.work) / args.stream / data_of.replace(" ", "-")
        self.folder = str(self.place / "data")
        self.failed, self.rounds = None, {"warm": [], "cold": []}

    def files(self, job):
        own = getattr(self.peer, "files", lambda job: None)(job)
        return own or [os.path.join(folder, name) for folder, _, names in os.walk(self.folder) for name in names]

    def prepare(self, job, again):
        """Makes the data, unless data of the same clips exist already."""
        marker, made_of = self.place / "prepared.json", [[clip.name, clip.rgb, clip.flow] for clip in job.clips]
        if marker.exists() and not again:
            found = json.loads(marker.read_text())
            if found["clips"] == made_of and found["threads"] == job.threads:
                self.extra = found["extra"]
                return
        shutil.rmtree(self.place, ignore_errors=True)
        os.makedirs(self.folder)
        start = time.perf_counter()
        found = self.ask(job, "prepare")
        if self.failed:
            return
        self.extra = found["extra"]
        print(f"  {self.name}: prepared in {time.perf_counter() - start:.0f} s", file=sys.stderr)
        marker.write_text(json.dumps({"clips": made_of, "threads": job.threads, "extra": self.extra}))

    def ask(self, job, what, *more):
        """Runs this script in a new process, which prepares or measures. Returns its result."""
        with tempfile.TemporaryDirectory() as folder:
            result = pathlib.Path(folder) / "result.json"
            job.save(pathlib.Path(folder) / "job.json")
            command = [sys.executable, __file__, "--inner", what, self.name, folder, self.folder, *more]
            seen = measure.watched(command, result.exists)
            found = json.loads(result.read_text()) if result.exists() else {"failed": last_line(seen["err"])}
        self.failed = found.pop("failed", None)
        return {name: seen[name] for name in ("memory", "own", "rss")} | found

    def measure(self, job, temperature):
        if temperature == "warm":
            measure.warm(self.files(job))
        if self.peer.__name__ != "peers.ours":
            found = self.ask(job, temperature)
        else:
            seconds = job.seconds
            if temperature == "cold":
                # At most one pass, estimated from the rate of the warm rounds.
                seconds = min(seconds, job.count() / self.rate("warm"))
                measure.drop(self.files(job))
            seen = measure.watched(self.peer.command(job, self.folder, seconds))
            self.failed = last_line(seen["err"]) if seen["code"] else None
            found = seen if self.failed else seen | self.peer.result(seen["out"])
        if not self.failed:
            names = ("samples", "seconds", "cpu", "memory", "own", "rss", "disk_bytes")
            self.rounds[temperature].append({name: found.get(name) for name in names})

    def median(self, temperature, name):
        return statistics.median(found[name] for found in self.rounds[temperature])

    def rate(self, temperature):
        return statistics.median(found["samples"] / found["seconds"] for found in self.rounds[temperature])


def last_line(text):
    lines = [line for line in (text or "").split("\n") if line.strip()]
    return lines[-1] if lines else "failed without an error message"


def inner(what, name, given, folder):
    """Prepares or measures one subject, in its own process. Writes the result to a file."""
    job = Job.load(pathlib.Path(given) / "job.json")
    peer = next(peer for peer in PEERS if name in peer.SUBJECTS[job.stream])
    try:
        if what == "prepare":
            found = {"extra": peer.prepare(job, name, folder) or ""}
        else:
            options = {}
            if what == "cold":
                own = getattr(peer, "files", lambda job: None)(job) or [entry.path for entry in os.scandir(folder)]
                options = {"most_samples": job.count(), "before": lambda: measure.drop(own)}
            # Each worker prefetches two batches; FFCV prefetches three in all, DALI two. Workers
            # deliver in bursts.
            warm_up, least = 2 * job.threads + 2, 4 * job.threads
            found = measure.timed(peer.batches(job, name, folder), job.shapes(), warm_up, least, job.seconds, **options)
    except ImportError as error:
        found = {"failed": f"not installed: {error}"}
    except Exception as error:
        found = {"failed": f"{type(error).__name__}: {last_line(str(error))}"}
    partial = pathlib.Path(given) / "partial.json"
    partial.write_text(json.dumps(found))
    partial.rename(pathlib.Path(given) / "result.json")


def table(subjects, job, cold):
    reference = next((s for s in subjects if s.name == "PIL files" and s.rounds["warm"]), None)
    head = f"{'':22}{'samples/s':>11}{'lowest':>8}{'highest':>8}" + (f"{'x PIL':>8}" if reference else "")
    head += f"{'per core-s':>12}{'disk':>11}{'memory':>10}{'own':>10}"
    print(head + (f"{'cold':>10}{'read':>10}" if cold else ""))
    for subject in subjects:
        if subject.failed or not subject.rounds["warm"]:
            print(f"{subject.name:22}{'-':>11}  {subject.failed}")
            continue
        rates = [found["samples"] / found["seconds"] for found in subject.rounds["warm"]]
        row = f"{subject.name:22}{subject.rate('warm'):11,.0f}{min(rates):8,.0f}{max(rates):8,.0f}"
        if reference:
            row += f"{subject.rate('warm') / reference.rate('warm'):8.2f}"
        efficiency = [found["samples"] / found["cpu"] for found in subject.rounds["warm"] if found["cpu"]]
        row += f"{statistics.median(efficiency):12,.0f}" if efficiency else f"{'-':>12}"
        memory, own = (subject.median("warm", name) / 1e6 for name in ("memory", "own"))
        row += f"{subject.bytes / 1e6:8,.1f} MB{memory:7,.0f} MB{own:7,.0f} MB"
        if cold and subject.rounds["cold"]:
            row += f"{subject.rate('cold'):10,.0f}{subject.median('cold', 'disk_bytes') / 1e6:7,.0f} MB"
        print(f"{row}  {'; '.join(part for part in (subject.note, subject.extra) if part)}")


def ratios(subjects, stream):
    whole = {subject.name: subject for subject in subjects if subject.rounds["warm"]}
    print()
    for one, other in SPEED_RATIOS[stream]:
        if one in whole and other in whole:
            print(f"samples/s: {one} / {other}: {whole[one].rate('warm') / whole[other].rate('warm'):.2f}")
    for one, other in SIZE_RATIOS[stream]:
        if one in whole and other in whole:
            print(f"bytes on disk: {one} / {other}: {whole[one].bytes / whole[other].bytes:.2f}")


def bytes_alone(subjects, job):
    """Measures how fast one process reads our shards with an empty page cache, without decoding.

    Several processes at a time can be faster.
    """
    rows = []
    for subject in subjects:
        if subject.peer.__name__ != "peers.ours" or not subject.rounds["cold"]:
            continue
        files = [file for file in subject.files(job) if file.endswith(".clipshard")]
        measure.drop(files)
        start = time.perf_counter()
        measure.warm(files)
        seconds = time.perf_counter() - start
        rate = sum(map(os.path.getsize, files)) / seconds
        samples = rate / subject.peer.bytes_per_sample(subject.folder, job.stream)
        rows.append({"name": subject.name, "seconds": seconds, "bytes_per_second": rate, "samples_per_second": samples})
        print(
            f"{subject.name}, reading only: all shards in {seconds:.2f} s, {rate / 1e6:,.0f} MB/s, "
            f"{samples:,.0f} samples/s; the cold loader reaches {subject.rate('cold') / samples:.2f} x of this"
        )
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    threads = len(os.sched_getaffinity(0))
    programs = os.path.join(os.environ.get("CARGO_TARGET_DIR", "target"), "release")
    parser.add_argument("--tree", required=True, help="frame tree in the feichtenhofer layout")
    parser.add_argument("--lists", required=True, help="folder of the split lists")
    parser.add_argument("--videos", help="folder of the original videos, at any depth, for torchcodec")
    parser.add_argument("--classes", help="classes to use, separated by commas [default: all]")
    parser.add_argument("--stream", choices=["flow", "rgb"], default="flow", help="stream to load [default: flow]")
    parser.add_argument("--threads", type=int, default=threads, help=f"threads or workers [default: {threads}]")
    parser.add_argument("--batch", type=int, help="samples per batch [default: 32 for flow, 25 for rgb]")
    parser.add_argument("--seconds", type=float, default=5, help="seconds per measurement [default: 5]")
    parser.add_argument("--rounds", type=int, default=3, help="measurements per loader [default: 3]")
    parser.add_argument("--only", help="parts of the names of loaders to measure, for example ours,FFCV")
    parser.add_argument("--cold", action="store_true", help="measure also with an empty page cache")
    parser.add_argument("--prepare", action="store_true", help="make all data again, and measure nothing")
    parser.add_argument("--work", default="bench-peers", help="folder for the loaders' data [default: bench-peers]")
    parser.add_argument("--bin", default=programs, help=f"folder of the programs [default: {programs}]")
    parser.add_argument("--json", action="store_true", help="print JSON on stdout and the table on stderr")
    args = parser.parse_args()
    args.batch = args.batch or {"flow": 32, "rgb": 25}[args.stream]
    args.work = os.path.abspath(args.work)
    job = Job.of(args)
    wanted = args.only.lower().split(",") if args.only else [""]
    subjects = [Subject(peer, name, note, args) for peer in PEERS for name, note in peer.SUBJECTS[args.stream].items()]
    subjects = [subject for subject in subjects if any(part in subject.name.lower() for part in wanted)]
    made = set()
    for subject in subjects:
        # Subjects may share their data.
        subject.prepare(job, args.prepare and subject.place not in made)
        made.add(subject.place)
    if args.prepare:
        return
    for temperature in ["warm", "cold"] if args.cold else ["warm"]:
        for _ in range(args.rounds):
            for subject in subjects:
                if not subject.failed:
                    subject.measure(job, temperature)
    for subject in subjects:
        if not subject.failed:
            subject.bytes, subject.blocks = measure.sizes(subject.files(job))
    stdout = sys.stdout
    if args.json:
        sys.stdout = sys.stderr
    images = sum(clip.rgb if args.stream == "rgb" else 2 * clip.flow for clip in job.clips)
    how = f"batches of {args.batch}, {args.threads} threads, {args.rounds} rounds of {args.seconds:g} s"
    print(f"{args.stream}, {how}, {len(job.clips)} clips with {images:,} images\n")
    table(subjects, job, args.cold)
    ratios(subjects, args.stream)
    alone = bytes_alone(subjects, job) if args.cold else []
    if args.json:
        fields = ("name", "note", "failed", "bytes", "blocks", "rounds")
        rows = [{name: getattr(subject, name, None) for name in fields} for subject in subjects]
        document = {name: getattr(args, name) for name in ("stream", "batch", "threads", "seconds", "classes")}
        print(
            json.dumps(document | {"clips": len(job.clips), "images": images, "subjects": rows, "bytes_alone": alone}),
            file=stdout,
        )


if __name__ == "__main__":
    inner(*sys.argv[2:]) if sys.argv[1:2] == ["--inner"] else main()
