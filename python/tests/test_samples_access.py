"""Samples as objects: numbers, seeds, processes, buffers, labels, and wrong arguments."""

import multiprocessing
import operator
import pickle

import numpy as np
import pytest

import clipshard as cs
import marks


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return marks.write(tmp_path_factory.mktemp("access") / "marks")


@pytest.fixture(scope="module")
def ds(folder):
    return cs.Dataset(folder)


RANDOM = {
    "rgb": cs.Frames(1, size=32, crop="random", flip=True),
    "flow": cs.Stack(4, size=16, crop="random", flip=True),
}


def same(a, b):
    """Returns whether two samples or batches are equal."""
    equal = lambda x, y: np.array_equal(x, y) if isinstance(x, np.ndarray) else x == y
    return a.keys() == b.keys() and all(equal(a[name], b[name]) for name in a)


def pixels(samples):
    return [sample["rgb"].tobytes() + sample["flow"].tobytes() for sample in samples]


def test_a_view_is_a_sequence_with_labels_ids_and_numbers(ds):
    view = ds.samples(RANDOM)
    assert len(view) == 5 and view.ids == marks.IDS and view.labels == [0, 1, 0, -1, 1]
    assert view.classes == ("wave", "jump") and view.sampling == "random"
    assert [(s["id"], s["label"], s["index"]) for s in view] == list(zip(marks.IDS, [0, 1, 0, -1, 1], range(5)))
    assert view.shapes == {"rgb": (1, 32, 32, 3), "flow": (8, 16, 16)}
    assert view.nbytes == {"rgb": 3072, "flow": 2048}
    assert [type(value) for value in view[3].values()] == [np.ndarray, np.ndarray, int, str, int]
    assert repr(view) == "Samples(5 random samples of rgb: [1, 32, 32, 3] uint8, flow: [8, 16, 16] uint8)"
    for index in (np.int64(2), np.uint8(2)):
        assert view[index]["id"] == "c2"


def test_batches_hold_the_same_as_items(ds):
    view = ds.samples(RANDOM, seed=9)
    batch = view.batch([4, 0, 4])
    assert batch["id"] == ["c4", "c0", "c4"] and batch["index"].tolist() == [4, 0, 4]
    assert batch["label"].dtype == batch["index"].dtype == np.int64 and batch["label"].tolist() == [1, 0, 1]
    items = view.__getitems__([4, 0, 4])
    for row, number in enumerate([4, 0, 4]):
        assert same(items[row], view[number])
        assert all(np.array_equal(batch[name][row], view[number][name]) for name in RANDOM)
    empty = view.batch([])
    assert empty["flow"].shape == (0, 8, 16, 16) and empty["id"] == [] and view.__getitems__(range(0)) == []
    assert view.batch(iter([1]))["id"] == view.batch(np.array([1]))["id"] == ["c1"]


def test_seed_and_epoch_determine_the_choices(ds):
    view, twin, other = (ds.samples(RANDOM, seed=seed) for seed in (7, 7, 8))
    assert pixels(view) == pixels(view) == pixels(twin) != pixels(other)
    first = pixels(view)
    view.set_epoch(1)
    assert view.epoch == 1 and pixels(view) != first
    view.set_epoch(0)
    assert pixels(view) == first
    # The largest numbers.
    assert pixels(ds.samples(RANDOM, seed=2**64 - 1)) != first


def test_without_a_seed_each_access_differs(ds):
    view = ds.samples(RANDOM)
    assert len({view[0]["rgb"].tobytes() for _ in range(30)}) > 25
    assert len({row.tobytes() for row in view.batch([0] * 30)["rgb"]}) > 25


def test_repeated_clips_have_choices_of_their_own(ds):
    view = ds.samples(RANDOM, seed=7, repeat=3)
    assert len(view) == 15 and view.ids == marks.IDS * 3 and view[11]["id"] == "c1" and view[11]["index"] == 11
    assert len(set(pixels(view))) == 15
    once = ds.samples(RANDOM, seed=7)
    for epoch in range(3):
        once.set_epoch(epoch)
        assert pixels(once) == pixels(view)[5 * epoch : 5 * epoch + 5]
    view.set_epoch(1)
    once.set_epoch(4)
    assert pixels(view)[5:10] == pixels(once)


