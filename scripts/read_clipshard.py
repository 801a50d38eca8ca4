#!/usr/bin/env python3
"""Reads clip shards, format 1.0, as format-spec.md says: a second reader that shares nothing with the Rust one.

    scripts/read_clipshard.py DIR_OR_SHARD...      # checks everything; a line for each record, or why it is refused

Images need numpy (`Shard.image`), zstd records the module zstandard, or Python 3.14 or later; the rest is the standard library.
    shard = Shard("ucf101.shards/flow-00000.clipshard"); x = shard.image(clip=0, frame=3, plane=0)   # [height, width, channels]
"""
import json, mmap, os, re, struct, sys, zlib
from collections import namedtuple

Header = namedtuple("Header", "mark major minor required optional stream planes channels crc32")
Entry = namedtuple("Entry", "offset stored crc32 width height channels codec filter clip position")
Clip = namedtuple("Clip", "first records index_crc32 name_at name_bytes")
Trailer = namedtuple("Trailer", "file_bytes index_at records clips names metadata table_crc32 metadata_crc32 header_crc32 crc32 zero mark")
HEADER, ENTRY, CLIP, TRAILER = map(struct.Struct, ("<8sHHII16sBB22xI", "<QIIHHBBBxII", "<QIIIH10x", "<QQQIIIIIIII8s"))
MARK, END_MARK = b"\x89CSD\r\n\x1a\n", b"\n\x1a\r\nDSC\x89"


class Refused(ValueError):
    """A rule of the format is broken."""


class NoModule(Exception):
    """A record cannot be decoded here."""


def need(ok, what):
    if not ok:
        raise Refused(what)


class Shard:
    def __init__(self, path):
        with open(path, "rb") as file:
            need(os.fstat(file.fileno()).st_size >= 128 and file.read(8) == MARK, "not a shard, or too short")
            self.data = data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        self.header = h = Header(*HEADER.unpack_from(data))
        need(h.crc32 == zlib.crc32(data[:60]), "header checksum")
        need(h.major == 1, f"version {h.major}.{h.minor}")
        need(h.required == 0, f"unknown required features {h.required:#x}")
        need(re.fullmatch(rb"[A-Za-z0-9_-]{1,16}\0*", h.stream) and h.planes and 1 <= h.channels <= 4, "stream")
        self.stream = h.stream.rstrip(b"\0").decode()
        t = Trailer(*TRAILER.unpack_from(data, len(data) - 64))
        need(t.mark == END_MARK, "end mark")
        need(t.crc32 == zlib.crc32(data[-64:-16]) and t.zero == 0, "trailer checksum or reserved bytes")
        need(t.file_bytes == len(data) and t.header_crc32 == h.crc32, "trailer of another file")
        clips_at = t.index_at + 32 * t.records
        names_at = clips_at + 32 * t.clips
        metadata_at = names_at + t.names
        need(metadata_at + t.metadata + 64 == len(data), "sizes do not add up")
        need(t.index_at >= 64 and t.index_at % 8 == 0 and 1 <= t.clips <= t.records, "index place or counts")
        need(zlib.crc32(data[clips_at:metadata_at]) == t.table_crc32, "clip table checksum")
        need(zlib.crc32(data[metadata_at:-64]) == t.metadata_crc32, "metadata checksum")
        self.index_at, self.clips = t.index_at, [Clip(*c) for c in CLIP.iter_unpack(data[clips_at:names_at])]
        record, name, self.ids = 0, 0, []
        for clip in self.clips:
            need(clip.first == record and clip.name_at == name, "clips do not follow each other")
            need(clip.records and clip.records % h.planes == 0 and clip.name_bytes, "a clip without frames or id")
            record, name = record + clip.records, name + clip.name_bytes
            need(name <= t.names, "names")
            self.ids.append(str(data[names_at + name - clip.name_bytes:names_at + name], "utf-8"))
        need(record == t.records and name == t.names, "clips do not cover index and names")
        self.metadata = json.loads(bytes(data[metadata_at:-64]))
        need(len(self.metadata["clips"]) == t.clips, "metadata describe other clips")
        last = Entry(*ENTRY.unpack_from(data, clips_at - 32))
        self.records_end = last.offset + last.stored
        need(0 <= t.index_at - self.records_end < 8 and not any(data[self.records_end:t.index_at]), "padding")

    def entries(self, clip):
        """The checked index of a clip: [frame * planes + plane]."""
        c = self.clips[clip]
        raw = self.data[self.index_at + 32 * c.first:self.index_at + 32 * (c.first + c.records)]
        need(zlib.crc32(raw) == c.index_crc32, "index checksum")
        before = ENTRY.unpack_from(self.data, self.index_at + 32 * (c.first - 1)) if clip else (64, 0)
        end, entries = before[0] + before[1], [Entry(*e) for e in ENTRY.iter_unpack(raw)]
        for position, e in enumerate(entries):
            size = e.width * e.height * e.channels
            need(e.codec <= 3 and e.filter <= 1 and (e.codec >= 2 or e.filter == 0), "codec or filter")
            need((e.clip, e.position) == (clip, position), "a record that says it is another")
            need(0 < size <= 1 << 28 and e.channels == self.header.channels, "image size")
            need(e.codec != 1 or e.channels in (1, 3), "channels of a JPEG")
            need(e.stored and (e.codec or e.stored == size), "stored bytes")
            need(e.offset == end and e.offset + e.stored <= self.index_at, "record place")
            end = e.offset + e.stored
        return entries

    def record(self, clip, frame, plane):
        """Index entry and stored bytes, checked."""
        entry = self.entries(clip)[frame * self.header.planes + plane]
        stored = bytes(self.data[entry.offset:entry.offset + entry.stored])
        need(zlib.crc32(stored) == entry.crc32, "record checksum")
        return entry, stored

    def pixels(self, clip, frame, plane):
        """The image as bytes; of a JPEG its file."""
        entry, stored = self.record(clip, frame, plane)
        size, row = entry.width * entry.height * entry.channels, entry.width * entry.channels
        if entry.codec == 1:
            need(jpeg_size(stored) == (entry.width, entry.height), "JPEG of another size")
            return stored
        out = bytearray((bytes, None, unzstd, unlz4)[entry.codec](*((stored, size)[:1 + (entry.codec > 0)])))
        need(len(out) == size, "image of another size")
        if entry.filter == 1:
            for at in range(row, size):
                out[at] = (out[at] + out[at - row]) & 255
        return bytes(out)

    def image(self, clip, frame, plane):
        """The image as an array [height, width, channels]."""
        import numpy
        entry, _ = self.record(clip, frame, plane)
        if entry.codec == 1:
            import io
            from PIL import Image
            image = Image.open(io.BytesIO(self.pixels(clip, frame, plane))).convert("L" if entry.channels == 1 else "RGB")
            return numpy.asarray(image).reshape(entry.height, entry.width, entry.channels)
        flat = numpy.frombuffer(self.pixels(clip, frame, plane), numpy.uint8)
        return flat.reshape(entry.height, entry.width, entry.channels)


