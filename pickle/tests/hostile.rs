//! Tests with hostile files, and with mutations of valid files.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use inert_pickle::{PickleError, Rows, read_rows, read_tensors};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::Path;

/// An allocator that counts the bytes that this thread holds.
struct Counting;

thread_local! {
    static HELD: Cell<isize> = const { Cell::new(0) };
    static MOST: Cell<isize> = const { Cell::new(0) };
}

fn count(bytes: isize) {
    let _ = HELD.try_with(|held| {
        held.set(held.get() + bytes);
        let _ = MOST.try_with(|most| most.set(most.get().max(held.get())));
    });
}

#[allow(unsafe_code, reason = "an allocator needs unsafe code")]
// SAFETY: all calls are passed to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size() as isize);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        count(-(layout.size() as isize));
        // SAFETY: the caller keeps the contract of `dealloc`; the memory came from `System`.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Returns the result of `work`, and the largest number of bytes that it held.
fn most_held<T>(work: impl FnOnce() -> T) -> (T, usize) {
    let before = HELD.with(Cell::get);
    MOST.with(|most| most.set(before));
    let result = work();
    (result, (MOST.with(Cell::get) - before) as usize)
}

/// Limit for the memory per byte of a file. An opcode of one byte creates an object of 32 bytes and
/// an entry of the stack, and growing lists hold both their old and their new memory.
const FACTOR: usize = 160;
const FIXED: usize = 256 << 10;

/// Reads a file and checks the memory limit. Returns name, shape and number of elements of each
/// tensor.
fn read(bytes: &[u8]) -> Result<Vec<(String, Vec<usize>, usize)>, PickleError> {
    let (result, most) = most_held(|| read_tensors(bytes));
    assert!(most <= FIXED + FACTOR * bytes.len(), "{most} bytes for a file of {}: {result:?}", bytes.len());
    result.map(|found| found.tensors.into_iter().map(|of| (of.name, of.shape, of.values.len())).collect())
}

fn fault(bytes: &[u8]) -> String {
    read(bytes).unwrap_err().to_string()
}

/// An entry of a zip archive: name, content, and the stated method, CRC-32, compressed and
/// decompressed size.
struct Entry<'a> {
    name: &'a str,
    content: &'a [u8],
    method: u16,
    crc: u32,
    sizes: [u32; 2],
}

impl<'a> Entry<'a> {
    fn stored(name: &'a str, content: &'a [u8]) -> Self {
        let size = content.len() as u32;
        Self { name, content, method: 0, crc: crc32fast::hash(content), sizes: [size, size] }
    }
}

