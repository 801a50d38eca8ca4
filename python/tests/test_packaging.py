"""The wheel: what an import does, and what is installed."""

import importlib.metadata
import importlib.resources
import subprocess
import sys

import clipshard

# Prints seconds, heavy modules and changed signal handlers of an import in a new process.
IMPORT = """
import signal, sys, time
before = {number: signal.getsignal(number) for number in signal.valid_signals()}
start = time.perf_counter()
import clipshard
took = time.perf_counter() - start
heavy = [name for name in ("numpy", "torch", "jax", "logging", "multiprocessing") if name in sys.modules]
after = {number: signal.getsignal(number) for number in signal.valid_signals()}
print([took, heavy, [number for number in before if before[number] != after[number]]])
"""


def run_import():
    done = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert done.stdout.count("\n") == 1, "an import prints nothing"
    return eval(done.stdout)


def test_an_import_is_quick_and_has_no_side_effects():
    runs = [run_import() for _ in range(5)]
    for _, heavy, handlers in runs:
        assert heavy == []
        assert handlers == []
    # The quickest run, because other tests may use the processors.
    assert min(took for took, _, _ in runs) < 0.06


def test_the_version_is_that_of_the_distribution():
    assert clipshard.__version__ == importlib.metadata.version("clipshard")


def test_numpy_is_the_only_requirement():
    required = [text for text in importlib.metadata.requires("clipshard") if "extra ==" not in text]
    assert required == ["numpy>=1.23"]


def test_types_and_licences_are_installed():
    assert (importlib.resources.files("clipshard") / "py.typed").is_file()
    assert (importlib.resources.files("clipshard") / "_native.pyi").is_file()
    names = {file.name for file in importlib.metadata.files("clipshard")}
    assert {"LICENSE-MIT", "LICENSE-APACHE"} <= names


def test_all_exported_names_exist():
    assert len(set(clipshard.__all__)) == len(clipshard.__all__)
    for name in clipshard.__all__:
        assert getattr(clipshard, name, None) is not None, name
