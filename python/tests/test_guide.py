"""Runs the Python blocks of docs/pytorch.md and of the READMEs, on synthetic clips."""

import pathlib
import re
import subprocess
import sys

import numpy
import pytest

import clipshard as cs

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]

#: What the guide has, and what the test runs instead: one epoch, and no GPU.
CHANGES = [
    ("range(30)", "range(1)"),
    ("range(80)", "range(1)"),
    ("range(loader.epoch, 30)", "range(loader.epoch, 1)"),
    ("pin_memory=True", "pin_memory=False"),
    ('.to("cuda", non_blocking=True)', ""),
]

#: Before the blocks of a page: the variables that torchrun sets.
START = """
import os
os.environ |= {"RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "0"}
import torch
torch.set_num_threads(1)
"""


def blocks(page):
    """Returns the Python blocks of a page, each with the number of its first line."""
    text = (REPOSITORY / page).read_text()
    found = re.finditer(r"^```python[^\n]*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [(text.count("\n", 0, match.start(1)) + 1, match.group(1)) for match in found]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the dataset ucf101.shards, whose clips are long enough for all blocks."""
    folder = tmp_path_factory.mktemp("guide")
    rng = numpy.random.default_rng(0)
    names = ["v_Archery_g01_c01", "v_Archery_g02_c01", "v_Bowling_g01_c01", "v_Bowling_g02_c01"]
    with cs.Writer(
        folder / "ucf101.shards", {"rgb": cs.Jpeg(80), "flow": cs.Zstd(1)}, classes=["Archery", "Bowling"]
    ) as w:
        for number, name in enumerate(names):
            small = rng.integers(0, 255, (33, 8, 8, 3), numpy.uint8)
            rgb = small.repeat(30, axis=1).repeat(30, axis=2)
            flow = rng.integers(118, 138, (32, 2, 30, 30), numpy.uint8).repeat(8, axis=2).repeat(8, axis=3)
            subset = "test" if number % 2 else "train"
            w.add(name, rgb=rgb, flow=flow, label=number // 2, subset=subset, attrs={"fps": 25})
    return folder


@pytest.mark.parametrize("page", ["docs/pytorch.md", "README.md", "python/README.md"])
def test_the_blocks_of_a_page_run(page, folder, tmp_path):
    pytest.importorskip("torchvision")
    found = blocks(page)
    assert found, f"{page} has no Python block"
    (tmp_path / "ucf101.shards").symlink_to(folder / "ucf101.shards")
    program = START
    for line, block in found:
        for old, new in CHANGES:
            block = block.replace(old, new)
        program += f"print('line {line}', flush=True)\n{block}\n"
    (tmp_path / "page.py").write_text(program)
    done = subprocess.run([sys.executable, "page.py"], cwd=tmp_path, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [text for text in done.stdout.splitlines() if text.startswith("line ")]
    assert lines == [f"line {line}" for line, _ in found]
