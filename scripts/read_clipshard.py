"""Reads clip shards of format 1.0, as specified in shard/format-spec.md.

This is a second reader: it shares no code with the Rust crate. It needs only Python. Before Python
3.14, zstd records also need the package `zstandard`. Filtered records are read faster if
numpy is installed. scripts/check_clipshards.py checks whole datasets with it.

    shard = Shard("flow-00000.clipshard")
    entry = shard.entries(clip=0)[frame * shard.header.planes + plane]
    numpy.frombuffer(shard.record(entry), shard.dtype).reshape(entry.shape)

All functions raise ValueError if a file breaks a rule of the format, and OSError if it cannot be read.
"""
import io, json, math, mmap, os, re, stat, struct
from collections import Counter, namedtuple
from zlib import crc32

try:
    import numpy
except ImportError:  # Loops of Python then add the rows.
    numpy = None


def structure(form, fields):
    """Returns a function that reads a structure of fixed size at an offset, as a named tuple.

    `form` is a format of the module `struct`, in which `x` stands for reserved bytes.
    """
    unpack_from, fields = struct.Struct("<" + form).unpack_from, namedtuple("Structure", fields)
    return lambda data, at: fields(*unpack_from(data, at))


MARK, END_MARK = b"\x89CSD\r\n\x1a\n", b"\n\x1a\r\nDSC\x89"
LARGEST_RECORD, DEEPEST_ATTRIBUTES = 1 << 28, 64
RAW, JPEG, ZSTD, LZ4 = range(4)
NONE, UP, SHUFFLE, UP_SHUFFLE = range(4)
# The types of samples by number: name, bytes, type in numpy, and the filters that fit.
SampleType = namedtuple("SampleType", "name bytes dtype filters")
SAMPLE_TYPES = (
    SampleType("u8", 1, "u1", (NONE, UP)),
    SampleType("u16", 2, "<u2", (NONE, UP, SHUFFLE, UP_SHUFFLE)),
    SampleType("i16", 2, "<i2", (NONE, UP, SHUFFLE, UP_SHUFFLE)),
    SampleType("f16", 2, "<f2", (NONE, SHUFFLE)),
    SampleType("f32", 4, "<f4", (NONE, SHUFFLE)),
)
header = structure("8sHHII16sBBBBIII8xI", "mark major minor required optional stream planes channels samples rank"
                   " dim1 dim2 dim3 crc32")
index_entry = structure("QIIIBBBxII", "offset stored crc32 size channels codec filter clip position")
clip_entry = structure("QIIIH10x", "first records index_crc32 name_at name_bytes")
trailer = structure("QQQIIIIIIII8s", "file_bytes index_at records clips names metadata clip_table_crc32 metadata_crc32"
                    " header_crc32 crc32 reserved end_mark")
