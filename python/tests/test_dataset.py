"""Dataset, Clip and Stream: what they say, and the frames that they read."""

import math
import pathlib
import pickle
import re

import numpy as np
import pytest

import clipshard as cs

DTYPES = {"u8": "uint8", "u16": "uint16", "i16": "int16", "f16": "float16", "f32": "float32"}


def reference_frames(reader, folder, stream, id):
    """Reads all records of a clip with the second reader: [frames][planes] of arrays."""
    for file in sorted(folder.glob(f"{stream}-*.clipshard")):
        shard = reader.Shard(file)
        if id in shard.ids:
            entries = shard.entries(shard.ids.index(id))
            records = [(entry, shard.record(entry)) for entry in entries]
            planes = shard.header.planes
            return shard, [records[at : at + planes] for at in range(0, len(records), planes)]
    return None, None


def pixels_of(folder, shard, entry, record, reader):
    """Returns a record of the second reader as an array."""
    if entry.codec == reader.JPEG:
        # The golden dataset has one JPEG file, with its pixels next to it.
        assert record == (folder / "wave.jpg").read_bytes()
        return np.frombuffer((folder / "wave.rgb").read_bytes(), "u1").reshape(entry.shape)
    return np.frombuffer(record, shard.dtype).reshape(entry.shape)


@pytest.mark.parametrize("access", ["map", "read"])
@pytest.mark.parametrize("name", ["golden", "wide"])
def test_every_byte_is_that_of_the_second_reader(name, access, request, reader):
    folder = request.getfixturevalue(name)
    ds = cs.Dataset(folder, access=access)
    compared = 0
    for clip in ds:
        for stream in ds.streams.values():
            shard, frames = reference_frames(reader, folder, stream.name, clip.id)
            if frames is None:
                assert clip.frames(stream.name) == 0 and stream.name not in clip.streams
                continue
            assert clip.frames(stream.name) == len(frames) > 0 and stream.name in clip.streams
            for number, planes in enumerate(frames):
                expected = np.stack([pixels_of(folder, shard, e, record, reader) for e, record in planes])
                axes = ([1] if stream.planes == 1 else []) + ([-1] if stream.channels == 1 else [])
                expected = expected[None]
                for axis in axes:
                    expected = expected.squeeze(axis)
                found = clip.read(stream.name, number, number + 1)
                assert found.dtype == stream.dtype == np.dtype(DTYPES[shard.type.name])
                assert found.shape == expected.shape and found.tobytes() == expected.tobytes()
                assert clip.shape(stream.name, number) == expected.shape[1:]
                compared += len(planes)
    assert compared == {"golden": 15, "wide": 140}[name]


def test_a_dataset_says_what_its_manifest_says(golden, wide):
    ds = cs.Dataset(str(golden))
    assert (len(ds), ds.name, ds.path) == (2, "golden", str(golden))
    assert ds.classes == ("Wave", "Jump") and ds.splits == ("1", "2")
    assert ds.ids == ("v_Wave_g01_c01", "v_Jump_g02_c01") == tuple(clip.id for clip in ds)
    assert ds.attrs == {}
    assert repr(ds) == f'Dataset("{golden}", 2 clips, streams rgb, flow)'
    assert "v_Jump_g02_c01" in ds and "v_Jump" not in ds and 1 not in ds
    ds = cs.Dataset(wide)
    assert ds.attrs == {"licence": "CC0-1.0", "revision": 1.5}
    ds.attrs["licence"] = None
    assert ds.attrs["licence"] == "CC0-1.0"


def test_streams_have_the_form_of_their_records(golden, wide):
    streams = cs.Dataset(golden).streams
    assert list(streams) == ["rgb", "flow"]
    flow = streams["flow"]
    assert (flow.name, flow.planes, flow.channels, flow.array) == ("flow", 2, 1, None)
    assert (flow.dtype, flow.clips, flow.frames, flow.is_open) == (np.dtype("uint8"), 2, 5, True)
    assert repr(flow) == "Stream('flow', planes=2, channels=1, dtype=uint8, clips=2, frames=5)"
    with pytest.raises(TypeError):
        streams["flow"] = None
    streams = cs.Dataset(wide).streams
    assert streams["boxes"].array == (4,) and streams["boxes"].channels is None
    assert streams["tokens"].array == () and streams["features"].array == (3, 2, 5)
    found = {name: str(stream.dtype) for name, stream in streams.items()}
    assert found == {"audio": "int16", "boxes": "float32", "depth": "uint16", "features": "float16",
                     "tokens": "uint8", "vectors": "float32"}
    assert (streams["boxes"].clips, streams["boxes"].frames) == (2, 14)


