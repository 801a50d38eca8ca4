"""Tests recipe_trials.py with a program that prints known results: python3 scripts/test_recipe_trials.py"""

import os
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent / "recipe_trials.py"
# Top-1 grows by 1 per seed on val clips and by 2 on test clips. Mixup adds 3 and 1, with seed 2 one more.
PROGRAM = """#!/usr/bin/env python3
import json, pathlib, sys
given = sys.argv[1:]
run = pathlib.Path(given[given.index("--run") + 1])
run.mkdir(parents=True, exist_ok=True)
with open(run.parent / "calls", "a") as calls:
    calls.write(" ".join(given) + chr(10))
seed, mixed = int(given[given.index("--seed") + 1]), "--mixup" in given
val, test = 40 + seed + 3 * mixed, 30 + 2 * seed + mixed + (mixed and seed == 2)
seconds = [{"train_seconds": {"batch": {"sum": 60}}, "test_seconds": {"batch": {"sum": 30}}}] * 2
best = {"val": {"top1": val, "loss": 2 - seed / 10 - mixed / 4}}
print(json.dumps({"best": best, "test": {"top1": test}, "history": seconds}))
"""


class Trials(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.out = Path(folder.name) / "out"
        self.program = Path(folder.name) / "ucftrain"
        self.program.write_text(PROGRAM)
        self.program.chmod(0o755)

    def trials(self, *options):
        command = [sys.executable, str(SCRIPT), "--data", "packed", "--out", str(self.out), *options]
        environment = os.environ | {"UCFTRAIN": str(self.program)}
        return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)

    def test_gains_are_those_of_equal_seeds(self):
        options = ["--only", "tsn,mixup 0.2", "--streams", "spatial", "--weights", "none"]
        done = self.trials(*options)
        rows = [line.split(" | ") for line in done.stdout.splitlines()[2:]]
        self.assertEqual(
            [[cell.strip("| ") for cell in row] for row in rows],
            [
                ["spatial", "tsn", "3", "41.0 ± 1.0", "", "1.90 ± 0.10", "", "32.0 ± 2.0", "", "3.0"],
                ["spatial", "mixup 0.2", "3", "44.0 ± 1.0", "+3.0 ± 0.0"]
                + ["1.65 ± 0.10", "-0.25 ± 0.00", "33.3 ± 2.5", "+1.3 ± 0.3", "3.0"],
            ],
            done.stderr,
        )
        calls = (self.out / "calls").read_text().splitlines()
        self.assertEqual(len(calls), 6)
        self.assertIn("--mixup 0.2", calls[1])
        # Finished runs are not repeated.
        self.assertEqual(self.trials(*options).returncode, 0)
        self.assertEqual(len((self.out / "calls").read_text().splitlines()), 6)
        # Another option is an error, because the runs would not compare.
        done = self.trials(*options, "--epochs", "3")
        self.assertEqual(done.returncode, 1)
        self.assertIn("was begun with other options", done.stderr)
        self.assertEqual(self.trials(*options, "--threads", "7").returncode, 0)

    def test_a_trial_replaces_options_of_the_recipe_and_starts_from_the_spatial_network(self):
        done = self.trials("--only", "input 160,start from the spatial network", "--streams", "temporal", "--list")
        larger, started = done.stdout.splitlines()[:2]
        self.assertEqual((larger.count("--input-size"), "--input-size 160" in larger), (1, True))
        self.assertIn(f"--weights {self.out}/tsn-spatial-0/best.safetensors", started)

    def test_options_of_all_runs_give_way_to_those_of_a_trial(self):
        options = ["--streams", "spatial", "--list", "--only"]
        more = ["--", "--segments", "1", "--repeat=3", "--test-samples", "5", "--flip"]
        line = self.trials(*options, "tsn", *more).stdout.splitlines()[0]
        self.assertIn("--test-samples 5 --epochs 15 --val-share 0.15 --segments 1 --repeat 3 --flip", line)
        line = self.trials(*options, "input 160", *more).stdout.splitlines()[0]
        self.assertEqual((line.count("--input-size"), "--input-size 160" in line), (1, True))
        self.assertIn("--seed cannot follow --", self.trials("--list", "--", "--seed", "3").stderr)
        self.assertIn("7: expected an option after --", self.trials("--list", "--", "7").stderr)

    def test_a_change_that_all_runs_have_is_no_trial(self):
        options = ["--streams", "spatial", "--list", "--only", "three views per step,CutMix 1"]
        views = ["--segments", "3", "--repeat", "1"]
        self.assertEqual(len(self.trials(*options).stdout.splitlines()), 6)
        lines = self.trials(*options, "--", *views).stdout.splitlines()
        self.assertEqual((len(lines), all("--cutmix 1" in line for line in lines)), (3, True))
        # Other values of the same options are a change.
        self.assertEqual(len(self.trials(*options, "--", "--segments", "1", "--repeat", "3").stdout.splitlines()), 6)

    def test_a_program_that_fails_or_is_missing_is_one_error(self):
        self.program.write_text("#!/bin/sh\necho 'error: the disk is full' >&2\nexit 3\n")
        options = ["--only", "tsn", "--streams", "spatial"]
        done = self.trials(*options)
        self.assertEqual(done.returncode, 1)
        self.assertIn("failed: the disk is full; ", done.stderr)
        self.program.unlink()
        done = self.trials(*options)
        self.assertEqual(done.returncode, 1)
        self.assertIn("No such file or directory; the environment variable UCFTRAIN names", done.stderr)
        self.assertNotIn("Traceback", done.stderr)

    def test_ctrl_c_waits_for_the_program_to_save_its_state(self):
        self.program.write_text(
            "#!/bin/sh\ntrap 'sleep 0.5; echo stopped after the checkpoint >&2; exit 7' INT\n"
            f"touch {self.out}/running; while :; do sleep 0.05; done\n"
        )
        command = [sys.executable, str(SCRIPT), "--data", "packed", "--out", str(self.out), "--only", "tsn"]
        environment = os.environ | {"UCFTRAIN": str(self.program)}
        with subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        ) as script:
            while script.poll() is None and not (self.out / "running").exists():
                time.sleep(0.01)
            os.killpg(script.pid, signal.SIGINT)
            messages = script.stderr.read()
        self.assertEqual(script.returncode, 1)
        self.assertIn("failed: stopped after the checkpoint; ", messages)

    def test_unknown_names_and_empty_plans_are_errors(self):
        self.assertIn("--only mixer: no such trial", self.trials("--only", "mixer").stderr)
        done = self.trials("--only", "TrivialAugment", "--streams", "temporal")
        self.assertIn("no trial of --only has a stream of --streams temporal", done.stderr)


if __name__ == "__main__":
    unittest.main()
