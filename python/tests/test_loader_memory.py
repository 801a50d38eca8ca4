"""Who owns the memory of batches: nothing that a caller holds is overwritten, and all of it comes back."""

import gc
import sys
import zlib

import numpy as np
import pytest

import clipshard as cs
import marks


@pytest.fixture(scope="module")
def view(tmp_path_factory):
    ds = cs.Dataset(marks.write(tmp_path_factory.mktemp("memory") / "marks"))
    streams = {"rgb": cs.Frames(1, size=32, crop="random"), "depth": cs.Frames(2, size=16, layout="HWT")}
    return ds.samples(streams, repeat=200)


def keep_numpy(array):
    return array[1:, ..., ::2].swapaxes(0, 1).view()


def keep_memoryview(array):
    return memoryview(array)[:2]


def keep_dlpack(array):
    return np.from_dlpack(array)[1:2]


def keep_torch(array):
    import torch

    return torch.from_numpy(array)[..., 1:].permute(*reversed(range(array.ndim)))


def keep_torch_dlpack(array):
    import torch

    return torch.from_dlpack(array).unsqueeze(0)[:, 1]


def keep_capsule(array):
    """A capsule of DLPack that has no user yet."""
    return array.__dlpack__()


KEEPERS = [keep_numpy, keep_memoryview, keep_dlpack, keep_torch, keep_torch_dlpack]


def checksum(kept):
    if hasattr(kept, "numpy"):
        kept = kept.numpy()
    return zlib.crc32(np.ascontiguousarray(kept))


@pytest.mark.parametrize("keep", KEEPERS)
@pytest.mark.parametrize("buffers", [1, 3])
def test_arrays_that_somebody_holds_are_never_overwritten(view, keep, buffers):
    if "torch" in keep.__name__:
        pytest.importorskip("torch")
    kept = []
    for number, batch in enumerate(cs.Loader(view, 10, threads=2, buffers=buffers, seed=1)):
        name = ("rgb", "depth")[number % 2]
        # Only this object holds the memory.
        found = keep(batch.pop(name))
        del batch
        kept.append((found, checksum(found)))
        if number % 3 == 0:  # Some die at once, and their memory is used again.
            kept.pop()
    assert len(kept) == 66 and len({expected for _, expected in kept}) > 40
    assert all(checksum(found) == expected for found, expected in kept)


def test_a_capsule_of_dlpack_holds_the_memory(view):
    torch = pytest.importorskip("torch")
    batches = iter(cs.Loader(view, 10, threads=2, buffers=1, seed=1))
    batch = next(batches)
    expected, capsule = checksum(batch["rgb"]), keep_capsule(batch["rgb"])
    del batch
    for _ in range(20):
        next(batches)
    assert checksum(torch.utils.dlpack.from_dlpack(capsule)) == expected


def test_tensors_that_somebody_holds_are_never_overwritten(view):
    torch = pytest.importorskip("torch")
    kept = []
    for batch in cs.Loader(view, 10, threads=2, buffers=2, seed=1, to="torch"):
        assert batch["rgb"].dtype == torch.uint8 and batch["depth"].dtype == torch.uint16
        assert batch["label"].dtype == batch["index"].dtype == torch.int64
        rows = list(batch["rgb"].unbind(0))[3:5]
        kept.append((rows, [checksum(row) for row in rows]))
    assert len(kept) == 100
    assert all([checksum(row) for row in rows] == expected for rows, expected in kept)


def test_arrays_outlive_loader_view_and_dataset(tmp_path):
    folder = marks.write(tmp_path / "marks")
    batch = next(iter(cs.Loader(cs.Dataset(folder).samples({"rgb": cs.Frames(1, size=16)}), 5)))
    gc.collect()
    assert sorted(marks.clip_and_frame(image[0])[0] for image in batch["rgb"]) == [0, 1, 2, 3, 4]
    batch["rgb"][:] = 3  # The arrays belong to the caller, who may write to them.
    assert (batch["rgb"] == 3).all()


