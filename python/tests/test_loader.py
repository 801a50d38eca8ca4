"""Batches of the loader: their bytes, order, ranks, and the place to continue."""

import json
import zlib

import numpy as np
import pytest

import clipshard as cs
import marks
from test_samples_access import same


@pytest.fixture(scope="module")
def ds(tmp_path_factory):
    return cs.Dataset(marks.write(tmp_path_factory.mktemp("loader") / "marks"))


RANDOM = {
    "rgb": cs.Frames(1, size=32, crop="random", flip=True),
    "flow": cs.Stack(4, size=16, crop="corners", flip=True),
}


@pytest.fixture(scope="module")
def view(ds):
    """15 random samples."""
    return ds.samples(RANDOM, repeat=3)


def rows(batches):
    """Returns the samples of batches: the number, and the bytes of all arrays."""
    found = []
    for batch in batches:
        assert list(batch) == [*RANDOM, "label", "id", "index"]
        assert len({len(value) for value in batch.values()}) == 1
        for row, number in enumerate(batch["index"]):
            found.append((int(number), batch["id"][row], int(batch["label"][row]),
                          *(np.asarray(batch[name][row]).tobytes() for name in RANDOM)))
    return found


def test_batches_hold_the_samples_of_the_view(ds):
    # The view of a seed and an epoch shows what a loader of this seed shows in this epoch.
    view = ds.samples(RANDOM, seed=7, repeat=3)
    loader = cs.Loader(view, 4, threads=2)
    assert loader.seed == 7 and loader.batch_size == 4 and loader.samples is view and len(loader) == 4
    orders = []
    for epoch in range(3):
        assert loader.epoch == epoch
        batches = list(loader)
        view.set_epoch(epoch)
        assert [len(batch["id"]) for batch in batches] == [4, 4, 4, 3]
        for batch in batches:
            assert same(batch, view.batch(batch["index"]))
        orders.append([row[0] for row in rows(batches)])
    # Each repetition has all clips, and each epoch has an order of its own.
    for order in orders:
        assert [sorted(order[i : i + 5]) for i in (0, 5, 10)] == [[i, i + 1, i + 2, i + 3, i + 4] for i in (0, 5, 10)]
    assert orders[0] != orders[1] != orders[2] != orders[0]


@pytest.mark.parametrize("options", [{"threads": 1}, {"threads": 5}, {"threads": 2, "buffers": 1}, {"buffers": 9}])
def test_batches_do_not_depend_on_threads_and_buffers(view, options):
    expected = rows(cs.Loader(view, 4, seed=3))
    assert rows(cs.Loader(view, 4, seed=3, **options)) == expected
    assert rows(cs.Loader(view, 7, seed=3, **options)) == expected
    assert rows(cs.Loader(view, 4, seed=4, **options)) != expected


def checksums(loader):
    """Returns what the example `batches` of the crate clip-loader prints."""
    names = loader.samples.shapes
    ids = ["v_Wave_g01_c01", "v_Jump_g02_c01"]
    sums = lambda batch: " ".join(f"{zlib.crc32(np.ascontiguousarray(batch[name])):08x}" for name in names)
    return [",".join(str(ids.index(id)) for id in batch["id"]) + " " + sums(batch) for batch in loader]


def test_batches_are_those_of_the_loader_in_rust(golden):
    # From the root of the repository, with GOLDEN=shard/tests/golden; loader/tests/golden_batches.rs has
    # the same numbers.
    # cargo run --example batches -- $GOLDEN 1 train 7 6 6 4 rgb:1:10:random:flip flow:2:9:corners:flip
    ds = cs.Dataset(golden)
    streams = {
        "rgb": cs.Frames(1, size=10, crop="random", flip=True),
        "flow": cs.Stack(2, size=9, crop="corners", flip=True),
    }
    view = ds.samples(streams, split="1", subset="train", short="loop", repeat=6)
    loader = cs.Loader(view, 4, seed=7)
    loader.set_epoch(1)  # The six epochs after the first six.
    assert checksums(loader) == ["0,0,0,0 ee994be0 0ef5eddf", "0,0 dad99396 1ec949cb"]
    # cargo run --example batches -- $GOLDEN 1 test 18446744073709551615 0 3 2 rgb:4:12:random-resized
    streams = {"rgb": cs.Frames(4, size=12, crop="random-resized")}
    view = ds.samples(streams, split="1", subset="test", sampling="random", short="loop", repeat=3)
    assert checksums(cs.Loader(view, 2, seed=2**64 - 1)) == ["1,1 612e4ddb", "1 fcf16c30"]


def test_uniform_samples_come_in_order(ds):
    view = ds.samples({"rgb": cs.Frames(3, size=20, crop="ten", layout="TCHW")}, split="1", subset="test", per_clip=4)
    batches = list(cs.Loader(view, 3, threads=3))
    assert [batch["index"].tolist() for batch in batches] == [[0, 1, 2], [3, 4, 5], [6, 7]]
    assert batches[0]["rgb"].shape == (3, 10, 3, 3, 20, 20)
    for batch in batches:
        assert same(batch, view.batch(batch["index"]))
    with pytest.raises(cs.OptionError, match="uniform samples have a fixed order"):
        cs.Loader(view, shuffle=True)