/// Builds a zip archive.
fn zip(entries: &[Entry<'_>]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for Entry { name, content, method, crc, sizes } in entries {
        let offset = file.len() as u32;
        let mut head = Vec::new();
        head.extend(20_u16.to_le_bytes());
        head.extend(0_u16.to_le_bytes());
        head.extend(method.to_le_bytes());
        head.extend(0x0021_0000_u32.to_le_bytes());
        head.extend(crc.to_le_bytes());
        head.extend(sizes[0].to_le_bytes());
        head.extend(sizes[1].to_le_bytes());
        head.extend((name.len() as u16).to_le_bytes());
        head.extend(0_u16.to_le_bytes());
        file.extend(b"PK\x03\x04");
        file.extend(&head);
        file.extend(name.as_bytes());
        file.extend(*content);
        directory.extend(b"PK\x01\x02\x14\x00");
        directory.extend(&head);
        directory.extend([0; 10]);
        directory.extend(offset.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let start = file.len() as u32;
    file.extend(&directory);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend((entries.len() as u16).to_le_bytes());
    file.extend((entries.len() as u16).to_le_bytes());
    file.extend((directory.len() as u32).to_le_bytes());
    file.extend(start.to_le_bytes());
    file.extend([0; 2]);
    file
}

/// Builds a torch file with this pickle and a storage `0` of four floats.
fn torch(pickle: &[u8]) -> Vec<u8> {
    zip(&[Entry::stored("x/data.pkl", pickle), Entry::stored("x/data/0", &[0; 16])])
}

/// Returns the pickle of `{"w": <value>}`.
fn weights(value: &str) -> Vec<u8> {
    format!("}}X\x01\x00\x00\x00w{value}s.").into_bytes()
}

/// Returns the opcodes of `_rebuild_tensor_v2` with the storage and then these arguments.
fn tensor(elements: &str, arguments: &str) -> String {
    format!(
        "ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n\
         X\x01\x00\x00\x000X\x03\x00\x00\x00cpu{elements}tQ{arguments}tR"
    )
}

#[test]
fn an_archive_written_by_hand_is_read() {
    let file = torch(&weights(&tensor("K\x04", "K\x00(K\x02K\x02t(K\x02K\x01t")));
    assert_eq!(read(&file).unwrap(), [("w".to_owned(), vec![2, 2], 4)]);
}

#[test]
fn memory_bombs_of_the_memo_stay_small() {
    // Each of forty lists contains the list before it ten times, in a small file.
    let mut bomb = b"]q\x00".to_vec();
    for level in 0..40_u8 {
        bomb.extend([b']', b'q', level + 1, b'(']);
        bomb.extend([b'h', level].repeat(10));
        bomb.push(b'e');
    }
    bomb.push(b'.');
    for file in [torch(&bomb), torch(&[&bomb[..bomb.len() - 1], b"}X\x01\x00\x00\x00wh\x28s."].concat())] {
        let text = fault(&file);
        assert!(
            text.starts_with("the file is a list;") || text.starts_with("the file is a dictionary with w;"),
            "{text}"
        );
    }
    // Each dictionary contains the dictionary before it under several keys, two of them usual keys
    // of weights.
    let mut bomb = b"}q\x00".to_vec();
    for level in 0..60_u8 {
        bomb.extend([b'}', b'q', level + 1, b'(']);
        for key in ["model", "net", "a", "b"] {
            bomb.extend([&[b'X', key.len() as u8, 0, 0, 0], key.as_bytes(), &[b'h', level]].concat());
        }
        bomb.push(b'u');
    }
    bomb.push(b'.');
    assert!(read(&torch(&bomb)).is_err());
    // Each module contains the module before it twice.
    let mut bomb = b"cx\nM\nq\xff0h\xff)\x81q\x00}(X\x0b\x00\x00\x00_parameters}X\x08\x00\x00\x00_modules}ub".to_vec();
    for level in 0..60_u8 {
        bomb.extend(b"h\xff)\x81q");
        bomb.push(level + 1);
        bomb.extend(b"}(X\x0b\x00\x00\x00_parameters}X\x08\x00\x00\x00_modules}(");
        for key in [b'a', b'b'] {
            bomb.extend([b'X', 1, 0, 0, 0, key, b'h', level]);
        }
        bomb.extend(b"uub");
    }
    bomb.push(b'.');
    assert_eq!(read(&torch(&bomb)).unwrap_err(), PickleError::Expands);
    // A module contains itself.
    let own = b"cx\nM\n)\x81q\x00}(X\x0b\x00\x00\x00_parameters}X\x08\x00\x00\x00_modules}X\x01\x00\x00\x00ah\x00sub.";
    assert_eq!(read(&torch(own)).unwrap_err(), PickleError::Expands);
}

#[test]
fn deep_nesting_does_not_reach_the_stack() {
    let mut tuples = vec![b')'];
    tuples.extend(vec![0x85; 1_000_000]);
    tuples.push(b'.');
    assert!(fault(&torch(&tuples)).starts_with("the file is a tuple;"));
    let mut lists = vec![b']'; 1_000_000];
    lists.extend(vec![b'a'; 999_999]);
    lists.push(b'.');
    assert!(fault(&torch(&lists)).starts_with("the file is a list;"));
    let mut dicts = b"}".to_vec();
    for _ in 0..200_000 {
        dicts.extend(b"q\x00}X\x05\x00\x00\x00modelh\x00s");
    }
    dicts.push(b'.');
    assert!(read(&torch(&dicts)).is_err());
}

#[test]
fn arguments_of_tensors_are_checked() {
    for call in [
        "ctorch._utils\n_rebuild_tensor_v2\n)R",
        "ctorch._utils\n_rebuild_tensor_v2\nNR",
        "ctorch._utils\n_rebuild_tensor_v2\n(NNNNtR",
        "ctorch._utils\n_rebuild_parameter\n)R",
        "ctorch._utils\n_rebuild_parameter\n(NtR",
        "ctorch._utils\n_rebuild_tensor_v3\n)R",
        "ctorch._tensor\n_rebuild_from_type_v2\n)R",
        "ctorch._tensor\n_rebuild_from_type_v2\n(ctorch._utils\n_rebuild_tensor_v2\nN)tR",
        "ctorch.storage\n_load_from_bytes\n)R",
        "NQ",
        ")Q",
        "(X\x07\x00\x00\x00storageNNNNtQ",
    ] {
        assert!(matches!(read(&torch(&weights(call))), Err(PickleError::Malformed { .. })), "{call:?}");
    }
}

#[test]
fn shapes_are_checked_before_memory_is_taken() {
    let refused = |arguments: &str, part: &str| {
        let text = fault(&torch(&weights(&tensor("K\x04", arguments))));
        assert!(text.contains(part), "{arguments:?}: {text}");
    };
    // [2^31 - 1, 64], contiguous and with all strides 0.
    refused("K\x00(J\u{7f}\u{7f}\u{7f}\u{7f}K\x40t(K\x40K\x01t", "too often");
    refused("K\x00(I2147483647\nK\x40t(K\x40K\x01t", "too often");
    refused("K\x00(I2147483647\nK\x40t(K\x00K\x00t", "too often");
    refused("K\x00(I4611686018427387904\nI4611686018427387904\nt(K\x01K\x01t", "too many elements");
    refused("K\x00(K\x02K\x02t(I9223372036854775807\nI9223372036854775807\nt", "larger than its storage");
    refused("K\x01(K\x02K\x02t(K\x02K\x01t", "larger than its storage");
    refused("I9223372036854775807\n(K\x01t(K\x01t", "larger than its storage");
    refused("K\x00(K\x02K\x02t(K\x01t", "of a tensor is invalid");
    refused("K\x00(I-2\nt(K\x01t", "invalid or too many sizes");
    // The pickle states another size of a storage than the file has.
    let text = fault(&torch(&weights(&tensor("I4611686018427387904\n", "K\x00(K\x01t(K\x01t"))));
    assert!(text.contains("data/0 has 16 bytes, but the pickle states 4611686018427387904 elements"), "{text}");
}

#[test]
fn archives_that_state_wrong_sizes_are_refused() {
    let pickle = weights(&tensor("K\x04", "K\x00(K\x04t(K\x01t"));
    let with = |data: Entry<'_>| zip(&[Entry::stored("x/data.pkl", &pickle), data]);
    let data = [0; 16];
    assert_eq!(read(&with(Entry::stored("x/data/0", &data))).unwrap().len(), 1);
    let huge = Entry { sizes: [u32::MAX - 1; 2], ..Entry::stored("x/data/0", &data) };
    assert!(read(&with(huge)).unwrap_err().is_damage());
    let longer = Entry { sizes: [16, u32::MAX - 1], ..Entry::stored("x/data/0", &data) };
    // The stated decompressed size is not used.
    assert_eq!(read(&with(longer)).unwrap().len(), 1);
    let short = Entry { sizes: [8, 8], ..Entry::stored("x/data/0", &data) };
    assert!(read(&with(short)).unwrap_err().is_damage());
    let other = Entry { crc: 1, ..Entry::stored("x/data/0", &data) };
    assert!(read(&with(other)).unwrap_err().to_string().contains("checksum"));
    let broken = Entry { method: 8, ..Entry::stored("x/data/0", &[7; 16]) };
    assert!(read(&with(broken)).unwrap_err().is_damage());
    let unknown = Entry { method: 14, ..Entry::stored("x/data/0", &data) };
    assert!(matches!(read(&with(unknown)), Err(PickleError::NotTensors(_))));
}

#[test]
fn decompression_bombs_are_refused() {
    let mut packer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![0_u8; 64 << 20];
    std::io::Write::write_all(&mut packer, &zeros).unwrap();
    let packed = packer.finish().unwrap();
    let size = packed.len() as u32;
    assert!(size < 100_000);
    let elements = "I16777216\n";
    let pickle = weights(&tensor(elements, &format!("K\x00({elements}t(K\x01t")));
    let data = Entry { name: "x/data/0", content: &packed, method: 8, crc: 0, sizes: [size, size] };
    let file = zip(&[Entry::stored("x/data.pkl", &pickle), data]);
    let (result, most) = most_held(|| read_tensors(&file));
    assert_eq!(result.unwrap_err(), PickleError::Expands);
    assert!(most < 16 << 20, "{most}");
}

#[test]
fn entries_that_share_bytes_do_not_multiply_memory() {
    // A thousand entries for storages share the same bytes.
    let names: Vec<String> = (0..1000).map(|key| format!("x/data/{key}")).collect();
    let block = vec![0_u8; 1 << 20];
    let mut pickle = b"}(".to_vec();
    for key in 0..1000 {
        let value = tensor("I262144\n", "K\x00(I262144\nt(K\x01t")
            .replace("X\x01\x00\x00\x000X\x03", &format!("V{key}\nX\x03"));
        pickle.extend(format!("V{key}\n{value}").as_bytes());
    }
    pickle.extend(b"u.");
    let mut entries = vec![Entry::stored("x/data.pkl", &pickle), Entry::stored(&names[0], &block)];
    let crc = crc32fast::hash(&block);
    entries.extend(names[1..].iter().map(|name| Entry { name, content: &[], method: 0, crc, sizes: [1 << 20; 2] }));
    let mut file = zip(&entries);
    // All entries of storages refer to the local header of the first storage.
    let first = 30 + "x/data.pkl".len() + pickle.len();
    let start = u32::from_le_bytes(file[file.len() - 6..][..4].try_into().unwrap()) as usize;
    let mut at = start;
    for (number, entry) in entries.iter().enumerate() {
        let length = 46 + entry.name.len();
        if number > 0 {
            file[at + 42..at + 46].copy_from_slice(&(first as u32).to_le_bytes());
        }
        at += length;
    }
    let (result, most) = most_held(|| read_tensors(&file));
    assert!(result.is_err());
    assert!(most < 16 * file.len(), "{most} bytes for a file of {}", file.len());
}

/// The random number generator `SplitMix64`.
struct Draws(u64);

impl Draws {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % most as u64) as usize
    }
}

