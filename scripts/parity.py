#!/usr/bin/env python3
"""Trains the recipe `seed` in ucftrain and in PyTorch, and compares accuracy and curves.

    scripts/parity.py DATA WEIGHTS OUT [--seeds 0,1,2] [--epochs 12] [--input-size 112]
                      [--streams spatial,temporal] [--ucftrain target/release/ucftrain]

Needs ucftrain, and a Python that has the packages of scripts/seed_pytorch.py:

    cargo build --release --bins
    python3 -m venv venv && venv/bin/pip install torch torchvision safetensors pillow numpy zstandard
    venv/bin/python scripts/parity.py PACKED resnet18.safetensors parity

DATA is a packed dataset, and WEIGHTS a safetensors file of a ResNet-18. Both programs use the defaults of
the recipe: batch size, learning rate, its schedule, views and test samples. The plateau schedule does not
depend on the number of epochs, so fewer epochs are the start of a longer run.

The programs take turns, one run at a time. The script writes to OUT:

    parity.json, parity.md      all curves, and a table with means and standard deviations over the seeds
    parity.svg                  the curves: means, and bands from the lowest to the highest seed
    ucftrain-STREAM-SEED/       run folders
    pytorch-STREAM-SEED.json    results of seed_pytorch.py

The same command again continues: it skips finished runs, and resumes the run folder that was interrupted.
More seeds or epochs can be added in the same way. A link to an existing run folder of ucftrain with the
same settings counts as a run. --report runs nothing, and only writes the three files.
"""

import argparse
import datetime
import json
import math
import os
import pathlib
import platform
import resource
import statistics
import subprocess
import sys
import xml.sax.saxutils

from child import wait_for

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROGRAMS = {"ucftrain": "ucftrain", "pytorch": "PyTorch"}
TOP1 = {"best": "best top-1", "last": "last top-1", "last_three": "top-1 of the last three"}
CURVES = {"train_loss": "Training loss", "test_top1": "Test top-1, %"}


# ---- Runs


def ucftrain_history(folder):
    """Returns the results of the epochs that a run folder of ucftrain has, in the form of seed_pytorch.py."""
    log, found = folder / "log.jsonl", []
    for line in log.read_text().splitlines() if log.is_file() else []:
        try:
            event = json.loads(line)
        except ValueError:
            # The last line of a program that was killed.
            continue
        if event["event"] == "epoch":
            result = event["result"]
            train, test = result["train"], result.get("test") or result["val"]
            epoch = {"lr": result["lr"], "train_loss": train["loss"], "train_top1": train["top1"]}
            epoch |= {"test_loss": test["loss"], "test_top1": test["top1"]}
            epoch |= {f"{part}_seconds": result[f"{part}_seconds"]["batch"]["sum"] for part in ("train", "test")}
            found.append(epoch)
    return found


def history(args, program, stream, seed):
    """Returns the first epochs of a run, or none if it is not finished."""
    name = args.out / f"{program}-{stream}-{seed}"
    if program == "ucftrain":
        found = ucftrain_history(name)
    else:
        path = name.with_name(name.name + ".json")
        found = json.loads(path.read_text())["history"] if path.is_file() else []
    return found[: args.epochs] if len(found) >= args.epochs else None


def command(args, program, stream, seed):
    """Returns the command line that starts or continues a run."""
    name = args.out / f"{program}-{stream}-{seed}"
    options = ["--data", args.data, "--weights", args.weights, "--split", args.split]
    options += ["--input-size", args.input_size, "--epochs", args.epochs, "--seed", seed, "--threads", args.threads]
    if program == "pytorch":
        return [sys.executable, args.pytorch, stream, *options, "--out", name.with_name(name.name + ".json")]
    if (name / "checkpoint.safetensors").is_file():
        return [args.ucftrain, stream, "--run", name, "--resume", "--epochs", args.epochs]
    return [args.ucftrain, stream, "--run", name, "--overwrite", "--recipe", "seed", "--device", "cpu", *options]