def test_without_shuffling_the_clips_are_in_order(view):
    for epoch in range(2):
        loader = cs.Loader(view, 4, seed=1, shuffle=False)
        loader.set_epoch(epoch)
        assert [row[0] for row in rows(loader)] == list(range(15))


@pytest.mark.parametrize("world_size", [2, 3, 4])
def test_ranks_share_the_samples_of_one_process(view, world_size):
    alone = rows(cs.Loader(view, 4, seed=3))
    loaders = [cs.Loader(view, 2, seed=3, rank=rank, world_size=world_size) for rank in range(world_size)]
    shares = [rows(loader) for loader in loaders]
    each = 15 // world_size
    assert all(len(share) == each for share in shares) and len(loaders[0]) == -(-each // 2)
    assert [row for group in zip(*shares) for row in group] == alone[: each * world_size]


def test_drop_last_omits_a_batch_that_is_not_full(view):
    loader = cs.Loader(view, 4, seed=3, drop_last=True)
    batches = list(loader)
    assert len(loader) == len(batches) == 3 and rows(batches) == rows(cs.Loader(view, 4, seed=3))[:12]
    assert len(cs.Loader(view, 16, drop_last=True)) == len(list(cs.Loader(view, 16, drop_last=True))) == 0
    assert loader.epoch == 1


def test_a_large_batch_needs_memory_for_the_samples_only(view):
    (batch,) = cs.Loader(view, 10**9, seed=3)
    assert rows([batch]) == rows(cs.Loader(view, 4, seed=3))


def test_no_samples_give_no_batches(ds):
    loader = cs.Loader(ds.samples({"rgb": cs.Frames(1, size=8)}, ids=[]), 4)
    assert len(loader) == 0 and list(loader) == [] and loader.epoch == 1


@pytest.mark.parametrize("later", [{}, {"batch_size": 2}, {"batch_size": 7, "threads": 4}, {"buffers": 1}])
def test_a_state_continues_after_each_batch(view, later):
    make = lambda **options: cs.Loader(view, **{"batch_size": 4, "threads": 2, "seed": 5, **options})
    expected = [row for _ in range(1) for row in rows(make())]
    following = make()
    following.set_epoch(1)
    expected += rows(following)
    first, seen = make(), 0
    for position in range(9):  # Two epochs of four batches.
        state = json.loads(json.dumps(first.state_dict()))
        again = make(**later)
        again.load_state_dict(state)
        assert again.epoch == first.epoch and len(again) == -(-15 // again.batch_size)
        found = rows(again)
        # The rest of the epoch, and then a whole one.
        at = seen
        assert found == expected[at : (at // 15 + 1) * 15], position
        if at < 15:
            assert rows(again) == expected[15:30]
        if position == 8:
            break
        if position % 4 == 0:
            batches = iter(first)
        batch = next(batches)
        seen += len(batch["id"])
        if seen % 15 == 0:
            assert next(batches, None) is None and next(batches, None) is None
            if seen == 30:
                break


def test_a_state_of_one_process_continues_in_two(view):
    expected = rows(cs.Loader(view, 4, seed=5))
    loader = cs.Loader(view, 4, seed=5)
    batches = iter(loader)
    next(batches)
    shares = []
    for rank in range(2):
        again = cs.Loader(view, 3, seed=5, rank=rank, world_size=2)
        again.load_state_dict(loader.state_dict())
        shares.append(rows(again))
    found = [row for pair in zip(*shares) for row in pair]
    assert found == expected[4:14]  # Eleven samples are left, so one is omitted.
    # And back: both ranks have seen 4 + 2 * 3 samples after a batch each.
    ranks = [cs.Loader(view, 3, seed=5, rank=rank, world_size=2) for rank in range(2)]
    for rank in ranks:
        rank.load_state_dict(loader.state_dict())
        next(iter(rank))
    assert ranks[0].state_dict() == ranks[1].state_dict() and ranks[0].state_dict()["seen"] == 10
    alone = cs.Loader(view, 4, seed=5)
    alone.load_state_dict(ranks[0].state_dict())
    assert rows(alone) == expected[10:]


def test_a_loop_that_ends_early_starts_the_epoch_again(view):
    loader = cs.Loader(view, 4, seed=5)
    expected = rows(loader)
    loader.set_epoch(0)
    for batch in loader:
        break
    assert loader.state_dict()["seen"] == 4 and loader.epoch == 0
    assert rows(loader) == expected and loader.epoch == 1
    loader.set_epoch(7)
    assert loader.epoch == 7 and rows(loader) not in ([], expected) and loader.epoch == 8


def test_an_older_iterator_does_not_change_the_place(view):
    loader = cs.Loader(view, 4, seed=5)
    old = iter(loader)
    next(old)
    loader.set_epoch(3)
    next(old)
    assert loader.epoch == 3 and loader.state_dict()["seen"] == 0
    new = iter(loader)
    next(new)
    assert [len(rows(old)), loader.epoch, loader.state_dict()["seen"]] == [7, 3, 4]
    assert len(rows(new)) == 11 and loader.epoch == 4


def test_iterators_know_how_many_batches_are_left_and_can_be_closed(view):
    loader = cs.Loader(view, 4, seed=5)
    batches = iter(loader)
    assert batches.__length_hint__() == 4
    kept = next(batches)
    assert batches.__length_hint__() == 3 and iter(batches) is batches
    expected = {name: kept[name].copy() for name in RANDOM}
    batches.close()
    batches.close()
    assert list(batches) == [] and all(np.array_equal(kept[name], expected[name]) for name in RANDOM)


def test_two_passes_of_one_loader_are_equal(view):
    loader = cs.Loader(view, 4, seed=5)
    pairs = list(zip(loader, loader))
    assert len(pairs) == 4 and all(same(a, b) for a, b in pairs)


def test_a_state_of_other_samples_is_refused(ds, view):
    state = cs.Loader(view, 4, seed=5).state_dict()
    others = [
        cs.Loader(view, 4, seed=6),
        cs.Loader(view, 4, seed=5, shuffle=False),
        cs.Loader(ds.samples(RANDOM), 4, seed=5),
        cs.Loader(ds.samples({**RANDOM, "rgb": cs.Frames(1, size=33)}, repeat=3), 4, seed=5),
        cs.Loader(ds.samples(RANDOM, repeat=3, ids=["c0", "c1", "c2", "c3"]), 4, seed=5),
    ]
    for other in others:
        with pytest.raises(cs.StateError, match="make the loader with the same"):
            other.load_state_dict(state)
    loader = cs.Loader(view, 4, seed=5)
    wrong = [
        ({}, 'no "version"'),
        ({**state, "version": 2}, "another version"),
        ({**state, "epoch": 1}, "other samples"),
        ({**state, "seen": 16}, "seen 16 samples, but there are only 15"),
        ({**state, "seen": -1}, "below 0"),
        ({**state, "samples": 1}, "other samples"),
    ]
    for bad, text in wrong:
        with pytest.raises(cs.StateError, match=text):
            loader.load_state_dict(bad)
    for bad in (None, "x", [1]):
        with pytest.raises(TypeError, match=r"pass what state_dict\(\) returned"):
            loader.load_state_dict(bad)
    with pytest.raises(TypeError):
        loader.load_state_dict({**state, "seen": "4"})
    assert loader.state_dict() == state


@pytest.mark.parametrize(
    "options, exception, text",
    [
        ({"batch_size": 0}, cs.OptionError, "batch_size is 0, not at least 1"),
        ({"batch_size": -4}, cs.OptionError, "batch_size is -4, not at least 1"),
        ({"batch_size": 2.0}, TypeError, marks.named("batch_size")),
        ({"threads": 0}, cs.OptionError, "threads is 0, not at least 1"),
        ({"buffers": 0}, cs.OptionError, "buffers is 0, not at least 1"),
        ({"rank": 2, "world_size": 2}, cs.OptionError, "rank is 2, not below world_size, which is 2"),
        ({"rank": -1}, cs.OptionError, "rank is -1, not at least 0"),
        ({"world_size": 0}, cs.OptionError, "world_size is 0, not at least 1"),
        ({"seed": -1}, cs.OptionError, "seed is -1, not between"),
        ({"seed": "x"}, TypeError, marks.named("seed")),
        ({"to": "tf"}, cs.OptionError, 'to is "tf", not "numpy", "torch" or "jax"'),
        ({"pin_memory": True}, cs.OptionError, 'pass to="torch"'),
        ({"workers": 2}, TypeError, "workers"),
    ],
)
def test_wrong_arguments_raise(view, options, exception, text):
    with pytest.raises(exception, match=text):
        cs.Loader(view, **options)


def test_too_many_threads_or_samples_raise_at_the_start(ds, view):
    with pytest.raises(cs.OptionError, match="threads 100000 is not between 1 and 16384"):
        iter(cs.Loader(view, threads=100_000))
    huge = ds.samples({"rgb": cs.Frames(65536, size=16384)}, short="loop")
    with pytest.raises(MemoryError, match="use smaller batches"):
        iter(cs.Loader(huge, 4))
    with pytest.raises(MemoryError):
        huge[0]


@pytest.mark.parametrize("samples", [None, [1, 2], "view"])
def test_other_samples_raise(samples):
    with pytest.raises(TypeError, match=r"a loader needs Samples, not .*; use dataset.samples"):
        cs.Loader(samples)


def test_epochs_start_at_0(view):
    for target in (cs.Loader(view), view):
        with pytest.raises(cs.OptionError, match="epoch is -1, not at least 0"):
            target.set_epoch(-1)
        with pytest.raises(TypeError, match=marks.named("epoch")):
            target.set_epoch(1.5)
