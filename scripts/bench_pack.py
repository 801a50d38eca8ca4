#!/usr/bin/env python3
"""Measures the speed of ucfpack: packing against tar, opening, and verifying against plain reading.

    scripts/bench_pack.py --tree TREE --lists LISTS [--work DIR] [--rounds 3] [--like DIR]

Needs Linux and release builds of the programs:

    cargo build --release -p ucfpack && cargo build --release -p clipshard --example open_time

TREE is a frame tree in the feichtenhofer layout that fits into the page cache. The script reads it
once before it measures. The programs take turns, and figures are medians over the rounds. --like is
a packed dataset, such as `ucfpack synth --like ucf101` makes; if omitted, the script makes one. Run
nothing else on the machine.
"""

import argparse, json, os, shutil, statistics, subprocess, time


def run(command, **more):
    """Runs a program. Returns its seconds, busy CPU cores, peak memory in MiB, and standard output."""
    started = time.perf_counter()
    child = subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, **more)
    out = child.stdout.read()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.perf_counter() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise SystemExit(f"error: {' '.join(map(str, command))} failed with exit code {child.returncode}")
    return seconds, (usage.ru_utime + usage.ru_stime) / seconds, usage.ru_maxrss / 1024, out


def size(path):
    return sum(os.path.getsize(os.path.join(folder, name)) for folder, _, names in os.walk(path) for name in names)


def fresh(path):
    shutil.rmtree(path, ignore_errors=True)
    if os.path.isfile(path):
        os.remove(path)
    return path


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    programs = os.path.join(os.environ.get("CARGO_TARGET_DIR", "target"), "release")
    parser.add_argument("--tree", required=True, help="frame tree in the feichtenhofer layout")
    parser.add_argument("--lists", required=True, help="folder of the split lists")
    parser.add_argument("--work", default="bench-pack", help="folder for output; removed at the end [bench-pack]")
    parser.add_argument("--rounds", type=int, default=3, help="measurements per program [default: 3]")
    parser.add_argument("--like", help="packed dataset of the size of UCF101")
    parser.add_argument("--bin", default=programs, help=f"folder of the programs [default: {programs}]")
    args = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    work, ucfpack = args.work, os.path.join(args.bin, "ucfpack")
    os.makedirs(work, exist_ok=True)
    rgb, flow = os.path.join(args.tree, "jpegs_256"), os.path.join(args.tree, "tvl1_flow")
    archive = os.path.join(work, "rgb.tar")
    subprocess.run(["tar", "cf", "-", args.tree], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    build = lambda name, *more: [
        ucfpack,
        "build",
        "--lists",
        args.lists,
        "--keep-going",
        "--json",
        "--out",
        fresh(os.path.join(work, name)),
        *more,
    ]
    tasks = {
        "tar": lambda: ["sh", "-c", f"tar cf {fresh(archive)} {rgb} && sync {archive}"],
        "rgb header": lambda: build("rgb", "--rgb", rgb),
        "rgb decode": lambda: build("rgb-decode", "--rgb", rgb, "--check", "decode"),
        "flow zstd": lambda: build("flow", "--flow", flow),
    }
    results = {name: [] for name in tasks}
    for _ in range(args.rounds):
        for name, command in tasks.items():
            results[name].append(run(command()))
    median = lambda name, column: statistics.median(result[column] for result in results[name])
    rgb_bytes, flow_bytes = size(rgb), sum(size(os.path.join(flow, plane)) for plane in "uv")
    tar = median("tar", 0)
    print(f"{cores} CPU cores, medians of {args.rounds} rounds\n")
    print(f"tar + sync of {rgb_bytes / 1e6:.0f} MB RGB: {tar:.2f} s, {rgb_bytes / tar / 1e6:.0f} MB/s")
    for name in ("rgb header", "rgb decode"):
        seconds = median(name, 0)
        print(
            f"{name}: {seconds:.2f} s, {rgb_bytes / seconds / 1e6:.0f} MB/s, {tar / seconds:.2f} x tar, "
            f"peak memory {median(name, 2):.0f} MiB"
        )
    packed = json.loads(results["flow zstd"][0][3])
    seconds, images = median("flow zstd", 0), packed["records"]["flow"]
    dry = json.loads(run([*build("dry", "--flow", flow, "--jobs", "1", "--readers", "1"), "--dry-run"])[3])
    alone = images / dry["estimate"]["seconds"]
    rate = images / seconds / cores
    print(
        f"flow zstd: {images} images in {seconds:.1f} s, {rate:.0f} images/s per core, "
        f"CPU {median('flow zstd', 1) / cores:.0%} busy, peak memory {median('flow zstd', 2):.0f} MiB"
    )
    print(f"  one thread that only reads, decodes, resizes and compresses: {alone:.0f} images/s")
    print(f"  ratio per core: {rate / alone:.2f}")
    print(
        f"  {packed['bytes_out'] / images:.0f} bytes per image, "
        f"{packed['bytes_out'] / packed['bytes_in']:.2f} x the source files"
    )
    like = args.like
    if not like:
        like = fresh(os.path.join(work, "like"))
        run([ucfpack, "synth", "--like", "ucf101", "--out", like])
    opened = [
        json.loads(run([os.path.join(args.bin, "examples", "open_time"), like])[3]) for _ in range(max(args.rounds, 3))
    ]
    best = statistics.median(o["open_ms"] for o in opened)
    grown = statistics.median(o["grown_mib"] for o in opened)
    print(f"open {opened[0]['clips']} clips: {best:.1f} ms, memory grows by {grown:.1f} MiB")
    for name, folder in (
        ("RGB", os.path.join(work, "rgb")),
        ("flow", os.path.join(work, "flow")),
        ("like UCF101", like),
    ):
        shards = sorted(os.path.join(folder, f) for f in os.listdir(folder) if f.endswith(".clipshard"))
        sums, checked, verified = [], [], []
        for _ in range(args.rounds):
            sums.append(run(["cksum", *shards])[0])
            checked.append(run([ucfpack, "verify", "--checksums", folder])[0])
            verified.append(run([ucfpack, "verify", folder])[0])
        total = sum(map(os.path.getsize, shards))
        sums, checked, verified = map(statistics.median, (sums, checked, verified))
        for what, seconds in (("verify --checksums", checked), ("verify", verified)):
            print(
                f"{what} {name}: {seconds:.2f} s, {total / seconds / 1e6:.0f} MB/s, "
                f"{sums / seconds:.2f} x the speed of cksum ({sums:.2f} s)"
            )
    if os.path.abspath(work) != os.path.abspath(os.curdir):
        shutil.rmtree(work)


if __name__ == "__main__":
    main()