def test_ids_choose_clips_in_the_given_order(ds):
    view = ds.samples(RANDOM, ids=(id for id in ["c4", "c1", "c4"]), seed=0)
    assert view.ids == ["c4", "c1", "c4"]
    assert marks.clip_and_frame(view[1]["rgb"][0])[0] == 1
    assert pickle.loads(pickle.dumps(view)).ids == ["c4", "c1", "c4"]


def test_pickles_have_all_arguments(ds):
    views = [
        ds.samples(RANDOM, split="1", subset="train", segments=2, short="hold", seed=3, damage="replace", repeat=2),
        ds.samples({"a": cs.Frames(2, stride=2, offset=1, size=8, layout="CTHW", stream="rgb", crop="three")},
                   split="1", subset="test", per_clip=3, short="omit"),
        ds.samples({"flow": cs.Stack(3, stride=2, offset=2, size=8, crop="corners", flip=True)}, ids=["c1"], seed=1),
        ds.samples({"rgb": cs.Frames(1, size=8, jitter=0.5)}, seed=2),
        ds.samples({"rgb": cs.Frames(1, size=8, trivial_augment=True), "flow": cs.Stack(3, frame_dropout=0.5)}, seed=2),
    ]
    for view in views:
        view.set_epoch(5)
        again = pickle.loads(pickle.dumps(view))
        assert repr(again) == repr(view) and again.epoch == 5 and again.ids == view.ids
        assert all(same(a, b) for a, b in zip(again, view))
    for spec in [cs.Frames(3, stride=2, offset=1, size=8, crop="random", flip=True, jitter=0.2, trivial_augment=True,
                           frame_dropout=0.25, layout="CTHW", stream="x"),
                 cs.Stack(5, crop="corners", frame_dropout=0.5, layout="HWC"), cs.Frames()]:
        assert pickle.loads(pickle.dumps(spec)) == spec
        assert eval(repr(spec), vars(cs)) == spec
    assert cs.Frames(3) != cs.Frames(4) and cs.Frames(3) != cs.Stack(3)


def read_first(view):
    return view[0]["rgb"].tobytes()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_other_processes_draw_the_same_with_a_seed_and_differ_without(ds, method):
    with multiprocessing.get_context(method).Pool(2) as pool:
        read = lambda view: pool.map_async(read_first, [view] * 8, chunksize=1).get(timeout=60)
        seeded, free = ds.samples(RANDOM, seed=1), ds.samples(RANDOM)
        assert set(read(seeded)) == {seeded[0]["rgb"].tobytes()}
        assert len(set(read(free))) > 5


def send_first(view, pipe):
    pipe.send(view[0]["rgb"].tobytes())


def test_forked_children_of_one_view_differ(ds):
    view, context = ds.samples(RANDOM), multiprocessing.get_context("fork")
    view[0]
    found = []
    for _ in range(8):
        ours, theirs = context.Pipe()
        child = context.Process(target=send_first, args=(view, theirs))
        child.start()
        found.append(ours.recv() if ours.poll(30) else None)
        child.join(30)
    assert None not in found and len(set(found)) > 5


