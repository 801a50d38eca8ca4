"""Reads clip shards, format 1.0, as shard/format-spec.md says: a second reader that shares nothing with the Rust one.

    shard = Shard("flow-00000.clipshard")
    entry = shard.entries(clip=0)[frame * shard.header.planes + plane]
    numpy.frombuffer(shard.image(entry), "u1").reshape(entry.height, entry.width, entry.channels)

scripts/check_clipshards.py reads whole data sets with it.
"""
import io, json, mmap, os, re, stat, struct
from collections import namedtuple
from zlib import crc32


def structure(form, fields):
    """A function that reads a structure of fixed size at a place of the file; `x` are reserved bytes."""
    unpack_from, fields = struct.Struct("<" + form).unpack_from, namedtuple("Structure", fields)
    return lambda data, at: fields(*unpack_from(data, at))


MARK, END_MARK = b"\x89CSD\r\n\x1a\n", b"\n\x1a\r\nDSC\x89"
RAW, JPEG, ZSTD, LZ4 = range(4)
NONE, UP = range(2)
header = structure("8sHHII16sBB22xI", "mark major minor required optional stream planes channels crc32")
index_entry = structure("QIIHHBBBxII", "offset stored crc32 width height channels codec filter clip position")
clip_entry = structure("QIIIH10x", "first records index_crc32 name_at name_bytes")
trailer = structure("QQQIIIIIIII8s", "file_bytes index_at records clips names metadata clip_table_crc32 metadata_crc32"
                    " header_crc32 crc32 reserved end_mark")


def need(ok, what):
    if not ok:
        raise ValueError(what)


def open_regular(path):
    """Opens a regular file, after links. Anything else is refused, and a pipe without a writer does not block."""
    file = open(path, "rb", opener=lambda path, flags: os.open(path, flags | getattr(os, "O_NONBLOCK", 0)))
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ValueError("not a regular file")
    return file


class Shard:
    def __init__(self, path):
        with open_regular(path) as file:
            need(os.path.getsize(path) >= 128 and file.read(8) == MARK, "not a shard, or too short")
            self.data = data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        self.header, self.trailer = h, t = header(data, 0), trailer(data, len(data) - 64)
        need(crc32(data[:60]) == h.crc32, "header checksum")
        need(h.major == 1, f"version {h.major}.{h.minor}")
        need(h.required == 0, f"unknown required features {h.required:#x}")
        need(re.fullmatch(rb"[A-Za-z0-9_-]{1,16}\0*", h.stream) and h.planes and 1 <= h.channels <= 4, "stream")
        need(t.end_mark == END_MARK, "end mark is missing")
        need(crc32(data[-64:-16]) == t.crc32 and t.reserved == 0, "trailer checksum or reserved bytes")
        need((t.file_bytes, t.header_crc32) == (len(data), h.crc32), "trailer of another file")
        clips_at = t.index_at + 32 * t.records
        names_at = clips_at + 32 * t.clips
        metadata_at = names_at + t.names
        need(metadata_at + t.metadata + 64 == len(data), "sizes do not add up")
        need(t.index_at >= 64 and t.index_at % 8 == 0 and 1 <= t.clips <= t.records, "place of the index, or counts")
        need(crc32(data[clips_at:metadata_at]) == t.clip_table_crc32, "clip table checksum")
        need(crc32(data[metadata_at:-64]) == t.metadata_crc32, "metadata checksum")
        record, name, self.clips = 0, 0, [clip_entry(data, at) for at in range(clips_at, names_at, 32)]
        for c in self.clips:
            need((c.first, c.name_at) == (record, name), "clips that do not follow each other")
            need(c.records and c.records % h.planes == 0 and c.name_bytes, "a clip without whole frames or an id")
            record, name = record + c.records, name + c.name_bytes
        need((record, name) == (t.records, t.names), "clips that do not cover index and names")
        names = [data[names_at + c.name_at:][:c.name_bytes] for c in self.clips]
        self.stream, self.ids = h.stream.rstrip(b"\0").decode(), [str(name, "utf-8") for name in names]
        self.metadata = json.loads(bytes(data[metadata_at:-64]))
        need(len(self.metadata["clips"]) == t.clips, "metadata of other clips")
        last = index_entry(data, clips_at - 32)
        zeros = t.index_at - last.offset - last.stored
        need(0 <= zeros < 8 and not any(data[t.index_at - zeros:t.index_at]), "padding")

    def entries(self, clip):
        """The checked index entries of a clip, frame after frame and plane after plane."""
        count, at = self.clips[clip].records, self.trailer.index_at + 32 * self.clips[clip].first
        need(crc32(self.data[at:at + 32 * count]) == self.clips[clip].index_crc32, "index checksum")
        before = index_entry(self.data, at - 32) if clip else None
        end = before.offset + before.stored if clip else 64
        entries = [index_entry(self.data, at + 32 * i) for i in range(count)]
        for position, e in enumerate(entries):
            size = e.width * e.height * e.channels
            need(e.codec <= LZ4 and e.filter <= (UP if e.codec in (ZSTD, LZ4) else NONE), "unknown codec or filter")
            need((e.clip, e.position) == (clip, position), "a record that says it is another")
            need(0 < size <= 1 << 28 and e.channels == self.header.channels, "size of an image")
            need(e.stored and (e.codec != RAW or e.stored == size), "stored bytes")
            need(e.codec != JPEG or e.channels in (1, 3), "channels of a JPEG")
            need(e.offset == end and end + e.stored <= self.trailer.index_at, "place of a record")
            end += e.stored
        return entries

    def image(self, e):
        """The image of an index entry, rows of interleaved channels; of a JPEG record its file."""
        stored = bytes(self.data[e.offset:e.offset + e.stored])
        need(crc32(stored) == e.crc32, "record checksum")
        if e.codec == JPEG:
            need(jpeg_size(stored) == (e.width, e.height), "a JPEG of another size")
            return stored
        row, size = e.width * e.channels, e.height * e.width * e.channels
        image = bytearray(stored if e.codec == RAW else {ZSTD: unzstd, LZ4: unlz4}[e.codec](stored, size))
        need(len(image) == size, "an image of another size")
        if e.filter == UP:
            for at in range(row, size):
                image[at] = (image[at] + image[at - row]) & 255
        return bytes(image)


