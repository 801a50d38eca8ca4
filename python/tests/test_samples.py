"""The pixels of samples: crops, stacks, segments, dense clips, short clips, types and layouts.

Expected values come from the arrays that were written, from Pillow, and from scripts/read_clipshard.py.
"""

import io

import numpy as np
import pytest
from PIL import Image

import clipshard as cs
import marks
from marks import HEIGHT, WIDTH


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return marks.write(tmp_path_factory.mktemp("samples") / "marks")


@pytest.fixture(scope="module")
def ds(folder):
    return cs.Dataset(folder)


def close(found, expected, most=1):
    """Checks that pixels differ by no more than `most`."""
    assert found.shape == np.shape(expected)
    assert np.abs(found.astype(int) - expected).max() <= most


WHOLE = (0, 0, WIDTH, HEIGHT)
# 7/8 of the shorter side of 48 is 42.
CENTER = (11, 3, 42, 42)
THREE = [(0, 3, 42, 42), CENTER, (22, 3, 42, 42)]
TEN = [(0, 0, 42, 42), (22, 0, 42, 42), (0, 6, 42, 42), (22, 6, 42, 42), CENTER]


@pytest.mark.parametrize("size", [20, 32, 48, 80])
@pytest.mark.parametrize("crop, windows", [("whole", [WHOLE]), ("center", [CENTER]), ("three", THREE), ("ten", TEN)])
def test_uniform_crops_equal_windows_resized_by_pillow(ds, crop, windows, size):
    view = ds.samples({"rgb": cs.Frames(2, size=size, crop=crop)}, split="1", subset="test")
    assert len(view) == 2 and view.ids == marks.TEST
    for index, number in enumerate([3, 4]):
        # The middle of the places at which two frames can start.
        start = (marks.FRAMES[number] - 1) // 2
        frames = marks.rgb(number)[start : start + 2]
        expected = [[marks.resized(frame, window, size) for frame in frames] for window in windows]
        if crop == "ten":
            expected += [[frame[:, ::-1] for frame in frames] for frames in expected]
        found = view[index]["rgb"]
        assert found.dtype == np.uint8
        close(found, expected if len(windows) > 1 else expected[0])


def test_random_crops_are_stored_pixels_at_every_place(ds):
    view = ds.samples({"rgb": cs.Frames(1, size=32, crop="random", flip=True)}, ids=["c0"], seed=3)
    seen, stored = set(), marks.rgb(0)
    for epoch in range(600):
        view.set_epoch(epoch)
        image = view[0]["rgb"][0]
        clip, frame = marks.clip_and_frame(image)
        mirrored = bool(image[0, 0, 0] > image[0, -1, 0])
        original = image[:, ::-1] if mirrored else image
        x, y = int(original[0, 0, 0]) // 4, int(original[0, 0, 1]) // 5
        assert clip == 0 and np.array_equal(original, stored[frame, y : y + 32, x : x + 32])
        seen |= {("x", x), ("y", y), ("frame", frame), ("mirrored", mirrored)}
    # Each column, row, frame and direction occurs.
    assert len(seen) == (WIDTH - 32 + 1) + (HEIGHT - 32 + 1) + marks.FRAMES[0] + 2


