#!/usr/bin/env python3
"""Checks shards, manifests and whole datasets with the independent reader in read_clipshard.py.

    scripts/check_clipshards.py [-v] DIR_OR_FILE...

Needs the module zstandard, or Python 3.14, to decode zstd records.

Prints a line per shard, then whether each file or folder is valid or why it is refused. Exits with 1 if one is refused.
The streams of a dataset are checked separately, so that a missing or damaged shard does not hide the others.

With -v, prints a line per record too: stream, clip, frame, plane, shape, type, codec, filter and the CRC-32 of its
samples, or of the file if it is a JPEG file.
"""

import json, math, os, re, sys
from zlib import crc32

from read_clipshard import LARGEST_RECORD, SAMPLE_TYPES, Object, Shard
from read_clipshard import check_content, from_json, need, number, open_regular, texts, value

LARGEST_MANIFEST = 1 << 30
SHARD_NUMBERS = {"bytes": 64, "clips": 32, "records": 64, "trailer_crc32": 32}


def read_manifest(path):
    """Reads the file manifest.json of a dataset. Checks its checksum and all rules that need no shard."""
    with open_regular(path) as file:
        raw = file.read(LARGEST_MANIFEST + 1)
    need(len(raw) <= LARGEST_MANIFEST, "the manifest is larger than 2^30 bytes")
    manifest = from_json(raw)
    version = value(manifest, "clipshard", str)
    need(re.fullmatch(r"1\.[0-9]+", version), f"format version {version} is not supported")
    features = texts(manifest, "required_features", [])
    need(not features, f"it needs unknown features {', '.join(features)}")
    key = b'"checksum":"crc32:'
    at = raw.find(key, 0, 4096) + len(key)
    digits = raw[at:at + 8]
    need(at >= len(key) and re.fullmatch(rb"[0-9a-f]{8}", digits), "the checksum is missing")
    need(re.fullmatch(r"crc32:[0-9a-f]{8}", value(manifest, "checksum", str)), "the checksum is malformed")
    computed = crc32(raw[:at] + b"0" * 8 + raw[at + 8:])
    need(int(digits, 16) == computed, "its checksum does not match: it is damaged or edited")
    streams, files = [], []
    for stream in value(manifest, "streams", list):
        name = value(stream, "name", str)
        need(re.fullmatch(r"[A-Za-z0-9_-]{1,16}", name), f"the stream name {name!r} is not allowed")
        streams.append(name)
        if not unknown_features(stream):
            files += check_stream(stream)
    need(len({*streams}) == len(streams), "a stream is listed twice")
    need(len({*files}) == len(files), "a shard is listed twice")
    clips = value(manifest, "clips", list)
    ids = [value(clip, "id", str) for clip in clips]
    need(all(1 <= len(name.encode()) <= 65535 for name in ids), "the length of a clip id is not allowed")
    need(len({*ids}) == len(ids), "a clip is listed twice")
    check_content(manifest, ids)
    for clip in clips:
        frames = value(clip, "frames", Object)
        for stream in frames:
            need(stream in streams, f"clip {clip['id']!r} has frames of stream {stream!r}, which is not listed")
            number(frames, stream, 32)
    return manifest


def unknown_features(stream):
    """Returns the features that a stream of the manifest needs. This reader knows none."""
    return texts(stream, "required_features", [])


def check_stream(stream):
    """Checks a stream of the manifest, except for its name. Returns the names of its shards."""
    name, planes, channels = stream["name"], number(stream, "planes", 8), number(stream, "channels", 8)
    samples, dims = value(stream, "samples", str, "u8"), value(stream, "array", list, None)
    need(planes, f"stream {name} has no planes")
    need(samples in [known.name for known in SAMPLE_TYPES], f"stream {name} has the unknown sample type {samples!r}")
    if dims is None:
        need(1 <= channels <= 4, f"stream {name} has {channels} channels, not 1 to 4")
    else:
        need(channels == 0, f"stream {name} has arrays, but {channels} channels, not 0")
        need(len(dims) <= 3 and all(type(size) is int and 0 < size < 1 << 32 for size in dims),
             f"stream {name} has arrays of other dimensions than at most 3 sizes of at least 1")
        width = next(known.bytes for known in SAMPLE_TYPES if known.name == samples)
        need(math.prod(dims) * width <= LARGEST_RECORD, f"stream {name} has rows larger than 2^28 bytes")
    files = []
    for shard in value(stream, "shards", list):
        file = value(shard, "file", str)
        file.encode()
        is_plain = re.fullmatch(r"[^/\\:\0]+", file) and file not in (".", "..")
        need(is_plain, f"the shard name {file!r} is not a plain file name")
        for key, bits in SHARD_NUMBERS.items():
            number(shard, key, bits)
        files.append(file)
    return files


