"""Reads clip shards of format 1.0, as specified in shard/format-spec.md.

This is a second reader: it shares no code with the Rust crate. It needs only Python. Before Python
3.14, zstd records also need the package `zstandard`. scripts/check_clipshards.py reads whole
datasets with it.

    shard = Shard("flow-00000.clipshard")
    entry = shard.entries(clip=0)[frame * shard.header.planes + plane]
    numpy.frombuffer(shard.image(entry), "u1").reshape(entry.height, entry.width, entry.channels)

All functions raise ValueError if a file breaks a rule of the format.
"""
import io, json, mmap, os, re, stat, struct
from collections import namedtuple
from zlib import crc32


def structure(form, fields):
    """Returns a function that reads a structure of fixed size at an offset, as a named tuple.

    `form` is a format of the module `struct`, in which `x` stands for reserved bytes.
    """
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


def need(ok, fault):
    """Raises ValueError with the fault unless `ok` is true."""
    if not ok:
        raise ValueError(fault)


def open_regular(path):
    """Opens a regular file for reading. Follows links, and does not block on a pipe without a writer."""
    file = open(path, "rb", opener=lambda path, flags: os.open(path, flags | getattr(os, "O_NONBLOCK", 0)))
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ValueError("not a regular file")
    return file


class Shard:
    """An open shard, whose header, trailer, clip table and metadata are checked.

    `stream` is the name of its stream, `ids` are the ids of its clips, and `metadata` is its metadata
    as a dictionary.
    """

    def __init__(self, path):
        with open_regular(path) as file:
            need(os.path.getsize(path) >= 128 and file.read(8) == MARK, "it is not a shard, or too short")
            self.data = data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        self.header, self.trailer = h, t = header(data, 0), trailer(data, len(data) - 64)
        need(crc32(data[:60]) == h.crc32, "the checksum of the header does not match")
        need(h.major == 1, f"format version {h.major}.{h.minor} is not supported")
        need(h.required == 0, f"it needs unknown features {h.required:#x}")
        need(re.fullmatch(rb"[A-Za-z0-9_-]{1,16}\0*", h.stream), "the name of the stream is not allowed")
        need(h.planes and 1 <= h.channels <= 4, "the number of planes or channels is not allowed")
        need(t.end_mark == END_MARK, "the end mark is missing")
        need(crc32(data[-64:-16]) == t.crc32, "the checksum of the trailer does not match")
        need(t.reserved == 0, "the reserved bytes of the trailer are not zero")
        need(t.file_bytes == len(data), f"it has {len(data)} bytes, but its trailer states {t.file_bytes}")
        need(t.header_crc32 == h.crc32, "the trailer belongs to another header")
        clips_at = t.index_at + 32 * t.records
        names_at = clips_at + 32 * t.clips
        metadata_at = names_at + t.names
        need(metadata_at + t.metadata + 64 == len(data), "the sizes do not add up to the size of the file")
        need(t.index_at >= 64 and t.index_at % 8 == 0, "the index starts inside the header, or not at a multiple of 8")
        need(1 <= t.clips <= t.records, "it states no clips, or fewer records than clips")
        need(crc32(data[clips_at:metadata_at]) == t.clip_table_crc32, "the checksum of the clip table does not match")
        need(crc32(data[metadata_at:-64]) == t.metadata_crc32, "the checksum of the metadata does not match")
        record, name, self.clips = 0, 0, [clip_entry(data, at) for at in range(clips_at, names_at, 32)]
        for c in self.clips:
            need((c.first, c.name_at) == (record, name), "a clip does not follow the clip before it")
            need(c.records and c.records % h.planes == 0, "a clip does not consist of one or more frames")
            need(c.name_bytes, "the id of a clip is empty")
            record, name = record + c.records, name + c.name_bytes
        need((record, name) == (t.records, t.names), "the clips do not cover the index and the names")
        names = [data[names_at + c.name_at:][:c.name_bytes] for c in self.clips]
        self.stream, self.ids = h.stream.rstrip(b"\0").decode(), [str(name, "utf-8") for name in names]
        self.metadata = json.loads(bytes(data[metadata_at:-64]))
        need(len(self.metadata["clips"]) == t.clips, "the metadata describes another number of clips")
        last = index_entry(data, clips_at - 32)
        zeros = t.index_at - last.offset - last.stored
        need(0 <= zeros < 8, "the last record does not end where the index starts")
        need(not any(data[t.index_at - zeros:t.index_at]), "the bytes between records and index are not zero")

    def entries(self, clip):
        """Checks and returns the index entries of a clip, frame after frame and plane after plane."""
        count, at = self.clips[clip].records, self.trailer.index_at + 32 * self.clips[clip].first
        found = crc32(self.data[at:at + 32 * count])
        need(found == self.clips[clip].index_crc32, "the checksum of the index does not match")
        before = index_entry(self.data, at - 32) if clip else None
        end = before.offset + before.stored if clip else 64
        entries = [index_entry(self.data, at + 32 * i) for i in range(count)]
        for position, e in enumerate(entries):
            size = e.width * e.height * e.channels
            filters = (NONE, UP) if e.codec in (ZSTD, LZ4) else (NONE,)
            need(e.codec <= LZ4 and e.filter in filters, "the codec is unknown or does not support the filter")
            need((e.clip, e.position) == (clip, position), "a record states that it is another record")
            need(0 < size <= 1 << 28 and e.channels == self.header.channels, "the size of an image is not allowed")
            need(e.stored and (e.codec != RAW or e.stored == size), "the number of stored bytes is not allowed")
            need(e.codec != JPEG or e.channels in (1, 3), "a JPEG image has neither 1 nor 3 channels")
            need(e.offset == end, "a record does not start where the record before it ends")
            end += e.stored
            need(end <= self.trailer.index_at, "a record ends after the start of the index")
        return entries

    def image(self, e):
        """Reads the image of an index entry: rows with interleaved channels, or the file of a JPEG record."""
        stored = bytes(self.data[e.offset:e.offset + e.stored])
        need(crc32(stored) == e.crc32, "the checksum of a record does not match")
        if e.codec == JPEG:
            need(jpeg_size(stored) == (e.width, e.height), "a JPEG file has another size than the index states")
            return stored
        row, size = e.width * e.channels, e.height * e.width * e.channels
        image = bytearray(stored if e.codec == RAW else {ZSTD: unzstd, LZ4: unlz4}[e.codec](stored, size))
        need(len(image) == size, "an image has another size than the index states")
        if e.filter == UP:
            for at in range(row, size):
                image[at] = (image[at] + image[at - row]) & 255
        return bytes(image)


