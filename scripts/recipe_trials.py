#!/usr/bin/env python3
"""Tries changes of a recipe, each alone, and writes a table of what they gain.

    scripts/recipe_trials.py --data PACKED --out DIR [--weights FILE] [--seeds 0,1,2] [--only NAME,...]
                             [--epochs 15] [--list] [-- OPTIONS OF ALL RUNS]

Each trial trains one stream on split 1 with recipe `tsn` and one change. Val clips, held out by source
video, choose the epoch. The test clips are seen once, at the end of a run. Each trial and seed has a folder
in DIR. Finished runs are skipped and interrupted runs continue, so that you can stop at any time. Options after -- are
for the training of all runs, also of those without a change, such as: -- --segments 1 --repeat 3

DIR/trials.md has a row per trial: the mean top-1 accuracy and loss over the seeds on val clips, and the mean
accuracy on test clips, with standard deviations, and the gains over the same seeds without the change with
their standard errors. A lower loss has a negative gain. A change that the options of all runs already make is
no trial. Needs a packed dataset and the program ucftrain. The environment variable UCFTRAIN names the program.
"""

import argparse
import itertools
import json
import math
import os
import shlex
import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path

from child import wait_for

ALL = ("spatial", "temporal", "difference")
BOTH = ("spatial", "temporal")
MOTION = ("temporal", "difference")
SPATIAL = ("spatial",)
TEMPORAL = ("temporal",)


@dataclass
class Trial:
    """A change of the recipe."""

    name: str
    streams: tuple
    options: list = field(default_factory=list)
    # Factor for the number of epochs.
    epochs: float = 1
    # Whether training starts from the trained spatial network of the same seed.
    from_spatial: bool = False


BASE = "tsn"
TEMPORAL_SHIFT = ["--temporal-shift", "--segments", "8", "--repeat", "1", "--test-samples", "8"]
TRIALS = [
    Trial(BASE, ALL),
    Trial("one view per step and three times the steps", ALL, ["--segments", "1", "--repeat", "3"]),
    Trial("three views per step", BOTH, ["--segments", "3", "--repeat", "1"]),
    Trial("label smoothing 0.1", BOTH, ["--label-smoothing", "0.1"]),
    Trial("mixup 0.2", BOTH, ["--mixup", "0.2"]),
    Trial("CutMix 1", BOTH, ["--cutmix", "1"]),
    Trial("TrivialAugment", SPATIAL, ["--trivial-augment"]),
    Trial("dropout 0.5", BOTH, ["--dropout", "0.5"]),
    Trial("stochastic depth 0.1", BOTH, ["--stochastic-depth", "0.1"]),
    Trial("average of weights 0.99", BOTH, ["--ema", "0.99"]),
    Trial("mean of the last 5 epochs", BOTH, ["--swa", "5"]),
    Trial("twice the epochs", BOTH, epochs=2),
    Trial("input 160", BOTH, ["--input-size", "160"]),
    Trial("temporal shift over 8 views", BOTH, TEMPORAL_SHIFT),
    Trial("ten crops of 3 test samples", BOTH, ["--test-crop", "ten", "--test-samples", "3"]),
    Trial("frame dropout 0.2", TEMPORAL, ["--frame-dropout", "0.2"]),
    Trial("stack of 5", TEMPORAL, ["--stack", "5"]),
    Trial("stack of 15", TEMPORAL, ["--stack", "15"]),
    Trial("start from the spatial network", MOTION, from_spatial=True),
    Trial("centered flow", TEMPORAL, ["--flow-range", "centered"]),
]


def folder(out, trial, stream, seed):
    """Returns the run folder of a trial."""
    words = "".join(c if c.isalnum() or c in ".-" else "-" for c in trial.name.lower())
    return out / f"{words}-{stream}-{seed}"


