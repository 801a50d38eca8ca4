#!/usr/bin/env python3
"""Packs one dataset on the machines of a Ray cluster, in parts, and merges the parts.

    scripts/pack_ray.py --parts 16 --cpus 8 --out ucf101.shards -- --tree UCF101 --lists ucfTrainTestlist

Needs Ray (pip install ray), and ucfpack on each machine. All machines must see the tree, the lists
and the output folder.

The options after `--` go to `ucfpack build`. The result equals that of one machine, byte for byte.
Without --address, the script starts Ray on this machine. A part that is killed or loses its machine
is tried again and continues after its finished shards.
"""

import argparse, os, shutil, subprocess, sys
import ray


class Killed(Exception):
    """A signal ended the program, for example because the machine ran out of memory or shuts down."""


@ray.remote(max_retries=3, retry_exceptions=[Killed])
def pack(program, options, number, parts, cpus, out):
    command = [program, "build", *options, "--jobs", str(cpus), "--part", f"{number}/{parts}", "--resume", "--out", out]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode < 0:
        raise Killed(f"signal {-done.returncode} ended ucfpack")
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return done.stdout


def main():
    if "--" not in sys.argv:
        sys.exit(__doc__)
    own, options = sys.argv[1 : sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1 :]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parts", type=int, required=True, help="number of parts: a few per machine")
    parser.add_argument("--cpus", type=int, default=1, help="CPU cores per part [default: 1]")
    parser.add_argument("--out", required=True, help="folder of the packed dataset")
    parser.add_argument("--address", help="address of a running cluster, for example auto")
    parser.add_argument(
        "--ucfpack", default=shutil.which("ucfpack") or "ucfpack", help="path of ucfpack on each machine"
    )
    args = parser.parse_args(own)
    ray.init(address=args.address, log_to_driver=False)
    folder = os.path.abspath(args.out) + ".parts"
    os.makedirs(folder, exist_ok=True)
    outs = [os.path.join(folder, str(number)) for number in range(1, args.parts + 1)]
    jobs = {
        pack.options(num_cpus=args.cpus).remote(args.ucfpack, options, number, args.parts, args.cpus, out): number
        for number, out in enumerate(outs, 1)
    }
    waiting, failed = list(jobs), []
    while waiting:
        (done,), waiting = ray.wait(waiting)
        try:
            print(f"part {jobs[done]} of {args.parts}: {ray.get(done).splitlines()[0]}", flush=True)
        except Exception as error:  # Wait for all parts, to report all errors.
            cause = getattr(error, "cause", error)
            failed.append(jobs[done])
            print(f"part {jobs[done]} of {args.parts} failed: {cause}", file=sys.stderr, flush=True)
    if failed:
        sys.exit(f"error: {len(failed)} parts failed; run the command again to continue after their finished shards")
    subprocess.run([args.ucfpack, "merge", "--out", args.out, *outs], check=True)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
