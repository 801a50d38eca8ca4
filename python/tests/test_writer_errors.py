"""What a writer refuses: each exception names clip, stream, what was found and the cure."""

import pickle
import re

import clipshard as cs
import numpy as np
import pytest
from writing import jpeg, listed, noise, smooth, stored

RGB = noise((2, 8, 9, 3))
FLOW = noise((2, 2, 8, 9))
DEPTH = noise((2, 8, 9), "uint16")
POSES = noise((2, 17, 3), "float32")

# The end of the last scan is missing.
DAMAGED = jpeg(noise((40, 40, 3)))[:-900] + b"\xff\xd9"


@pytest.fixture
def writer(tmp_path):
    streams = {"rgb": cs.Zstd(), "flow": cs.Zstd(), "depth": cs.Zstd(), "poses": cs.Zstd(kind="array")}
    with cs.Writer(tmp_path / "d", streams, ["wave", "jump"], splits=["1", "2"]) as writer:
        writer.add("first", rgb=RGB, flow=FLOW, depth=DEPTH, poses=POSES)
        yield writer
        # Nothing that is refused changes the dataset, and the writer continues.
        assert writer.ids == {"first"}
        writer.add("last", rgb=RGB)
    assert list(listed(tmp_path / "d")) == ["first", "last"]
    assert np.array_equal(np.stack(stored(tmp_path / "d", "rgb")["last"]), RGB)


