#!/usr/bin/env python3
"""Simulates a training step on several ranks: its time, its speed-up, and where more ranks stop paying.

    scripts/simulate_ranks.py --batch 256 --time 64:0.110 --time 256:0.400 --gigabits 25

Measure the times of a step on one device, for two or more batch sizes, with `ucftrain bench step`.
A rank has batch / ranks clips. Its time of computing lies on the line through the measured times.

A step takes the time of its slowest rank, and the exchange of gradients. With R ranks, M micro-batches
and V values, a rank sends 4 V (R - 1) / R (M / R + 1) bytes in M / R + 1 exchanges: each rank adds up a
part of the values, and sends its sums to the others, so the ranks of a machine share its network. In a
ring (--ring), as NCCL has, the sums pass each network once. --overlap is the part of the exchange that
passes during the backward pass; ucftrain has neither.

The slowest rank: for each of 10000 steps, every rank draws a factor of its time, with the mean 1, from a
gamma distribution with the standard deviation --spread or from the times in --step-times. The random
numbers are the same in each run.
"""

import argparse
import json
import random
import sys

STEPS = 10000


def line(points):
    """Returns intercept and slope of the line of least squares through points (batch, seconds)."""
    n = len(points)
    if n == 1:
        return 0.0, points[0][1] / points[0][0]
    x, y = sum(p[0] for p in points) / n, sum(p[1] for p in points) / n
    slope = sum((b - x) * (s - y) for b, s in points) / sum((b - x) ** 2 for b, _ in points)
    # A step cannot take less than nothing.
    if y - slope * x < 0:
        return 0.0, sum(b * s for b, s in points) / sum(b * b for b, _ in points)
    return y - slope * x, slope


def sent_bytes(ranks, micro_batches, values):
    """Returns the bytes that a rank sends in a step."""
    return 4 * values * (ranks - 1) / ranks * (micro_batches / ranks + 1)


def exchange_seconds(options, ranks):
    """Returns the time of the exchanges of a step, without overlap."""
    if ranks == 1:
        return 0.0
    exchanges = max(options.micro_batches, ranks) / ranks + 1
    # The slowest link decides: within a machine, or between machines.
    if ranks <= options.per_machine:
        gigabits = options.local_gigabits or options.gigabits
    else:
        gigabits = options.gigabits / (1 if options.ring else options.per_machine)
    bits = 8 * sent_bytes(ranks, max(options.micro_batches, ranks), options.values)
    return bits / (gigabits * 1e9) + exchanges * options.latency * 1e-6


def slowest(ranks, factors, random_numbers):
    """Returns the mean over steps of the largest factor among the ranks."""
    if ranks == 1:
        return 1.0
    return sum(max(factors(random_numbers) for _ in range(ranks)) for _ in range(STEPS)) / STEPS


def simulate(options, ranks):
    """Returns the times of a step in seconds: of computing, of waiting for the slowest rank, of the exchange."""
    start, slope = line(options.time)
    clips = options.batch / ranks
    micro_batches = max(options.micro_batches, ranks) / ranks
    # Ranks that share the cores of a machine take turns.
    sharing = max(1.0, min(ranks, options.per_machine) / options.devices)
    computing = (micro_batches * start + slope * clips) * sharing
    waiting = computing * (slowest(ranks, options.factors, random.Random(ranks)) - 1)
    exchange = exchange_seconds(options, ranks)
    return computing, waiting, exchange * (1 - options.overlap)


def point(text):
    """Parses BATCH:SECONDS."""
    batch, seconds = text.split(":")
    batch, seconds = int(batch), float(seconds)
    if batch < 1 or seconds <= 0:
        raise ValueError
    return batch, seconds