/// Opcodes and numbers that often change the meaning of a pickle.
const SIGNIFICANT: [u8; 32] = [
    0, 1, 2, 4, 0x7f, 0x80, 0xff, b'.', b'(', b')', b'}', b']', b'Q', b'R', b'b', b'h', b'q', b't', b'u', b'e', b'a',
    b's', b'2', b'0', 0x81, 0x85, 0x92, 0x93, 0x94, 0x90, b'K', b'J',
];

#[test]
fn mutated_files_cause_no_panic_and_stay_in_their_memory() {
    let mut draws = Draws(20);
    let mut whole = 0;
    for entry in std::fs::read_dir("tests/goldens").unwrap() {
        let path = entry.unwrap().path();
        let golden = std::fs::read(&path).unwrap();
        for end in (0..golden.len()).step_by(7) {
            // A legacy file is still valid if only bytes after its content are missing.
            let cut = read(&golden[..end]);
            assert!(cut.is_err() || Path::new(&path).to_string_lossy().contains("legacy"), "{path:?} cut to {end}");
        }
        for _ in 0..400 {
            let mut bytes = golden.clone();
            for _ in 0..=draws.below(4) {
                let at = draws.below(bytes.len());
                match draws.below(4) {
                    0 => bytes[at] = SIGNIFICANT[draws.below(SIGNIFICANT.len())],
                    1 => bytes[at] ^= 1 << draws.below(8),
                    2 => {
                        let (from, length) = (draws.below(bytes.len()), draws.below(40));
                        let part = bytes[from..(from + length).min(bytes.len())].to_vec();
                        bytes.splice(at..at, part);
                    }
                    _ => {
                        let end = (at + draws.below(8)).min(bytes.len());
                        bytes.drain(at..end);
                    }
                }
                if bytes.is_empty() {
                    bytes.push(0);
                }
            }
            whole += usize::from(read(&bytes).is_ok());
        }
    }
    assert!(whole > 100, "only {whole} mutated files are valid");
}