def command(args, trial, stream, seed):
    """Returns the command of a run, without --run."""
    weights = folder(args.out, TRIALS[0], "spatial", seed) / "best.safetensors" if trial.from_spatial else args.weights
    epochs = max(1, round(args.epochs * trial.epochs))
    options = {"--input-size": args.input_size, "--test-samples": 10, "--epochs": epochs, "--val-share": 0.15}
    options = {option: [str(value)] for option, value in options.items()} | args.options
    kept = [part for option, values in options.items() if option not in trial.options for part in (option, *values)]
    return [
        *[args.program, stream, "--data", args.data, "--weights", weights, "--recipe", "tsn", "--split", args.split],
        *["--seed", seed, "--threads", args.threads, *kept, *trial.options],
    ]


def changes(args, trial, stream):
    """Returns whether a trial differs from the runs without a change."""
    lines = (command(args, other, stream, 0)[2:] for other in (trial, TRIALS[0]))
    options, base = (parsed([str(part) for part in line]) for line in lines)
    return options != base


def parsed(words):
    """Returns the values of each option in a list of words."""
    options = {}
    for word in words:
        if word.startswith("--"):
            option, *value = word.split("=", 1)
            options[option] = value
        elif options:
            options[list(options)[-1]].append(word)
        else:
            sys.exit(f"error: {word}: expected an option after --")
    return options


def options_of(words):
    """Returns the values of the options that all runs have."""
    options = parsed(words)
    own = {"--epochs", "--input-size", "--split", "--seed", "--threads", "--weights", "--recipe"}
    if fixed := options.keys() & own:
        sys.exit(f"error: {min(fixed)} cannot follow --; see --help")
    return options


def check_options(place, line):
    """Stores the options of a run next to its folder, or stops if an earlier call had others."""
    options = place.with_name(place.name + ".options")
    text = shlex.join(part for part in line if part != "--overwrite") + "\n"
    if options.exists() and options.read_text() != text:
        sys.exit(f"error: {place} was begun with other options:\n  {options.read_text()}now they are\n  {text}"
                 "use the same options, or another --out")
    options.parent.mkdir(parents=True, exist_ok=True)
    options.write_text(text)


def run(args, trial, stream, seed):
    """Trains, unless the run has finished. Returns its result."""
    place = folder(args.out, trial, stream, seed)
    result = place / "result.json"
    line = [str(part) for part in command(args, trial, stream, seed)]
    threads = line.index("--threads")
    check_options(place, line[:threads] + line[threads + 2 :])
    if result.exists():
        return json.loads(result.read_text())
    if trial.from_spatial:
        run(args, TRIALS[0], "spatial", seed)
    if (place / "checkpoint.safetensors").exists():
        line = [args.program, stream, "--run", place, "--resume", "--json"]
    else:
        line += ["--run", str(place), "--overwrite", "--json"]
    line = [str(part) for part in line]
    print(shlex.join(line), file=sys.stderr)
    words, part = (place.with_name(place.name + end) for end in (".log", ".part"))
    with open(words, "a", encoding="utf-8") as log, open(part, "w", encoding="utf-8") as out:
        code = wait_for(line, "the environment variable UCFTRAIN names the program ucftrain", stdout=out, stderr=log)
    if code != 0:
        reason = words.read_text(encoding="utf-8").strip().splitlines()[-1:] or ["it printed nothing"]
        sys.exit(f"error: {shlex.join(line)} failed: {reason[0].removeprefix('error: ')}; {words} has all messages")
    document = json.loads(part.read_text(encoding="utf-8"))
    part.replace(result)
    return document


def figures(document):
    """Returns top-1 and loss of a run on val clips, top-1 on test clips, and its minutes."""
    passes = ("train_seconds", "test_seconds")
    seconds = sum(epoch[name]["batch"]["sum"] for epoch in document["history"] for name in passes)
    val = document["best"]["val"]
    return val["top1"], val["loss"], document["test"]["top1"], seconds / 60


