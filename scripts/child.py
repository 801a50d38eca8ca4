"""Runs programs that save their state on Ctrl-C."""

import subprocess
import sys


def wait_for(line, cure, **streams):
    """Runs a program to its end and returns its status.

    On Ctrl-C it waits on: the program receives Ctrl-C too, and may save its state. A program that cannot start ends
    the script with an error. `cure` completes the error: it says what names the program.
    """
    try:
        child = subprocess.Popen(line, **streams)
    except OSError as err:
        sys.exit(f"error: {line[0]}: {err.strerror}; {cure}")
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            continue
