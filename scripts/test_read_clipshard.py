"""Tests of read_clipshard.py and check_clipshards.py that need neither zstandard nor the Rust crates.

tests/tests/second_reader.rs compares both readers on the golden datasets and on all hostile files.
"""

import contextlib
import io
import json
import math
import random
import re
import shutil
import struct
import tempfile
import unittest
from collections import Counter
from pathlib import Path
from unittest import mock
from zlib import crc32

import check_clipshards
import read_clipshard
from read_clipshard import NONE, SAMPLE_TYPES, SHUFFLE, UP, UP_SHUFFLE, Shard, from_json, unfilter, unlz4

REPOSITORY = Path(__file__).parent.parent
SPECIFICATION = (REPOSITORY / "shard/format-spec.md").read_text()
WIDE = REPOSITORY / "shard/tests/golden-wide"
FOLDERS = "golden", "golden-wide", "attacks", "unusual"


def example():
    """Returns the shard that the specification lists byte by byte."""
    listed = SPECIFICATION[SPECIFICATION.index("## Example: a whole shard") :]
    return bytes.fromhex("".join(re.findall(r"^[0-9a-f]{4}  ((?:[0-9a-f]{2} ?)+)", listed, re.MULTILINE)))


def records(path):
    """Returns the bytes of each record of a shard, or why the record, its clip or the shard cannot be read."""

    def tried(read, *arguments):
        try:
            return read(*arguments)
        # zstandard can be missing.
        except (ImportError, ValueError, OSError) as fault:
            return repr(fault)

    shard = tried(Shard, path)
    if isinstance(shard, str):
        return shard
    clips = [tried(shard.entries, clip) for clip in range(len(shard.ids))]
    return [clip if isinstance(clip, str) else [tried(shard.record, entry) for entry in clip] for clip in clips]


def filters(path):
    """Returns the filters of the records that can be read."""
    found = Counter()
    with contextlib.suppress(ValueError, OSError):
        shard = Shard(path)
        for clip in range(len(shard.ids)):
            with contextlib.suppress(ValueError):
                found.update(entry.filter for entry in shard.entries(clip))
    return found


def built(form, dim, records):
    """Returns a shard of one clip with one plane.

    `form` has channels, type of samples and rank of the header, and `dim` is the first of its dims. A record has the
    field `length` (or height and width), codec, filter and stored bytes.
    """
    data = b"\x89CSD\r\n\x1a\n" + struct.pack("<HHII16s4BIIIQ", 1, 0, 0, 0, b"x", 1, *form, dim, 0, 0, 0)
    data += struct.pack("<I", crc32(data))
    header_crc32, index = crc32(data[:60]), b""
    for position, (size, codec, filter, stored) in enumerate(records):
        numbers = len(data), len(stored), crc32(stored), size, form[0], codec, filter, 0, position
        index += struct.pack("<QIIIBBBxII", *numbers)
        data += stored
    data += bytes(-len(data) % 8)
    table = struct.pack("<QIIIH10x", 0, len(records), crc32(index), 0, 1) + b"a"
    metadata = b'{"dataset":"","classes":[],"splits":[],"build":{},"clips":[{"subsets":[]}]}'
    length = len(data + index + table + metadata) + 64
    trailer = struct.pack("<QQQIIIIII", length, len(data), len(records), 1, 1, len(metadata), crc32(table),
                          crc32(metadata), header_crc32)
    end = struct.pack("<II", crc32(trailer), 0) + b"\n\x1a\r\nDSC\x89"
    return data + index + table + metadata + trailer + end


def sealed(manifest):
    """Returns the bytes of a manifest with a valid checksum."""
    text = json.dumps({**manifest, "checksum": "crc32:00000000"}, separators=(",", ":")).encode()
    # The checksum must be near the start.
    text = b'{"checksum":"crc32:00000000",' + text[1:].replace(b',"checksum":"crc32:00000000"', b"")
    return text.replace(b"00000000", f"{crc32(text):08x}".encode(), 1)


