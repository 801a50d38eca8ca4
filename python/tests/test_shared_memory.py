"""Batches of a DataLoader come through shared memory that its workers use again."""

import gc
import os
import pathlib

import numpy
import pytest

import clipshard as cs

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="needs memfd_create of Linux")


@pytest.fixture
def view(tmp_path):
    """Twelve clips of twelve frames. All samples of clip i have the values 10 * i and 10 * i + 1."""
    with cs.Writer(tmp_path / "marks.shards", {"rgb": cs.Zstd(1), "depth": cs.Zstd(1)}, classes=["all"]) as w:
        for i in range(12):
            rgb = numpy.full((12, 32, 32, 3), 10 * i, numpy.uint8)
            depth = numpy.full((12, 32, 32), 1000 + i, numpy.uint16)
            w.add(f"clip{i}", rgb=rgb, depth=depth, label=0, subset="train")
    streams = {"rgb": cs.Frames(2, size=32, layout="TCHW"), "depth": cs.Frames(1, size=32)}
    return cs.Dataset(tmp_path / "marks.shards").samples(streams, split="1", subset="train")


def loader(view, **options):
    return torch.utils.data.DataLoader(view, **({"batch_size": 4, "num_workers": 2} | options))


def check(batch):
    """Compares every pixel of a batch with the ids of its clips."""
    numbers = [int(name.removeprefix("clip")) for name in batch["id"]]
    assert batch["index"].tolist() == numbers
    for row, number in enumerate(numbers):
        assert (batch["rgb"][row] == 10 * number).all()
        assert (batch["depth"][row].to(torch.int32) == 1000 + number).all()


def segments():
    """Returns the number of segments that this process has mapped."""
    return pathlib.Path("/proc/self/maps").read_text().count("memfd:clipshard")


def test_batches_keep_their_values_while_they_are_held(view):
    held = []
    data = loader(view, persistent_workers=True, shuffle=True)
    for _ in range(10):
        for number, batch in enumerate(data):
            check(batch)
            if number == 1:
                held.append(batch)
    for batch in held:
        check(batch)
    assert held[0]["rgb"].shape == (4, 2, 3, 32, 32) and held[0]["depth"].dtype == torch.uint16


def test_a_slice_of_a_tensor_keeps_the_memory_of_its_batch(view):
    rows = []
    data = loader(view, persistent_workers=True)
    for _ in range(5):
        rows += [(batch["id"][3], batch["rgb"][3, 1, 2]) for batch in data]
    for name, row in rows:
        assert (row == 10 * int(name.removeprefix("clip"))).all()


def test_memory_is_used_again(view):
    data = loader(view, persistent_workers=True)
    for _ in range(30):
        for batch in data:
            check(batch)
    del batch
    # Two workers that prefetch two batches each, and one batch in use.
    assert 1 <= segments() <= 8


def test_memory_of_workers_that_have_ended_is_released(view):
    for _ in range(8):
        for batch in loader(view):
            check(batch)
    del batch
    gc.collect()
    assert segments() <= 8


def test_batches_of_any_size_share_segments(view):
    sizes = [[0], [1, 2, 3, 4, 5, 6], [7], [8, 9, 10, 11], [0, 1]] * 6
    data = loader(view, batch_size=1, batch_sampler=sizes, num_workers=1)
    found = []
    for batch in data:
        check(batch)
        found.append(batch["index"].tolist())
    assert found == sizes
    assert segments() <= 5


def collate_as_float(samples):
    batch = torch.utils.data.default_collate(samples)
    batch["rgb"] = batch["rgb"].float() / 10
    return batch


def collate_ids(samples):
    return [(sample["id"], torch.as_tensor(sample["rgb"]).clone()) for sample in samples]


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_a_collate_function_may_change_the_batch(view, context):
    for batch in loader(view, collate_fn=collate_as_float, multiprocessing_context=context):
        assert batch["rgb"].dtype == torch.float32
        for row, name in enumerate(batch["id"]):
            assert (batch["rgb"][row] == int(name.removeprefix("clip"))).all()
        assert (batch["depth"][:, 0, 0, 0].to(torch.int32) - 1000).tolist() == batch["index"].tolist()


def test_a_collate_function_may_take_the_samples_apart(view):
    names = []
    for batch in loader(view, collate_fn=collate_ids):
        for name, pixels in batch:
            assert (pixels == 10 * int(name.removeprefix("clip"))).all()
            names.append(name)
    assert names == view.ids


class Changed(torch.utils.data.Dataset):
    """Changes the items of the view, as transforms do."""

    def __init__(self, view, change):
        self.view, self.change = view, change

    def __len__(self):
        return len(self.view)

    def __getitems__(self, indices):
        items = self.view.__getitems__(indices)
        for item in items:
            self.change(item)
        return items


def replace(item):
    item["rgb"] = torch.as_tensor(item["rgb"]).float() / 10


def change_pixels(item):
    item["depth"] += 5


def remove(item):
    del item["depth"]


def add(item):
    item["double"] = 2 * item["index"]


def change_the_label(item):
    item["label"] = 7 + item["index"]


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("change", [replace, change_pixels, remove, add, change_the_label])
def test_changes_of_items_reach_the_batch(view, workers, change):
    for batch in loader(Changed(view, change), num_workers=workers):
        number = batch["index"].tolist()[0]
        assert batch["rgb"][0, 0, 0, 0, 0] == (number if change is replace else 10 * number)
        assert batch["rgb"].dtype == (torch.float32 if change is replace else torch.uint8)
        assert ("depth" in batch) == (change is not remove)
        if change is not remove:
            assert int(batch["depth"][0, 0, 0, 0]) == 1000 + number + (5 if change is change_pixels else 0)
        assert ("double" in batch) == (change is add)
        assert batch["label"].tolist()[0] == (7 + number if change is change_the_label else 0)


class Twice(torch.utils.data.Dataset):
    """Returns each batch twice. Only one of the two can pass on the shared memory."""

    def __init__(self, view):
        self.view = view

    def __len__(self):
        return len(self.view)

    def __getitems__(self, indices):
        batch = torch.utils.data.default_collate(self.view.__getitems__(indices))
        return [batch, dict(batch)]


def identity(batch):
    return batch


def test_a_batch_can_be_sent_twice(view):
    for first, second in loader(Twice(view), collate_fn=identity):
        check(first)
        check(second)


def test_a_dataloader_that_is_left_early_starts_again(view):
    data = loader(view, persistent_workers=True)
    for _ in range(5):
        check(next(iter(data)))
    assert sum(len(batch["id"]) for batch in data) == 12
