"""Tests count_tests.py: python3 -m unittest discover -s scripts"""

import os
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent / "count_tests.py"

LOG = """\
     Running unittests src/lib.rs (target/debug/deps/clipshard-0123456789abcdef)

running 3 tests
test a::b ... ok
test a::c ... ignored, needs ffmpeg
test a::d - should panic ... ok
test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s

     Running tests/loading.rs (target/debug/deps/loading-0123456789abcdef)
test program ... ignored, started by the other tests
test x ... ok
test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s

   Doc-tests clipshard
test src/lib.rs - (line 3) ... ok
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
"""


# The results of pytest 9 for two files and a file that is skipped as a whole.
RESULTS = """\
<?xml version="1.0" encoding="utf-8"?><testsuites name="pytest tests"><testsuite name="pytest" errors="0"
failures="0" skipped="3" tests="5" time="0.034"><testcase classname="tests.test_a" name="test_x[1]"
file="tests/test_a.py" line="4" time="0.001" /><testcase classname="tests.test_a.Group" name="test_y"
file="tests/test_a.py" line="9" time="0.002" /><testcase classname="tests.test_b" name="test_z"
file="tests/test_b.py" line="2" time="0.000"><skipped type="pytest.skip" message="needs ffmpeg">t.py:3:
needs ffmpeg</skipped></testcase><testcase classname="tests.test_b" name="test_w" file="tests/test_b.py" line="7"
time="0.000"><skipped type="pytest.xfail" message="a known fault" /></testcase><testcase classname=""
name="tests.test_torch" time="0.000"><skipped type="pytest.skip"
message="could not import 'torch': No module named 'torch'">text</skipped></testcase></testsuite></testsuites>
"""


def count(log, strict="0", results=()):
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder, "log"), *(Path(folder, f"{number}.xml") for number in range(len(results)))]
        for file, text in zip(files, (log, *results)):
            if text is not None:
                file.write_text(text)
        done = subprocess.run(
            [sys.executable, SCRIPT, *files], env={**os.environ, "STRICT": strict}, capture_output=True, text=True
        )
    return done.returncode, done.stdout, done.stderr


class CountTests(unittest.TestCase):
    def test_programs_and_reasons_are_listed(self):
        code, text, _ = count(LOG)
        self.assertEqual(code, 0)
        self.assertRegex(text, r"clipshard \(src/lib\.rs\) +2 +0 +1\n")
        self.assertRegex(text, r"clipshard \(documentation\) +1 +0 +0\n")
        self.assertIn("ignored, 1: needs ffmpeg\n  clipshard (src/lib.rs): a::c\n", text)
        self.assertIn("4 passed, 0 failed, 1 ignored\n", text)

    def test_an_ignored_test_fails_a_strict_run(self):
        code, _, error = count(LOG, strict="1")
        self.assertEqual(code, 1)
        self.assertIn("1 tests were ignored", error)

    def test_a_test_that_other_tests_start_does_not_count_as_ignored(self):
        without = LOG.replace("a::c ... ignored, needs ffmpeg", "a::c ... ok").replace(
            "2 passed; 0 failed; 1", "3 passed; 0 failed; 0"
        )
        code, text, _ = count(without, strict="1")
        self.assertEqual(code, 0)
        self.assertIn("5 passed, 0 failed, 0 ignored\n", text)

    def test_failures_and_crashes_fail(self):
        failed = LOG.replace("ok. 1 passed; 0 failed; 1", "FAILED. 0 passed; 1 failed; 1")
        self.assertEqual(count(failed)[0], 1)
        crashed = LOG[: LOG.index("test x")]
        code, text, _ = count(crashed)
        self.assertEqual(code, 1)
        self.assertIn("did not finish", text)

    def test_results_of_pytest_are_counted_by_file(self):
        code, text, _ = count(LOG, results=[RESULTS])
        self.assertEqual(code, 0)
        self.assertRegex(text, r"python \(tests/test_a\.py\) +2 +0 +0\n")
        self.assertRegex(text, r"python \(tests/test_b\.py\) +0 +0 +2\n")
        both = "ignored, 2: needs ffmpeg\n  clipshard (src/lib.rs): a::c\n  python (tests/test_b.py): test_z\n"
        self.assertIn(both, text)
        self.assertIn("ignored, 1: a known fault\n  python (tests/test_b.py): test_w\n", text)
        torch = "ignored, 1: could not import 'torch': No module named 'torch'\n  python (tests/test_torch.py): "
        self.assertIn(torch, text)
        self.assertIn("6 passed, 0 failed, 4 ignored\n", text)
        code, _, error = count(LOG, strict="1", results=[RESULTS])
        self.assertEqual(code, 1)
        self.assertIn("4 tests were ignored", error)

    def test_failures_and_errors_of_pytest_fail(self):
        start = RESULTS.index("<skipped type")
        for kind in "failure", "error":
            broken = RESULTS[:start] + f'<{kind} message="E">text</{kind}>' + RESULTS[RESULTS.index("</testcase>") :]
            code, text, error = count(LOG, results=[broken])
            self.assertEqual((code, error), (1, "error: tests failed\n"))
            self.assertIn("6 passed, 1 failed, 3 ignored\n", text)

    def test_a_pytest_run_that_did_not_end_fails(self):
        for results in None, "", RESULTS[:300]:
            code, text, _ = count(LOG, results=[results])
            self.assertEqual(code, 1)
            self.assertRegex(text, r"pytest +0 +0 +0  did not finish")

    def test_a_run_without_tests_fails(self):
        code, _, error = count("   Compiling clipshard v0.1.0\n")
        self.assertEqual((code, error), (1, "error: no test ran\n"))


if __name__ == "__main__":
    unittest.main()