def run(args, program, stream, seed):
    """Runs a program to its end, and adds the processor time of the run to OUT/cpu_seconds.json."""
    words = [str(word) for word in command(args, program, stream, seed)]
    name, path = f"{program}-{stream}-{seed}", args.out / "cpu_seconds.json"
    print(f"{datetime.datetime.now():%H:%M:%S} {' '.join(words)}", flush=True)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with open(args.out / f"{name}.log", "a") as log:
        code = wait_for(words, "--ucftrain names the program ucftrain", stdout=log, stderr=subprocess.STDOUT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = read_json(path)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    seconds[name] = seconds.get(name, 0) + used
    path.write_text(json.dumps(seconds, indent=1) + "\n")
    if code:
        raise SystemExit(f"error: {name} ended with status {code}; see {args.out / name}.log")


def read_json(path):
    return json.loads(path.read_text()) if path.is_file() else {}


def check_settings(args):
    """Stores the settings that decide the results. Ends the script if OUT holds runs with others."""
    settings = {"data": str(args.data.resolve()), "weights": str(args.weights.resolve())}
    settings |= {"split": args.split, "input_size": args.input_size}
    path = args.out / "settings.json"
    stored = read_json(path) or settings
    for name, value in settings.items():
        if stored.get(name) != value:
            raise SystemExit(
                f"error: {args.out} has runs with {name} {stored.get(name)}, not {value}; name another folder"
            )
    path.write_text(json.dumps(settings, indent=1) + "\n")
    return settings


# ---- Figures


def mean_and_sd(values):
    """Returns the mean, and the standard deviation with n - 1, which is none for a single value."""
    return {"mean": statistics.fmean(values), "sd": statistics.stdev(values) if len(values) > 1 else None}


def difference(ours, theirs):
    """Returns the difference of two means, and its standard error."""
    parts = [statistics.variance(values) / len(values) for values in (ours, theirs) if len(values) > 1]
    error = math.sqrt(sum(parts)) if len(parts) == 2 else None
    return {"mean": statistics.fmean(ours) - statistics.fmean(theirs), "se": error}


def summary(runs, cpu_seconds, stream):
    """Summarises the runs of a stream: `runs` has a history for each (program, seed)."""
    of = {program: [h for (name, _), h in sorted(runs.items()) if name == program] for program in PROGRAMS}
    figures = {
        "best": lambda h: max(epoch["test_top1"] for epoch in h),
        "last": lambda h: h[-1]["test_top1"],
        # One epoch can be far from its neighbours.
        "last_three": lambda h: statistics.fmean(epoch["test_top1"] for epoch in h[-3:]),
        "last_train_loss": lambda h: h[-1]["train_loss"],
    }
    found = {program: {} for program in PROGRAMS}
    found["difference"] = {}
    for name, figure in figures.items():
        values = {program: [figure(h) for h in of[program]] for program in PROGRAMS}
        for program in PROGRAMS:
            found[program][name] = mean_and_sd(values[program]) | {"values": values[program]}
        found["difference"][name] = difference(values["ucftrain"], values["pytorch"])
    for program in PROGRAMS:
        epochs = [epoch for h in of[program] for epoch in h]
        for part in ("train", "test"):
            # The median, because other programs may slow some epochs down.
            found[program][f"{part}_seconds"] = statistics.median(epoch[f"{part}_seconds"] for epoch in epochs)
        wall = sum(epoch["train_seconds"] + epoch["test_seconds"] for epoch in epochs)
        cpu = [cpu_seconds.get(f"{program}-{stream}-{seed}") for name, seed in runs if name == program]
        found[program] |= {"minutes": wall / 60, "cpu_minutes": sum(cpu) / 60 if None not in cpu else None}
    return found


def shown(figure, digits=1, sign=""):
    """Returns `mean ± spread` for the table."""
    mean, spread = round(figure["mean"], digits) + 0.0, figure.get("sd", figure.get("se"))
    return f"{mean:{sign}.{digits}f}" + (f" ± {spread:.{digits}f}" if spread is not None else "")


def table(document):
    """Returns parity.md."""
    names = ["Stream", "Program", "Best top-1", "Last top-1", "Top-1 of the last three", "Last training loss"]
    names += ["Training, seconds per epoch", "Test, seconds per epoch", "Minutes in all", "CPU minutes in all"]
    rows, ratios = [names, ["---"] * len(names)], []
    for stream, found in document["streams"].items():
        for program, name in PROGRAMS.items():
            row = found[program]
            cpu = f"{row['cpu_minutes']:.1f}" if row["cpu_minutes"] is not None else "not measured"
            cells = [stream if program == "ucftrain" else "", name, *(shown(row[figure]) for figure in TOP1)]
            cells += [shown(row["last_train_loss"], 3), f"{row['train_seconds']:.1f}", f"{row['test_seconds']:.1f}"]
            rows.append([*cells, f"{row['minutes']:.1f}", cpu])
        gap = found["difference"]
        cells = ["", "difference", *(shown(gap[figure], 1, "+") for figure in TOP1)]
        rows.append([*cells, shown(gap["last_train_loss"], 3, "+"), "", "", "", ""])
        ratios += [
            (abs(gap[figure]["mean"]) / gap[figure]["se"], f"{stream}, {name}")
            for figure, name in TOP1.items()
            if gap[figure]["se"]
        ]
    about = (
        f"Recipe `seed`, split {document['split']}, {document['input_size']} pixels, {document['epochs']} epochs; "
        f"seeds: {', '.join(map(str, document['seeds']))}; {document['threads']} threads; {document['machine']}; "
        f"{document['date']}. Means over the seeds ± standard deviation, differences ± standard error. "
        "Best top-1 is that of the best epoch, last top-1 that of the last one, and then the mean of the last three. "
        "Seconds are medians over the epochs."
    )
    lines = [f"| {' | '.join(row)} |" for row in rows] + ["", about]
    if ratios:
        lines.append("The largest difference is {:.1f} standard errors ({}).".format(*max(ratios)))
    return "\n".join(lines) + "\n"


# ---- Picture

# Okabe and Ito's colours, which colour-blind people can tell apart.
STYLES = {"ucftrain": ("#0072b2", "none"), "pytorch": ("#d55e00", "7 4")}
WIDTH, PANEL, HEIGHT, LEFT, TOP, GAP = 900, 370, 220, 62, 92, 76


def ticks(low, high, most=6):
    """Returns round numbers that cover low to high."""
    raw = max(high - low, 1e-9) / (most - 1)
    power = 10 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10, 20) if (high - low) / (factor * power) <= most - 1)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 10) for i in range(first, max(last, first + 1) + 1)]