def test_only_the_named_streams_are_opened(golden, copy_of):
    folder = copy_of(golden)
    (folder / "rgb-00000.clipshard").unlink()
    with pytest.raises(FileNotFoundError, match="stream rgb is missing.*streams=") as caught:
        cs.Dataset(folder)
    assert caught.value.filename == str(folder / "rgb-00000.clipshard")
    ds = cs.Dataset(folder, streams=["flow"])
    assert {name: stream.is_open for name, stream in ds.streams.items()} == {"rgb": False, "flow": True}
    clip = ds.clip(0)
    assert clip.read("flow").shape == (3, 2, 10, 14) and clip.frames("rgb") == 3
    with pytest.raises(cs.NotFoundError, match=r'rgb is not open.*streams=\["rgb"\]'):
        clip.read("rgb")
    assert cs.Dataset(folder, streams=iter(())).ids == ds.ids
    for wrong in ("flow", [1], 7):
        with pytest.raises(TypeError, match="streams is not a list of names"):
            cs.Dataset(folder, streams=wrong)


def test_clips_say_what_the_manifest_says(golden, wide):
    wave, jump = cs.Dataset(golden)
    assert (wave.id, wave.number, wave.label, wave.class_name, wave.group) == ("v_Wave_g01_c01", 0, 0, "Wave", None)
    assert (wave.subset("1"), wave.subset("2"), jump.subset("2")) == ("train", "test", "unused")
    assert wave.streams == ("rgb", "flow") and (wave.frames("flow"), jump.frames("rgb")) == (3, 2)
    assert wave.shape("rgb") == (12, 16, 3) and wave.shape("flow", 2) == (2, 10, 14)
    assert repr(jump) == 'Clip("v_Jump_g02_c01", number 1, class "Jump")'
    first, second, third = cs.Dataset(wide)
    assert first.attrs == {"fps": 29.97, "labels": [1, 0], "caption": "zwei Bäume", "id": 12345678901234567890123}
    assert first.id == 'a b#&%"é' and second.attrs == {} and third.attrs["x"]["y"][:2] == [None, True]
    assert math.copysign(1, third.attrs["x"]["y"][2]) == -1
    assert third.label is None and third.class_name is None and third.subset("1") == "test-hard"
    assert repr(third) == 'Clip("third", number 2, no label)'
    assert second.streams == ("audio", "depth", "features", "tokens", "vectors") and second.frames("boxes") == 0


def test_clips_are_found_by_id_number_and_subset(golden):
    ds = cs.Dataset(golden)
    assert ds["v_Jump_g02_c01"].number == 1 == ds.clip(1).number == ds.clip(np.int64(1)).number
    number = lambda *arguments, **keywords: [clip.number for clip in ds.clips(*arguments, **keywords)]
    assert number() == [0, 1] and number("1") == [0, 1] and number("2") == [0]
    assert number("1", "train") == [0] and number(split="1", subset="test") == [1] and number("2", "unused") == [1]


def test_reads_take_the_numbers_of_range(wide):
    clip = cs.Dataset(wide).clip(1)
    whole = clip.read("depth")
    assert whole.shape[0] == 7 and whole.flags.c_contiguous and whole.flags.owndata and whole.flags.writeable
    for start in range(8):
        for stop in range(8):
            for step in (1, 2, 3, 100):
                found = clip.read("depth", start, stop, step)
                assert np.array_equal(found, whole[start:stop:step]), (start, stop, step)
    assert np.array_equal(clip.read("depth", step=2), whole[::2])
    assert np.array_equal(clip.read("depth", np.int64(2), np.uint8(4)), whole[2:4])
    assert clip.read("depth", 7).shape == (0, *whole.shape[1:])
    vectors = clip.read("vectors")
    assert vectors.shape[:2] == (7, 2) and vectors.shape[-1] == 3