def unzstd(stored, size):
    try:
        import zstandard
        stated, stream, error = zstandard.frame_content_size, zstandard.ZstdDecompressor().decompressobj(), zstandard.ZstdError
    except ImportError:
        try:
            from compression import zstd
        except ImportError:
            raise NoModule("zstd records need the module zstandard, or Python 3.14") from None
        stated, stream, error = lambda b: zstd.get_frame_info(b).decompressed_size, zstd.ZstdDecompressor(), zstd.ZstdError
    try:
        need(stated(stored) == size, "zstd frame that states another size, or none")
        pixels = stream.decompress(stored)
    except error as fault:
        raise Refused(f"zstd: {fault}") from None
    need(stream.eof and not stream.unused_data, "more or less than one zstd frame")
    return pixels


def unlz4(block, size):
    """LZ4 block format: tokens of literals and matches; the last has literals only."""
    out, at = bytearray(), 0

    def length(start, at):
        total = start
        while start == 15:
            need(at < len(block), "LZ4 block ends early")
            total, at, start = total + block[at], at + 1, 15 if block[at] == 255 else 0
        return total, at

    while at < len(block):
        token, at = block[at], at + 1
        literals, at = length(token >> 4, at)
        need(at + literals <= len(block) and len(out) + literals <= size, "LZ4 block")
        out, at = out + block[at:at + literals], at + literals
        if at == len(block):
            break
        need(at + 2 <= len(block), "LZ4 block ends early")
        distance = block[at] | block[at + 1] << 8
        match, at = length(token & 15, at + 2)
        need(0 < distance <= len(out) and len(out) + match + 4 <= size, "LZ4 match")
        for _ in range(match + 4):
            out.append(out[-distance])
    return out


