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


def count(log, strict="0"):
    with tempfile.NamedTemporaryFile("w", suffix=".log") as file:
        file.write(log)
        file.flush()
        done = subprocess.run(
            [sys.executable, SCRIPT, file.name], env={**os.environ, "STRICT": strict}, capture_output=True, text=True
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

    def test_a_run_without_tests_fails(self):
        code, _, error = count("   Compiling clipshard v0.1.0\n")
        self.assertEqual((code, error), (1, "error: no test ran\n"))


if __name__ == "__main__":
    unittest.main()
