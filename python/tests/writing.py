"""Help for the tests of the writer: synthetic arrays, and a reader that shares no code with the package."""

import io
import json
import pathlib
import sys

import numpy as np
import pytest

Image = pytest.importorskip("PIL.Image", reason="the tests of the writer need Pillow")
if sys.version_info < (3, 14):
    pytest.importorskip("zstandard", reason="the second reader needs zstandard")

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "scripts"))
import read_clipshard  # noqa: E402


def noise(shape, dtype="uint8", seed=1):
    """Returns random values that cover the range of the dtype."""
    random = np.random.default_rng(seed)
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return random.normal(0, 100, shape).astype(dtype)
    low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
    return random.integers(low, high, shape, dtype, endpoint=True)


def smooth(frames=4, height=48, width=64):
    """Returns smooth colours [n, H, W, 3], which JPEG keeps well."""
    n, y, x = np.mgrid[:frames, :height, :width]
    return np.stack([x * 3 + n, y * 4, 255 - x - y], -1).clip(0, 255).astype(np.uint8)


def jpeg(image, quality=90, **options):
    """Returns a JPEG file."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality, **options)
    return file.getvalue()


def manifest(folder):
    """Returns the manifest of a dataset."""
    return json.loads((pathlib.Path(folder) / "manifest.json").read_bytes())


def listed(folder):
    """Returns what the manifest says about each clip, by id."""
    content = manifest(folder)
    return {clip["id"]: {**clip, "group": content.get("groups", {}).get(clip["id"])} for clip in content["clips"]}


def stored(folder, stream):
    """Reads all records of a stream with scripts/read_clipshard.py.

    Returns lists by clip id. An item is an array, or the bytes of a JPEG file.
    """
    clips = {}
    for described in manifest(folder)["streams"]:
        for listed in described["shards"] if described["name"] == stream else []:
            shard = read_clipshard.Shard(pathlib.Path(folder) / listed["file"])
            for number, name in enumerate(shard.ids):
                records = []
                for entry in shard.entries(number):
                    record = shard.record(entry)
                    is_jpeg = entry.codec == read_clipshard.JPEG
                    records.append(record if is_jpeg else np.frombuffer(record, shard.dtype).reshape(entry.shape))
                clips[name] = records
    return clips


def codecs_of(folder, stream):
    """Returns the sets of codecs and filters of a stream, as numbers of the format."""
    found = set()
    for described in manifest(folder)["streams"]:
        for listed in described["shards"] if described["name"] == stream else []:
            shard = read_clipshard.Shard(pathlib.Path(folder) / listed["file"])
            for number in range(len(shard.ids)):
                found |= {(entry.codec, entry.filter) for entry in shard.entries(number)}
    return found


def decoded(file):
    """Decodes a JPEG file with Pillow."""
    return np.asarray(Image.open(io.BytesIO(file)))