/// Changes the pickle in an archive, and computes its checksum again.
#[test]
fn mutated_pickles_cause_no_panic_and_stay_in_their_memory() {
    let mut draws = Draws(21);
    for name in ["zip-protocol2.pth", "zip-protocol5.pth", "module-zip-protocol2.pth", "module-zip-protocol4.pth"] {
        let golden = std::fs::read(Path::new("tests/goldens").join(name)).unwrap();
        let start = 30 + usize::from(golden[26]) + usize::from(golden[28]) + 256 * usize::from(golden[29]);
        let end = golden.windows(4).position(|part| part == b"PK\x07\x08").unwrap();
        let pickle = &golden[start..end];
        let storages: Vec<String> = (0..16).map(|key| format!("x/data/{key}")).collect();
        for _ in 0..3000 {
            let mut bytes = pickle.to_vec();
            for _ in 0..=draws.below(3) {
                let at = draws.below(bytes.len());
                if draws.below(3) == 0 {
                    let (from, length) = (draws.below(bytes.len()), draws.below(60));
                    let part = bytes[from..(from + length).min(bytes.len())].to_vec();
                    bytes.splice(at..at, part);
                } else {
                    bytes[at] = SIGNIFICANT[draws.below(SIGNIFICANT.len())];
                }
            }
            let mut entries = vec![Entry::stored("x/data.pkl", &bytes)];
            entries.extend(storages.iter().map(|name| Entry::stored(name, &[1; 96])));
            let _ = read(&zip(&entries));
            let _ = read(&bytes);
            let (rows, most) = most_held(|| read_rows(&bytes));
            assert!(most <= FIXED + FACTOR * bytes.len(), "{most}");
            assert!(!matches!(rows, Ok(Rows::Listed(_))));
        }
    }
}
