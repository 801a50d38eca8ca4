"""What a writer stores, read with a reader that shares no code with the package."""

import pickle
import threading

import clipshard as cs
import numpy as np
import pytest
from writing import codecs_of, decoded, jpeg, listed, manifest, noise, smooth, stored

RAW, JPEG, ZSTD, LZ4 = range(4)
NONE, UP, SHUFFLE, UP_SHUFFLE = range(4)


def test_a_dataset_has_what_was_added(tmp_path):
    rgb, flow = smooth(), noise((4, 2, 20, 30))
    folder = tmp_path / "out.shards"
    streams = {"rgb": cs.Jpeg(95), "flow": cs.Zstd(9)}
    with cs.Writer(folder, streams, ["wave", "jump"], splits=["1", "2"], attrs={"licence": "CC0"}) as writer:
        attrs = {"fps": 25, "é": [1.5, None]}
        writer.add("clip7", rgb=rgb, flow=flow, label=1, subset="train", group="g07", attrs=attrs)
        writer.add("clip8", flow=flow[:1], label="wave", subset={"2": "test"})
        writer.add("clip9", rgb=rgb[:2], flow=None)
        assert (len(writer), sorted(writer.ids), "clip8" in writer) == (3, ["clip7", "clip8", "clip9"], True)
        assert (writer.classes, writer.splits, writer.streams) == (("wave", "jump"), ("1", "2"), ("flow", "rgb"))
        assert not writer.closed and not (folder / "manifest.json").exists()
    assert writer.closed and writer.path == str(folder)

    content, clips = manifest(folder), listed(folder)
    assert (content["dataset"], content["classes"], content["splits"]) == ("out", ["wave", "jump"], ["1", "2"])
    assert content["attributes"] == {"licence": "CC0"}
    assert content["build"]["codecs"] == {"rgb": "Jpeg(95)", "flow": "Zstd(9)"}
    assert clips["clip7"]["label"] == 1 and clips["clip7"]["subsets"] == ["train", "train"]
    assert clips["clip7"]["group"] == "g07" and clips["clip7"]["attributes"] == {"fps": 25, "é": [1.5, None]}
    assert clips["clip8"]["label"] == 0 and clips["clip8"]["subsets"] == ["unused", "test"]
    assert "label" not in clips["clip9"] and clips["clip9"]["subsets"] == ["unused", "unused"]
    assert [clips[name]["frames"] for name in sorted(clips)] == [{"rgb": 4, "flow": 4}, {"flow": 1}, {"rgb": 2}]

    planes = stored(folder, "flow")["clip7"]
    assert len(planes) == 8 and all(plane.shape == (20, 30, 1) for plane in planes)
    assert np.array_equal(np.stack(planes)[..., 0].reshape(4, 2, 20, 30), flow)
    frames = np.stack([decoded(file) for file in stored(folder, "rgb")["clip7"]])
    assert abs(frames.astype(int) - rgb).mean() < 2 and abs(frames.astype(int) - rgb).max() < 40


DTYPES = ["uint8", "uint16", "int16", "float16", "float32"]
USUAL = {"uint8": UP, "uint16": UP_SHUFFLE, "int16": UP_SHUFFLE, "float16": SHUFFLE, "float32": SHUFFLE}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("codec, number", [(cs.Raw, RAW), (cs.Zstd, ZSTD), (cs.Lz4, LZ4)])
def test_every_codec_stores_every_dtype_without_loss(tmp_path, dtype, codec, number):
    images = {"one": (3, 9, 10), "rgb": (3, 9, 10, 3), "flow": (3, 2, 9, 10), "both": (3, 2, 9, 10, 4)}
    arrays = {"poses": (3, 5, 7, 3), "audio": (3, 16)}
    streams = {name: codec() for name in images} | {name: codec(kind="array") for name in arrays}
    given = {name: noise(shape, dtype) for name, shape in (images | arrays).items()}
    with cs.Writer(tmp_path / "d", streams) as writer:
        writer.add("a", **given)
    for name, array in given.items():
        read = stored(tmp_path / "d", name)["a"]
        assert read[0].dtype == np.dtype(dtype) and np.array_equal(np.stack(read).reshape(array.shape), array), name
        assert codecs_of(tmp_path / "d", name) == {(number, NONE if codec is cs.Raw else USUAL[dtype])}

    # What a clip returns goes in again unchanged.
    clip = cs.Dataset(tmp_path / "d")["a"]
    read = {name: clip.read(name) for name in given}
    for name, array in given.items():
        assert read[name].dtype == array.dtype and np.array_equal(read[name], array), name
    with cs.Writer(tmp_path / "again", streams) as writer:
        writer.add("a", **read)
    again = cs.Dataset(tmp_path / "again")["a"]
    assert all(np.array_equal(again.read(name), array) for name, array in given.items())