MEMORY_COMES_BACK = """
import os, sys
import clipshard as cs

def used():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

dataset = cs.Dataset(sys.argv[1])
large = dataset.samples({"rgb": cs.Frames(4, size=256)}, repeat=40)
large.batch([0])  # Everything is imported now.
batch_bytes = 10 * large.nbytes["rgb"]  # 7.9 MB
before = used()
kept = [batch["rgb"] for batch in cs.Loader(large, 10, threads=2, buffers=3, seed=1)]
assert len(kept) == 20 and used() - before > 19 * batch_bytes, (len(kept), used() - before)
kept.clear()
assert used() - before < 5 * batch_bytes, used() - before
peak = 0
for batch in cs.Loader(large, 10, threads=2, buffers=3, seed=1):
    peak = max(peak, used() - before)
assert peak < 8 * batch_bytes, peak
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc")
def test_memory_comes_back_when_the_last_array_dies(tmp_path, python):
    # In a process of its own: the allocator of this one may keep memory of earlier tests.
    python(MEMORY_COMES_BACK, marks.write(tmp_path / "marks"))


@pytest.fixture
def pageable(monkeypatch):
    """Lets `pin_memory` use ordinary memory, for machines without a GPU. Returns the numbers of bytes."""
    torch = pytest.importorskip("torch")
    import clipshard._torch as glue

    sizes = []

    def pinned(nbytes):
        sizes.append(nbytes)
        return torch.empty(nbytes, dtype=torch.uint8)

    monkeypatch.setattr(glue, "pinned", pinned)
    monkeypatch.setattr(glue, "check", lambda pin_memory: None)
    return sizes


def test_pinned_memory_belongs_to_torch_and_equals_other_memory(view, pageable):
    loader = cs.Loader(view, 7, threads=2, buffers=2, seed=1, to="torch", pin_memory=True)
    plain = cs.Loader(view, 7, threads=2, seed=1, to="torch")
    kept = []
    for batch, expected in zip(loader, plain, strict=True):
        for name in ("rgb", "depth"):
            assert batch[name].dtype == expected[name].dtype and batch[name].shape == expected[name].shape
            assert batch[name].stride() == expected[name].stride() and batch[name].equal(expected[name])
        assert batch["id"] == expected["id"] and batch["label"].equal(expected["label"])
        # Both are in the memory that torch made.
        assert batch["rgb"].untyped_storage().data_ptr() == batch["depth"].untyped_storage().data_ptr()
        kept.append((batch["depth"], checksum(batch["depth"])))
    assert all(checksum(tensor) == expected for tensor, expected in kept)
    # Two buffers, and another one for each batch that was handed out.
    assert len(pageable) == 2 + len(loader) and set(pageable) == {pageable[0]}


def test_an_error_of_the_allocator_is_raised(view, pageable, monkeypatch):
    import clipshard._torch as glue

    calls = []

    def fail(nbytes):
        calls.append(nbytes)
        if len(calls) > 4:
            raise RuntimeError("CUDA out of memory")
        return pinned(nbytes)

    pinned = glue.pinned
    monkeypatch.setattr(glue, "pinned", fail)
    loader = cs.Loader(view, 7, threads=2, buffers=3, seed=1, to="torch", pin_memory=True)
    batches = iter(loader)
    next(batches)
    state = loader.state_dict()
    for _ in range(2):
        with pytest.raises(RuntimeError, match="CUDA out of memory"):
            next(batches)
    assert loader.state_dict() == state
    # No batch was lost.
    monkeypatch.setattr(glue, "pinned", pinned)
    (_, second, *_) = cs.Loader(view, 7, seed=1)
    assert np.array_equal(next(batches)["rgb"], second["rgb"])


def test_pinned_memory_without_cuda_says_so(view):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("CUDA is here")
    with pytest.raises(cs.OptionError, match="pin_memory needs CUDA.*omit pin_memory"):
        cs.Loader(view, to="torch", pin_memory=True)


def test_jax_copies_batches(view):
    jax = pytest.importorskip("jax")
    kept = []
    for batch in cs.Loader(view, 10, buffers=1, seed=1, to="jax"):
        assert isinstance(batch["rgb"], jax.Array)
        kept.append((batch["rgb"], checksum(batch["rgb"])))
    assert all(checksum(array) == expected for array, expected in kept)


def test_a_missing_library_is_named(view, monkeypatch):
    for library in ("torch", "jax"):
        monkeypatch.setitem(sys.modules, library, None)
        monkeypatch.delitem(sys.modules, f"clipshard._{library}", raising=False)
        with pytest.raises(ImportError, match=library):
            cs.Loader(view, to=library)
