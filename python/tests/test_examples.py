"""The examples that train run as programs, and their networks learn synthetic data."""

import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import clipshard as cs
import numpy as np
import pytest

EXAMPLES = pathlib.Path(__file__).parents[1] / "examples"
CHANCE = 0.25


def needs(*modules):
    """Skips a test if a module is missing. Does not import it: the programs do."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    return pytest.mark.skipif(bool(missing), reason=f"needs {' and '.join(missing)}")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "synthetic.shards"
    command = [sys.executable, EXAMPLES / "synthetic.py", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == f"{folder}: 64 clips of 4 classes\n"
    return folder


@pytest.fixture
def run(tmp_path):
    """Returns a function that runs an example in an empty folder, and returns its losses and accuracies."""

    def run(name, *arguments, launch=()):
        # Threads that wait for each other are slow if other tests use the cores.
        environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        command = [sys.executable, *launch, EXAMPLES / f"{name}.py", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=240)
        assert done.returncode == 0, done.stdout + done.stderr
        lines = re.findall(r"epoch (\d+): loss (\d+\.\d+)(?:, accuracy (\d+\.\d)%)?\n", done.stdout)
        assert len(lines) == done.stdout.count("epoch "), done.stdout
        run.epochs = [int(epoch) for epoch, _, _ in lines]
        return [float(loss) for _, loss, _ in lines], [float(share or "nan") / 100 for _, _, share in lines]

    return run


def test_synthetic_data(data):
    """Each class has its own pattern and its own motion, and the pixels move as the flow tells."""
    ds = cs.Dataset(data)
    assert len(ds) == 64 and ds.verify() == []
    assert len(ds.clips("1", "train")) == 48 and len(ds.clips("1", "test")) == 16
    for clip in ds.clips("1", "test"):
        rgb, flow = clip.read("rgb"), clip.read("flow")
        assert rgb.shape == (20, 60, 80, 3) and flow.shape == (19, 2, 60, 80)
        x, y = (flow.astype(float).mean(0) - 128) / 6.4
        rising, growing = float(-y.mean()), float(np.gradient(y, axis=0).mean())
        found = ["rising stripes"] * (rising > 0.5) + ["falling checks"] * (rising < -0.5)
        found += ["growing rings"] * (growing > 0.01)
        assert found == [clip.class_name] or (clip.class_name == "still waves" and not found)
        assert abs(x.mean()) < 0.1
        # The second frame, taken where the flow leads, is the first frame.
        shift = round(y.mean())
        if abs(y.mean() - shift) < 0.1 and clip.label < 2:
            first, second = rgb[0].astype(float), np.roll(rgb[1].astype(float), -shift, 0)
            assert abs(first - second)[8:-8].mean() < abs(first - rgb[1])[8:-8].mean()


@needs("torch", "torchvision")
def test_resnet18_learns_and_resumes(data, run, tmp_path):
    arguments = ("--data", data, "--size", 32, "--checkpoint", tmp_path / "c.pt")
    losses, shares = run("train_resnet18", *arguments, "--epochs", 5)
    assert run.epochs == [0, 1, 2, 3, 4]
    assert losses[-1] < losses[0] / 2 and max(shares[-2:]) >= 0.75
    resumed, shares = run("train_resnet18", *arguments, "--epochs", 6, "--resume")
    assert run.epochs == [5]
    assert resumed[0] < losses[0] / 2 and shares[0] >= 2 * CHANCE


@needs("torch", "torchvision")
@pytest.mark.parametrize("streams", [["rgb"], ["flow"], ["rgb", "flow"]], ids="-".join)
def test_dense_clips_learn(data, run, streams):
    arguments = ("--data", data, "--size", 32, "--frames", 8, "--streams", *streams)
    losses, shares = run("train_dense_clips", *arguments, "--epochs", 4)
    assert losses[-1] < 0.6 * losses[0] and max(shares) >= 0.75


@needs("torch", "torchvision")
def test_r2plus1d_takes_flow(data, run):
    """The network is too large to learn in seconds, so one epoch must run."""
    arguments = ("--data", data, "--size", 32, "--frames", 4, "--streams", "flow", "--model", "r2plus1d_18")
    losses, _ = run("train_dense_clips", *arguments, "--epochs", 1, "--repeat", 1)
    assert 0 < losses[0] < 3


def logged(folder):
    """Returns the epoch and the ids of each step and process, in the order of one process."""
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == [f"{rank}.txt" for rank in range(len(files))]
    seen = []
    for lines in zip(*(file.read_text().splitlines() for file in files), strict=True):
        epochs, *ids = zip(*map(str.split, lines), strict=True)
        assert len(set(epochs)) == 1
        # Row i has the sample i of each process.
        seen += [(int(epochs[0]), id) for row in ids for id in row]
    return seen


@needs("torch")
@pytest.mark.parametrize(
    "before, after, steps, epochs", [(2, 1, 4, 2), (1, 2, 12, 4)], ids=["in-an-epoch", "between-epochs"]
)
def test_ddp_resumes_exactly(data, run, tmp_path, before, after, steps, epochs):
    """The clips before and after a stop are those of a pass that was never stopped, in its order."""
    arguments = ("--data", data, "--batch-size", 8, "--epochs", epochs, "--seed", 3)
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node")
    # One of the runs is started by torchrun, and the other starts its processes itself.
    run("train_ddp", *arguments, "--ids", tmp_path / "before", "--max-steps", steps, "--processes", before)
    losses, _ = run("train_ddp", *arguments, "--ids", tmp_path / "after", "--resume", launch=(*torchrun, str(after)))
    assert epochs == 2 or losses[-1] < 0.7 * losses[0]
    is_end = steps * before * 8 == 96
    assert run.epochs == list(range(1 if is_end else 0, epochs))
    stopped = logged(tmp_path / "before")
    assert len(stopped) == steps * before * 8

    view = {"rgb": cs.Frames(1, size=48, crop="random-resized", flip=True)}
    view = cs.Dataset(data).samples(split="1", subset="train", streams=view, repeat=2)
    loader = cs.Loader(view, 5, seed=3)
    undisturbed = [(epoch, id) for epoch in range(epochs) for batch in loader for id in batch["id"]]
    assert len(undisturbed) == epochs * 96
    assert stopped + logged(tmp_path / "after") == undisturbed


def test_numpy_learns(data, run):
    losses, shares = run("train_numpy", "--data", data, "--epochs", 3)
    assert losses[2] < 0.8 * losses[0] and shares[2] >= 0.75


@needs("jax")
def test_jax_does_the_same_as_numpy(data, run):
    numpy = run("train_numpy", "--data", data, "--epochs", 3)
    jax = run("train_jax", "--data", data, "--epochs", 3)
    assert np.allclose(jax[0], numpy[0], atol=0.002) and jax[1] == numpy[1]


@needs("torch", "torchvision")
@pytest.mark.parametrize("workers", [0, 2])
def test_dataloader_learns(data, run, workers):
    losses, shares = run("use_dataloader", "--data", data, "--epochs", 5, "--workers", workers)
    assert losses[-1] < 0.6 * losses[0] and max(shares) >= 0.75


@needs("torch", "torchvision")
def test_transforms_reach_the_batch(data, monkeypatch):
    """Workers give samples in shared memory, and a transform must not be lost there."""
    monkeypatch.syspath_prepend(EXAMPLES)
    import torch
    import use_dataloader

    view = cs.Dataset(data).samples(split="1", subset="test", streams={"rgb": cs.Frames(1, size=8, layout="CHW")})
    inverted = use_dataloader.Transformed(view, lambda images: 255 - images)
    for workers in (0, 1):
        plain, changed = (torch.utils.data.DataLoader(x, 5, num_workers=workers) for x in (view, inverted))
        for a, b in zip(plain, changed, strict=True):
            assert a["id"] == b["id"] and torch.equal(a["label"], b["label"])
            assert torch.equal(255 - a["rgb"], b["rgb"])


def test_examples_make_data_themselves(run, tmp_path):
    """Without --data, an example makes a dataset and leaves nothing behind."""
    _, shares = run("train_numpy", "--epochs", 1)
    assert shares[0] > CHANCE and list(tmp_path.iterdir()) == []
