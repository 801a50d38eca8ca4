"""Batches of the workers of a DataLoader keep their content, whatever a program does with copies of them."""

import copy
import os
import pickle

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("PIL.Image", reason="the synthetic dataset needs Pillow")

import marks  # noqa: E402

import clipshard as cs  # noqa: E402
from torch.utils.data import DataLoader, default_collate  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return marks.write(tmp_path_factory.mktemp("marks") / "ds")


def drops_copies(items):
    batch = default_collate(items)
    copy.copy(batch), copy.deepcopy(batch)
    return batch


def drops_pickles(items):
    batch = default_collate(items)
    assert pickle.loads(pickle.dumps(batch)).keys() == batch.keys()
    return batch


def returns_a_copy(items):
    return copy.copy(default_collate(items))


def returns_a_deep_copy(items):
    return copy.deepcopy(default_collate(items))


@pytest.mark.parametrize("collate", [drops_copies, drops_pickles, returns_a_copy, returns_a_deep_copy])
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_copies_of_a_batch_do_not_free_its_memory(folder, collate):
    samples = cs.Dataset(folder).samples({"rgb": cs.Frames(1, size=32)}, seed=3, repeat=40)
    # All batches are held, so no memory may be used again.
    batches = list(DataLoader(samples, 5, num_workers=2, collate_fn=collate))
    assert len(batches) == 40
    for batch in batches:
        expected = samples.batch(batch["index"].tolist())
        assert batch["rgb"].numpy().tobytes() == expected["rgb"].tobytes()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_child_that_drops_a_batch_does_not_free_the_memory_of_its_parent(folder, python):
    assert python("""
import warnings; warnings.simplefilter("ignore")
import gc, os, sys
import clipshard as cs
from torch.utils.data import DataLoader

samples = cs.Dataset(sys.argv[1]).samples({"rgb": cs.Frames(1, size=32)}, seed=3, repeat=40)
batches = iter(DataLoader(samples, 5, num_workers=1, prefetch_factor=2))
held = [next(batches)]
child = os.fork()
if child == 0:
    held.clear()
    gc.collect()
    os._exit(0)
os.waitpid(child, 0)
count = sum(1 for _ in batches)
expected = samples.batch(held[0]["index"].tolist())["rgb"]
print(count, held[0]["rgb"].numpy().tobytes() == expected.tobytes())
""", folder) == "39 True\n"
