#!/usr/bin/env python3
"""Tests parity.py with stand-ins for the two programs: python3 scripts/test_parity.py"""

import contextlib
import io
import json
import sys
import tempfile
import unittest
import xml.etree.ElementTree
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import parity  # noqa: E402

# Each program adds its words to calls.txt, and has top-1 10, 20, ... plus the seed.
UCFTRAIN = """#!{python}
import json, pathlib, sys
words = sys.argv[1:]
value = lambda name: words[words.index(name) + 1]
folder, epochs = pathlib.Path(value("--run")), int(value("--epochs"))
with open({calls!r}, "a") as calls:
    calls.write(" ".join(words) + "\\n")
if "--resume" not in words:
    folder.mkdir()
    (folder / "seed").write_text(value("--seed"))
    (folder / "checkpoint.safetensors").touch()
    (folder / "log.jsonl").write_text('{{"event": "start"}}\\n')
log = folder / "log.jsonl"
seed, before = int((folder / "seed").read_text()), log.read_text().count('"epoch"}}')
for epoch in range(before, 1 if pathlib.Path({calls!r} + ".stop").exists() else epochs):
    scored = {{"loss": 3 - epoch, "top1": 10 * (epoch + 1) + seed}}
    seconds = {{"batch": {{"sum": 6.0, "count": 2}}}}
    result = {{"lr": 0.01, "train": scored, "test": scored, "train_seconds": seconds, "test_seconds": seconds}}
    with log.open("a") as file:
        file.write(json.dumps({{"result": result, "event": "epoch"}}) + "\\n")
sys.exit(5 if pathlib.Path({calls!r} + ".stop").exists() else 0)
"""
PYTORCH = """
import json, pathlib, sys
words = sys.argv[1:]
value = lambda name: words[words.index(name) + 1]
with open({calls!r}, "a") as calls:
    calls.write("pytorch " + " ".join(words) + "\\n")
epochs = [
    {{"lr": 0.01, "train_loss": 3.5 - i, "train_top1": 1, "test_loss": 1, "train_seconds": 1.0, "test_seconds": 2.0,
      "test_top1": 40 - 10 * i + int(value("--seed"))}} for i in range(int(value("--epochs")))]
pathlib.Path(value("--out")).write_text(json.dumps({{"history": epochs}}))
"""