def jpeg_size(file):
    """Width and height from the frame header; the file must begin and end as a JPEG file."""
    need(file[:2] == b"\xff\xd8" and file.rstrip(b"\0")[-2:] == b"\xff\xd9", "not a whole JPEG file")
    at = 2
    while at + 9 < len(file) and file[at] == 255:
        marker, (segment,) = file[at + 1], struct.unpack_from(">H", file, at + 2)
        if marker in (0xC0, 0xC1, 0xC2):
            return struct.unpack_from(">HH", file, at + 5)[::-1]
        at += 2 + segment
    raise Refused("JPEG without a frame header")


def read_manifest(path):
    """The manifest, checked against its checksum and the rules that need no shard."""
    with open(path, "rb") as file:
        need(os.fstat(file.fileno()).st_size <= 1 << 30, "manifest too large")
        raw = file.read()
    manifest = json.loads(raw)
    need(re.match(r"1\.\d+$", manifest["clipshard"]), "version")
    need(manifest.get("required_features", []) == [], "unknown required features")
    at = raw[:4096].find(b'"checksum":"crc32:') + 18
    need(at >= 18 and re.fullmatch(rb"[0-9a-f]{8}", raw[at:at + 8]), "checksum is missing")
    need(int(raw[at:at + 8], 16) == zlib.crc32(raw[:at] + b"0" * 8 + raw[at + 8:]), "checksum")
    numbers = [s[k] for stream in manifest["streams"] for s in stream["shards"] for k in ("bytes", "clips", "records", "trailer_crc32")]
    need(all(type(n) is int and 0 <= n < 1 << 64 for n in numbers), "a number of a shard")
    files = [s["file"] for stream in manifest["streams"] for s in stream["shards"]]
    plain = all(f not in ("", ".", "..") and not re.search(r"[/\\:\0]", f) for f in files)
    names, ids = [s["name"] for s in manifest["streams"]], [c["id"] for c in manifest["clips"]]
    need(plain and len(set(files)) == len(files) and len(set(names)) == len(names), "names of shards or streams")
    need(len(set(ids)) == len(ids) and all(1 <= len(i.encode()) <= 65535 for i in ids), "clip ids")
    for clip in manifest["clips"]:
        need(0 <= clip["label"] < len(manifest["classes"]) and len(clip["subsets"]) == len(manifest["splits"]), "clip")
        need(set(clip["subsets"]) <= {"train", "test", "unused"} and set(clip["frames"]) <= set(names), "clip")
    return manifest


def check_shard(path):
    shard = Shard(path)
    for number, clip in enumerate(shard.ids):
        for i, e in enumerate(shard.entries(number)):
            frame, plane = divmod(i, shard.header.planes)
            try:
                shown = f"{zlib.crc32(shard.pixels(number, frame, plane)):08x}"
            except NoModule as fault:
                shown = f"not decoded: {fault}"
            print(f"{shard.stream} {clip} {frame} {plane} {e.width}x{e.height}x{e.channels} codec {e.codec}: {shown}")
    return shard


def check_set(folder):
    manifest = read_manifest(os.path.join(folder, "manifest.json"))
    for stream in manifest["streams"]:
        expected, found = {c["id"]: c["frames"].get(stream["name"]) for c in manifest["clips"]}, {}
        for info in stream["shards"]:
            shard = check_shard(os.path.join(folder, info["file"]))
            crc32, records = struct.unpack_from("<I", shard.data, len(shard.data) - 16)[0], sum(c.records for c in shard.clips)
            seen = (len(shard.data), len(shard.clips), records, crc32, shard.stream, shard.header.planes, shard.header.channels)
            said = (*(info[k] for k in ("bytes", "clips", "records", "trailer_crc32")), stream["name"], stream["planes"], stream["channels"])
            need(seen == said, f"{info['file']} is not the shard that the manifest lists")
            for clip, entry in zip(shard.ids, shard.clips):
                need(clip not in found, f"clip {clip} is there twice")
                found[clip] = entry.records // shard.header.planes
        need(found == {k: v for k, v in expected.items() if v is not None}, "clips of the manifest and the shards differ")


def main(paths):
    bad = 0
    for path in paths:
        check = check_set if os.path.isdir(path) else read_manifest if path.endswith(".json") else check_shard
        try:
            check(path)
        except (Refused, ValueError, KeyError, TypeError, OSError, RecursionError) as fault:
            bad += 1
            print(f"{path}: refused: {type(fault).__name__}: {fault}")
        else:
            print(f"{path}: whole")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]) if len(sys.argv) > 1 else __doc__)
