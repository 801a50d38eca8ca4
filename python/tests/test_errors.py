"""Errors: each names what failed and what to do, and no file can crash the process."""

import errno
import json
import os
import pickle
import shutil
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pytest

import clipshard as cs
from conftest import SHARD_TESTS, list_shard, write_manifest


def table(folder):
    """Reads the table of a README: the last cell by file."""
    rows = (SHARD_TESTS / folder / "README.md").read_text().split("|---|---|---|\n")[1].splitlines()
    cells = [[cell.strip() for cell in row.split("|")] for row in rows if row.startswith("|")]
    return {file.strip("`"): text for _, file, _, text, _ in cells}


def dataset_of(file, folder, reader):
    """Makes a dataset with one hostile or unusual file: a manifest, or a shard with a manifest for it."""
    if file.suffix == ".json":
        shutil.copy(file, folder / "manifest.json")
    else:
        shutil.copy(file, folder)
        write_manifest(folder, list_shard(file, reader))
    return folder


def read_everything(folder):
    ds = cs.Dataset(folder)
    for clip in ds:
        assert clip.label is None or clip.class_name
        for stream in clip.streams:
            for frame in range(clip.frames(stream)):
                clip.read(stream, frame, frame + 1)
    return ds


@pytest.mark.parametrize("file", table("attacks"))
def test_every_hostile_file_is_refused_with_its_error(file, tmp_path, reader):
    folder = dataset_of(SHARD_TESTS / "attacks" / file, tmp_path, reader)
    with pytest.raises(cs.Error) as caught:
        # Reading needs no metadata. Only a complete check looks at it.
        raise read_everything(folder).verify("deep")[0]
    assert table("attacks")[file] in str(caught.value)
    is_of_another_version = any(word in file for word in ("version-2", "required-feature"))
    assert isinstance(caught.value, cs.DamageError) != is_of_another_version
    if isinstance(caught.value, cs.DamageError):
        assert caught.value.file == str(tmp_path / (file if file.endswith("d") else "manifest.json"))


@pytest.mark.parametrize("file", table("unusual"))
def test_every_unusual_file_is_read(file, tmp_path, reader):
    folder = dataset_of(SHARD_TESTS / "unusual" / file, tmp_path, reader)
    if not file.endswith(".json"):
        assert sum(stream.frames for stream in read_everything(folder).streams.values()) > 0
        return
    # The shards that the manifest lists do not exist.
    ds = cs.Dataset(folder, streams=[])
    assert len(ds) == len(json.loads((folder / "manifest.json").read_bytes())["clips"])


def test_numbers_that_python_cannot_read_raise_an_error_of_the_package(tmp_path):
    digits = "1" * 5000
    clip = {"id": "c", "subsets": [], "frames": {}, "attributes": {"n": 7}}
    write_manifest(tmp_path, {"dataset": "d", "classes": [], "splits": [], "build": {}, "streams": [], "clips": [clip]})
    assert cs.Dataset(tmp_path).clip(0).attrs == {"n": 7}
    text = (tmp_path / "manifest.json").read_text()
    stated = text.split("crc32:")[1][:8]
    text = text.replace(stated, "00000000").replace('"n":7', f'"n":{digits}')
    (tmp_path / "manifest.json").write_text(text.replace("00000000", f"{zlib.crc32(text.encode()):08x}", 1))
    clip = cs.Dataset(tmp_path).clip(0)
    with pytest.raises(cs.Error, match="clip c: Python cannot read its attributes"):
        clip.attrs


def test_a_damaged_record_names_its_clip_and_file(golden, copy_of):
    folder = copy_of(golden)
    file = folder / "flow-00000.clipshard"
    data = bytearray(file.read_bytes())
    data[70] ^= 1
    file.write_bytes(data)
    for access in ("map", "read"):
        clip = cs.Dataset(folder, access=access).clip(0)
        text = "clip v_Wave_g01_c01, stream flow, frame 0, plane 0.*restore the shard"
        with pytest.raises(cs.DamageError, match=text) as caught:
            clip.read("flow")
        assert (caught.value.clip, caught.value.file) == ("v_Wave_g01_c01", str(file))
        copy = pickle.loads(pickle.dumps(caught.value))
        assert (copy.clip, copy.file, str(copy)) == (caught.value.clip, caught.value.file, str(caught.value))
        assert clip.read("flow", 2, 3).shape == (1, 2, 10, 14)


def test_files_raise_the_exceptions_of_python(golden, copy_of, tmp_path):
    missing = tmp_path / "missing"
    texts = {missing: "no such folder", tmp_path: "no manifest.json here", golden / "manifest.json": "not a folder"}
    for folder, text in texts.items():
        with pytest.raises(FileNotFoundError, match=f"{text}; name the folder") as caught:
            cs.Dataset(folder)
        assert caught.value.filename == str(folder) and caught.value.errno == errno.ENOENT
    folder = copy_of(golden)
    (folder / "rgb-00000.clipshard").unlink()
    (folder / "rgb-00000.clipshard").symlink_to(folder / "rgb-00000.clipshard")
    with pytest.raises(OSError) as caught:
        cs.Dataset(folder)
    assert caught.value.filename == str(folder / "rgb-00000.clipshard") and caught.value.errno == errno.ELOOP
    (folder / "rgb-00000.clipshard").unlink()
    (folder / "rgb-00000.clipshard").mkdir()
    with pytest.raises(OSError) as caught:
        cs.Dataset(folder)
    assert caught.value.filename == str(folder / "rgb-00000.clipshard")