class Parity(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.calls, self.out = self.folder / "calls.txt", self.folder / "out"
        self.programs = self.folder / "ucftrain", self.folder / "pytorch.py"
        for path, text in zip(self.programs, (UCFTRAIN, PYTORCH)):
            path.write_text(text.format(python=sys.executable, calls=str(self.calls)))
            path.chmod(0o755)

    def parity(self, *options):
        """Runs the script, and returns the numbers of calls that each program has had."""
        words = ["data", "weights", self.out, "--ucftrain", self.programs[0], "--pytorch", self.programs[1], *options]
        with contextlib.redirect_stdout(io.StringIO()):
            parity.main([str(word) for word in words])
        calls = self.calls.read_text().splitlines()
        of_pytorch = sum(call.startswith("pytorch ") for call in calls)
        return len(calls) - of_pytorch, of_pytorch

    def test_each_run_happens_once_and_more_seeds_and_epochs_are_added(self):
        self.assertEqual(self.parity("--seeds", "0,4", "--epochs", "3"), (4, 4))
        self.assertEqual(self.parity("--seeds", "0,4", "--epochs", "3"), (4, 4))
        # Fewer epochs are the start of the runs that are there.
        self.assertEqual(self.parity("--seeds", "0,4", "--epochs", "2"), (4, 4))
        self.assertEqual(self.parity("--seeds", "0,4,5", "--epochs", "3", "--streams", "spatial"), (5, 5))
        self.assertEqual(self.parity("--seeds", "0", "--epochs", "4", "--streams", "temporal"), (6, 6))
        last = [call for call in self.calls.read_text().splitlines() if not call.startswith("pytorch")][-1]
        self.assertEqual(last, f"temporal --run {self.out}/ucftrain-temporal-0 --resume --epochs 4")

    def test_an_interrupted_run_is_resumed_and_its_time_is_added(self):
        stop = self.calls.with_name("calls.txt.stop")
        stop.touch()
        words = ("--seeds", "7", "--epochs", "3", "--streams", "spatial")
        with self.assertRaisesRegex(SystemExit, "ucftrain-spatial-7 ended with status 5; see .*ucftrain-spatial-7.log"):
            self.parity(*words)
        with self.assertRaisesRegex(SystemExit, "the run ucftrain-spatial-7 is not finished"):
            self.parity(*words, "--report")
        before = json.loads((self.out / "cpu_seconds.json").read_text())["ucftrain-spatial-7"]
        stop.unlink()
        # A killed program may leave an incomplete line.
        log = self.out / "ucftrain-spatial-7" / "log.jsonl"
        log.write_text(log.read_text() + '{"result": {"lr"\n')
        self.assertEqual(self.parity(*words), (2, 1))
        self.assertGreater(json.loads((self.out / "cpu_seconds.json").read_text())["ucftrain-spatial-7"], before)
        found = json.loads((self.out / "parity.json").read_text())["streams"]["spatial"]["runs"][0]
        self.assertEqual([epoch["test_top1"] for epoch in found["history"]], [17, 27, 37])

    def test_runs_with_other_settings_are_refused(self):
        self.parity("--seeds", "0", "--epochs", "1")
        with self.assertRaisesRegex(SystemExit, "has runs with input_size 112, not 96; name another folder"):
            self.parity("--seeds", "0", "--epochs", "1", "--input-size", "96")

    def test_the_table_has_means_deviations_and_standard_errors(self):
        self.parity("--seeds", "0,4", "--epochs", "2", "--streams", "spatial")
        found = json.loads((self.out / "parity.json").read_text())["streams"]["spatial"]
        # ucftrain: 20 and 24; PyTorch: best 40 and 44, last 30 and 34. The deviation is sqrt(8).
        self.assertEqual(found["ucftrain"]["last"]["values"], [20, 24])
        self.assertAlmostEqual(found["ucftrain"]["last"]["sd"], 8**0.5)
        self.assertEqual((found["pytorch"]["best"]["mean"], found["pytorch"]["last"]["mean"]), (42, 32))
        # The standard error is sqrt(8 / 2 + 8 / 2).
        self.assertAlmostEqual(found["difference"]["best"]["se"], 8**0.5)
        self.assertEqual((found["difference"]["best"]["mean"], found["difference"]["last"]["mean"]), (-20, -10))
        text = (self.out / "parity.md").read_text()
        row = "| spatial | ucftrain | 22.0 ± 2.8 | 22.0 ± 2.8 | 17.0 ± 2.8 | 2.000 ± 0.000 | 6.0 | 6.0 | 0.8 | "
        self.assertIn(row, text)
        self.assertIn("|  | PyTorch | 42.0 ± 2.8 | 32.0 ± 2.8 | 37.0 ± 2.8 | 2.500 ± 0.000 | 1.0 | 2.0 | 0.2 | ", text)
        self.assertIn("|  | difference | -20.0 ± 2.8 | -10.0 ± 2.8 | -20.0 ± 2.8 | -0.500 ± 0.000 |", text)
        self.assertIn("The largest difference is 7.1 standard errors (spatial, top-1 of the last three).", text)

    def test_one_seed_has_no_spread(self):
        self.parity("--seeds", "3", "--epochs", "2", "--streams", "temporal")
        text = (self.out / "parity.md").read_text()
        self.assertIn("| temporal | ucftrain | 23.0 | 23.0 | 18.0 | 2.000 |", text)
        self.assertNotIn("standard errors (", text)

    def test_the_picture_shows_means_and_bands(self):
        self.parity("--seeds", "0,4", "--epochs", "3")
        svg = xml.etree.ElementTree.parse(self.out / "parity.svg").getroot()
        numbers = lambda shape: [  # noqa: E731
            tuple(map(float, point.split(","))) for point in shape.attrib["points"].split()
        ]
        lines = svg.findall("{*}polyline")
        bands = svg.findall("{*}polygon")
        self.assertEqual((len(lines), len(bands)), (8, 8))
        self.assertEqual(len({line.attrib["stroke"] for line in lines}), 2)
        # Top-1 of ucftrain, spatial: seeds 0 and 4 have 10 and 14, 20 and 24, 30 and 34. The axis ends at 50.
        top = parity.TOP + parity.HEIGHT + parity.GAP
        height = lambda value: round(top + parity.HEIGHT * (1 - value / 50), 1)  # noqa: E731
        columns = [parity.LEFT + parity.PANEL * share for share in (0, 0.5, 1)]
        self.assertEqual(numbers(lines[2]), list(zip(columns, map(height, (12, 22, 32)))))
        self.assertEqual([y for _, y in numbers(bands[2])], [height(v) for v in (14, 24, 34, 30, 20, 10)])

    def test_ticks_are_round_and_cover_the_range(self):
        self.assertEqual(parity.ticks(0, 44), [0, 10, 20, 30, 40, 50])
        self.assertEqual(parity.ticks(0, 100), [0, 20, 40, 60, 80, 100])
        self.assertEqual(parity.ticks(0, 3.2), [0, 1, 2, 3, 4])
        self.assertEqual(parity.ticks(0, 0.9), [0, 0.2, 0.4, 0.6, 0.8, 1.0])
        marks = parity.ticks(0, 0)
        self.assertTrue(marks[0] <= 0 < marks[-1])


if __name__ == "__main__":
    unittest.main()