IMAGES = {
    "grey": smooth()[..., 0],
    "colours": smooth(),
    "flow": smooth()[..., :2].transpose(0, 3, 1, 2),
    "two colours": np.stack([smooth(), smooth()[:, ::-1]], 1),
}


@pytest.mark.parametrize("kind", IMAGES)
def test_what_is_read_from_jpeg_goes_in_again(tmp_path, kind):
    images = IMAGES[kind]
    for folder in ("d", "again"):
        with cs.Writer(tmp_path / folder, {"rgb": cs.Jpeg(95)}) as writer:
            writer.add("a", rgb=images)
        read = cs.Dataset(tmp_path / folder)["a"].read("rgb")
        assert read.shape == images.shape and read.dtype == np.uint8
        assert abs(read.astype(int) - images).mean() < 2.5
        images = read


def test_sizes_may_differ_in_lists(tmp_path):
    images = [noise((8, 9, 3)), noise((10, 7, 3), seed=2)]
    boxes = [noise((2, 4), "float32"), noise((0, 4), "float32"), noise((5, 4), "float32")]
    flow = (noise((2, 6, 7)), noise((2, 5, 9)))
    with cs.Writer(tmp_path / "d", {"rgb": cs.Zstd(), "boxes": cs.Zstd(kind="array"), "flow": cs.Raw()}) as writer:
        writer.add("a", rgb=images, boxes=boxes, flow=flow)
        writer.add("b", rgb=(image for image in images), boxes=boxes[1:2], flow=[flow[1]])
    for name in "ab":
        assert all(np.array_equal(a, b) for a, b in zip(stored(tmp_path / "d", "rgb")[name], images, strict=True))
    assert all(np.array_equal(a, b) for a, b in zip(stored(tmp_path / "d", "boxes")["a"], boxes, strict=True))
    planes = stored(tmp_path / "d", "flow")["a"]
    assert all(np.array_equal(a[..., 0], b) for a, b in zip(planes, [*flow[0], *flow[1]], strict=True))


def test_axes_of_one_plane_and_one_channel_may_be_given(tmp_path):
    depth = noise((3, 8, 9), "uint16")
    with cs.Writer(tmp_path / "d", {"depth": cs.Zstd(planes=1, channels=1)}) as writer:
        for name, axes in {"a": (), "b": (1,), "c": (3,), "d": (1, 4)}.items():
            writer.add(name, depth=np.expand_dims(depth, axes))
    for records in stored(tmp_path / "d", "depth").values():
        assert np.array_equal(np.stack(records)[..., 0], depth)


def test_the_codec_can_state_the_form(tmp_path):
    # Without planes, the last dimension would be channels.
    flow = noise((3, 2, 9, 3))
    codec = cs.Zstd(planes=2)
    with cs.Writer(tmp_path / "d", {"flow": codec, "poses": cs.Raw(kind="array", planes=2), "id": cs.Raw()}) as writer:
        writer.add("a", flow=flow, poses=noise((4, 2, 5, 3), "float32"), id=noise((1, 2, 5)))
    poses, flows = ({s["name"]: s for s in manifest(tmp_path / "d")["streams"]}[name] for name in ("poses", "flow"))
    assert (flows["planes"], flows["channels"], poses["planes"], poses["array"]) == (2, 1, 2, [3])
    assert np.array_equal(np.stack(stored(tmp_path / "d", "flow")["a"]).reshape(flow.shape), flow)