def test_batches_are_decoded_into_given_buffers(ds):
    view = ds.samples({**RANDOM, "depth": cs.Frames(1, size=8)}, seed=2)
    expected, rows = view.batch([1, 3]), [1, 3]
    buffers = {
        "rgb": np.empty((2, 1, 32, 32, 3), np.uint8),
        "flow": bytearray(2 * view.nbytes["flow"]),
        "depth": np.empty(2 * view.nbytes["depth"], np.uint8),
    }
    batch = view.batch(rows, out=buffers)
    assert same(batch, expected) and np.array_equal(buffers["rgb"], expected["rgb"])
    assert batch["depth"].dtype == np.uint16
    assert bytes(buffers["flow"]) == expected["flow"].tobytes()
    assert buffers["depth"].tobytes() == expected["depth"].tobytes()
    buffers["rgb"][:] = 7
    assert (batch["rgb"] == 7).all()  # The same memory.
    # The memory cannot move while an array shows it.
    with pytest.raises(BufferError):
        buffers["flow"].extend(b"x" * 10_000_000)
    typed = view.batch(rows, out={**buffers, "depth": np.empty((2, 1, 8, 8), np.uint16)})
    assert same(typed, expected)


@pytest.mark.parametrize(
    "buffer, exception, cure",
    [
        (np.empty(2 * 3072 - 1, np.uint8), cs.OptionError, "pass numpy.empty"),
        (np.empty(2 * 3072 + 1, np.uint8), cs.OptionError, "pass numpy.empty"),
        (np.empty((3, 1, 32, 32, 3), np.uint8), cs.OptionError, "pass numpy.empty"),
        (np.empty(2 * 3072, np.uint16), TypeError, "uint8"),
        (np.empty(2 * 3072, np.int8), TypeError, "uint8"),
        (np.empty(4 * 3072, np.uint8)[::2], cs.OptionError, "contiguous"),
        (np.frombuffer(bytes(2 * 3072), np.uint8), cs.OptionError, "read-only"),
        (bytes(2 * 3072), (cs.OptionError, TypeError), "pass a"),
        ([0] * 2 * 3072, TypeError, "pass a numpy array"),
        (None, (TypeError, cs.OptionError), "pass"),
    ],
)
def test_wrong_buffers_raise(ds, buffer, exception, cure):
    view = ds.samples({"rgb": RANDOM["rgb"]}, seed=1)
    with pytest.raises(exception, match=cure):
        view.batch([0, 1], out={"rgb": buffer})
    with pytest.raises(cs.OptionError, match='no buffer for "rgb"; pass one per stream'):
        view.batch([0, 1], out={"flow": buffer})


@pytest.mark.parametrize("index", [5, -1, 2**70, -(2**70)])
def test_numbers_out_of_range_raise_index_error(ds, index):
    view = ds.samples(RANDOM)
    for access in (view.__getitem__, lambda i: view.batch([0, i]), lambda i: view.__getitems__([i])):
        with pytest.raises(IndexError, match="the numbers of the 5 samples start at 0"):
            access(index)


@pytest.mark.parametrize("index", ["c0", 1.0, slice(2), None, True, [1]])
def test_other_indices_raise_type_error(ds, index):
    with pytest.raises(TypeError, match="pass a whole number"):
        operator.getitem(ds.samples(RANDOM), index)


ONE = {"rgb": cs.Frames(1)}