def panel(runs, curve, title, origin):
    """Draws a curve of all runs of a stream as means and bands. `origin` is the upper left corner."""
    left, top = origin
    values = {
        program: list(zip(*([epoch[curve] for epoch in h] for (name, _), h in runs.items() if name == program)))
        for program in PROGRAMS
    }
    every = [value for rows in values.values() for row in rows for value in row]
    marks, epochs = ticks(min(0, *every), max(every)), max(len(rows) for rows in values.values())

    def x(epoch):
        return left + PANEL * (epoch / (epochs - 1) if epochs > 1 else 0.5)

    def y(value):
        return top + HEIGHT * (1 - (value - marks[0]) / (marks[-1] - marks[0]))

    def points(numbers):
        return " ".join(f"{x(i):.1f},{y(value):.1f}" for i, value in numbers)

    parts = [f'<text x="{left}" y="{top - 12}" class="title">{xml.sax.saxutils.escape(title)}</text>']
    for mark in marks:
        parts.append(f'<line x1="{left}" y1="{y(mark):.1f}" x2="{left + PANEL}" y2="{y(mark):.1f}" class="grid"/>')
        parts.append(f'<text x="{left - 8}" y="{y(mark) + 5:.1f}" text-anchor="end">{mark:g}</text>')
    for epoch in range(0, epochs, max(1, math.ceil(epochs / 12))):
        parts.append(f'<text x="{x(epoch):.1f}" y="{top + HEIGHT + 20}" text-anchor="middle">{epoch + 1}</text>')
    for program, rows in values.items():
        colour, dash = STYLES[program]
        outline = [*enumerate(map(max, rows)), *reversed([*enumerate(map(min, rows))])]
        parts.append(f'<polygon points="{points(outline)}" fill="{colour}" fill-opacity="0.18"/>')
        line = points(enumerate(map(statistics.fmean, rows)))
        parts.append(
            f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2.5" stroke-dasharray="{dash}"/>'
        )
    return parts


