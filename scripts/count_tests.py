#!/usr/bin/env python3
"""Counts the tests in the output of `cargo test` and in results of pytest, and lists why tests were ignored.

    scripts/count_tests.py LOG [RESULTS...]
    STRICT=1 scripts/count_tests.py LOG [RESULTS...]      ignored tests are an error

LOG is the output of `cargo test`. RESULTS are files that `pytest -o junit_family=xunit1 --junitxml RESULTS`
writes; a test that pytest skips, or expects to fail, is an ignored test.

Needs only Python. Exits with 1 if a test failed or no test ran, and with STRICT=1 also if a test
was ignored. Tests that other tests start as a process (`ignore = "started by ..."`) are listed
separately. They are not an error.
"""

import os
import re
import sys
from collections import defaultdict
from pathlib import Path
from xml.etree import ElementTree

PROGRAM = re.compile(r"^\s+Running (?:unittests )?(\S+) \((\S+)\)$|^\s+Doc-tests (\S+)$")
RESULT = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored;")
IGNORED = re.compile(r"^test (.+?)(?: - should panic)? \.\.\. ignored(?:, (.*))?$")
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
HELPER = "started by "


class Program:
    """The counts of one test program."""

    def __init__(self, name):
        self.name = name
        self.passed = self.failed = self.ignored = 0
        self.finished = False


def program_name(match):
    """Returns a short name: the crate, and the source file or "documentation"."""
    source, executable, documented = match.groups()
    if documented:
        return f"{documented} (documentation)"
    crate = re.sub(r"-[0-9a-f]{16}(\.exe)?$", "", Path(executable).name)
    return f"{crate} ({source})"


def read(lines):
    """Returns the programs in order, and the names of the ignored tests for each reason."""
    programs, reasons, program = [], defaultdict(list), None
    for line in lines:
        line = COLOURS.sub("", line.rstrip("\n"))
        if match := PROGRAM.match(line):
            program = Program(program_name(match))
            programs.append(program)
        elif match := RESULT.match(line):
            # The output of a test may look like a result. Only the first result after the start
            # counts.
            if program and not program.finished:
                program.passed, program.failed, program.ignored = map(int, match.groups())
                program.finished = True
        elif (match := IGNORED.match(line)) and program and not program.finished:
            reasons[match[2] or "no reason given"].append(f"{program.name}: {match[1]}")
    return programs, reasons


def read_pytest(path):
    """Returns the same as `read`, for the results of pytest. A file of tests is a program."""
    programs, reasons = {}, defaultdict(list)
    try:
        cases = list(ElementTree.parse(path).iter("testcase"))
    except (OSError, ElementTree.ParseError):
        # pytest writes the file when it ends.
        return [Program("pytest")], reasons
    for case in cases:
        # If a whole file is skipped or cannot be imported, its case has no file, and the name is that of the module.
        file = case.get("file") or case.get("name").replace(".", "/") + ".py"
        program = programs.setdefault(file, Program(f"python ({file})"))
        program.finished = True
        if case.find("failure") is not None or case.find("error") is not None:
            program.failed += 1
        elif (skipped := case.find("skipped")) is not None:
            program.ignored += 1
            reasons[skipped.get("message") or "no reason given"].append(f"{program.name}: {case.get('name')}")
        else:
            program.passed += 1
    return sorted(programs.values(), key=lambda program: program.name), reasons


def show(programs, reasons):
    """Prints the table and the reasons.

    Returns the numbers of passed, failed and ignored tests, and of unfinished programs.
    """
    tested = [
        program for program in programs if program.passed + program.failed + program.ignored or not program.finished
    ]
    width = max((len(program.name) for program in tested), default=0)
    print(f"\n{'tests':{width}}  passed  failed  ignored")
    print("-" * (width + 25))
    for program in tested:
        note = "" if program.finished else "  did not finish"
        print(f"{program.name:{width}}  {program.passed:6}  {program.failed:6}  {program.ignored:7}{note}")
    helpers = sum(len(tests) for reason, tests in reasons.items() if reason.startswith(HELPER))
    passed = sum(program.passed for program in programs)
    failed = sum(program.failed for program in programs)
    ignored = sum(program.ignored for program in programs) - helpers
    for reason, tests in sorted(reasons.items()):
        kind = "not counted as ignored" if reason.startswith(HELPER) else "ignored"
        print(f"\n{kind}, {len(tests)}: {reason}")
        for test in tests:
            print(f"  {test}")
    print(f"\n{passed} passed, {failed} failed, {ignored} ignored\n")
    return passed, failed, ignored, sum(not program.finished for program in programs)


def main():
    with open(sys.argv[1], encoding="utf-8", errors="replace") as log:
        programs, reasons = read(log)
    for path in sys.argv[2:]:
        more, why = read_pytest(path)
        programs += more
        for reason, tests in why.items():
            reasons[reason] += tests
    passed, failed, ignored, unfinished = show(programs, reasons)
    if failed or unfinished:
        sys.exit("error: tests failed")
    if not passed:
        sys.exit("error: no test ran")
    if ignored and os.environ.get("STRICT") == "1":
        sys.exit(
            f"error: {ignored} tests were ignored; scripts/install_test_tools.sh installs the tools that they need"
        )


if __name__ == "__main__":
    main()
