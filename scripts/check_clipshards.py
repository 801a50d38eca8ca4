#!/usr/bin/env python3
"""Checks shards, manifests and whole datasets with the independent reader in read_clipshard.py.

    scripts/check_clipshards.py [-v] DIR_OR_FILE...

Needs the module zstandard, or Python 3.14, to decode zstd records.

Prints a line per shard, then whether each file or folder is valid or why it is refused. Exits with 1 if one is refused.
With -v, prints a line per record too: stream, clip, frame, plane, size, codec and the CRC-32 of its pixels, or of the
file if it is a JPEG file.
"""

import json, os, re, sys
from zlib import crc32

from read_clipshard import Shard, need, open_regular

SHARD_NUMBERS = "bytes", "clips", "records", "trailer_crc32"


def read_manifest(path):
    """Reads a manifest. Checks its checksum and all rules that need no shard."""
    with open_regular(path) as file:
        raw = file.read((1 << 30) + 1)
    need(len(raw) <= 1 << 30, "the manifest is larger than 1 GiB")
    m = json.loads(raw)
    need(re.fullmatch(r"1\.\d+", m["clipshard"]), f"unknown version {m['clipshard']}")
    need(m.get("required_features", []) == [], f"unknown required features {m.get('required_features')}")
    stored = re.search(rb'"checksum":"crc32:([0-9a-f]{8})', raw[:4096])
    need(stored, "the checksum is missing")
    computed = crc32(raw[: stored.start(1)] + b"0" * 8 + raw[stored.end(1) :])
    need(int(stored[1], 16) == computed, "wrong checksum")
    streams, shards = [s["name"] for s in m["streams"]], [shard for s in m["streams"] for shard in s["shards"]]
    for names in streams, [s["file"] for s in shards], [c["id"] for c in m["clips"]]:
        need(len({*names}) == len(names), "a stream, shard or clip occurs twice")
    for s in shards:
        is_name = re.fullmatch(r"[^/\\:\0]+", s["file"]) and s["file"] not in (".", "..")
        need(is_name, f"wrong shard name {s['file']!r}")
        numbers = [s[key] for key in SHARD_NUMBERS]
        need(all(type(n) is int and 0 <= n < 1 << 64 for n in numbers), f"wrong numbers of shard {s['file']}")
    for c in m["clips"]:
        need(1 <= len(c["id"].encode()) <= 65535, "wrong length of a clip id")
        need(0 <= c["label"] < len(m["classes"]), f"wrong label of clip {c['id']}")
        need(len(c["subsets"]) == len(m["splits"]), f"wrong number of subsets of clip {c['id']}")
        need({*c["subsets"]} <= {"train", "test", "unused"}, f"unknown subset of clip {c['id']}")
        need({*c["frames"]} <= {*streams}, f"clip {c['id']} has frames in an unknown stream")
    for clip, group in m.get("groups", {}).items():
        need(clip in {c["id"] for c in m["clips"]}, f"a group belongs to unknown clip {clip!r}")
        need(1 <= len(group.encode()) <= 65535, f"wrong length of the group of clip {clip}")
    return m


def check_shard(path, verbose):
    shard, undecoded = Shard(path), 0
    for clip, name in enumerate(shard.ids):
        for i, e in enumerate(shard.entries(clip)):
            frame, plane = divmod(i, shard.header.planes)
            try:
                shown = f"{crc32(shard.image(e)):08x}"
            except ImportError:
                shown, undecoded = "not decoded", undecoded + 1
            if verbose:
                size = f"{e.width}x{e.height}x{e.channels}"
                print(f"{shard.stream} {name} {frame} {plane} {size} codec {e.codec}: {shown}")
    trailer, lost = shard.trailer, ""
    if undecoded:
        lost = f"; {undecoded} are not decoded: install the module zstandard, or use Python 3.14"
    print(f"{path}: stream {shard.stream}, clips: {trailer.clips}, records: {trailer.records}{lost}")
    return shard


def check_set(folder, verbose):
    m = read_manifest(os.path.join(folder, "manifest.json"))
    found = []
    for stream in m["streams"]:
        for entry in stream["shards"]:
            shard = check_shard(os.path.join(folder, entry["file"]), verbose)
            h, t = shard.header, shard.trailer
            listed = [entry[key] for key in SHARD_NUMBERS] + [stream[key] for key in ("name", "planes", "channels")]
            seen = [t.file_bytes, t.clips, t.records, t.crc32, shard.stream, h.planes, h.channels]
            need(seen == listed, f"{entry['file']} is not the shard that the manifest lists")
            found += [(shard.stream, name, c.records // h.planes) for name, c in zip(shard.ids, shard.clips)]
    listed = [(stream, c["id"], frames) for c in m["clips"] for stream, frames in c["frames"].items()]
    need(sorted(found) == sorted(listed), "the manifest lists other clips or frames than the shards hold")


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
