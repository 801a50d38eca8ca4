#!/usr/bin/env python3
"""Packs one data set on the machines of a Ray cluster, part by part, and merges the parts: byte for byte what one machine makes.

    pip install ray
    scripts/pack_ray.py --parts 16 --cpus 8 --out ucf101.shards -- --tree UCF101 --lists ucfTrainTestlist --keep-going

What follows `--` goes to `ucfpack build`. Tree, lists and the parts' folder must be on a disk that all machines see. Without
--address a Ray of this machine's processors is started. A part that is killed or loses its machine is tried again, and
goes on from its finished shards.
"""
import argparse, os, shutil, subprocess, sys
import ray


class Killed(Exception):
    """The program did not end by itself: the machine ran out of memory or is shut down."""


@ray.remote(max_retries=3, retry_exceptions=[Killed])
def pack(program, options, number, parts, cpus, out):
    command = [program, "build", *options, "--jobs", str(cpus), "--part", f"{number}/{parts}", "--resume", "--out", out]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode < 0:
        raise Killed(f"part {number}: signal {-done.returncode}")
    if done.returncode:
        raise RuntimeError(f"part {number}: {done.stderr.strip()}")
    return done.stdout


def main():
    if "--" not in sys.argv:
        sys.exit(__doc__)
    own, options = sys.argv[1:sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1:]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=int, required=True, help="how many parts; a few for each machine")
    parser.add_argument("--cpus", type=int, default=1, help="processors a part")
    parser.add_argument("--out", required=True, help="the data set to make")
    parser.add_argument("--address", help="a running cluster, e.g. auto")
    parser.add_argument("--ucfpack", default=shutil.which("ucfpack") or "ucfpack", help="the program, on every machine")
    args = parser.parse_args(own)
    ray.init(address=args.address, log_to_driver=False)
    folder = os.path.abspath(args.out) + ".parts"
    os.makedirs(folder, exist_ok=True)
    outs = [os.path.join(folder, str(number)) for number in range(1, args.parts + 1)]
    jobs = {pack.options(num_cpus=args.cpus).remote(args.ucfpack, options, number, args.parts, args.cpus, out): number
            for number, out in enumerate(outs, 1)}
    waiting, failed = list(jobs), []
    while waiting:
        (done,), waiting = ray.wait(waiting)
        try:
            print(f"part {jobs[done]} of {args.parts}: {ray.get(done).splitlines()[0]}", flush=True)
        except Exception as error:  # Every part is waited for, so that all of their errors are seen.
            cause = getattr(error, "cause", error)
            failed.append(jobs[done])
            print(f"part {jobs[done]} of {args.parts} failed: {cause}", file=sys.stderr, flush=True)
    if failed:
        sys.exit(f"{len(failed)} parts failed; run this again, it goes on from their finished shards")
    subprocess.run([args.ucfpack, "merge", "--out", args.out, *outs], check=True)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