def check_shard(path, verbose):
    """Reads all records of a shard, and prints them if `verbose`. Returns the shard."""
    shard, undecoded = Shard(path), 0
    need(len({*shard.ids}) == len(shard.ids), "two clips have the same id")
    for clip, name in enumerate(shard.ids):
        for i, e in enumerate(shard.entries(clip)):
            frame, plane = divmod(i, shard.header.planes)
            try:
                shown = f"{crc32(shard.record(e)):08x}"
            except ImportError:
                shown, undecoded = "not decoded", undecoded + 1
            if verbose:
                stored = f"{shape_of(shard, e)} codec {e.codec} filter {e.filter}"
                print(f"{shard.stream} {name} {frame} {plane} {stored}: {shown}")
    trailer, lost = shard.trailer, ""
    if undecoded:
        lost = f"; {undecoded} are not decoded: install the module zstandard, or use Python 3.14"
    print(f"{path}: stream {shard.stream}, clips: {trailer.clips}, records: {trailer.records}{lost}")
    return shard


def shape_of(shard, e):
    """Returns the shape of a record as text: 320x240x3 u8 or [12, 4] f32."""
    if shard.header.rank:
        return f"{[*e.shape]} {shard.type.name}"
    height, width, channels = e.shape
    return f"{width}x{height}x{channels} {shard.type.name}"


def check_stream_of_set(folder, stream, clips, verbose):
    """Checks the shards of a stream against the manifest. Returns the shards."""
    features = unknown_features(stream)
    need(not features, f"it needs unknown features {', '.join(features)}")
    found, shards = [], []
    for listed in stream["shards"]:
        shard = check_shard(os.path.join(folder, listed["file"]), verbose)
        h, t = shard.header, shard.trailer
        need([t.file_bytes, t.clips, t.records, t.crc32] == [listed[key] for key in SHARD_NUMBERS]
             and (shard.stream, h.planes, h.channels) == (stream["name"], stream["planes"], stream["channels"])
             and shard.type.name == stream.get("samples", "u8")
             and ([*shard.dims] if h.rank else None) == stream.get("array"),
             f"{listed['file']} is not the shard that the manifest lists")
        found += [(name, c.records // h.planes) for name, c in zip(shard.ids, shard.clips)]
        shards.append(shard)
    held = [(clip["id"], clip["frames"][stream["name"]]) for clip in clips if stream["name"] in clip["frames"]]
    need(sorted(found) == sorted(held), "the manifest lists other clips or frames than the shards hold")
    return shards


def check_agreement(shards):
    """Checks that the metadata of the shards of a dataset agree."""
    def agree(what, values):
        need(len({json.dumps(found, sort_keys=True) for found in values}) <= 1, f"the shards disagree in {what}")

    for key in "dataset", "splits", "build":
        agree(key, [shard.metadata[key] for shard in shards])
    agree("attributes", [shard.metadata.get("attributes", {}) for shard in shards])
    longest = max((shard.metadata["classes"] for shard in shards), key=len, default=[])
    for shard in shards:
        classes = shard.metadata["classes"]
        need(classes == longest[:len(classes)], "the classes of a shard are not the start of those of another")
    said = {}
    for shard in shards:
        groups = shard.metadata.get("groups", {})
        for name, clip in zip(shard.ids, shard.metadata["clips"]):
            described = clip.get("label"), clip["subsets"], clip.get("attributes", {}), groups.get(name)
            said.setdefault(name, []).append(described)
    for name, values in said.items():
        agree(f"clip {name!r}", values)


def check_set(folder, verbose):
    """Checks a dataset: each stream separately, then that the shards agree."""
    manifest, shards, refused_streams = read_manifest(os.path.join(folder, "manifest.json")), [], []
    for stream in manifest["streams"]:
        try:
            shards += check_stream_of_set(folder, stream, manifest["clips"], verbose)
        except Exception as fault:  # As in `refused`.
            print(f"{folder}: stream {stream['name']}: refused: {type(fault).__name__}: {fault}")
            refused_streams.append(stream["name"])
    check_agreement(shards)
    need(not refused_streams, f"cannot read all streams: {', '.join(refused_streams)}; the others are valid")


def refused(path, verbose):
    try:
        if path.endswith(".json") and not os.path.isdir(path):
            read_manifest(path)
        else:
            (check_set if os.path.isdir(path) else check_shard)(path, verbose)
    except Exception as fault:  # Any exception that hostile bytes cause is a refusal.
        print(f"{path}: refused: {type(fault).__name__}: {fault}")
        return True
    print(f"{path}: valid")
    return False


if __name__ == "__main__":
    options = [word for word in sys.argv[1:] if word.startswith("-")]
    paths = [word for word in sys.argv[1:] if not word.startswith("-")]
    if "-h" in options or "--help" in options:
        print(__doc__.strip())
        sys.exit()
    if not paths or not {*options} <= {"-v"}:
        print(__doc__.strip(), file=sys.stderr)
        sys.exit(2)
    sys.exit(any([refused(path, "-v" in options) for path in paths]))