class Records(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def shard(self, data):
        (self.folder / "x.clipshard").write_bytes(data)
        return Shard(self.folder / "x.clipshard")

    def test_the_example_of_the_specification_is_read(self):
        shard = self.shard(example())
        self.assertEqual((shard.stream, shard.dtype, shard.ids), ("flow", "u1", ["wave"]))
        x, y = shard.entries(0)
        self.assertEqual((x.shape, y.shape), ((2, 3, 1), (2, 3, 1)))
        self.assertEqual(shard.record(x).hex(" "), "10 11 12 13 14 15")
        self.assertEqual(shard.record(y).hex(" "), "0a 14 1e 0b 16 21")

    def test_arrays_are_read_also_without_samples(self):
        # An LZ4 block of eight literals, filtered as in the test vector of the specification.
        block = bytes([0x80, 0xFE, 0x0A, 0x02, 0x03, 0x01, 0x00, 0x00, 0x00])
        shard = self.shard(built((0, 1, 2), 2, [(2, 3, 3, block), (0, 0, 0, b"")]))
        first, empty = shard.entries(0)
        self.assertEqual((shard.dtype, first.shape, empty.shape), ("<u2", (2, 2), (0, 2)))
        self.assertEqual((shard.record(first).hex(" "), shard.record(empty)), ("ff 00 05 00 00 01 03 00", b""))

    def test_rules_about_the_form_of_records_are_enforced(self):
        raw = [(1, 0, 0, bytes(4))]
        for form, dim, records, fault in [
            ((0, 5, 2), 2, raw, "type 5 of the samples is unknown"),
            ((0, 1, 5), 2, raw, "5 dimensions"),
            ((0, 1, 2), 0, raw, "a dimension is zero"),
            ((0, 1, 1), 2, raw, "one is stated that the records lack"),
            ((1, 1, 0), 2, raw, "one is stated that the records lack"),
            ((1, 1, 2), 2, raw, "number of channels"),
            ((0, 1, 2), 1 << 28, raw, "a row is larger"),
            ((0, 1, 2), 2, [(1 << 31, 0, 0, b"1")], "larger than 2\\^28 bytes"),
            ((0, 1, 2), 2, [(1, 0, 0, bytes(3))], "stored bytes of a raw record"),
            ((0, 1, 2), 2, [(1, 0, 0, b"")], "no stored bytes"),
            ((0, 1, 2), 2, [(1, 2, 0, b"")], "no stored bytes"),
            ((0, 1, 2), 2, [(0, 0, 0, b"1")], "without samples is stored somehow"),
            ((0, 1, 2), 2, [(0, 3, 0, b"")], "without samples is stored somehow"),
            ((0, 1, 2), 2, [(1, 0, 1, bytes(4))], "filter does not fit"),
            ((0, 0, 2), 4, [(1, 3, 2, bytes(4))], "filter does not fit"),
            ((0, 3, 2), 2, [(1, 3, 3, bytes(4))], "filter does not fit"),
            ((0, 4, 2), 1, [(1, 3, 1, bytes(4))], "filter does not fit"),
            ((0, 0, 2), 4, [(1, 1, 0, bytes(4))], "a JPEG record is no image"),
            ((3, 1, 0), 0, [(0x10001, 1, 0, bytes(6))], "a JPEG record is no image"),
        ]:
            with self.subTest(fault=fault, form=form, records=records):
                data = built(form, dim, records)
                self.assertRaisesRegex(ValueError, fault, lambda: self.shard(data).entries(0))

    def test_a_damaged_index_of_a_clip_does_not_prevent_reading_the_others(self):
        path = WIDE / "depth-00000.clipshard"
        whole, data = Shard(path), bytearray(path.read_bytes())
        data[whole.trailer.index_at + 8] ^= 1
        damaged = self.shard(data)
        self.assertRaisesRegex(ValueError, "checksum of the index", damaged.entries, 0)
        self.assertEqual(damaged.entries(1), whole.entries(1))
        data = bytearray(path.read_bytes())
        data[whole.trailer.index_at + 32 * whole.trailer.records - 24] ^= 1
        damaged = self.shard(data)
        self.assertRaisesRegex(ValueError, "checksum of the index", damaged.entries, 2)
        self.assertEqual([damaged.entries(clip) for clip in (0, 1)], [whole.entries(clip) for clip in (0, 1)])

    def test_filters_are_undone_as_in_the_test_vector(self):
        listed = SPECIFICATION[SPECIFICATION.index("Test vector: the u16 image") :]
        filtered = dict(re.findall(r"^(up|shuffle|up-shuffle) +([0-9a-f ]+)$", listed, re.MULTILINE))
        for numpy in {read_clipshard.numpy, None}:
            with self.subTest(numpy=numpy), mock.patch.object(read_clipshard, "numpy", numpy):
                for filter, name in (UP, "up"), (SHUFFLE, "shuffle"), (UP_SHUFFLE, "up-shuffle"):
                    record = bytes(unfilter(bytes.fromhex(filtered[name]), filter, 2, 2))
                    self.assertEqual(record.hex(" "), "ff 00 05 00 00 01 03 00")
                self.assertEqual(unfilter(bytes([1, 2, 2, 3, 253, 250]), UP, 1, 2), bytes([1, 2, 3, 5, 0, 255]))
                self.assertEqual(bytes(unfilter(bytes([1, 5, 2, 6, 3, 7, 4, 8]), SHUFFLE, 4, 1)), bytes(range(1, 9)))
                self.assertEqual(unfilter(b"ab", NONE, 1, 1), b"ab")

    @unittest.skipUnless(read_clipshard.numpy, "needs numpy")
    def test_numpy_and_loops_give_the_same_bytes(self):
        draw = random.Random(7)
        for kind in SAMPLE_TYPES:
            for filter in kind.filters:
                for shape in (1,), (9,), (5, 1), (7, 13), (3, 4, 3), (16, 2, 5, 2):
                    record, row = draw.randbytes(math.prod(shape) * kind.bytes), math.prod(shape[1:])
                    for stored in record, bytearray(record):
                        with self.subTest(kind=kind.name, filter=filter, shape=shape):
                            with mock.patch.object(read_clipshard, "numpy", None):
                                loops = bytes(unfilter(stored, filter, kind.bytes, row))
                            self.assertEqual(bytes(unfilter(stored, filter, kind.bytes, row)), loops)

    @unittest.skipUnless(read_clipshard.numpy, "needs numpy")
    def test_shards_are_read_and_refused_alike_without_numpy(self):
        shards = sorted(path for name in FOLDERS for path in (WIDE.parent / name).rglob("*.clipshard"))
        self.assertGreater(len(shards), 90)
        undone = Counter()
        for path in shards:
            undone.update(filters(path))
            with self.subTest(path=path):
                with_numpy = records(path)
                with mock.patch.object(read_clipshard, "numpy", None):
                    self.assertEqual(records(path), with_numpy)
        # The golden datasets use all filters.
        self.assertGreaterEqual(undone.keys(), {NONE, UP, SHUFFLE, UP_SHUFFLE})

    def test_lz4_blocks_stay_inside_of_the_record(self):
        self.assertEqual(unlz4(bytes.fromhex("14 07 01 00 50 01 02 03 04 05"), 14), b"\7" * 9 + b"\1\2\3\4\5")
        for block in "14 07 02 00 10 01", "14 07 00 00 10 01", "1f 07 01 00 ff ff", "40 07", "":
            self.assertRaises(ValueError, unlz4, bytes.fromhex(block), 14)

    def test_json_is_strict(self):
        for text in b"NaN", b"[Infinity]", b"\xef\xbb\xbf{}", b"\xff", '"a"'.encode("utf-16"), b"[" * 200_000:
            self.assertRaises(ValueError, from_json, text)
        read = from_json(b'{"a":-0,"b":18446744073709551615,"c":18446744073709551616,"d":1.0,"a":2}')
        self.assertEqual([type(number) for number in read.values()], [int, int, float, float])
        self.assertRaisesRegex(ValueError, "'a' occurs twice", read_clipshard.value, read, "a", int)


class Datasets(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name) / "set"
        shutil.copytree(WIDE, self.folder)

    def check(self):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            is_refused = check_clipshards.refused(str(self.folder), False)
        return is_refused, out.getvalue().replace(str(self.folder), "SET").splitlines()

    def edit(self, change):
        path = self.folder / "manifest.json"
        manifest = json.loads(path.read_text())
        change(manifest)
        path.write_bytes(sealed(manifest))

    def test_the_golden_dataset_is_valid(self):
        is_refused, lines = self.check()
        self.assertEqual((is_refused, len(lines), lines[-1]), (False, 7, "SET: valid"))
        self.edit(lambda manifest: None)
        self.assertFalse(self.check()[0])

    def test_a_missing_shard_does_not_hide_the_other_streams(self):
        (self.folder / "depth-00000.clipshard").unlink()
        is_refused, lines = self.check()
        self.assertTrue(is_refused)
        self.assertRegex(lines[2], r"^SET: stream depth: refused: FileNotFoundError: ")
        streams = [re.search(": stream ([a-z]+), clips", line) for line in lines]
        self.assertEqual([s[1] for s in streams if s], ["audio", "boxes", "features", "tokens", "vectors"])
        self.assertTrue(lines[-1].endswith("cannot read all streams: depth; the others are valid"), lines)

    def test_a_stream_with_unknown_features_does_not_hide_the_others(self):
        def change(manifest):
            manifest["streams"][3] = {"name": "features", "required_features": ["waves"], "planes": "many"}

        self.edit(change)
        is_refused, lines = self.check()
        self.assertTrue(is_refused)
        self.assertIn("SET: stream features: refused: ValueError: it needs unknown features waves", lines)
        self.assertEqual(sum(": stream " in line and "clips:" in line for line in lines), 5)

    def test_a_manifest_must_state_the_form_of_the_records(self):
        changes = {
            "samples": lambda m: m["streams"][2].update(samples="i16"),
            "array": lambda m: m["streams"][1].update(array=[2, 2]),
            "image": lambda m: m["streams"][1].update(channels=1) or m["streams"][1].pop("array"),
            "planes": lambda m: m["streams"][0].update(planes=3),
        }
        for name, change in changes.items():
            shutil.copy(WIDE / "manifest.json", self.folder)
            self.edit(change)
            lines = self.check()[1]
            self.assertTrue(any("is not the shard that the manifest lists" in line for line in lines), (name, lines))

    def test_shards_must_agree(self):
        shards = [Shard(path) for path in sorted(WIDE.glob("*.clipshard"))]
        check_clipshards.check_agreement(shards)
        longer = [*shards[0].metadata["classes"], "Dive"]
        shards[1].metadata["classes"] = longer
        check_clipshards.check_agreement(shards)
        shards[1].metadata["classes"] = longer[::-1]
        fault = "classes of a shard are not the start"
        self.assertRaisesRegex(ValueError, fault, check_clipshards.check_agreement, shards)
        shards[1].metadata["classes"] = longer
        for key, other in ("dataset", "x"), ("splits", []), ("build", {}), ("attributes", {}):
            before, shards[2].metadata[key] = shards[2].metadata[key], other
            self.assertRaisesRegex(ValueError, f"disagree in {key}", check_clipshards.check_agreement, shards)
            shards[2].metadata[key] = before
        shards[2].metadata["clips"][1]["label"] = 1
        self.assertRaisesRegex(ValueError, "disagree in clip 'second'", check_clipshards.check_agreement, shards)


if __name__ == "__main__":
    unittest.main()
