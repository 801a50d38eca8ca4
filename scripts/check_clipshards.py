#!/usr/bin/env python3
"""Checks shards, manifests and whole data sets with the second reader: a line for each record, or why it is refused.

    scripts/check_clipshards.py DIR_OR_FILE...
"""
import json, os, re, sys
from zlib import crc32

from read_clipshard import Shard, need, open_regular

OF_A_SHARD = "bytes", "clips", "records", "trailer_crc32"


def read_manifest(path):
    """The manifest, checked against its checksum and the rules that need no shard."""
    with open_regular(path) as file:
        raw = file.read((1 << 30) + 1)
    need(len(raw) <= 1 << 30, "larger than a manifest may be")
    m = json.loads(raw)
    need(re.fullmatch(r"1\.\d+", m["clipshard"]), f"version {m['clipshard']}")
    need(m.get("required_features", []) == [], f"unknown required features {m.get('required_features')}")
    said = re.search(rb'"checksum":"crc32:([0-9a-f]{8})', raw[:4096])
    need(said, "checksum is missing")
    need(int(said[1], 16) == crc32(raw[:said.start(1)] + b"0" * 8 + raw[said.end(1):]), "checksum")
    streams, shards = [s["name"] for s in m["streams"]], [shard for s in m["streams"] for shard in s["shards"]]
    for names in streams, [s["file"] for s in shards], [c["id"] for c in m["clips"]]:
        need(len({*names}) == len(names), "a stream, shard or clip that is there twice")
    for s in shards:
        need(re.fullmatch(r"[^/\\:\0]+", s["file"]) and s["file"] not in (".", ".."), f"name of shard {s['file']!r}")
        need(all(type(s[key]) is int and 0 <= s[key] < 1 << 64 for key in OF_A_SHARD), f"numbers of {s['file']}")
    for c in m["clips"]:
        need(1 <= len(c["id"].encode()) <= 65535, "length of a clip id")
        need(0 <= c["label"] < len(m["classes"]), f"label of {c['id']}")
        need(len(c["subsets"]) == len(m["splits"]), f"number of subsets of {c['id']}")
        need({*c["subsets"]} <= {"train", "test", "unused"}, f"subsets of {c['id']}")
        need({*c["frames"]} <= {*streams}, f"frames of {c['id']} in a stream that is not listed")
    for clip, group in m.get("groups", {}).items():
        need(clip in {c["id"] for c in m["clips"]}, f"a group of clip {clip!r}, which is not listed")
        need(1 <= len(group.encode()) <= 65535, f"length of the group of {clip}")
    return m


def check_shard(path):
    shard = Shard(path)
    for clip, name in enumerate(shard.ids):
        for i, e in enumerate(shard.entries(clip)):
            frame, plane = divmod(i, shard.header.planes)
            try:
                shown = f"{crc32(shard.image(e)):08x}"
            except ImportError:
                shown = "not decoded: zstd records need the module zstandard, or Python 3.14"
            print(f"{shard.stream} {name} {frame} {plane} {e.width}x{e.height}x{e.channels} codec {e.codec}: {shown}")
    return shard


def check_set(folder):
    m = read_manifest(os.path.join(folder, "manifest.json"))
    found = []
    for stream in m["streams"]:
        for said in stream["shards"]:
            shard = check_shard(os.path.join(folder, said["file"]))
            h, t = shard.header, shard.trailer
            listed = [said[key] for key in OF_A_SHARD] + [stream[key] for key in ("name", "planes", "channels")]
            seen = [t.file_bytes, t.clips, t.records, t.crc32, shard.stream, h.planes, h.channels]
            need(seen == listed, f"{said['file']} is not the shard that the manifest lists")
            found += [(shard.stream, name, c.records // h.planes) for name, c in zip(shard.ids, shard.clips)]
    listed = [(stream, c["id"], frames) for c in m["clips"] for stream, frames in c["frames"].items()]
    need(sorted(found) == sorted(listed), "the shards hold other clips or frames than the manifest lists")


def refused(path):
    check = check_set if os.path.isdir(path) else read_manifest if path.endswith(".json") else check_shard
    try:
        check(path)
    except Exception as fault:  # What hostile bytes do to a decoder, too, is a refusal.
        print(f"{path}: refused: {type(fault).__name__}: {fault}")
        return True
    print(f"{path}: whole")
    return False


if __name__ == "__main__":
    sys.exit(any([refused(path) for path in sys.argv[1:]]) if len(sys.argv) > 1 else __doc__)