@pytest.mark.parametrize(
    "streams, options, exception, text",
    [
        ({}, {}, cs.OptionError, "streams is empty; pass"),
        ("rgb", {}, TypeError, "streams is of type str, not a dict; pass"),
        (["rgb"], {}, TypeError, "streams is of type list, not a dict; pass"),
        ({"rgb": 1}, {}, TypeError, r"use clipshard.Frames\(...\) or clipshard.Stack"),
        ({1: cs.Frames(1)}, {}, TypeError, "the key 1 of streams is not a str"),
        ({"rgbx": cs.Frames(1)}, {}, cs.NotFoundError, '"rgbx" in this dataset; it has rgb, depth, flow'),
        ({"a": cs.Frames(1, stream="b")}, {}, cs.NotFoundError, '"b" in this dataset; it has'),
        ({"label": cs.Frames(1, stream="rgb")}, {}, cs.OptionError, 'the name "label"; choose another'),
        ({"index": cs.Frames(1, stream="rgb")}, {}, cs.OptionError, 'the name "index"; choose another'),
        (ONE, {"split": "9"}, cs.NotFoundError, 'no split "9" in this dataset; it has 1'),
        (ONE, {"split": 1}, TypeError, marks.named("split")),
        (ONE, {"split": "1", "subset": "val"}, cs.NotFoundError, "its subsets are test, train"),
        (ONE, {"subset": "train"}, cs.OptionError, "pass split="),
        (ONE, {"ids": ["c0", "c9"]}, cs.NotFoundError, 'no clip "c9" in this dataset; dataset.ids'),
        (ONE, {"ids": "c0"}, TypeError, r"ids is not a list of names; pass for example ids="),
        (ONE, {"ids": [0]}, TypeError, "ids is not a list of names"),
        (ONE, {"ids": ["c0"], "split": "1"}, cs.OptionError, "pass one of them"),
        (ONE, {"sampling": "dense"}, cs.OptionError, 'not "random" or "uniform"'),
        (ONE, {"per_clip": 2}, cs.OptionError, 'pass sampling="uniform"'),
        (ONE, {"sampling": "uniform", "segments": 2}, cs.OptionError, 'pass sampling="random"'),
        (ONE, {"segments": 0}, cs.OptionError, "segments is 0, not at least 1"),
        (ONE, {"segments": 10**6}, cs.OptionError, "segments 1000000 is not between 1 and"),
        (ONE, {"sampling": "uniform", "per_clip": -2}, cs.OptionError, "per_clip is -2, not at least 1"),
        (ONE, {"sampling": "uniform", "per_clip": 10**9}, cs.OptionError, "not between 1 and 100000"),
        (ONE, {"short": "pad"}, cs.OptionError, '"error", "omit", "loop" or "hold"'),
        (ONE, {"damage": "skip"}, cs.OptionError, '"error" or "replace"'),
        (ONE, {"repeat": 0}, cs.OptionError, "repeat is 0, not at least 1"),
        (ONE, {"repeat": 10**12}, cs.OptionError, "repeat 1000000000000 is not between"),
        (ONE, {"seed": -1}, cs.OptionError, "seed is -1, not between 0 and"),
        (ONE, {"seed": 2**64}, cs.OptionError, "not between 0 and"),
        (ONE, {"seed": 1.5}, TypeError, marks.named("seed")),
        (ONE, {"size": 3}, TypeError, "size"),
        ({"rgb": cs.Frames(1, crop="ten")}, {}, cs.OptionError, 'pass sampling="uniform"'),
        ({"rgb": cs.Frames(1, crop="random")}, {"sampling": "uniform"}, cs.OptionError, "use whole, center, three"),
        ({"rgb": cs.Frames(1, flip=True)}, {"sampling": "uniform"}, cs.OptionError, 'pass sampling="random"'),
        ({"rgb": cs.Frames(1, trivial_augment=True)}, {"sampling": "uniform"}, cs.OptionError, "trivial_augment"),
        ({"flow": cs.Stack(2, frame_dropout=0.1)}, {"sampling": "uniform"}, cs.OptionError, "frame_dropout"),
        ({"rgb": cs.Frames(1), "flow": cs.Stack(2, crop="ten")}, {"sampling": "uniform"}, cs.OptionError, "same crop"),
        ({"rgb": cs.Frames(1, size=49, crop="random")}, {}, cs.OptionError, "use a smaller size"),
        ({"rgb": cs.Frames(1, size=10**6)}, {}, cs.OptionError, "side 1000000 is not between 1 and"),
        ({"rgb": cs.Frames(10**9)}, {}, cs.OptionError, "frames 1000000000 is not between 1 and"),
        ({"rgb": cs.Stack(2)}, {}, cs.OptionError, "one channel; use Frames"),
        ({"flow": cs.Frames(2, layout="THW")}, {}, cs.OptionError, "needs the axis C"),
        ({"rgb": cs.Frames(2, layout="CHW")}, {}, cs.OptionError, "needs the axis T"),
        ({"flow": cs.Stack(2, layout="TCHW")}, {}, cs.OptionError, "use Frames for an axis T"),
        ({"flow": cs.Frames(1, jitter=0.1)}, {}, cs.OptionError, "jitter 0.1 is not allowed"),
        ({"flow": cs.Frames(1, trivial_augment=True)}, {}, cs.OptionError, "trivial_augment true is not allowed"),
        ({"rgb": cs.Frames(2, frame_dropout=0.1)}, {}, cs.OptionError, "frame_dropout 0.1 is not allowed"),
        ({"flow": cs.Stack(1, frame_dropout=0.1)}, {}, cs.OptionError, "a view of one frame"),
        ({"flow": cs.Stack(2, frame_dropout=2.0)}, {}, cs.OptionError, "frame_dropout 2 is not between 0 and 1"),
        ({"rgb": cs.Frames(1, jitter=-1.0)}, {}, cs.OptionError, "jitter -1 is not between"),
        ({"rgb": cs.Frames(1, jitter=float("nan"))}, {}, cs.OptionError, "jitter NaN is not between"),
        ({f"x{i}": cs.Frames(1, stream="rgb") for i in range(17)}, {}, cs.OptionError, "between 1 and 16"),
    ],
)
def test_wrong_arguments_of_samples_raise(ds, streams, options, exception, text):
    with pytest.raises(exception, match=text):
        ds.samples(streams, **options)