def jpeg_size(file):
    """Returns width and height from the frame header of a JPEG file, and checks its first and last marker."""
    at = 2
    need(file[:2] == b"\xff\xd8" and file.rstrip(b"\0")[-2:] == b"\xff\xd9", "a record is not a whole JPEG file")
    while at + 9 < len(file) and file[at] == 0xFF and file[at + 1] not in (0xC0, 0xC1, 0xC2):
        at += 2 + int.from_bytes(file[at + 2:at + 4], "big")
    need(at + 9 < len(file) and file[at] == 0xFF, "a JPEG file has no frame header")
    return struct.unpack_from(">HH", file, at + 5)[::-1]


def unzstd(frame, size):
    """Decompresses one zstd frame, which must state `size`."""
    try:
        from compression import zstd  # part of Python since version 3.14
        stated, stream = zstd.get_frame_info(frame).decompressed_size, zstd.ZstdDecompressor()
    except ImportError:
        import zstandard as zstd
        stated, stream = zstd.frame_content_size(frame), zstd.ZstdDecompressor().decompressobj()
    need(stated == size, "a zstd frame states another size, or none")
    image = stream.decompress(frame)
    need(stream.eof and not stream.unused_data, "a record is not exactly one zstd frame")
    return image


def unlz4(block, size):
    """Decompresses an LZ4 block of at most `size` bytes.

    A block is a list of sequences. Each has a token, literals and a match; the last sequence has no match.
    """
    image, rest = bytearray(), io.BytesIO(block)

    def take(count):
        taken = rest.read(count)
        need(len(taken) == count, "an LZ4 block ends early")
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
        need(0 < distance <= len(image) and len(image) + match <= size, "an LZ4 match is outside of the image")
        for _ in range(match):
            image.append(image[-distance])
