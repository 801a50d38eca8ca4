#!/usr/bin/env python3
"""Trains one stream with processes on the machines of a Ray cluster.

    scripts/train_ray.py --ranks 4 --cpus 8 --run runs/spatial -- spatial --data ucf101.shards --weights imagenet

Needs Ray (pip install ray), and ucftrain on each machine. All machines must see the dataset and the
folder that contains the run folder.

The words after `--` are the command of ucftrain, without --run. If the run folder has a checkpoint,
the run continues from there with its own settings. Without --address, the script starts Ray on this
machine. If a process or its machine is lost, the script starts all processes again, up to --retries
times. Ctrl-C and SIGTERM stop the run with a checkpoint.
"""

import argparse, os, pathlib, shutil, signal, subprocess, sys, time, uuid
import ray
from ray.util.placement_group import placement_group, remove_placement_group
from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy


@ray.remote(max_concurrency=2)
class Rank:
    """A process of the run, on one of the machines."""

    def place(self):
        """Returns the name of the machine and its address."""
        return ray.get_runtime_context().get_node_id(), ray.util.get_node_ip_address()

    def train(self, command, variables, folder):
        """Runs the process in a folder and returns its exit status, which is negative if a signal ended it."""
        self.process = subprocess.Popen(command, env={**os.environ, **variables}, cwd=folder)
        return self.process.wait()

    def stop(self):
        """Asks the process to save a checkpoint and to end. Returns whether there is one."""
        process = getattr(self, "process", None)
        if process is not None:
            process.terminate()
        return process is not None


def places(ranks):
    """Returns for each rank the address of its machine, its number on it, and the number of ranks there."""
    found = ray.get([rank.place.remote() for rank in ranks])
    machines = [machine for machine, _ in found]
    return [
        (address, machines[:number].count(machine), machines.count(machine))
        for number, (machine, address) in enumerate(found)
    ]


def train(args, options, attempt, asked):
    """Trains until all processes have ended. Returns their exit statuses; None for one that was lost.

    `asked` has the signals so far."""
    group = placement_group([{"CPU": args.cpus, "GPU": args.gpus}] * args.ranks)
    deadline = time.monotonic() + args.wait
    while not group.wait(timeout_seconds=1):
        if asked or time.monotonic() > deadline:
            remove_placement_group(group)
            sys.exit(
                "stopped before the start" if asked
                else f"error: within {args.wait} s (--wait), the cluster has no place for {args.ranks} ranks of "
                f"{args.cpus} cores and {args.gpus} GPUs; use fewer ranks or cores"
            )
    strategy = PlacementGroupSchedulingStrategy(placement_group=group)
    of_rank = Rank.options(num_cpus=args.cpus, num_gpus=args.gpus, scheduling_strategy=strategy)
    ranks = [of_rank.remote() for _ in range(args.ranks)]
    stream, *settings = options
    resumes = (pathlib.Path(args.run) / "checkpoint.safetensors").exists()
    # Ray shows each process only its own GPU.
    defaults = {"--threads": str(args.cpus), "--device": "cuda:0" if args.gpus else "cpu"}
    common = [args.ucftrain, stream, "--run", os.path.abspath(args.run)]
    given = {word.split("=")[0] for word in settings}
    common += [word for name, value in defaults.items() if name not in given for word in (name, value)]
    # A process that was lost before the first checkpoint has left a folder without one.
    common += ["--resume"] if resumes else settings if attempt == 0 else [*settings, "--overwrite"]
    start, jobs = uuid.uuid4().hex, []
    for number, (address, local_rank, local_size) in enumerate(places(ranks)):
        variables = {
            "UCFTRAIN_RAY": start,
            "RANK": str(number),
            "WORLD_SIZE": str(args.ranks),
            "LOCAL_RANK": str(local_rank),
            "LOCAL_WORLD_SIZE": str(local_size),
        }
        interface = [] if local_size == args.ranks else ["--interface", address]
        jobs.append(ranks[number].train.remote([*common, *interface], variables, os.getcwd()))

    try:
        waiting, told = jobs, 0
        while waiting:
            # Not without end: Ray does not let Python's signal handlers run while it waits.
            _, waiting = ray.wait(waiting, num_returns=len(waiting), timeout=0.5)
            if told < len(asked):
                # The others stop together with the first. If that is lost, they end by themselves.
                try:
                    told = len(asked) if ray.get(ranks[0].stop.remote(), timeout=10) else told
                except ray.exceptions.RayError:
                    told = len(asked)
        if asked:
            sys.exit("stopped; run the command again to continue from the checkpoint")
        return [status_of(job) for job in jobs]
    finally:
        for rank in ranks:
            ray.kill(rank)
        remove_placement_group(group)


def status_of(job):
    """Returns the exit status of a process that has ended, or None if its machine was lost."""
    try:
        return ray.get(job)
    except ray.exceptions.RayActorError:
        return None


def main():
    """Trains, and again after the loss of a process."""
    if "--" not in sys.argv or sys.argv[-1] == "--":
        sys.exit(__doc__)
    own, options = sys.argv[1 : sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1 :]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ranks", type=int, required=True, help="number of processes")
    parser.add_argument("--cpus", type=int, default=1, help="CPU cores per process [default: 1]")
    parser.add_argument("--gpus", type=int, default=0, choices=[0, 1], help="GPUs per process [default: 0]")
    parser.add_argument("--run", required=True, help="run folder")
    parser.add_argument("--retries", type=int, default=3, help="most starts after a loss [default: 3]")
    parser.add_argument("--wait", type=int, default=300, help="most seconds to wait for cores [default: 300]")
    parser.add_argument("--address", help="address of a running cluster, for example auto")
    parser.add_argument(
        "--ucftrain", default=shutil.which("ucftrain") or "ucftrain", help="path of ucftrain on each machine"
    )
    args = parser.parse_args(own)
    ray.init(address=args.address)
    have, need = ray.cluster_resources(), {"CPU": args.ranks * args.cpus, "GPU": args.ranks * args.gpus}
    for kind, number in need.items():
        if number > have.get(kind, 0):
            sys.exit(f"error: the cluster has {have.get(kind, 0):.0f} {kind}s, but {args.ranks} ranks need {number}")
    asked = []
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, lambda number, _: asked.append(number))
    for attempt in range(args.retries + 1):
        statuses = train(args, options, attempt, asked)
        if all(status == 0 for status in statuses):
            return
        if not any(status is None or status < 0 for status in statuses):
            sys.exit(f"error: the processes ended with the exit statuses {statuses}; see the messages above")
        print(f"a process was lost ({statuses}), attempt {attempt + 1}", file=sys.stderr, flush=True)
    sys.exit("error: processes were lost too often; run the command again to continue from the checkpoint")


if __name__ == "__main__":
    main()
