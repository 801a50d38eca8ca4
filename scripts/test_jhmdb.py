"""Tests jhmdb.sh and jhmdb_tables.py with programs that only record how they are called.

tests/tests/jhmdb.rs runs the script with the real programs. Run: python3 -m unittest discover -s scripts
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

SCRIPTS = Path(__file__).resolve().parent
SCRIPT = SCRIPTS / "jhmdb.sh"

# Stands for both programs. Fails as an interrupted run does if the file `stop` names its run folder.
FAKE = r'''#!/usr/bin/env python3
import json, os, sys, time
from pathlib import Path
here, arguments = Path(__file__).parent, sys.argv[1:]
with open(here / "calls.jsonl", "a") as calls:
    calls.write(json.dumps(arguments) + "\n")
value = lambda option: arguments[arguments.index(option) + 1]
if arguments[0] == "build":
    Path(value("--out")).mkdir(exist_ok=True)
elif arguments[0] == "fuse":
    names = arguments[1:arguments.index("--ratio")]
    splits = " ".join(names).split(" + ")
    def report(split):
        streams = [float((Path(run) / "accuracy").read_text()) for run in split.split(" ")]
        single = [{"strategy": "single", "ratio": "1", "top1": top1} for top1 in streams]
        two = [{"strategy": "weighted", "ratio": value("--ratio"), "top1": sum(streams)}]
        fitted = [{"strategy": "fitted", "ratio": "1:2.1", "top1": sum(streams) + 1}] if "--fit" in arguments else []
        return {"results": [*single, *two, *fitted]}
    reports = [report(split) for split in splits]
    print(json.dumps({"results": [], "splits": reports} if len(reports) > 1 else reports[0]))
elif arguments[0] == "report":
    Path(value("--out")).write_text("page")
else:
    run = Path(value("--run"))
    run.mkdir(exist_ok=True)
    (run / "checkpoint.safetensors").touch()
    stop = here / "stop"
    if stop.exists() and stop.read_text() == run.name:
        stop.unlink()
        sys.exit(130)
    wait = here / "wait"
    if wait.exists() and wait.read_text() == run.name:
        wait.unlink()
        time.sleep(60)
    stream, split, seed = run.name.split("-")
    accuracy = {"spatial": 30, "temporal": 40, "difference": 35}[stream] + int(split[5:]) + int(seed[4:]) / 4
    (run / "accuracy").write_text(str(accuracy))
    event = {"event": "epoch", "result": {"epoch": 0, "train_seconds": {"batch": {"sum": 0.0}}}}
    (run / "log.jsonl").write_text(json.dumps(event) + "\n")
'''


class Jhmdb(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.dir = Path(folder.name)
        for name in ("clips (odd) & @!", "lists"):
            (self.dir / name).mkdir()
        self.fake = self.dir / "fake"
        self.fake.write_text(FAKE)
        self.fake.chmod(0o755)
        self.out = self.dir / "out"
        self.environment = {**os.environ, "UCFPACK": str(self.fake), "UCFTRAIN": str(self.fake)}

    def command(self, *options, out=None):
        folders = [self.dir / "clips (odd) & @!", self.dir / "lists", out or self.out]
        return ["bash", str(SCRIPT), *map(str, folders), *options]

    def run_script(self, *options, out=None):
        return subprocess.run(self.command(*options, out=out), env=self.environment, capture_output=True, text=True)

    def calls(self):
        path = self.dir / "calls.jsonl"
        calls = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
        path.unlink(missing_ok=True)
        return calls

    def test_packs_once_and_trains_all_streams_on_all_splits(self):
        options = ["--seeds", "0,1", "--epochs", "spatial=8,temporal=10", "--weights", "none", "--", "--ema", "0.9"]
        done = self.run_script(*options)
        self.assertEqual(done.returncode, 0, done.stderr)
        calls = self.calls()
        commands = ["build"] + ["spatial", "temporal"] * 6 + ["fuse"] * 2 + ["report"]
        self.assertEqual([call[0] for call in calls], commands)
        pack = calls[0]
        self.assertEqual(pack[pack.index("--videos") + 1], str(self.dir / "clips (odd) & @!"))
        for option, value in [("--rgb-short-side", "128"), ("--flow-size", "128"), ("--flow-method", "tvl1")]:
            self.assertEqual(pack[pack.index(option) + 1], value)
        first = ["--data", f"{self.out}/packed", "--run", f"{self.out}/runs/spatial-split1-seed0", "--split", "1"]
        first += ["--seed", "0", "--recipe", "tsn", "--weights", "none", "--input-size", "112", "--val-share", "0.15"]
        self.assertEqual(calls[1], ["spatial", *first, "--epochs", "8", "--ema", "0.9"])
        self.assertEqual(calls[2][-4:], ["--epochs", "10", "--ema", "0.9"])
        runs = lambda split: [f"{self.out}/runs/{stream}-split{split}-seed1" for stream in ("spatial", "temporal")]
        self.assertEqual(
            calls[14], ["fuse", *runs(1), "+", *runs(2), "+", *runs(3), "--ratio", "1:1.5", "--fit", "--json"]
        )

        # The accuracies of the fake are 30 + split + seed / 4 and 40 + split + seed / 4.
        table = json.loads((self.out / "table.json").read_text())
        self.assertEqual(
            table["rows"][4],
            {"seed": "1", "split": "2", "spatial": 32.25, "temporal": 42.25, "fused": 74.5, "fitted": 75.5},
        )
        fused = table["summary"]["fused"]
        self.assertAlmostEqual(fused["mean"], 74.25)
        self.assertAlmostEqual(fused["spread_over_seeds"], 0.5 / 2**0.5)
        self.assertAlmostEqual(fused["spread_over_splits"], 2.0)
        text = (self.out / "table.md").read_text()
        self.assertIn("| split 2, seed 1 | 32.25 | 42.25 | 74.50 | 75.50 |", text)
        self.assertIn("| **mean** | 32.12 | 42.12 | 74.25 | 75.25 |", text)
        minutes = json.loads((self.out / "minutes.json").read_text())
        self.assertEqual(len(minutes["steps"]), 13)
        self.assertTrue(minutes["processor"] and minutes["cores"] > 0)
        self.assertTrue((self.out / "report.html").is_file())

        # A second run elsewhere gives the same bytes, and a repeated one trains nothing.
        again = self.run_script(*options, out=self.dir / "b")
        self.assertEqual(again.returncode, 0, again.stderr)
        for name in ("table.md", "table.json"):
            self.assertEqual((self.dir / "b" / name).read_bytes(), (self.out / name).read_bytes())
        self.calls()
        self.run_script(*options)
        self.assertEqual([call[0] for call in self.calls()], ["fuse", "fuse", "report"])

    def test_without_val_clips_the_last_epoch_counts(self):
        done = self.run_script("--val-share", "0.0", "--splits", "1,2", "--", "--ema", "0.9")
        self.assertEqual(done.returncode, 0, done.stderr)
        calls = self.calls()
        self.assertEqual(calls[1][-6:], ["--val-share", "0", "--best-by", "last", "--ema", "0.9"])
        self.assertEqual(calls[5][-3:], ["--ratio", "1:1.5", "--json"])
        text = (self.out / "table.md").read_text()
        self.assertIn("The last epoch counts, so no clips choose it.", text)
        self.assertIn("| split 2, seed 0 | 32.00 | 42.00 | 74.00 |\n", text)
        self.assertNotIn("learning rate", text)
        done = self.run_script("--val-share", "0", "--splits", "1", "--recipe", "seed", out=self.dir / "seed")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("The test clips set the learning rate", (self.dir / "seed/table.md").read_text())

    def test_other_streams_start_from_the_spatial_network(self):
        options = ["--from-spatial", "--splits", "2", "--streams", "spatial,temporal,difference", "--weights", "none"]
        done = self.run_script(*options, "--seeds", "1")
        self.assertEqual(done.returncode, 0, done.stderr)
        weights = [call[call.index("--weights") + 1] for call in self.calls()[1:4]]
        spatial = f"{self.out}/runs/spatial-split2-seed1/best.safetensors"
        self.assertEqual(weights, ["none", spatial, spatial])

    def test_continues_after_an_error(self):
        (self.dir / "stop").write_text("temporal-split1-seed0")
        done = self.run_script("--splits", "1")
        self.assertEqual(done.returncode, 130, done.stderr)
        self.assertFalse((self.out / "table.md").exists())
        self.calls()
        done = self.run_script("--splits", "1")
        self.assertEqual(done.returncode, 0, done.stderr)
        calls = self.calls()
        self.assertEqual(calls[0], ["temporal", "--run", f"{self.out}/runs/temporal-split1-seed0", "--resume"])
        self.assertEqual([call[0] for call in calls], ["temporal", "fuse", "report"])
        self.assertIn("spatial-split1-seed0: complete", done.stdout)

        # Another split, another seed and another stream are added.
        done = self.run_script("--splits", "1,2", "--seeds", "3")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([call[0] for call in self.calls()], ["spatial", "temporal"] * 2 + ["fuse", "report"])

    def test_an_interruption_is_clean(self):
        (self.dir / "wait").write_text("spatial-split2-seed0")
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        process = subprocess.Popen(self.command(), env=self.environment, start_new_session=True, **pipes)
        while not (self.out / "runs/spatial-split2-seed0/checkpoint.safetensors").exists():
            time.sleep(0.05)
        time.sleep(0.3)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=20)
        self.assertEqual(process.returncode, 130, errors)
        self.assertIn("interrupted; run the same command again to continue", errors)
        parts = [path.name for path in (self.out / "steps").iterdir() if path.suffix]
        self.assertEqual(parts, ["spatial-split2-seed0.part"])
        done = self.run_script()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual([path.name for path in (self.out / "steps").iterdir() if path.suffix], [])

    def test_other_options_are_an_error(self):
        self.assertEqual(self.run_script("--splits", "1", "--weights", "none").returncode, 0)
        self.calls()
        done = self.run_script("--splits", "1", "--weights", "none", "--recipe", "seed", "--", "--lr", "0.1")
        self.assertEqual(done.returncode, 2)
        for words in ("begun with other options", "< recipe=tsn", "> recipe=seed", "> training=--lr 0.1"):
            self.assertIn(words, done.stderr)
        self.assertEqual(self.calls(), [])

    def test_wrong_arguments_are_errors(self):
        (self.dir / "full").mkdir()
        (self.dir / "full/mine").touch()
        for options, words in [
            (["--recipes", "tsn"], "unknown option --recipes"),
            (["--recipe"], "--recipe needs a value"),
            (["--val-share", "0", "--", "--best-by", "top1"], "--val-share 0 keeps the last epoch; remove --best-by"),
            (["--val-share", "1"], "--val-share 1 is not 0 or a share below 1"),
            (["--streams", "temporal,spatial", "--from-spatial"], "--from-spatial: the first of --streams must be"),
            (["--streams", "spatial"], "--streams spatial: a fusion needs two streams"),
            (["--weights", "none.pth"], "--weights none.pth: no such file"),
            (["another"], "expected CLIPS, LISTS and OUT"),
        ]:
            done = self.run_script(*options)
            self.assertEqual(done.returncode, 2, options)
            self.assertIn(f"error: {words}", done.stderr)
        done = self.run_script(out=self.dir / "full")
        self.assertEqual(done.returncode, 2)
        self.assertIn("is not a benchmark of this script", done.stderr)
        self.assertEqual(self.calls(), [])
        done = subprocess.run(["bash", str(SCRIPT), "--help"], capture_output=True, text=True)
        self.assertTrue(done.stdout.startswith("Measures a recipe on JHMDB"), done.stdout)

    def test_a_result_that_is_missing_is_named(self):
        self.assertEqual(self.run_script("--splits", "1").returncode, 0)
        path = self.out / "fused/seed0.json"
        path.write_text('{"results": [{"strategy": "single", "top1": 1.0}, {"strategy": "single", "top1": 2.0}]}')
        arguments = [str(self.out), "--seeds", "0", "--splits", "1", "--streams", "spatial,temporal", "--ratio", "1:2"]
        command = [sys.executable, str(SCRIPTS / "jhmdb_tables.py"), *arguments]
        done = subprocess.run(command, capture_output=True, text=True)
        self.assertEqual((done.returncode, done.stderr), (1, f"error: {path}: no result fused; run jhmdb.sh again\n"))
        path.write_text("{")
        done = subprocess.run(command, capture_output=True, text=True)
        self.assertIn(f"error: {path}: cannot read it: ", done.stderr)


if __name__ == "__main__":
    unittest.main()