REFUSED = {
    "dtype": (TypeError, {"rgb": RGB.astype("uint16")},
              'stream rgb: found an array of uint16 [2, 8, 9, 3], expected uint8; convert it with .astype("uint8")'),
    "unknown dtype": (TypeError, {"depth": DEPTH.astype("int64")},
                      "clip c: stream depth has samples of type int64, but a stream holds uint8, uint16, int16"),
    "bool": (TypeError, {"rgb": RGB > 3}, "stream rgb has samples of type bool, but a stream holds uint8"),
    "object": (TypeError, {"rgb": [object()]},
              "clip c: stream rgb: frame 0 has samples of type object, but a stream holds"),
    "channels": (ValueError, {"rgb": RGB[..., :2]},
                 "clip c: stream rgb: found an array of uint8 [2, 8, 9, 2], expected an array of uint8 [n, H, W, 3]"),
    "grey": (ValueError, {"rgb": RGB[..., 0]},
             "found an array of uint8 [2, 8, 9], expected an array of uint8 [n, H, W, 3]"),
    "planes": (ValueError, {"flow": FLOW[:, :1]},
              "found an array of uint8 [2, 1, 8, 9], expected an array of uint8 [n, 2, H, W]"),
    "order": (ValueError, {"flow": FLOW.transpose(0, 2, 3, 1)},
              "uint8 [2, 8, 9, 2], expected an array of uint8 [n, 2, H, W]"),
    "one frame": (ValueError, {"rgb": RGB[0]},
                  "found an array of uint8 [8, 9, 3], expected an array of uint8 [n, H, W, 3]"),
    "inner": (ValueError, {"poses": POSES[:, :, :2]}, "float32 [2, 17, 2], expected an array of float32 [n, any, 3]"),
    "number": (ValueError, {"rgb": np.uint8(3)}, "stream rgb: found a number, expected an array [n, ...] of n frames"),
    "second frame": (ValueError, {"rgb": [RGB[0], RGB[0, ..., 0]]},
              "found frame 1 of uint8 [8, 9], expected frames of"),
    "second dtype": (TypeError, {"rgb": [RGB[0], RGB[0].astype("f4")]},
              "found frame 1 of float32 [8, 9, 3], expected uint8"),
    "no frames": (ValueError, {"rgb": RGB[:0]},
              "clip c: stream rgb: it has no frames; give at least one, or omit the stream"),
    "empty list": (ValueError, {"rgb": []},
              "clip c: stream rgb: it has no frames; give at least one, or omit the stream"),
    "no streams": (ValueError, {},
              "clip c: it has no frames; give at least one of depth=..., flow=..., poses=..., rgb=..."),
    "none": (ValueError, {"rgb": None}, "clip c: it has no frames"),
    "no pixels": (ValueError, {"rgb": RGB[:, :0]},
              "found an array of uint8 [2, 0, 9, 3], expected an array of uint8 [n, H, W, 3]"),
    "many": (ValueError, {"poses": np.empty((1 << 40, 0, 3), "f4")},
              "1099511627776 frames without samples are too many"),
    "large": (ValueError, {"depth": np.empty((1, 65536, 1), "u2")},
              "expected an array of uint16 [n, H, W]; an image has at most 65535 rows and columns"),
    "stream": (KeyError, {"rgbb": RGB},
              "clip c: no stream 'rgbb'; the writer has depth, flow, poses, rgb; add it to streams="),
    "bytes": (TypeError, {"rgb": b"123"}, "clip c: stream rgb: found bytes, expected an array [n, ...] or a list"),
    "text": (TypeError, {"rgb": "a.jpg"}, "found str, expected an array [n, ...] or a list"),
    "int": (TypeError, {"rgb": 7}, "found int, expected an array [n, ...] or a list"),
    "not jpeg": (ValueError, {"rgb": [b"GIF89a"]}, "clip c: stream rgb: frame 0: not a JPEG file that can be stored"),
    "damaged": (ValueError, {"rgb": [DAMAGED]}, "clip c: stream rgb, frame 0, plane 0"),
    "mixed": (TypeError, {"rgb": [jpeg(smooth(1)[0]), RGB[0]]}, "clip c: stream rgb: frame 1: found"),
    "grey jpeg": (ValueError, {"rgb": [jpeg(smooth(1)[0, ..., 0])]},
                  "of 64x48x1 (width x height x channels), expected 3 channels; the codec's option channels=3"),
    "jpeg of depth": (ValueError, {"depth": [jpeg(smooth(1)[0])]},
              "found 1 JPEG files, expected frames of uint16 [H, W]"),
    "jpeg of poses": (ValueError, {"poses": [jpeg(smooth(1)[0])]}, "expected frames of float32 [any, 3]"),
    "label": (ValueError, {"rgb": RGB, "label": 2}, "clip c: label 2, but there are 2 classes; labels start at 0"),
    "negative": (ValueError, {"rgb": RGB, "label": -1},
              "clip c: label -1 is not the number of a class; None means no label"),
    "class": (KeyError, {"rgb": RGB, "label": "sit"}, "clip c: no class 'sit' among 2 classes; add it to classes="),
    "bool label": (TypeError, {"rgb": RGB, "label": True}, "clip c: label: found bool, expected a number"),
    "huge label": (ValueError, {"rgb": RGB, "label": 1 << 80}, "is not the number of a class"),
    "label type": (TypeError, {"rgb": RGB, "label": 1.0},
              "clip c: label: found float, expected a number, the name of a class"),
    "split": (KeyError, {"rgb": RGB, "subset": {"3": "train"}}, "clip c: no split '3'; the dataset has 1, 2"),
    "subset": (TypeError, {"rgb": RGB, "subset": 1},
              "clip c: subset: expected a name, a dict from splits to names, or None"),
    "empty subset": (ValueError, {"rgb": RGB, "subset": ""}, "clip c: the name of a subset has 0 bytes, not 1 to 255"),
    "group": (ValueError, {"rgb": RGB, "group": ""}, "its group has 0 bytes, not 1 to 65535"),
    "nan": (ValueError, {"rgb": RGB, "attrs": {"x": float("nan")}},
              "clip c: attrs: Out of range float values are not JSON"),
    "json": (TypeError, {"rgb": RGB, "attrs": {"x": np.int64(1)}},
              "clip c: attrs: Object of type int64 is not JSON serializable"),
    "no dict": (TypeError, {"rgb": RGB, "attrs": [1]}, "clip c: attrs: found list, expected a dict"),
    "deep": (ValueError, {"rgb": RGB, "attrs": {"x": eval("[" * 70 + "]" * 70)}},
              "attributes nest deeper than 64 levels"),
    "surrogate": (ValueError, {"rgb": RGB, "attrs": {"x": "\ud800"}}, "clip c: attrs: a text has a lone surrogate"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_a_clip_that_does_not_fit_is_refused(writer, case):
    kind, arguments, text = REFUSED[case]
    with pytest.raises(kind) as caught:
        writer.add("c", **arguments)
    assert text.replace("'", '"') in str(caught.value).replace("'", '"')
    assert isinstance(caught.value, TypeError if kind is TypeError else cs.Error)


def test_ids_are_unique_and_not_empty(writer):
    with pytest.raises(cs.OptionError, match="clip first: the dataset has a clip with this id already; ask"):
        writer.add("first", rgb=RGB)
    with pytest.raises(cs.OptionError, match="its id has 0 bytes, not 1 to 65535"):
        writer.add("", rgb=RGB)
    with pytest.raises(TypeError):
        writer.add(7, rgb=RGB)


def test_a_refused_first_clip_does_not_fix_the_stream(tmp_path):
    with cs.Writer(tmp_path / "d", {"rgb": cs.Zstd(), "flow": cs.Zstd()}) as writer:
        with pytest.raises(TypeError):
            writer.add("a", rgb=RGB.astype("uint16"), flow=FLOW.astype("int64"))
        writer.add("a", rgb=RGB, flow=FLOW)
    assert np.array_equal(np.stack(stored(tmp_path / "d", "rgb")["a"]), RGB)


FIRST = {
    "vector": (cs.Zstd(), noise((3, 5)), "found frames of uint8 [5], which are not images [H, W], [H, W, channels]"),
    "many planes": (cs.Zstd(), noise((1, 16, 8, 9)), "found frames of uint8 [16, 8, 9], which are not images"),
    "stated channels": (cs.Zstd(channels=3), FLOW,
              "found frames of uint8 [2, 8, 9], expected any planes of 3 channels"),
    "stated planes": (cs.Zstd(planes=2), RGB, "found frames of uint8 [8, 9, 3], expected 2 planes of any channels"),
    "stated dtype": (cs.Zstd(dtype="uint16"), RGB,
              'found frames of uint8 [8, 9, 3], expected uint16; convert it with .astype("uint16")'),
    "jpeg depth": (cs.Jpeg(), DEPTH, 'found frames of uint16 [8, 9], expected uint8; convert it with .astype("uint8")'),
    "jpeg of floats": (cs.Jpeg(), RGB.astype("float32"),
              'convert it with .astype("uint8"), after a multiplication by 255 if its values are between 0 and 1'),
    "jpeg of four": (cs.Jpeg(), noise((1, 8, 9, 4)), "Jpeg takes uint8 images of 1 or 3 channels; use Zstd"),
    "colours first": (cs.Jpeg(), noise((1, 3, 8, 9)),
              "found frames of uint8 [3, 8, 9]: for colours, move the first axis behind H and W; for 3 planes, state "
              "planes=3 in the codec"),
    "x and y last": (cs.Zstd(), noise((1, 8, 9, 2)),
              "found frames of uint8 [8, 9, 2]: state channels=2 in the codec, or move the last axis before H and W"),
    "filter": (cs.Zstd(9, "up"), POSES, 'filter "up" does not fit float32 samples; use filter=None'),
    "rank": (cs.Zstd(kind="array"), noise((1, 2, 2, 2, 2, 2)),
              "an array has 1 to 4 dimensions, and only the first may be 0"),
    "scalar": (cs.Zstd(kind="array"), noise((4,)), "found frames of uint8 [], but an array has 1 to 4 dimensions"),
    "array planes": (cs.Zstd(kind="array", planes=3), POSES,
              "found frames of float32 [17, 3], expected 3 planes first"),
    "files": (cs.Zstd(kind="array"), [jpeg(smooth(1)[0])],
              "found JPEG files, which only a stream of uint8 images takes"),
    "file planes": (cs.Jpeg(planes=2), [jpeg(smooth(1)[0])], "found 1 files per frame, expected 2"),
}  # fmt: skip


@pytest.mark.parametrize("case", FIRST)
def test_the_first_clip_must_fit_the_codec(tmp_path, case):
    codec, frames, text = FIRST[case]
    writer = cs.Writer(tmp_path / "d", {"x": codec})
    with pytest.raises((TypeError, cs.OptionError)) as caught:
        writer.add("c", x=frames)
    assert str(caught.value).startswith("clip c: stream x: ") and text in str(caught.value)
    with pytest.raises(cs.OptionError, match="needs at least one clip"):
        writer.finish()
    writer.close()


OPTIONS = [
    (lambda: cs.Jpeg(0), "Jpeg: quality 0 is not 1 to 100"),
    (lambda: cs.Jpeg(channels=2), "Jpeg: JPEG images have 1 or 3 channels"),
    (lambda: cs.Zstd(23), "Zstd: level 23 is not 1 to 22"),
    (lambda: cs.Zstd(1 << 40), "Zstd: level 1099511627776 is not 1 to 22"),
    (lambda: cs.Lz4(13), "Lz4: level 13 is not 1 to 12"),
    (lambda: cs.Zstd(filter="down"), 'Zstd: no filter "down"; use "none", "up", "shuffle", "up-shuffle" or None'),
    (lambda: cs.Zstd(filter="up", dtype="float32"), 'Zstd: filter "up" does not fit float32 samples'),
    (lambda: cs.Zstd(kind="text"), 'no kind "text"; use "image" or "array"'),
    (lambda: cs.Zstd(dtype="int64"), "no stream has the dtype int64; use one of uint8, uint16, int16, float16"),
    (lambda: cs.Raw(planes=0), "planes is 0, not 1 to 255"),
    (lambda: cs.Raw(channels=5), "channels is 5, not 1 to 4"),
    (lambda: cs.Raw(kind="array", channels=1), "arrays have no channels"),
]


@pytest.mark.parametrize("make, text", OPTIONS)
def test_codecs_refuse_wrong_values(make, text):
    with pytest.raises(cs.OptionError, match=re.escape(text)):
        make()


STARTS = [
    (cs.OptionError, {"streams": {}}, 'a new dataset needs streams: streams={"rgb": clipshard.Jpeg(90)}'),
    (TypeError, {"streams": {"rgb": "jpeg"}}, 'the value of "rgb" is no codec; use {"rgb": clipshard.Jpeg(90)}'),
    (TypeError, {"streams": {"rgb": cs.Jpeg}}, 'the value of "rgb" is no codec'),
    (TypeError, {"streams": [cs.Jpeg()]}, "streams: expected a dict from names to codecs"),
    (cs.OptionError, {"streams": {"a b": cs.Raw()}}, 'the name "a b" is not allowed; use 1 to 16 letters'),
    (cs.OptionError, {"streams": {"label": cs.Raw()}}, 'the name "label" is not allowed'),
    (TypeError, {"classes": "wave"}, "classes: expected a list of texts"),
    (TypeError, {"splits": [1]}, "splits: expected a list of texts"),
    (cs.OptionError, {"classes": ["a", "a"]}, "a"),
    (cs.OptionError, {"mode": "w"}, 'no mode "w"; use "create", "resume" or "append"'),
    (cs.OptionError, {"shard_bytes": 0}, "shard_bytes is 0; use a number of bytes above 0, or None"),
    (cs.OptionError, {"threads": 0}, "threads is 0; use 1 to 1024, or None for one per core"),
    (cs.OptionError, {"attrs": {"x": float("inf")}}, "the dataset: attrs: Out of range float values"),
    (FileNotFoundError, {"mode": "append"}, "no such folder"),
]


@pytest.mark.parametrize("kind, arguments, text", STARTS)
def test_a_writer_does_not_start_with_wrong_arguments(tmp_path, kind, arguments, text):
    with pytest.raises(kind, match=re.escape(text)):
        cs.Writer(tmp_path / "d", **{"streams": {"x": cs.Raw()}} | arguments)
    assert not (tmp_path / "d").exists()


def test_no_splits(tmp_path):
    with cs.Writer(tmp_path / "d", {"x": cs.Raw()}, splits=[]) as writer:
        writer.add("a", x=RGB)
        with pytest.raises(cs.OptionError, match='clip b: subset "train", but the dataset has no splits; omit subset'):
            writer.add("b", x=RGB, subset="train")
    assert listed(tmp_path / "d")["a"]["subsets"] == []


def test_a_closed_writer_says_so(tmp_path):
    writer = cs.Writer(tmp_path / "d", {"x": cs.Raw()})
    writer.add("a", x=RGB)
    writer.finish()
    writer.finish()
    writer.close()
    uses = [
        lambda: writer.add("b", x=RGB), writer.flush, writer.compact, writer.discard, lambda: writer.remove(["a"]),
        lambda: writer.ids, lambda: writer.classes, lambda: len(writer), lambda: "a" in writer,
    ]  # fmt: skip
    for use in uses:
        with pytest.raises(cs.ClosedError, match='this writer has finished; open another one with mode="append"'):
            use()
    assert "closed" in repr(writer) and str(tmp_path) in repr(writer)


def test_a_writer_is_not_pickled(tmp_path):
    with cs.Writer(tmp_path / "d", {"x": cs.Raw()}) as writer:
        with pytest.raises(TypeError, match="cannot be pickled; make arrays in others, and add them in this one"):
            pickle.dumps(writer)
        writer.add("a", x=RGB)


def test_files_of_others_are_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OSError) as caught:
        cs.Writer(tmp_path / "file", {"x": cs.Raw()})
    assert caught.value.filename == str(tmp_path / "file")