def jpeg_size(file):
    """Width and height from the frame header; the file must begin and end as a JPEG file."""
    at = 2
    need(file[:2] == b"\xff\xd8" and file.rstrip(b"\0")[-2:] == b"\xff\xd9", "not a whole JPEG file")
    while at + 9 < len(file) and file[at] == 0xFF and file[at + 1] not in (0xC0, 0xC1, 0xC2):
        at += 2 + int.from_bytes(file[at + 2:at + 4], "big")
    need(at + 9 < len(file) and file[at] == 0xFF, "a JPEG without a frame header")
    return struct.unpack_from(">HH", file, at + 5)[::-1]


def unzstd(frame, size):
    try:
        from compression import zstd  # Python 3.14 brings it
        stated, stream = zstd.get_frame_info(frame).decompressed_size, zstd.ZstdDecompressor()
    except ImportError:
        import zstandard as zstd
        stated, stream = zstd.frame_content_size(frame), zstd.ZstdDecompressor().decompressobj()
    need(stated == size, "a zstd frame that states another size, or none")
    image = stream.decompress(frame)
    need(stream.eof and not stream.unused_data, "more or less than one zstd frame")
    return image


def unlz4(block, size):
    """Sequences of a token, literals and a match; the last ends with its literals."""
    image, rest = bytearray(), io.BytesIO(block)

    def take(count):
        taken = rest.read(count)
        need(len(taken) == count, "an LZ4 block that ends early")
        return taken

    def length(total):
        more = 255 if total == 15 else 0
        while more == 255:
            more = take(1)[0]
            total += more
        return total

    while True:
        token = take(1)[0]
        image += take(length(token >> 4))
        if rest.tell() == len(block):
            return image
        distance, match = int.from_bytes(take(2), "little"), length(token & 15) + 4
        need(0 < distance <= len(image) and len(image) + match <= size, "an LZ4 match outside the image")
        for _ in range(match):
            image.append(image[-distance])
