"""Views in the DataLoader of PyTorch, and as a data source of Grain."""

import zlib

import numpy as np
import pytest

import clipshard as cs
import marks

torch = pytest.importorskip("torch")
from torch.utils.data import BatchSampler, ConcatDataset, DataLoader, Dataset, SequentialSampler, Subset  # noqa: E402

STREAMS = {
    "rgb": cs.Frames(1, size=32, crop="random", flip=True, layout="CHW"),
    "flow": cs.Stack(4, size=16, crop="random", flip=True),
    "depth": cs.Frames(1, size=16, layout="HW"),
}


@pytest.fixture(scope="module")
def view(tmp_path_factory):
    ds = cs.Dataset(marks.write(tmp_path_factory.mktemp("torch") / "marks"))
    return ds.samples(STREAMS, seed=3, repeat=4)


def check(batch, view, numbers):
    """Checks that a batch holds the samples of these numbers, as the default `collate_fn` makes it."""
    expected = view.batch(numbers)
    assert list(batch) == list(expected) and batch["id"] == expected["id"]
    for name in [*STREAMS, "label", "index"]:
        assert isinstance(batch[name], torch.Tensor) and batch[name].shape == expected[name].shape
        assert np.array_equal(batch[name].numpy(), expected[name]), name
    assert batch["label"].dtype == torch.int64 and batch["depth"].dtype == torch.uint16


SETTINGS = [
    {},
    {"num_workers": 1},
    {"num_workers": 2},
    {"num_workers": 2, "persistent_workers": True},
    {"num_workers": 2, "multiprocessing_context": "fork"},
    {"num_workers": 2, "multiprocessing_context": "spawn"},
    {"num_workers": 1, "multiprocessing_context": "forkserver"},
]


@pytest.mark.parametrize("settings", SETTINGS)
def test_batches_are_those_of_the_view(view, settings):
    data = DataLoader(view, batch_size=6, timeout=60 if settings else 0, **settings)
    for _ in range(2):
        batches = list(data)
        assert len(batches) == 4
        for number, batch in enumerate(batches):
            check(batch, view, range(6 * number, min(6 * number + 6, 20)))


def test_shuffling_and_samplers_choose_the_samples(view):
    torch.manual_seed(5)
    seen = []
    for batch in DataLoader(view, batch_size=6, shuffle=True, num_workers=2):
        check(batch, view, batch["index"])
        seen += batch["index"].tolist()
    assert sorted(seen) == list(range(20)) != seen
    sampler = BatchSampler(SequentialSampler(range(5)), 2, drop_last=False)
    batches = list(DataLoader(view, batch_sampler=sampler, num_workers=1))
    assert [batch["index"].tolist() for batch in batches] == [[0, 1], [2, 3], [4]]
    one = next(iter(DataLoader(view, batch_size=None, num_workers=1)))
    assert one["id"] == "c0" and np.array_equal(one["rgb"], view[0]["rgb"])


def test_workers_share_their_memory_with_the_main_process(view):
    import clipshard._torch as glue

    batch = next(iter(DataLoader(view, batch_size=6, num_workers=1)))
    assert batch["rgb"].stride() == (3072, 1, 96, 3)  # Decoded as [H, W, C], and not copied to [C, H, W].

    # In a worker, the batch is the memory that the samples were decoded into.
    class Worker:
        id, num_workers, seed, dataset = 0, 1, 0, view

    torch.utils.data._utils.worker._worker_info = Worker()
    try:
        items = view.__getitems__([4, 7])
        assert all(isinstance(item["rgb"], np.ndarray) and item["rgb"].shape == (3, 32, 32) for item in items)
        batch = torch.utils.data.default_collate(items)
        for row in range(2):
            assert batch["rgb"][row].data_ptr() == items[row]["rgb"].ctypes.data
        check(batch, view, [4, 7])
        # Other groups of items are copied, as those of any dataset.
        for rows in ([1, 0], [0], [0, 0]):
            check(torch.utils.data.default_collate([items[row] for row in rows]), view, [[4, 7][row] for row in rows])
        mixed = glue.collate([items[0], dict(view[2])])
        check(mixed, view, [4, 2])
    finally:
        torch.utils.data._utils.worker._worker_info = None