# A record of a clip. The shape is (height, width, channels) for an image, and all dimensions for an array.
Entry = namedtuple("Entry", "offset stored crc32 shape codec filter")


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

    `stream` is the name of its stream, `dtype` is the type of its samples in numpy, `ids` are the ids
    of its clips, and `metadata` is its metadata as a dictionary.
    """

    def __init__(self, path):
        with open_regular(path) as file:
            length = os.fstat(file.fileno()).st_size
            need(length >= 128 and file.read(8) == MARK, "it is not a shard, or too short")
            self.data = data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        self.header, self.trailer = h, t = header(data, 0), trailer(data, len(data) - 64)
        need(crc32(data[:60]) == h.crc32, "the checksum of the header does not match")
        need(h.major == 1, f"format version {h.major}.{h.minor} is not supported")
        need(h.required == 0, f"it needs unknown features {h.required:#x}")
        need(re.fullmatch(rb"[A-Za-z0-9_-]{1,16}\0*", h.stream), "the name of the stream is not allowed")
        need(h.planes, "it states no planes")
        need(h.samples < len(SAMPLE_TYPES), f"the type {h.samples} of the samples is unknown")
        need(h.rank <= 4, f"the records have {h.rank} dimensions, but at most 4 are allowed")
        dims, absent = (h.dim1, h.dim2, h.dim3)[:max(h.rank - 1, 0)], (h.dim1, h.dim2, h.dim3)[max(h.rank - 1, 0):]
        need(all(dims) and not any(absent), "a dimension is zero, or one is stated that the records lack")
        need(math.prod(dims) * SAMPLE_TYPES[h.samples].bytes <= LARGEST_RECORD, "a row is larger than 2^28 bytes")
        need(1 <= h.channels <= 4 if h.rank == 0 else h.channels == 0, "the number of channels is not allowed")
        self.stream, self.type, self.dims = h.stream.rstrip(b"\0").decode(), SAMPLE_TYPES[h.samples], dims
        self.dtype = self.type.dtype
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
        self.ids = [str(name, "utf-8") for name in names]
        self.metadata = from_json(data[metadata_at:-64])
        check_content(self.metadata, self.ids)
        # If the index of the last clip is damaged, the end of its records is unknown.
        if self.index_is_intact(t.clips - 1):
            last = index_entry(data, clips_at - 32)
            zeros = t.index_at - last.offset - last.stored
            need(0 <= zeros < 8, "the last record does not end where the index starts")
            need(not any(data[t.index_at - zeros:t.index_at]), "the bytes between records and index are not zero")

    def index_is_intact(self, clip):
        """Returns whether the checksum of the index entries of a clip matches."""
        at = self.trailer.index_at + 32 * self.clips[clip].first
        return crc32(self.data[at:at + 32 * self.clips[clip].records]) == self.clips[clip].index_crc32

    def entries(self, clip):
        """Checks the index entries of a clip. Returns its records, frame after frame and plane after plane."""
        need(self.index_is_intact(clip), "the checksum of the index does not match")
        at, entries = self.trailer.index_at + 32 * self.clips[clip].first, []
        end = 64
        if clip:
            before = index_entry(self.data, at - 32)
            # If the index of the clip before is damaged, the end of its records is unknown.
            end = before.offset + before.stored if self.index_is_intact(clip - 1) else None
        for position in range(self.clips[clip].records):
            e = index_entry(self.data, at + 32 * position)
            filters = self.type.filters if e.codec in (ZSTD, LZ4) else (NONE,)
            need(e.codec <= LZ4 and e.filter <= UP_SHUFFLE, "the codec or the filter is unknown")
            need(e.filter in filters, "the filter does not fit the codec or the type of the samples")
            need((e.clip, e.position) == (clip, position), "a record states that it is another record")
            need(e.channels == self.header.channels, "the number of channels is not that of the header")
            shape = (e.size, *self.dims) if self.header.rank else (e.size >> 16, e.size & 0xFFFF, e.channels)
            size = math.prod(shape) * self.type.bytes
            need(size <= LARGEST_RECORD, "a record is larger than 2^28 bytes")
            if self.header.rank and size == 0:
                need((e.stored, e.codec, e.filter) == (0, RAW, NONE), "an array without samples is stored somehow")
            else:
                need(size and e.stored, "an image has no pixels, or a record has no stored bytes")
            need(e.codec != RAW or e.stored == size, "the number of stored bytes of a raw record is not its size")
            is_colour = self.header.rank == 0 and self.type.name == "u8" and e.channels in (1, 3)
            need(e.codec != JPEG or is_colour, "a JPEG record is no image of u8 samples with 1 or 3 channels")
            need(e.codec != LZ4 or e.stored < 1 << 31, "an LZ4 block is too long")
            need(e.offset == end if end is not None else e.offset >= 64,
                 "a record does not start where the record before it ends")
            end = e.offset + e.stored
            need(end <= self.trailer.index_at, "a record ends after the start of the index")
            entries.append(Entry(e.offset, e.stored, e.crc32, shape, e.codec, e.filter))
        return entries

    def record(self, e):
        """Reads a record: its samples in the order of its shape, or the file of a JPEG record."""
        stored = bytes(self.data[e.offset:e.offset + e.stored])
        need(crc32(stored) == e.crc32, "the checksum of a record does not match")
        if e.codec == JPEG:
            need(jpeg_size(stored) == e.shape[:2], "a JPEG file has another size than the index states")
            return stored
        size = math.prod(e.shape) * self.type.bytes
        record = stored if e.codec == RAW else {ZSTD: unzstd, LZ4: unlz4}[e.codec](stored, size)
        need(len(record) == size, "a record has another size than the index states")
        return bytes(unfilter(record, e.filter, self.type.bytes, math.prod(e.shape[1:])))


def unfilter(record, filter, width, row):
    """Undoes a filter. `width` is the number of bytes of a sample, and `row` the number of samples of a row."""
    count = len(record) // width
    if filter in (SHUFFLE, UP_SHUFFLE):
        shuffled, record = record, bytearray(len(record))
        for byte in range(width):
            record[byte::width] = shuffled[byte * count:(byte + 1) * count]
    if filter in (UP, UP_SHUFFLE):
        record = (sums_with_numpy if numpy else sums)(record, width, row, filter == UP_SHUFFLE)
    return record


def sums(record, width, row, is_folded):
    """Undoes `fold`, if it was used, and adds to each row the row above it."""
    count, mask = len(record) // width, (1 << 8 * width) - 1
    form = f"<{count}{'BH'[width - 1]}"
    samples = list(struct.unpack(form, record))
    if is_folded:
        samples = [(sample >> 1) ^ (mask * (sample & 1)) for sample in samples]
    for at in range(row, count):
        samples[at] = (samples[at] + samples[at - row]) & mask
    return struct.pack(form, *samples)


def sums_with_numpy(record, width, row, is_folded):
    """Does the same as `sums`. Unsigned integers of numpy wrap."""
    samples = numpy.frombuffer(record, f"<u{width}")
    if is_folded:
        samples = (samples >> 1) ^ -(samples & 1)
    return numpy.add.accumulate(samples.reshape(-1, row), dtype=samples.dtype).tobytes()


def jpeg_size(file):
    """Returns height and width from the frame header of a JPEG file, and checks its first and last marker."""
    at = 2
    need(file[:2] == b"\xff\xd8" and file.rstrip(b"\0")[-2:] == b"\xff\xd9", "a record is not a whole JPEG file")
    while at + 9 < len(file) and file[at] == 0xFF and file[at + 1] not in (0xC0, 0xC1, 0xC2, 0xDA):
        # Any number of bytes ff may precede a marker.
        at += 1 if file[at + 1] == 0xFF else 2 + int.from_bytes(file[at + 2:at + 4], "big")
    need(at + 9 < len(file) and file[at] == 0xFF and file[at + 1] != 0xDA, "a JPEG file has no frame header")
    need(file[at + 4] == 8 and file[at + 9] in (1, 3), "a JPEG file has not 8 bits, or neither 1 nor 3 components")
    return struct.unpack_from(">HH", file, at + 5)


def unzstd(frame, size):
    """Decompresses one zstd frame, which must state `size`."""
    try:
        from compression import zstd  # part of Python since version 3.14
        parameters, error = zstd.get_frame_info, zstd.ZstdError
        new = lambda: zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: 31})
    except ImportError:
        import zstandard as zstd
        parameters, error = zstd.get_frame_parameters, zstd.ZstdError
        new = lambda: zstd.ZstdDecompressor(max_window_size=1 << 31).decompressobj()
    try:
        stated = parameters(frame)
        stated, dictionary = (getattr(stated, names[0], None) or getattr(stated, names[1], None) for names in (
            ("decompressed_size", "content_size"), ("dictionary_id", "dict_id")))
        need(stated == size and not dictionary, "a zstd frame states another size, or none, or a dictionary")
        stream = new()
        record = stream.decompress(frame)
    except error as fault:
        raise ValueError(f"a record is not a zstd frame: {fault}") from None
    need(stream.eof and not stream.unused_data, "a record is not exactly one zstd frame")
    return record


def unlz4(block, size):
    """Decompresses an LZ4 block of at most `size` bytes.

    A block is a list of sequences. Each has a token, literals and a match; the last sequence has no match.
    """
    record, rest = bytearray(), io.BytesIO(block)

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
        record += take(length(token >> 4))
        if rest.tell() == len(block):
            return record
        distance, match = int.from_bytes(take(2), "little"), length(token & 15) + 4
        need(0 < distance <= len(record) and len(record) + match <= size, "an LZ4 match is outside of the record")
        for _ in range(match):
            record.append(record[-distance])


class Object(dict):
    """A JSON object. `repeated` are the keys that it has more than once."""

    def __init__(self, pairs):
        super().__init__(pairs)
        self.repeated = {key for key, count in Counter(key for key, _ in pairs).items() if count > 1}


def from_json(raw):
    """Parses JSON in UTF-8. Numbers become int only if they are integers without a sign of at most 64 bits."""
    def number(text):
        return int(text) if text[0] != "-" and len(text) < 21 and int(text) < 1 << 64 else float(text)

    def constant(text):
        raise ValueError(f"{text} is not JSON")

    try:
        return json.loads(str(raw, "utf-8"), object_pairs_hook=Object, parse_int=number, parse_constant=constant)
    except RecursionError:
        raise ValueError("JSON is nested too deeply") from None


def value(json_object, key, kind, *absent):
    """Returns the value of a key, which must be of a type. Returns `absent`, if given, if the key is absent."""
    need(type(json_object) is Object, "what should be a JSON object is none")
    need(key not in json_object.repeated, f"the key {key!r} occurs twice")
    if absent and key not in json_object:
        return absent[0]
    found = json_object.get(key)
    need(type(found) is kind, f"the key {key!r} is missing, or it is not of type {kind.__name__}")
    return found


def texts(json_object, key, *absent, shortest=0, longest=1 << 30):
    """Returns the value of a key, which must be an array of texts."""
    found = value(json_object, key, list, *absent)
    need(all(type(text) is str for text in found), f"{key!r} holds something that is not text")
    is_allowed = all(shortest <= len(text.encode()) <= longest for text in found)
    need(is_allowed, f"the length of a text in {key!r} is not allowed")
    return found


def number(json_object, key, bits, *absent):
    """Returns the value of a key, which must be an unsigned integer of so many bits."""
    found = value(json_object, key, int, *absent)
    need(found is None or found < 1 << bits, f"{key!r} is too large")
    return found


def attributes(json_object):
    """Checks and returns the attributes of a clip or dataset."""
    found = value(json_object, "attributes", Object, {})
    level, depth = [found], 0
    while level:
        inner = [part for outer in level for part in (outer.values() if type(outer) is Object else outer)]
        level, depth = [part for part in inner if type(part) in (Object, list)], depth + 1
    need(depth <= DEEPEST_ATTRIBUTES, f"attributes are nested {depth} deep, but at most 64 are allowed")
    return found


def check_content(content, ids):
    """Checks the keys that the manifest and the metadata of a shard share, for clips with these ids."""
    value(content, "dataset", str).encode()
    classes, splits = texts(content, "classes"), texts(content, "splits")
    value(content, "build", Object)
    attributes(content)
    clips = value(content, "clips", list)
    need(len(clips) == len(ids), "another number of clips is described")
    for clip, name in zip(clips, ids):
        label, subsets = number(clip, "label", 32, None), texts(clip, "subsets", shortest=1, longest=255)
        need(label is None or label < len(classes), f"clip {name!r} has label {label} of {len(classes)} classes")
        need(len(subsets) == len(splits), f"clip {name!r} has {len(subsets)} subsets for {len(splits)} splits")
        attributes(clip)
    groups, listed = value(content, "groups", Object, Object(())), {*ids}
    for clip in groups:
        need(clip in listed, f"a group belongs to the clip {clip!r}, which is not listed")
        length = len(value(groups, clip, str).encode())
        need(1 <= length <= 65535, f"the name of the group of {clip!r} has {length} bytes")