def parsed(argv):
    """Returns the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--batch", type=int, required=True, help="clips in a step of all ranks")
    add("--time", type=point, action="append", required=True, metavar="CLIPS:SECONDS", help="measured time of a step")
    add("--values", type=float, default=11.2e6, help="values of the network [default: 11.2e6, a ResNet-18]")
    add("--micro-batches", type=int, default=1, help="--accumulate of ucftrain; at least the number of ranks")
    add("--gigabits", type=float, required=True, help="speed of a machine's network in Gbit/s")
    add("--local-gigabits", type=float, help="speed between ranks of one machine in Gbit/s [default: --gigabits]")
    add("--latency", type=float, default=50, help="microseconds per exchange [default: 50]")
    add("--per-machine", type=int, default=8, help="ranks on one machine [default: 8]")
    add("--devices", type=int, help="devices or cores of one machine [default: one per rank]")
    add("--ring", action="store_true", help="the sums pass each network once")
    add("--overlap", type=float, default=0.0, help="part of the exchange behind the backward pass [default: 0]")
    add("--spread", type=float, default=0.02, help="standard deviation of a step's time, mean 1 [default: 0.02]")
    add("--step-times", metavar="FILE", help="JSON list of measured step times, instead of --spread")
    add("--ranks", default="1,2,4,8,16,32,64", help="numbers of ranks [default: 1,2,4,8,16,32,64]")
    options = parser.parse_args(argv)
    options.ranks = sorted(int(ranks) for ranks in options.ranks.split(","))
    if options.per_machine < 1 or options.micro_batches < 1:
        parser.error("--per-machine and --micro-batches must be 1 or more")
    options.devices = options.devices or options.per_machine
    if not 0 <= options.overlap <= 1 or options.spread < 0 or min(options.ranks) < 1 or options.gigabits <= 0:
        parser.error("--overlap must be from 0 to 1; --spread, --ranks and --gigabits must be positive")
    # A rank has at least one clip.
    options.ranks = [ranks for ranks in options.ranks if ranks <= options.batch]
    if not options.ranks:
        parser.error("--batch has fewer clips than there are ranks")
    if options.micro_batches > 1 and any(max(options.micro_batches, ranks) % ranks for ranks in options.ranks):
        parser.error("each number in --ranks must divide --micro-batches")
    if len({batch for batch, _ in options.time}) < len(options.time):
        parser.error("each --time needs another number of clips")
    if options.step_times:
        with open(options.step_times) as file:
            times = json.load(file)
        if not times or min(times) <= 0:
            parser.error(f"{options.step_times}: there are no times above 0")
        mean = sum(times) / len(times)
        options.factors = lambda numbers: numbers.choice(times) / mean
    elif options.spread == 0:
        options.factors = lambda numbers: 1.0
    else:
        shape = options.spread**-2
        options.factors = lambda numbers: numbers.gammavariate(shape, 1 / shape)
    return options


def main(argv):
    """Prints the table."""
    options = parsed(argv)
    alone = sum(simulate(options, 1))
    print("ranks  clips per rank  computing s  waiting s  exchange s  clips/s  speed-up  efficiency")
    speed_ups = []
    for ranks in options.ranks:
        parts = simulate(options, ranks)
        speed_up = alone / sum(parts)
        print(
            f"{ranks:5}  {options.batch / ranks:14.1f}  {parts[0]:11.4f}  {parts[1]:9.4f}  {parts[2]:10.4f}"
            f"  {options.batch / sum(parts):7.0f}  {speed_up:8.2f}  {100 * speed_up / ranks:8.0f} %"
        )
        speed_ups.append((ranks, speed_up))
    pays = last_that_pays(speed_ups)
    print(f"up to {pays} rank{'' if pays == 1 else 's'}, at least half of each addition becomes speed")


def last_that_pays(speed_ups):
    """Returns the last number of ranks before an addition that becomes speed by less than half."""
    for (before, slow), (after, fast) in zip(speed_ups, speed_ups[1:]):
        # Not exactly half, because of rounding.
        if fast / slow - 1 < 0.499 * (after / before - 1):
            return before
    return speed_ups[-1][0]


if __name__ == "__main__":
    main(sys.argv[1:])