def test_corner_crops_have_the_sizes_and_places_of_the_paper(ds):
    view = ds.samples({"rgb": cs.Frames(1, size=24, crop="corners")}, ids=["c0"], seed=3)
    sides, places = set(), set()
    for epoch in range(400):
        view.set_epoch(epoch)
        window, mirrored = marks.locate(view[0]["rgb"][0])
        x, y, width, height = window
        assert not mirrored
        sides |= {width, height}
        quarter = lambda at, largest: [q for q in range(5) if largest * q // 4 == at]
        assert quarter(x, WIDTH - width) and quarter(y, HEIGHT - height), window
        if height < HEIGHT:
            places |= {(quarter(x, WIDTH - width)[0], quarter(y, HEIGHT - height)[0])}
        close(view[0]["rgb"][0][..., :2], marks.resized(marks.rgb(0)[0], window, 24)[..., :2])
    # 48, and 7/8, 3/4 and 0.66 of it.
    assert sides == {48, 42, 36, 32}
    corners, middles, inner = {0, 4}, {(2, 2), (0, 2), (4, 2), (2, 4), (2, 0)}, {1, 3}
    assert places == {(x, y) for x in corners for y in corners} | middles | {(x, y) for x in inner for y in inner}


def test_random_resized_crops_have_the_areas_and_ratios_of_torchvision(ds):
    view = ds.samples({"rgb": cs.Frames(1, size=24, crop="random-resized", flip=True)}, ids=["c0"], seed=3)
    areas, ratios, mirrors = [], [], 0
    for epoch in range(300):
        view.set_epoch(epoch)
        (x, y, width, height), mirrored = marks.locate(view[0]["rgb"][0])
        assert x + width <= WIDTH and y + height <= HEIGHT
        areas.append(width * height / (WIDTH * HEIGHT))
        if width < WIDTH and height < HEIGHT:
            ratios.append(width / height)
        mirrors += mirrored
    assert 0.07 < min(areas) < 0.15 and max(areas) > 0.8 and 0.4 < np.mean(areas) < 0.6
    assert 0.7 < min(ratios) < 0.8 and 1.25 < max(ratios) < 1.43
    assert 110 < mirrors < 190


def test_a_center_crop_of_random_samples_is_that_of_uniform_ones(ds):
    view = ds.samples({"rgb": cs.Frames(1, size=30, crop="center")}, ids=["c2"], seed=1)
    clip, frame = marks.clip_and_frame(view[0]["rgb"][0])
    close(view[0]["rgb"][0], marks.resized(marks.rgb(clip)[frame], CENTER, 30))


def test_streams_of_a_sample_show_the_same_frame_place_and_mirror(ds):
    streams = {
        "rgb": cs.Frames(1, offset=2, size=32, crop="random", flip=True),
        "flow": cs.Stack(5, size=16, crop="random", flip=True),
        "depth": cs.Frames(1, size=16, crop="random", flip=True),
        "still": cs.Frames(1, stream="rgb", size=32, crop="random"),
    }
    view = ds.samples(streams, split="1", subset="train", seed=5)
    mirrors = set()
    for epoch in range(40):
        view.set_epoch(epoch)
        for number in range(3):
            sample = view[number]
            clip, frame = marks.clip_and_frame(sample["still"][0])
            assert clip == number and marks.clip_and_frame(sample["rgb"][0]) == (clip, frame + 2)
            mirrored = bool(sample["rgb"][0, 0, 0, 0] > sample["rgb"][0, 0, -1, 0])
            rgb = sample["rgb"][0, :, ::-1] if mirrored else sample["rgb"][0]
            assert np.array_equal(rgb[..., :2], sample["still"][0][..., :2])  # No flip, but the same place.
            flow = sample["flow"].reshape(5, 2, 16, 16)
            depth = sample["depth"][0]
            if mirrored:
                flow = np.stack([255 - flow[:, 0, :, ::-1], flow[:, 1, :, ::-1]], 1)
                depth = depth[:, ::-1]
            x, y = (int(flow[0, 0, 0, 0]) - frame) // 4, (int(flow[0, 1, 0, 0]) - 2 * frame) // 6
            assert np.array_equal(flow, marks.flow(clip)[frame : frame + 5, :, y : y + 16, x : x + 16])
            assert np.array_equal(depth, marks.depth(clip)[frame, y : y + 16, x : x + 16])
            # The frames of rgb are twice as large: the place is the same part of them.
            assert abs(int(rgb[0, 0, 0]) / 4 - 2 * x) <= 2 and abs(int(rgb[0, 0, 1]) / 5 - 2 * y) <= 2
            mirrors.add(mirrored)
    assert mirrors == {True, False}


def test_stacks_equal_the_second_reader(golden, reader):
    ds = cs.Dataset(golden)
    stored = {}
    for file in ("flow-00000.clipshard", "flow-00001.clipshard"):
        shard = reader.Shard(golden / file)
        for number, id in enumerate(shard.ids):
            entries = shard.entries(number)
            planes = [np.frombuffer(shard.record(e), shard.dtype).reshape(e.shape)[..., 0] for e in entries]
            stored[id] = np.stack(planes)
    ids = list(ds.ids)
    height, width = stored[ids[0]].shape[1:]
    size = min(height, width) - 1
    view = ds.samples({"flow": cs.Stack(2, size=size, crop="random")}, ids=ids, seed=0)
    starts = set()
    for epoch in range(30):
        view.set_epoch(epoch)
        for number, id in enumerate(ids):
            found, frames = view[number]["flow"], stored[id]
            assert found.shape == (4, size, size)
            # x1, y1, x2, y2 of two consecutive frames, at one place.
            places = [
                (first, y, x)
                for first in range(0, len(frames) - 3, 2)
                for y in range(height - size + 1)
                for x in range(width - size + 1)
                if np.array_equal(frames[first : first + 4, y : y + size, x : x + size], found)
            ]
            assert places
            starts |= {(id, places[0][0])}
    assert starts == {(ids[0], 0), (ids[0], 2), (ids[1], 0)}


def test_jpeg_frames_equal_pillow(tmp_path):
    y, x = np.mgrid[:60, :80]
    frames = np.stack([np.stack([x * 3, y * 4, 255 - x - y + n], -1) for n in range(3)]).clip(0, 255).astype(np.uint8)
    files = []
    for frame in frames:
        file = io.BytesIO()
        Image.fromarray(frame).save(file, "JPEG", quality=92)
        files.append(file.getvalue())
    with cs.Writer(tmp_path / "x", streams={"rgb": cs.Jpeg(92)}) as writer:
        writer.add("a", rgb=files)
    view = cs.Dataset(tmp_path / "x").samples({"rgb": cs.Frames(3, size=40)}, sampling="uniform")
    decoded = [np.asarray(Image.open(io.BytesIO(file))) for file in files]
    close(view[0]["rgb"], [marks.resized(frame, (0, 0, 80, 60), 40) for frame in decoded], most=3)


def test_segments_show_equal_parts_of_a_clip(ds):
    view = ds.samples({"rgb": cs.Frames(2, size=16), "flow": cs.Stack(1, size=16)}, ids=["c4"], segments=3, seed=2)
    assert view.shapes == {"rgb": (3, 2, 16, 16, 3), "flow": (3, 2, 16, 16)}
    seen = [set(), set(), set()]
    for epoch in range(200):
        view.set_epoch(epoch)
        for segment, frames in enumerate(view[0]["rgb"]):
            (clip, frame), (_, next) = map(marks.clip_and_frame, frames)
            assert (clip, next) == (4, frame + 1)
            seen[segment].add(frame)
    # 24 frames have 23 pairs.
    assert seen == [set(range(7)), set(range(7, 15)), set(range(15, 23))]
    one = ds.samples({"rgb": cs.Frames(1, size=16)}, ids=["c4"], segments=1)
    assert one.shapes == {"rgb": (1, 1, 16, 16, 3)}


def shown(images):
    """Returns the frames that RGB images show."""
    return [marks.clip_and_frame(image)[1] for image in images]


def test_dense_clips_have_a_stride(ds):
    view = ds.samples({"rgb": cs.Frames(4, stride=3, size=16, layout="CTHW")}, ids=["c1"], seed=2)
    starts = set()
    for epoch in range(100):
        view.set_epoch(epoch)
        found = view[0]["rgb"]
        assert found.shape == (3, 4, 16, 16)
        frames = shown(found.transpose(1, 2, 3, 0))
        assert frames == [frames[0] + 3 * i for i in range(4)]
        starts.add(frames[0])
    assert starts == set(range(15 - 9))


@pytest.mark.parametrize("per_clip", [1, 2, 5, 30])
def test_uniform_samples_are_the_middles_of_equal_parts(ds, per_clip):
    view = ds.samples({"rgb": cs.Frames(5, size=16)}, split="1", subset="test", per_clip=per_clip)
    assert len(view) == 2 * per_clip and view.ids == [id for id in marks.TEST for _ in range(per_clip)]
    for number, frames in enumerate([21, 24]):
        starts = [shown(view[number * per_clip + i]["rgb"])[0] for i in range(per_clip)]
        assert starts == [(frames - 4) * (2 * i + 1) // (2 * per_clip) for i in range(per_clip)]
    # Nothing is random.
    assert all(np.array_equal(a["rgb"], b["rgb"]) for a, b in zip(view, view))


def test_short_clips_are_an_error_or_omitted_or_extended(ds):
    spec = {"rgb": cs.Frames(8, stride=2, size=16)}  # Spans 15 frames. Clip c0 has 12.
    with pytest.raises(cs.OptionError, match=r"c0 has 12 frames.*15.*short="):
        ds.samples(spec, split="1", subset="train")
    assert ds.samples(spec, split="1", subset="train", short="omit").ids == ["c1", "c2"]
    looped = ds.samples(spec, split="1", subset="train", short="loop")
    assert looped.ids == marks.TRAIN and shown(looped[0]["rgb"]) == [0, 2, 4, 6, 8, 10, 0, 2]
    held = ds.samples(spec, split="1", subset="train", short="hold")
    assert shown(held[0]["rgb"]) == [0, 2, 4, 6, 8, 10, 11, 11]
    with pytest.raises(cs.OptionError, match="omits all 5 clips, because a sample spans 100 frames"):
        ds.samples({"rgb": cs.Frames(100, size=16)}, short="omit")


def test_a_clip_without_a_stream_is_named_or_omitted(tmp_path):
    with cs.Writer(tmp_path / "d", {"rgb": cs.Zstd(1), "flow": cs.Zstd(1)}, classes=["a"]) as writer:
        writer.add("both", rgb=marks.rgb(0), flow=marks.flow(0), label=0, subset="train")
        writer.add("only rgb", rgb=marks.rgb(1), label=0, subset="train")
    ds = cs.Dataset(tmp_path / "d")
    streams = {"rgb": cs.Frames(1, size=16), "flow": cs.Stack(2, size=16)}
    for short in ["error", "loop", "hold"]:
        with pytest.raises(cs.OptionError, match='clip only rgb has no frames in stream flow; pass short="omit"'):
            ds.samples(streams, short=short)
    assert ds.samples(streams, short="omit").ids == ["both"]


def test_samples_of_16_bits_keep_their_values(ds):
    view = ds.samples({"depth": cs.Frames(2, size=24, crop="random", flip=True)}, ids=["c1"], seed=4)
    sample = view[0]["depth"]
    assert sample.dtype == np.uint16 and sample.shape == (2, 24, 24)
    stored, first = marks.depth(1), int(sample[0, 0].min())
    frame, x = divmod(first, 2000)
    expected = stored[frame : frame + 2, :, x : x + 24]
    assert any(np.array_equal(sample, found) for found in (expected, expected[..., ::-1]))
    # Resized values are as exact as those of floats.
    whole = ds.samples({"depth": cs.Frames(1, size=12)}, ids=["c1"], sampling="uniform")[0]["depth"][0]
    image = Image.fromarray(stored[7].astype(np.float32)).resize((12, 12), Image.BILINEAR)
    close(whole, np.rint(np.asarray(image)).astype(int))


LAYOUTS = ["TCHW", "CTHW", "THWC", "HWTC", "CHWT"]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_layouts_are_transposed_views_of_the_same_pixels(ds, layout):
    streams = lambda layout: {"rgb": cs.Frames(3, size=32, layout=layout), "flow": cs.Frames(3, size=16, layout=layout)}
    make = lambda layout: ds.samples(streams(layout), split="1", subset="test")
    plain, other = make(None)[1], make(layout)[1]
    assert plain["rgb"].shape == (3, 32, 32, 3) and plain["flow"].shape == (3, 2, 16, 16)
    assert np.array_equal(other["rgb"], plain["rgb"].transpose(["THWC".index(axis) for axis in layout]))
    assert np.array_equal(other["flow"], plain["flow"].transpose(["TCHW".index(axis) for axis in layout]))
    assert make(layout).shapes == {name: other[name].shape for name in ("rgb", "flow")}
    strides = dict(zip("THWC", (32 * 32 * 3, 32 * 3, 3, 1)))
    assert other["rgb"].strides == tuple(strides[axis] for axis in layout)
    batch = make(layout).batch([1, 0])
    assert np.array_equal(batch["rgb"][0], other["rgb"]) and batch["rgb"].strides[0] == 3 * 32 * 32 * 3


def test_axes_of_one_element_may_be_omitted(ds):
    shape = lambda layout: ds.samples({"rgb": cs.Frames(1, size=8, layout=layout)}).shapes["rgb"]
    assert shape("CHW") == (3, 8, 8) and shape("HWC") == (8, 8, 3)
    assert ds.samples({"depth": cs.Frames(1, size=8, layout="HW")}).shapes["depth"] == (8, 8)
    assert ds.samples({"flow": cs.Stack(4, size=8, layout="HWC")}).shapes["flow"] == (8, 8, 8)
    assert ds.samples({"flow": cs.Frames(4, size=8, layout="TPHWC")}).shapes["flow"] == (4, 2, 8, 8, 1)


def test_colours_change_only_where_asked(ds):
    streams = {"rgb": cs.Frames(1, size=32, jitter=0.4), "plain": cs.Frames(1, size=32, stream="rgb")}
    view = ds.samples(streams, ids=["c4"], seed=1)
    differ = 0
    for epoch in range(10):
        view.set_epoch(epoch)
        sample = view[0]
        differ += not np.array_equal(sample["rgb"], sample["plain"])
        clip, frame = marks.clip_and_frame(sample["plain"][0])
        close(sample["plain"][0], marks.resized(marks.rgb(4)[frame], WHOLE, 32))
    assert differ >= 9


def test_one_random_operation_changes_rgb_and_nothing_else(ds):
    streams = {
        "rgb": cs.Frames(2, size=32, crop="random-resized", flip=True, trivial_augment=True),
        "plain": cs.Frames(2, size=32, crop="random-resized", flip=True, stream="rgb"),
        "flow": cs.Stack(3, size=16),
    }
    view = ds.samples(streams, seed=1)
    plain = ds.samples({name: streams[name] for name in ["plain", "flow"]}, seed=1)
    differ = total = 0
    for epoch in range(20):
        view.set_epoch(epoch)
        plain.set_epoch(epoch)
        for sample, expected in zip(view, plain):
            assert all(np.array_equal(sample[name], expected[name]) for name in ["plain", "flow"])
            differ += not np.array_equal(sample["rgb"], sample["plain"])
            total += 1
    # One of 14 operations changes nothing, nor does the smallest strength of others.
    assert 0.6 * total < differ < total


@pytest.mark.parametrize("of", [cs.Stack, cs.Frames])
def test_dropped_frames_of_flow_have_no_motion(ds, of):
    streams = {"flow": of(4, size=8, frame_dropout=0.5), "plain": of(4, size=8, stream="flow")}
    view = ds.samples(streams, seed=3)
    dropped = total = 0
    for epoch in range(30):
        view.set_epoch(epoch)
        for sample in view:
            frames, plain = (sample[name].reshape(4, 2, 8, 8) for name in ["flow", "plain"])
            still = (frames == 128).all(axis=(1, 2, 3))
            assert not still.all()
            assert np.array_equal(frames[~still], plain[~still])
            dropped += still.sum()
            total += 4
    assert 0.35 * total < dropped < 0.6 * total