def picture(streams, seeds):
    """Returns parity.svg: a column per stream, a row per curve. `streams` has the runs of each stream."""
    rows, columns = len(CURVES), len(streams)
    width, height = max(WIDTH, LEFT + columns * (PANEL + GAP)), TOP + rows * (HEIGHT + GAP) - 10
    label = "Training loss and test accuracy of the recipe seed in ucftrain and PyTorch by epoch"
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="{label}">',
        "<style>text{font:14px sans-serif;fill:#222}.title{font-weight:bold;font-size:15px}"
        ".grid{stroke:#ddd;stroke-width:1}</style>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
    ]
    at = LEFT
    for program, name in PROGRAMS.items():
        colour, dash = STYLES[program]
        parts.append(f'<rect x="{at}" y="18" width="44" height="20" fill="{colour}" fill-opacity="0.18"/>')
        parts.append(
            f'<line x1="{at}" y1="28" x2="{at + 44}" y2="28" stroke="{colour}" stroke-width="2.5" '
            f'stroke-dasharray="{dash}"/>'
        )
        parts.append(f'<text x="{at + 54}" y="33" class="title">{name}</text>')
        at += 150
    counted = f"{len(seeds)} seeds: mean, lowest to highest" if len(seeds) > 1 else "1 seed"
    parts.append(f'<text x="{at}" y="33">{counted}</text>')
    for column, (stream, runs) in enumerate(streams.items()):
        for row, (curve, title) in enumerate(CURVES.items()):
            origin = LEFT + column * (PANEL + GAP), TOP + row * (HEIGHT + GAP)
            parts += panel(runs, curve, f"{title}: {stream}", origin)
            if row == rows - 1:
                centre = origin[0] + PANEL / 2
                parts.append(f'<text x="{centre}" y="{origin[1] + HEIGHT + 44}" text-anchor="middle">Epoch</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


# ---- The script


def machine():
    """Returns the name of the processor."""
    path = pathlib.Path("/proc/cpuinfo")
    for line in path.read_text().splitlines() if path.is_file() else []:
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def report(args, settings):
    """Writes parity.json, parity.md and parity.svg."""
    cpu_seconds, streams, runs = read_json(args.out / "cpu_seconds.json"), {}, {}
    for stream in args.streams:
        found = {(p, seed): history(args, p, stream, seed) for p in PROGRAMS for seed in args.seeds}
        missing = [f"{program}-{stream}-{seed}" for (program, seed), h in found.items() if h is None]
        if missing:
            raise SystemExit(f"error: {args.out}: the run {missing[0]} is not finished; run without --report")
        runs[stream] = found
        streams[stream] = summary(found, cpu_seconds, stream)
        streams[stream]["runs"] = [{"program": p, "seed": seed, "history": h} for (p, seed), h in found.items()]
    document = settings | {"epochs": args.epochs, "seeds": args.seeds, "threads": args.threads, "machine": machine()}
    document |= {"date": f"{datetime.date.today()}", "streams": streams}
    text = table(document)
    (args.out / "parity.json").write_text(json.dumps(document, indent=1) + "\n")
    (args.out / "parity.md").write_text(text)
    (args.out / "parity.svg").write_text(picture(runs, args.seeds))
    print(text, end="")


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    parser.add_argument("data", type=pathlib.Path, metavar="DATA", help="packed dataset with both streams")
    parser.add_argument("weights", type=pathlib.Path, metavar="WEIGHTS", help="safetensors file of a ResNet-18")
    parser.add_argument("out", type=pathlib.Path, metavar="OUT", help="folder for runs and results")
    parser.add_argument("--seeds", default="0,1,2", help="seeds, separated by commas [default: 0,1,2]")
    parser.add_argument("--epochs", type=int, default=12, help="epochs of each run [default: 12]")
    parser.add_argument("--input-size", type=int, default=112, help="height and width in pixels [default: 112]")
    parser.add_argument("--split", default="1", help="split of the dataset [default: 1]")
    parser.add_argument("--streams", default="spatial,temporal", help="streams [default: spatial,temporal]")
    parser.add_argument("--threads", type=int, default=2, help="threads of each program [default: 2]")
    parser.add_argument("--ucftrain", default=target / "release/ucftrain", help="path of ucftrain")
    parser.add_argument("--pytorch", default=ROOT / "scripts/seed_pytorch.py", help=argparse.SUPPRESS)
    parser.add_argument("--report", action="store_true", help="write the results of the runs that are there")
    args = parser.parse_args(arguments)
    try:
        args.seeds = [int(seed) for seed in args.seeds.split(",")]
    except ValueError:
        parser.error(f"argument --seeds: {args.seeds} is no list of integers, such as 0,1,2")
    args.streams = args.streams.split(",")
    if args.epochs < 1 or not set(args.streams) <= {"spatial", "temporal"}:
        parser.error("--epochs must be at least 1, and --streams spatial, temporal or both")
    args.out.mkdir(parents=True, exist_ok=True)
    settings = check_settings(args)
    # Seed by seed, so that an interrupted comparison has runs of all programs.
    todo = [(p, stream, seed) for seed in args.seeds for stream in args.streams for p in PROGRAMS]
    for program, stream, seed in todo if not args.report else []:
        if history(args, program, stream, seed) is None:
            run(args, program, stream, seed)
    report(args, settings)


if __name__ == "__main__":
    main()