def test_windows_are_parts_of_frames(golden, wide):
    clip = cs.Dataset(golden).clip(0)
    for stream, axis in (("rgb", 1), ("flow", 2)):
        whole = clip.read(stream)
        height, width = whole.shape[axis : axis + 2]
        for x, y, w, h in [(0, 0, width, height), (3, 2, 5, 4), (width - 1, height - 1, 1, 1)]:
            rows, columns = (slice(y, y + h), slice(x, x + w))
            expected = whole[:, rows, columns] if axis == 1 else whole[:, :, rows, columns]
            assert np.array_equal(clip.read(stream, window=(x, y, w, h)), expected)
    depth = cs.Dataset(wide).clip(0)
    assert np.array_equal(depth.read("depth", window=[1, 2, 3, 2]), depth.read("depth")[:, 2:4, 1:4])
    for window in [(0, 0, width + 1, 1), (0, height, 1, 1), (0, 0, 0, 1)]:
        with pytest.raises(cs.OptionError, match=r"not inside frame 0 of stream flow, which is 14 pixels wide and 10"):
            clip.read("flow", window=window)
    for window in [(-1, 0, 1, 1), (0, 0, 1, 1 << 40), (0, 0, 1 << 70, 1)]:
        with pytest.raises(cs.OptionError, match="not inside any image"):
            clip.read("flow", window=window)
    for window in [(0, 0, 1), 7, "abcd", (0.5, 0, 1, 1)]:
        with pytest.raises(TypeError, match=r"window=\(x, y, width, height\)"):
            clip.read("flow", window=window)
    with pytest.raises(TypeError, match="no windows"):
        depth.read("boxes", window=(0, 0, 1, 1))


def test_frames_of_other_sizes_need_a_window_or_reads_of_one_frame(wide):
    clip = cs.Dataset(wide).clip(0)
    sizes = {clip.shape("boxes", frame) for frame in range(clip.frames("boxes"))}
    assert len(sizes) > 1
    with pytest.raises(ValueError, match="differ in size.*read one frame at a time"):
        clip.read("boxes")
    for frame in range(clip.frames("boxes")):
        assert clip.read("boxes", frame, frame + 1).shape == (1, *clip.shape("boxes", frame))


def test_out_takes_arrays_tensors_and_buffers(golden, wide):
    clip = cs.Dataset(golden).clip(0)
    expected = clip.read("flow")
    out = np.zeros_like(expected)
    assert clip.read("flow", out=out) is out and np.array_equal(out, expected)
    batch = np.zeros((4, *expected.shape), "uint8")
    clip.read("flow", out=batch[2])
    assert np.array_equal(batch[2], expected) and not batch[[0, 1, 3]].any()
    flat = np.zeros(expected.size, "uint8")
    assert clip.read("flow", out=flat) is flat and flat.tobytes() == expected.tobytes()
    for buffer in (bytearray(expected.nbytes), memoryview(bytearray(expected.nbytes))):
        assert clip.read("flow", out=buffer) is buffer and bytes(buffer) == expected.tobytes()
    for dtype in ("int16", "int64", "float32", "float16"):
        out = np.zeros(expected.shape, dtype)
        assert clip.read("flow", out=out) is out and np.array_equal(out, expected)
    depth = cs.Dataset(wide).clip(0)
    buffer = bytearray(depth.read("depth").nbytes)
    assert depth.read("depth", out=buffer) is buffer and bytes(buffer) == depth.read("depth").tobytes()
    out = np.zeros(depth.read("depth").shape, "int32")
    assert np.array_equal(depth.read("depth", out=out), depth.read("depth"))


def test_out_takes_torch_tensors(golden):
    torch = pytest.importorskip("torch")
    clip = cs.Dataset(golden).clip(0)
    expected = clip.read("rgb")
    out = torch.zeros(2, *expected.shape, dtype=torch.uint8)
    part = out[1]
    assert clip.read("rgb", out=part) is part
    assert np.array_equal(out[1].numpy(), expected) and not out[0].any()
    with pytest.raises(cs.OptionError, match="not contiguous"):
        clip.read("rgb", out=torch.zeros(*expected.shape[:3], 4, dtype=torch.uint8)[..., :3])


