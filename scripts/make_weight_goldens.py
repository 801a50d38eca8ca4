#!/usr/bin/env python3
"""Makes pickle/tests/goldens/*.pth: small files of torch.save for the tests of inert-pickle.

    scripts/make_weight_goldens.py

Needs torch and numpy. The files in the repository were made with Python 3.11, torch 2.15.0 and
numpy 2.4.6.

    python3 -m venv venv && venv/bin/pip install torch numpy
    venv/bin/python scripts/make_weight_goldens.py

Each file holds the tensors of `tiny()`, or some of them, in another form. The expected values are
in pickle/tests/torch_files.rs.
"""

import argparse
import collections
import datetime
import io
import pathlib
import zipfile

import numpy
import torch
from torch import nn

GOLDENS = pathlib.Path(__file__).resolve().parent.parent / "pickle/tests/goldens"


def tiny():
    """Returns a state dictionary with all element types and memory orders."""
    ramp = torch.arange(24, dtype=torch.float32)
    return collections.OrderedDict(
        [
            ("conv1.weight", ramp.reshape(3, 2, 2, 2).contiguous(memory_format=torch.channels_last)),
            ("turned", ramp.reshape(4, 6).t()),
            ("middle", ramp[10:13]),
            ("spread", torch.tensor([2.5]).expand(2, 3)),
            ("bn1.weight", torch.tensor([0.5, -2.0, 65504.0], dtype=torch.float16)),
            ("bn1.bias", torch.tensor([1.0, -3.0, 1e30], dtype=torch.bfloat16)),
            ("bn1.running_mean", torch.tensor([0.5, -0.0, 3.0], dtype=torch.float64)),
            ("bn1.running_var", nn.Parameter(torch.tensor([1.0, 2.0, 3.0]))),
            ("bn1.num_batches_tracked", torch.tensor(7)),
            ("mask", torch.tensor([True, False])),
            ("phase", torch.tensor([1 + 2j])),
            ("scalar", torch.tensor(0.25)),
            ("empty", torch.zeros(0, 3)),
        ]
    )


def checkpoint():
    """Returns a checkpoint with other data that training scripts store together with the weights."""
    net = nn.Linear(2, 2)
    sgd = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    net(torch.ones(1, 2)).sum().backward()
    sgd.step()
    history = collections.defaultdict(list)
    history["loss"].append(numpy.float64(0.5))
    return {
        "epoch": 3,
        "args": argparse.Namespace(lr=0.1, dims=[1, 2], device=torch.device("cpu")),
        "history": history,
        "date": datetime.datetime(2024, 5, 17, 12, 30, tzinfo=datetime.timezone.utc),
        "dates": numpy.array(["2024-05-17"], dtype="datetime64[D]"),
        "best_prec1": torch.tensor(71.25),
        "size": torch.Size([1, 2]),
        "dtype": torch.float32,
        "path": pathlib.PurePosixPath("/data"),
        "set": {"a", "b"},
        "frozen": frozenset({"a"}),
        "big": 2**100,
        "surrogate": "\udcff",
        "small": torch.tensor([3], dtype=torch.uint16),
        "counter": collections.Counter("abba"),
        "deque": collections.deque([1, 2]),
        "optimizer": sgd.state_dict(),
        "state_dict": tiny(),
    }


class Tiny(nn.Module):
    """A network whose class the reader does not have."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(2, 3, 2, bias=False)
        self.bn1 = nn.BatchNorm2d(3)
        self.layer1 = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
        self.register_buffer("scratch", torch.ones(4), persistent=False)
        self.register_buffer("kept", torch.tensor([4.0, 5.0]))
        with torch.no_grad():
            self.conv1.weight.copy_(torch.arange(24.0).reshape(3, 2, 2, 2))
            self.layer1[0].weight.copy_(torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
            self.layer1[0].bias.copy_(torch.tensor([5.0, 6.0]))


class Marked(torch.Tensor):
    """A subclass of Tensor."""


def save(name, content, protocol=2, old=False):
    torch.save(content, GOLDENS / name, pickle_protocol=protocol, _use_new_zipfile_serialization=not old)


def repacked(name, source, change=lambda name, content: content, **how):
    """Writes the archive `source` again with changed content or compression."""
    with zipfile.ZipFile(GOLDENS / source) as old, zipfile.ZipFile(GOLDENS / name, "w") as new:
        for entry in old.infolist():
            new.writestr(zipfile.ZipInfo(entry.filename), change(entry.filename, old.read(entry)), **how)


def swapped(name, content):
    """Returns the entry of an archive of f32 tensors as a big-endian machine writes it."""
    if name.endswith("/byteorder"):
        return b"big"
    if "/data/" in name:
        return numpy.frombuffer(content, "<f4").astype(">f4").tobytes()
    return content


def no_source(_):
    raise OSError("these files do not contain the source code of classes")


def main():
    torch.serialization.get_source_lines_and_file = no_source
    GOLDENS.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(0)
    small = {"weight": torch.tensor([1.0, 2.0])}
    save("example.pth", {"epoch": 3, "state_dict": small})
    for protocol in (2, 3, 4, 5):
        save(f"zip-protocol{protocol}.pth", checkpoint(), protocol)
        save(f"legacy-protocol{protocol}.pth", checkpoint(), protocol, old=True)
    for protocol in (2, 4, 5):
        save(f"module-zip-protocol{protocol}.pth", Tiny(), protocol)
    for protocol in (2, 4):
        save(f"module-legacy-protocol{protocol}.pth", nn.DataParallel(Tiny()), protocol, old=True)
    save("module-below.pth", {"epoch": 1, "model": Tiny()})
    for key in ("model", "model_state", "model_state_dict", "net", "network", "module", "my_weights"):
        save(f"key-{key}.pth", {"epoch": 1, "best": torch.tensor(0.5), key: small, "optimizer": {"state": {0: small}}})
    save("keys-below.pth", {"run": {"epoch": 1, "model": {"state_dict": small}}})
    save("defaultdict.pth", collections.defaultdict(None, small))
    save("negated.pth", {"weight": torch._neg_view(torch.tensor([1.0, 2.0]))})
    save("subclass.pth", {"weight": torch.tensor([1.0, 2.0]).as_subclass(Marked)}, 4)
    save("arrays.pth", {"weight": numpy.float32([[1.0], [2.0]]), "steps": numpy.int64([3])}, 4)
    torch.serialization.set_crc32_options(False)
    save("no-checksums.pth", small)
    torch.serialization.set_crc32_options(True)
    repacked("deflated.pth", "zip-protocol2.pth", compress_type=zipfile.ZIP_DEFLATED)
    repacked("big-endian.pth", "example.pth", swapped)
    torch.jit.save(torch.jit.script(nn.Linear(2, 1)), GOLDENS / "script.pt")


if __name__ == "__main__":
    main()