def test_arrays_of_any_layout_are_stored(tmp_path):
    base = noise((6, 20, 30, 3), "uint16")
    layouts = {
        "slices": base[::2, ::-1, 3:, :],
        "fortran": np.asfortranarray(base),
        "big endian": base.astype(">u2"),
        "transposed": np.ascontiguousarray(base.transpose(3, 2, 1, 0)).transpose(3, 2, 1, 0),
        "read only": base.copy(),
    }
    layouts["read only"].flags.writeable = False
    with cs.Writer(tmp_path / "d", {"x": cs.Zstd(3)}) as writer:
        for name, array in layouts.items():
            writer.add(name, x=array)
    for name, array in layouts.items():
        assert np.array_equal(np.stack(stored(tmp_path / "d", "x")[name]), array), name


def test_tensors_of_torch_are_arrays(tmp_path):
    torch = pytest.importorskip("torch")
    tensor = torch.arange(2 * 8 * 9 * 3, dtype=torch.uint8).reshape(2, 3, 8, 9).permute(0, 2, 3, 1)
    with cs.Writer(tmp_path / "d", {"x": cs.Zstd(3), "y": cs.Zstd(3)}) as writer:
        writer.add("a", x=tensor, y=list(tensor.half()))
        with pytest.raises(TypeError, match="clip b: stream x: numpy cannot make an array of it: .*BFloat16"):
            writer.add("b", x=tensor.bfloat16())
    assert np.array_equal(np.stack(stored(tmp_path / "d", "x")["a"]), tensor.numpy())
    assert np.array_equal(np.stack(stored(tmp_path / "d", "y")["a"]), tensor.numpy().astype(np.float16))


@pytest.mark.parametrize("codec", [cs.Jpeg(), cs.Zstd(), cs.Raw(channels=3)])
def test_jpeg_files_are_stored_unchanged(tmp_path, codec):
    files = [jpeg(image, progressive=bool(number)) for number, image in enumerate(smooth(3))]
    with cs.Writer(tmp_path / "d", {"rgb": codec}) as writer:
        writer.add("a", rgb=files)
        writer.add("pixels", rgb=smooth(2))
    assert stored(tmp_path / "d", "rgb")["a"] == files
    assert codecs_of(tmp_path / "d", "rgb") >= {(JPEG, NONE)}
    expected = np.stack([decoded(file) for file in files])
    assert abs(cs.Dataset(tmp_path / "d")["a"].read("rgb").astype(int) - expected).max() <= 3


def test_jpeg_files_can_be_planes_and_grey(tmp_path):
    frames = [(jpeg(image[..., 0]), jpeg(image[..., 1])) for image in smooth(3)]
    grey = [jpeg(image[..., 0]) for image in smooth(2)]
    with cs.Writer(tmp_path / "d", {"flow": cs.Jpeg(), "rgb": cs.Jpeg(channels=3)}) as writer:
        writer.add("a", flow=frames, rgb=[jpeg(smooth(1)[0]), grey[1]])
        with pytest.raises(cs.OptionError, match="clip b: stream flow: frame 0: found 1 JPEG files, expected frames"):
            writer.add("b", flow=grey)
    assert stored(tmp_path / "d", "flow")["a"] == [file for frame in frames for file in frame]
    read = cs.Dataset(tmp_path / "d")["a"].read("rgb")
    assert read.shape == (2, 48, 64, 3) and abs(read[1].astype(int) - decoded(grey[1])[..., None]).max() <= 3


@pytest.mark.parametrize("threads", [1, 2, 5])
def test_files_do_not_depend_on_threads(tmp_path, threads):
    with cs.Writer(tmp_path / "d", {"rgb": cs.Jpeg(80), "flow": cs.Zstd(5)}, threads=threads, name="x") as writer:
        for number in range(3):
            writer.add(f"c{number}", rgb=smooth(7), flow=noise((7, 2, 16, 16), seed=number))
    with cs.Writer(tmp_path / "e", {"rgb": cs.Jpeg(80), "flow": cs.Zstd(5)}, threads=3, name="x") as writer:
        for number in range(3):
            writer.add(f"c{number}", rgb=smooth(7), flow=noise((7, 2, 16, 16), seed=number))
    names = sorted(path.name for path in (tmp_path / "d").iterdir())
    assert names == ["flow-00000.clipshard", "manifest.json", "rgb-00000.clipshard"]
    assert all((tmp_path / "d" / name).read_bytes() == (tmp_path / "e" / name).read_bytes() for name in names)


