#!/usr/bin/env python3
"""Writes the tables of a benchmark of scripts/jhmdb.sh.

  scripts/jhmdb_tables.py OUT --seeds 0,1 --splits 1,2,3 --streams spatial,temporal --ratio 1:1.5

Reads OUT/fused, OUT/runs and OUT/steps. Writes OUT/table.md and OUT/table.json with the accuracies, which depend on
nothing but the clips and the options, and OUT/minutes.md and OUT/minutes.json with the times and the processor.
"""

import argparse
import json
import os
import platform
import statistics
import sys
from pathlib import Path


class Fault(Exception):
    """A file that lacks something."""


def read_json(path):
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Fault(f"{path}: cannot read it: {error}; delete it and run jhmdb.sh again") from error


def results_of(fused, splits, path):
    """Returns the results of each split in the report of a fusion. A report on one split is that of the split."""
    reports = fused.get("splits") or [fused]
    if len(reports) != len(splits):
        raise Fault(f"{path}: {len(reports)} splits, but expected {len(splits)}; run jhmdb.sh again")
    return [report["results"] for report in reports]


def accuracies(results, streams, ratio):
    """Returns the top-1 accuracies that the tables show, by column."""
    singles = [result["top1"] for result in results if result["strategy"] == "single"]
    row = dict(zip(streams, singles, strict=True))
    for result in results:
        if result["strategy"] == "weighted" and result["ratio"] == ratio:
            row["fused"] = result["top1"]
        elif result["strategy"] == "fitted":
            row["fitted"] = result["top1"]
    return row


def spread(values):
    """Returns the standard deviation of a sample, or None for a single value."""
    return statistics.stdev(values) if len(values) > 1 else None


def summary(rows, columns):
    """Returns mean and spread of each column. Each row has the seed, the split and the columns.

    The spread over seeds is that of the means over the splits, and the spread over splits that of the means over the
    seeds.
    """

    def means(key, column):
        groups = {}
        for row in rows:
            groups.setdefault(row[key], []).append(row[column])
        return [statistics.fmean(values) for values in groups.values()]

    return {
        column: {
            "mean": statistics.fmean(row[column] for row in rows),
            "spread_over_seeds": spread(means("seed", column)),
            "spread_over_splits": spread(means("split", column)),
        }
        for column in columns
    }


def options_of(out):
    lines = (out / "options.txt").read_text(encoding="utf-8").splitlines()
    options = dict(line.split("=", 1) for line in lines)
    # Where the files lie does not change the result.
    options["weights"] = os.path.basename(options["weights"])
    return {name: value for name, value in options.items() if name not in ("clips", "lists")}


def markdown(head, rows):
    """Returns a table with numbers to the right."""
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows]) + "\n"


def shown(value):
    return "" if value is None else f"{value:.2f}"


def accuracy_tables(options, rows, columns, names):
    """Returns table.md and the content of table.json."""
    whole = summary(rows, columns)
    lines = [[f"split {row['split']}, seed {row['seed']}", *(shown(row[column]) for column in columns)] for row in rows]
    for label, key in [
        ("**mean**", "mean"),
        ("spread over seeds", "spread_over_seeds"),
        ("spread over splits", "spread_over_splits"),
    ]:
        lines.append([label, *(shown(whole[column][key]) for column in columns)])
    settings = ", ".join(f"{name} {value}" for name, value in options.items() if value)
    choice = "Val clips choose the epoch and the fitted weights."
    if "fitted" not in columns:
        choice = "The last epoch counts, so no clips choose it."
        if options["recipe"] == "seed":
            choice += " The test clips set the learning rate, as in the reference run."
    text = (
        f"Top-1 accuracy on the test clips in percent. {choice}\n\n"
        + markdown(["", *(names[column] for column in columns)], lines)
        + "\nA spread is the standard deviation of the means per seed or per split.\n\n"
        + f"Options: {settings}.\n"
    )
    return text, {"options": options, "rows": rows, "summary": whole}


def processor():
    """Returns the name of the processor and the number of cores that this process may use."""
    name = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
        name = names[0] if names else name
    except OSError:
        pass
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return name, cores


def training_seconds(run):
    """Returns the seconds of the training steps of a run; None if its log lacks them."""
    epochs = {}
    try:
        with open(run / "log.jsonl", encoding="utf-8") as log:
            for line in log:
                event = json.loads(line)
                if event.get("event") == "epoch":
                    result = event["result"]
                    epochs[result["epoch"]] = result["train_seconds"]["batch"]["sum"]
    except (OSError, ValueError, KeyError):
        return None
    return sum(epochs.values())


def minutes_of(out, runs):
    """Returns the minutes of each step and of the whole."""

    def seconds(name):
        return float((out / "steps" / name).read_text(encoding="utf-8"))

    steps = {"packing": {"minutes": seconds("pack") / 60}}
    for name in runs:
        whole, training = seconds(name), training_seconds(out / "runs" / name)
        steps[name] = {"minutes": whole / 60}
        if training is not None:
            training = min(training, whole)
            steps[name] |= {"training_minutes": training / 60, "testing_minutes": (whole - training) / 60}
    return steps


def write(path, text):
    partial = path.with_name(path.name + ".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)


def write_json(path, content):
    write(path, json.dumps(content, indent=1, sort_keys=True) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", type=Path)
    for name in ("seeds", "splits", "streams"):
        parser.add_argument(f"--{name}", type=lambda text: text.split(","), required=True)
    parser.add_argument("--ratio", required=True)
    args = parser.parse_args()
    options = options_of(args.out) | {"ratio": args.ratio}
    rows = []
    for seed in args.seeds:
        path = args.out / "fused" / f"seed{seed}.json"
        for split, results in zip(args.splits, results_of(read_json(path), args.splits, path), strict=True):
            rows.append({"seed": seed, "split": split, **accuracies(results, args.streams, options["ratio"])})
    columns = [*args.streams, "fused"] + (["fitted"] if options["val-share"] != "0" else [])
    for row in rows:
        if missing := [column for column in columns if column not in row]:
            raise Fault(f"{args.out}/fused/seed{row['seed']}.json: no result {missing[0]}; run jhmdb.sh again")
    names = {stream: stream for stream in args.streams}
    names |= {"fused": f"fused {options['ratio']}", "fitted": "fused, fitted"}
    text, content = accuracy_tables(options, rows, columns, names)
    write(args.out / "table.md", text)
    write_json(args.out / "table.json", content)

    runs = [f"{stream}-split{row['split']}-seed{row['seed']}" for row in rows for stream in args.streams]
    steps = minutes_of(args.out, runs)
    total = sum(step["minutes"] for step in steps.values())
    name, cores = processor()
    lines = [
        [step, shown(times["minutes"]), shown(times.get("training_minutes")), shown(times.get("testing_minutes"))]
        for step, times in steps.items()
    ]
    text = f"Minutes on {cores} cores of {name}.\n\n" + markdown(
        ["step", "minutes", "training", "validation, testing and start"], [*lines, ["**total**", shown(total), "", ""]]
    )
    write(args.out / "minutes.md", text)
    write_json(args.out / "minutes.json", {"processor": name, "cores": cores, "total_minutes": total, "steps": steps})


if __name__ == "__main__":
    try:
        main()
    except Fault as fault:
        sys.exit(f"error: {fault}")