@pytest.mark.parametrize(
    "arguments, options, exception, text",
    [
        ([0], {}, cs.OptionError, "number of frames is 0, not at least 1"),
        ([-3], {}, cs.OptionError, "number of frames is -3, not at least 1"),
        (["1"], {}, TypeError, marks.named("frames")),
        ([1.0], {}, TypeError, marks.named("frames")),
        ([1], {"stride": 0}, cs.OptionError, "stride is 0, not at least 1"),
        ([1], {"offset": -1}, cs.OptionError, "offset is -1, not at least 0"),
        ([1], {"size": 0}, cs.OptionError, "size is 0, not at least 1"),
        ([1], {"crop": "centre"}, cs.OptionError, "whole, random, corners, random-resized, center, three, ten"),
        ([1], {"flip": "yes"}, TypeError, marks.named("flip")),
        ([1], {"layout": "NCHW"}, cs.OptionError, 'such as "THWC"'),
        ([1], {"layout": "CC"}, cs.OptionError, 'such as "THWC"'),
        ([1], {"layout": ""}, cs.OptionError, 'such as "THWC"'),
        ([1], {"stream": 1}, TypeError, marks.named("stream")),
        ([1, 2], {}, TypeError, "positional"),
    ],
)
def test_wrong_arguments_of_frames_and_stacks_raise(arguments, options, exception, text):
    for make in (cs.Frames, cs.Stack):
        with pytest.raises(exception, match=text):
            make(*arguments, **options)


def test_streams_of_arrays_and_closed_streams_raise(wide, folder):
    with pytest.raises(cs.StreamTypeError, match="clip.read"):
        cs.Dataset(wide).samples({"features": cs.Frames(1)})
    with pytest.raises(cs.NotFoundError, match="not open"):
        cs.Dataset(folder, streams=["rgb"]).samples({"flow": cs.Stack(1)})


def test_damage_names_clip_and_file_or_is_replaced(tmp_path):
    folder = marks.write(tmp_path / "marks")
    file = folder / "depth-00000.clipshard"
    data = bytearray(file.read_bytes())
    position = 64 + 40  # Within the first record, of clip c0.
    data[position] ^= 0xFF
    file.write_bytes(data)
    streams = {"depth": cs.Frames(12, size=24)}
    view = cs.Dataset(folder).samples(streams, seed=1)
    with pytest.raises(cs.DamageError, match="c0") as caught:
        view[0]
    assert caught.value.clip == "c0" and caught.value.file == str(file)
    assert view[1]["id"] == "c1"
    with pytest.raises(cs.DamageError):
        view.batch([1, 0])
    replaced = cs.Dataset(folder).samples(streams, seed=1, damage="replace")
    assert replaced[0]["id"] == "c1"