def test_shards_rotate(tmp_path):
    with cs.Writer(tmp_path / "d", {"x": cs.Raw()}, shard_bytes=10_000) as writer:
        for number in range(6):
            writer.add(f"c{number}", x=noise((1, 60, 100), seed=number))
    assert len(manifest(tmp_path / "d")["streams"][0]["shards"]) == 3
    read = stored(tmp_path / "d", "x")
    assert all(np.array_equal(read[f"c{n}"][0][..., 0], noise((1, 60, 100), seed=n)[0]) for n in range(6))


def test_other_threads_run_while_a_clip_is_encoded(tmp_path):
    turns, done = [], threading.Event()

    def count():
        while not done.wait(0.001):
            turns.append(1)

    counter = threading.Thread(target=count)
    with cs.Writer(tmp_path / "d", {"x": cs.Zstd(19)}, threads=1) as writer:
        clips = noise((4, 400, 400))
        counter.start()
        start = len(turns)
        writer.add("a", x=clips)
        during = len(turns) - start
        done.set()
        counter.join()
    assert during > 3


def test_threads_share_a_writer(tmp_path):
    with cs.Writer(tmp_path / "d", {"x": cs.Zstd(3)}) as writer:
        def add(first):
            for number in range(first, first + 10):
                writer.add(f"c{number:02}", x=noise((2, 8, 8), seed=number))

        threads = [threading.Thread(target=add, args=(first,)) for first in (0, 10, 20)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
    read = stored(tmp_path / "d", "x")
    assert sorted(read) == [f"c{number:02}" for number in range(30)]
    assert all(np.array_equal(np.stack(read[f"c{n:02}"])[..., 0], noise((2, 8, 8), seed=n)) for n in range(30))


def test_codecs_are_values():
    every = [
        cs.Jpeg(), cs.Jpeg(80, planes=2, channels=1), cs.Zstd(), cs.Zstd(3, "none"), cs.Lz4(), cs.Lz4(12, "shuffle"),
        cs.Zstd(9, dtype="uint16", planes=1, channels=1), cs.Raw(), cs.Raw(kind="array", dtype=np.float32),
    ]  # fmt: skip
    assert len(set(every)) == len(every)
    for codec in every:
        copied = pickle.loads(pickle.dumps(codec))
        assert copied == codec and type(copied) is type(codec) and hash(copied) == hash(codec)
        assert eval(repr(codec), vars(cs)) == codec
    assert cs.Zstd() == cs.Zstd(9) != cs.Lz4(9) and cs.Zstd(9) != "Zstd(9)"
    assert repr(cs.Zstd(9, dtype="uint16", planes=1, channels=1)) == 'Zstd(9, dtype="uint16", planes=1, channels=1)'
    codec = cs.Zstd(5, "up", dtype="<u2", planes=2)
    assert (codec.level, codec.filter, codec.dtype, codec.planes, codec.channels, codec.kind) == (
        5, "up", "uint16", 2, None, "image",
    )  # fmt: skip
    assert (cs.Jpeg(70).quality, cs.Lz4(3).level, cs.Raw(kind="array").kind) == (70, 3, "array")
    with pytest.raises(AttributeError):
        cs.Jpeg(90).quality = 3


@pytest.mark.parametrize(("given", "known"), [("validation", "val"), ("Training", "train"), ("testing", "test")])
def test_other_words_for_the_usual_subsets_are_refused(tmp_path, given, known):
    with cs.Writer(tmp_path / "d", {"rgb": cs.Zstd(1)}) as writer:
        with pytest.raises(cs.OptionError, match=f'subset "{given}" would be a subset of its own.*use "{known}"'):
            writer.add("c", rgb=np.zeros((1, 8, 9, 3), np.uint8), subset=given)
        writer.add("c", rgb=np.zeros((1, 8, 9, 3), np.uint8), subset={"1": "test-hard"})
    assert cs.Dataset(tmp_path / "d").clip(0).subset("1") == "test-hard"