def finished(out, seeds):
    """Returns the figures of all finished runs by stream, trial and seed."""
    found = {}
    for trial, stream, seed in itertools.product(TRIALS, ALL, seeds):
        result = folder(out, trial, stream, seed) / "result.json"
        if result.exists():
            trials = found.setdefault(stream, {}).setdefault(trial.name, {})
            trials[seed] = figures(json.loads(result.read_text()))
    return found


def spread(values, digits):
    """Formats a mean with the standard deviation."""
    deviation = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.{digits}f}{deviation}"


def gain(values, base, digits):
    """Formats the mean difference of equal seeds with its standard error."""
    differences = [value - base[seed] for seed, value in values.items() if seed in base]
    if not differences:
        return "-"
    if len(differences) == 1:
        return f"{differences[0]:+.{digits}f}"
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    return f"{statistics.mean(differences):+.{digits}f} ± {error:.{digits}f}"


def table(found):
    """Returns the table. `found` has the figures by stream, trial and seed."""
    lines = ["| Stream | Change | Seeds | Val top-1, % | Gain | Val loss | Gain | Test top-1, % | Gain | Minutes |"]
    lines.append("|---|---|---|---|---|---|---|---|---|---|")
    for stream, trials in found.items():
        for name, seeds in trials.items():
            cells = [stream, name, str(len(seeds))]
            for at, digits in enumerate((1, 2, 1)):
                values = {seed: result[at] for seed, result in seeds.items()}
                base = {seed: result[at] for seed, result in trials.get(BASE, {}).items()}
                cells += [spread(list(values.values()), digits), "" if name == BASE else gain(values, base, digits)]
            cells.append(f"{statistics.mean(result[3] for result in seeds.values()):.1f}")
            lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="packed dataset")
    parser.add_argument("--out", type=Path, required=True, help="folder of the runs and of the table")
    parser.add_argument("--weights", default="imagenet", help="weights to start from [default: imagenet]")
    parser.add_argument("--seeds", default="0,1,2", help="seeds [default: 0,1,2]")
    parser.add_argument("--only", help="names of trials, separated by commas [default: all]")
    parser.add_argument("--streams", default="spatial,temporal,difference", help="streams [default: all]")
    parser.add_argument("--epochs", type=int, default=15, help="number of epochs [default: 15]")
    parser.add_argument("--input-size", type=int, default=112, help="side of the input in pixels [default: 112]")
    parser.add_argument("--split", default="1", help="split [default: 1]")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="threads [default: all cores]")
    parser.add_argument("--list", action="store_true", help="print the commands and run nothing")
    words = sys.argv[1:]
    cut = words.index("--") if "--" in words else len(words)
    args = parser.parse_args(words[:cut])
    args.options = options_of(words[cut + 1 :])
    args.program = os.environ.get("UCFTRAIN", "ucftrain")
    known = [trial.name for trial in TRIALS]
    wanted = args.only.split(",") if args.only else known
    if unknown := [name for name in wanted if name not in known]:
        sys.exit(f"error: --only {unknown[0]}: no such trial; the trials are {', '.join(known)}")
    seeds = [int(seed) for seed in args.seeds.split(",")]
    # Seed by seed, so that an early stop leaves whole comparisons.
    plan = [
        (trial, stream, seed)
        for seed in seeds
        for trial in TRIALS
        if trial.name in wanted
        for stream in trial.streams
        if stream in args.streams.split(",") and (trial is TRIALS[0] or changes(args, trial, stream))
    ]
    if not plan:
        known = "spatial, temporal or difference"
        sys.exit(f"error: no trial of --only has a stream of --streams {args.streams}; use {known}")
    if args.list:
        for trial, stream, seed in plan:
            print(shlex.join(str(part) for part in command(args, trial, stream, seed)))
        return
    args.out.mkdir(parents=True, exist_ok=True)
    for trial, stream, seed in plan:
        run(args, trial, stream, seed)
        (args.out / "trials.md").write_text(table(finished(args.out, seeds)))
    print((args.out / "trials.md").read_text(), end="")


if __name__ == "__main__":
    main()