def test_batches_of_workers_are_not_overwritten(view):
    kept = []
    for batch in DataLoader(view, batch_size=2, num_workers=2):
        kept.append((batch["rgb"], zlib.crc32(batch["rgb"].contiguous().numpy())))
    assert len(kept) == 10
    assert all(zlib.crc32(tensor.contiguous().numpy()) == expected for tensor, expected in kept)


def to_float(samples):
    """A `collate_fn` that treats samples as those of any dataset."""
    return torch.stack([torch.from_numpy(sample["flow"]).float() for sample in samples]), [s["id"] for s in samples]


class Brighter(Dataset):
    """A dataset that changes the samples of another one."""

    def __init__(self, view):
        self.view = view

    def __len__(self):
        return len(self.view)

    def __getitems__(self, indices):
        samples = self.view.__getitems__(indices)
        return [{**sample, "rgb": np.minimum(sample["rgb"], 100) + 100} for sample in samples]

    def __getitem__(self, index):
        return self.__getitems__([index])[0]


class Single(Dataset):
    def __init__(self, view):
        self.view = view

    def __len__(self):
        return len(self.view)

    def __getitem__(self, index):
        sample = self.view[index]
        return torch.from_numpy(sample["rgb"]), sample["label"]


@pytest.mark.parametrize("workers", [0, 2])
def test_wrappers_and_functions_get_the_same_samples_in_workers(view, workers):
    options = {"batch_size": 3, "num_workers": workers, "timeout": 60 if workers else 0}
    expected = view.batch(range(3))
    flow, ids = next(iter(DataLoader(view, collate_fn=to_float, **options)))
    assert np.array_equal(flow, expected["flow"]) and ids == expected["id"]
    batch = next(iter(DataLoader(Brighter(view), **options)))
    assert np.array_equal(batch["rgb"], np.minimum(expected["rgb"], 100) + 100)
    assert np.array_equal(batch["flow"], expected["flow"])
    rgb, label = next(iter(DataLoader(Single(view), **options)))
    assert np.array_equal(rgb, expected["rgb"]) and np.array_equal(label, expected["label"])
    for batch, numbers in zip(DataLoader(Subset(view, [9, 4, 2, 5]), **options), [[9, 4, 2], [5]], strict=True):
        check(batch, view, numbers)
    both = DataLoader(ConcatDataset([Subset(view, [1, 2]), view]), **options)
    numbers = [1, 2, *range(20)]
    for number, batch in enumerate(both):
        check(batch, view, numbers[3 * number : 3 * number + 3])


def test_workers_draw_different_choices_without_a_seed(view):
    free = view.__reduce__()[1][0].samples(STREAMS, ids=["c0"] * 40)
    batches = list(DataLoader(free, batch_size=10, num_workers=2))
    images = {image.numpy().tobytes() for batch in batches for image in batch["rgb"]}
    assert len(images) > 35


def test_an_epoch_is_sent_to_new_workers(view):
    try:
        for epoch in range(2):
            view.set_epoch(epoch)
            for number, batch in enumerate(DataLoader(view, batch_size=10, num_workers=1)):
                check(batch, view, range(10 * number, 10 * number + 10))
    finally:
        view.set_epoch(0)


def test_errors_of_workers_keep_their_type(view):
    with pytest.raises(IndexError, match="the numbers of the 20 samples start at 0"):
        list(DataLoader(view, sampler=[3, 99], batch_size=2, num_workers=1))


def test_a_view_is_a_data_source_of_grain(view):
    # The protocol RandomAccessDataSource: __len__ and __getitem__ with whole numbers, and pickles.
    import pickle

    source = pickle.loads(pickle.dumps(view))
    assert len(source) == 20 and source[np.int64(7)]["id"] == "c2"
    assert [record["index"] for record in map(source.__getitem__, range(20))] == list(range(20))
    assert isinstance(repr(source), str)