def test_out_that_does_not_fit_is_refused_and_stays_as_it_is(golden, wide):
    clip = cs.Dataset(golden).clip(0)
    shape = clip.read("flow").shape
    read_only = np.zeros(shape, "uint8")
    read_only.flags.writeable = False
    wrong = [
        (cs.OptionError, "read-only", read_only),
        (cs.OptionError, "read-only", memoryview(bytes(math.prod(shape)))),
        (TypeError, "numpy can only copy", bytes(math.prod(shape))),
        (cs.OptionError, "not contiguous", np.zeros(shape, "uint8", order="F")),
        (cs.OptionError, "not contiguous", np.zeros((*shape[:3], 2 * shape[3]), "uint8")[..., ::2]),
        (cs.OptionError, r"has shape \[2, 2, 10, 14\], but the result has shape \[3, 2, 10, 14\]",
         np.zeros((2, *shape[1:]), "uint8")),
        (cs.OptionError, "has shape", bytearray(math.prod(shape) - 1)),
        (TypeError, "type int8, which does not hold all values of uint8", np.zeros(shape, "int8")),
        (TypeError, "numpy can only copy", np.zeros(shape, "uint8").tolist()),
        (TypeError, "numpy can only copy|does not hold", "text"),
    ]
    for kind, text, out in wrong:
        with pytest.raises(kind, match=text):
            clip.read("flow", out=out)
        assert isinstance(out, (str, bytes)) or not np.any(np.asarray(out))
    depth = cs.Dataset(wide).clip(0)
    with pytest.raises(TypeError, match="uint8, which does not hold all values of uint16"):
        depth.read("depth", out=np.zeros(depth.read("depth").shape, "uint8"))
    swapped = np.dtype("uint16").newbyteorder()
    out = np.zeros(depth.read("depth").shape, swapped)
    assert np.array_equal(depth.read("depth", out=out), depth.read("depth"))


def test_datasets_and_clips_can_be_pickled(golden, monkeypatch):
    monkeypatch.chdir(golden.parent)
    ds = cs.Dataset(pathlib.Path("golden"), streams=("flow",), access="read")
    monkeypatch.chdir("/")
    clips = list(ds)
    copies, copy = pickle.loads(pickle.dumps((clips, ds)))
    assert copies[0].dataset is copies[1].dataset is copy and copy.path == str(golden)
    assert [stream.is_open for stream in copy.streams.values()] == [False, True]
    assert copies[1].id == clips[1].id and copy.ids == ds.ids
    same = cs.Dataset(golden)
    assert same.clip(1) == copies[1] != same.clip(0) and hash(same.clip(1)) == hash(copies[1])
    assert same.clip(1) != "v_Jump_g02_c01"
    assert np.array_equal(copies[1].read("flow"), same.clip(1).read("flow"))


def test_verify_lists_damage(golden, copy_of):
    assert [cs.Dataset(golden).verify(depth) for depth in ("quick", "checksums", "deep")] == [[], [], []]
    folder = copy_of(golden)
    file = folder / "flow-00000.clipshard"
    data = bytearray(file.read_bytes())
    data[70] ^= 1
    file.write_bytes(data)
    ds = cs.Dataset(folder)
    assert ds.verify("quick") == []
    (damage,) = ds.verify()
    assert type(damage) is cs.DamageError and damage.file == str(file) and damage.clip == "v_Wave_g01_c01"
    with pytest.raises(cs.OptionError, match='depth is "all"'):
        ds.verify("all")


def test_the_stubs_name_everything():
    """Each public name of each class is in the stubs, and the other way round."""
    text = (pathlib.Path(cs.__file__).parent / "_native.pyi").read_text()
    kinds = (cs.Dataset, cs.Clip, cs.Stream, cs.Frames, cs.Stack, cs.Samples, cs.Loader, cs.Writer)
    for kind in kinds:
        section = re.split(r"\n(?:class|@final|# )", text.split(f"\nclass {kind.__name__}:")[1])[0]
        stubs = set(re.findall(r"    def ([a-z]\w*)\(", section))
        found = {name for name in dir(kind) if not name.startswith("_")}
        assert stubs == found, kind
        assert kind.__doc__ and all(getattr(kind, name).__doc__ for name in found if kind not in (cs.Loader,))
