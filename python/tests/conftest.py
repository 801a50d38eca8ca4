"""Datasets of the format's own tests, and an independent reader for them."""

import importlib.util
import json
import pathlib
import subprocess
import sys
import zlib

import pytest

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
SHARD_TESTS = REPOSITORY / "shard" / "tests"


def load_script(name):
    """Imports a file of scripts/."""
    spec = importlib.util.spec_from_file_location(name, REPOSITORY / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def reader():
    """The second reader of the format, which shares no code with the package."""
    return load_script("read_clipshard")


@pytest.fixture(scope="session")
def golden():
    """A dataset with the streams rgb and flow, and clips of 3 and 2 frames."""
    return SHARD_TESTS / "golden"


@pytest.fixture(scope="session")
def wide():
    """A dataset with images and arrays of all types of samples."""
    return SHARD_TESTS / "golden-wide"


@pytest.fixture
def copy_of(tmp_path):
    """Returns a function that copies a dataset to a new folder, so that a test can damage it."""

    def copy(dataset):
        target = tmp_path / dataset.name
        target.mkdir()
        for file in dataset.iterdir():
            (target / file.name).write_bytes(file.read_bytes())
        return target

    return copy


@pytest.fixture
def python(tmp_path):
    """Returns a function that runs a program in a new interpreter and returns what it prints.

    A program that hangs fails after `timeout` seconds.
    """

    def run(program, *arguments, timeout=60):
        file = tmp_path / "program.py"
        file.write_text(program)
        command = [sys.executable, str(file), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stderr == "", done.stderr
        return done.stdout

    return run


def write_manifest(folder, manifest):
    """Writes the manifest of a dataset with its checksum."""
    key = '"checksum":"crc32:'
    text = json.dumps({"clipshard": "1.0", "checksum": "crc32:00000000", **manifest}, separators=(",", ":"))
    checksum = zlib.crc32(text.encode())
    text = text.replace(f'{key}00000000"', f'{key}{checksum:08x}"', 1)
    (folder / "manifest.json").write_text(text)


def list_shard(file, reader):
    """Makes a manifest for one shard. The shard may be hostile. What cannot be read gets a value that is allowed."""
    data = file.read_bytes()
    # Of a file that is too short, the crate refuses what the trailer cannot state.
    padded = data if len(data) >= 128 else data + bytes(128)
    header, trailer = reader.header(padded, 0), reader.trailer(padded, len(padded) - 64)
    ids, frames = ["c"], [1]
    clips_at = trailer.index_at + 32 * trailer.records
    names_at = clips_at + 32 * trailer.clips
    if names_at + trailer.names + trailer.metadata + 64 == len(data):
        clips = [reader.clip_entry(data, at) for at in range(clips_at, names_at, 32)]
        names = [data[names_at + clip.name_at :][: clip.name_bytes] for clip in clips]
        ids = [name.decode(errors="replace") or "c" for name in names]
        frames = [clip.records // max(1, header.planes) for clip in clips]
    name = header.stream.rstrip(b"\0").decode("latin-1")
    if not name.isalnum():
        name = "grey"
    dims = [header.dim1, header.dim2, header.dim3][: max(0, min(header.rank, 4) - 1)]
    stream = {"name": name, "planes": max(1, header.planes), "channels": header.channels}
    if header.rank:
        stream |= {"array": [dim if 0 < dim < 1000 else 1 for dim in dims], "channels": 0}
    else:
        stream["channels"] = max(1, min(4, header.channels))
    stream["samples"] = ["u8", "u16", "i16", "f16", "f32", "u8"][header.samples]
    listed = {"file": file.name, "bytes": len(data), "clips": trailer.clips & 0xFFFFFFFF,
              "records": trailer.records, "trailer_crc32": trailer.crc32}
    clips = [{"id": id, "label": 0, "subsets": ["train"], "frames": {name: n}} for id, n in zip(ids, frames)]
    return {"required_features": [], "dataset": "hostile", "classes": ["Wave"], "splits": ["1"], "build": {},
            "streams": [stream | {"shards": [listed]}], "clips": clips}