@pytest.fixture
def ordinary_user():
    """Gives up the rights of the superuser, who may read everything."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    yield
    os.seteuid(user)


def test_files_that_may_not_be_read_raise_permission_error(golden, ordinary_user):
    # The folders of pytest are closed to other users.
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "set")
        folder.mkdir()
        (folder / "manifest.json").write_bytes((golden / "manifest.json").read_bytes())
        (folder / "manifest.json").chmod(0)
        with pytest.raises(PermissionError) as caught:
            cs.Dataset(folder)
    assert caught.value.filename == str(folder / "manifest.json")


def test_unknown_names_list_the_known_ones(golden, wide):
    ds = cs.Dataset(golden)
    clip = ds.clip(0)
    wrong = [
        (lambda: ds["clip"], f'{golden}: no clip "clip" in this dataset; ds.ids has the ids of its 2 clips'),
        (lambda: clip.read("depth"), f'{golden}: no stream "depth" in this dataset; it has rgb, flow'),
        (lambda: clip.frames("depth"), f'{golden}: no stream "depth" in this dataset; it has rgb, flow'),
        (lambda: clip.shape(""), f'{golden}: no stream "" in this dataset; it has rgb, flow'),
        (lambda: clip.subset("3"), f'{golden}: no split "3" in this dataset; it has 1, 2'),
        (lambda: ds.clips("3"), f'{golden}: no split "3" in this dataset; it has 1, 2'),
        (lambda: ds.clips("1", "val"), f'{golden}: split 1 has no clips in subset "val"; its subsets are test, train'),
        (lambda: cs.Dataset(golden, streams=["x"]), f'{golden}: no stream "x" in this dataset; it has rgb, flow'),
    ]
    for call, text in wrong:
        with pytest.raises(cs.NotFoundError) as caught:
            call()
        assert str(caught.value) == text and isinstance(caught.value, KeyError)
    with pytest.raises(cs.NotFoundError, match="clip second has no frames in stream boxes; ask clip.streams"):
        cs.Dataset(wide)["second"].read("boxes")


def test_numbers_out_of_range_say_how_many_there_are(golden):
    ds = cs.Dataset(golden)
    for number in (-1, 2, 1 << 70, -(1 << 70), np.int64(5)):
        with pytest.raises(IndexError, match="the numbers of its 2 clips start at 0"):
            ds.clip(number)
    clip = ds.clip(0)
    for arguments in [(-1,), (0, -1), (0, 4), (4,), (4, 5), (1 << 70,), (0, 1 << 70), (2, 1 << 63, 1 << 70)]:
        with pytest.raises(IndexError, match="no frame .* in stream flow; the numbers of its 3 frames start at 0"):
            clip.read("flow", *arguments)
    for frame in (-1, 3, 1 << 63, (1 << 63) - 1):
        with pytest.raises(IndexError, match="3 frames start at 0"):
            clip.shape("flow", frame)
    for step in (0, -1, -(1 << 70)):
        with pytest.raises(cs.OptionError, match=r"must be at least 1; reverse the result with \[::-1\]"):
            clip.read("flow", 0, 3, step)


def test_arguments_of_a_wrong_type_raise_type_error(golden):
    ds = cs.Dataset(golden)
    for key in (3, np.int64(3)):
        with pytest.raises(TypeError, match=r"use ds.clip\(3\)"):
            ds[key]
    for key in (None, 1.5, slice(2), b"v_Wave_g01_c01"):
        with pytest.raises(TypeError, match="indexed by the id of a clip"):
            ds[key]
    clip = ds.clip(0)
    for call in [
        lambda: ds.clip("0"), lambda: ds.clip(1.0), lambda: ds.clip(True), lambda: ds.clip(None),
        lambda: clip.read(0), lambda: clip.read(), lambda: clip.read("flow", 0.5), lambda: clip.read("flow", "0"),
        lambda: clip.read("flow", 0, 1, 1, (0, 0, 1, 1)), lambda: clip.frames(None), lambda: clip.subset(1),
        lambda: cs.Dataset(), lambda: cs.Dataset(7), lambda: cs.Clip(), lambda: cs.Stream(),
    ]:
        with pytest.raises(TypeError):
            call()
    with pytest.raises(cs.OptionError, match='access is "mmap", not "map" or "read"'):
        cs.Dataset(golden, access="mmap")
    with pytest.raises(cs.OptionError, match="needs a split; pass split= with one of 1, 2"):
        ds.clips(subset="train")
    with pytest.raises(AttributeError):
        clip.label = 3


def test_strings_that_are_not_text_find_nothing(golden):
    ds = cs.Dataset(golden)
    assert "\ud800" not in ds
    with pytest.raises(cs.NotFoundError):
        ds["\ud800"]


def test_the_classes_fit_those_of_python():
    assert issubclass(cs.DamageError, cs.Error) and issubclass(cs.NotFoundError, KeyError)
    for kind in (cs.OptionError, cs.ClosedError, cs.StateError):
        assert issubclass(kind, cs.Error) and issubclass(kind, ValueError)
    assert issubclass(cs.StreamTypeError, TypeError) and issubclass(cs.StreamTypeError, cs.Error)
    # Other libraries, such as torch, make exceptions of workers again from their text.
    error = cs.DamageError("text")
    assert (str(error), error.clip, error.file) == ("text", None, None)
    assert str(cs.NotFoundError('no clip "x"')) == 'no clip "x"'
