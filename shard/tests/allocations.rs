//! Tests that count the allocations of opening and reading, instead of measuring times.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]
#![allow(unsafe_code, reason = "a global allocator that counts")]

mod sample;

use clipshard::{
    Access, Clip, Codec, Dataset, Filter, ImageSize, Manifest, Shard, ShardWriter, Stream, StreamSpec, Subset, Window,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::path::Path;

thread_local! {
    static COUNT: Cell<u64> = const { Cell::new(0) };
    static LARGEST: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

fn count(bytes: usize) {
    // A thread that ends has no counters any more. Its last allocations are not counted.
    let _ = COUNT.try_with(|count| count.set(count.get() + 1));
    let _ = LARGEST.try_with(|largest| largest.set(largest.get().max(bytes)));
}

// SAFETY: all calls are passed to the system's allocator unchanged, and counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps the contract of `dealloc`; the memory came from `System`.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, bytes: usize) -> *mut u8 {
        count(bytes);
        // SAFETY: the caller keeps the contract of `realloc`; the memory came from `System`.
        unsafe { System.realloc(at, layout, bytes) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Returns the number of allocations of this thread in `work`, and the size of the largest one in
/// bytes.
fn allocations<T>(work: impl FnOnce() -> T) -> (u64, usize) {
    COUNT.set(0);
    LARGEST.set(0);
    let result = work();
    let counted = (COUNT.get(), LARGEST.get());
    drop(result);
    counted
}

/// Writes a dataset of `clips` clips, each with `frames` images of one pixel.
fn build(dir: &Path, clips: usize, frames: u32) {
    let size = ImageSize { width: 1, height: 1, channels: 1 };
    let records = vec![sample::record(Codec::Raw, Filter::None, size, vec![7]); frames as usize];
    let spec = StreamSpec::new("dot", 1, 1);
    let mut writer = ShardWriter::create(dir.join("dot-00000.clipshard"), &spec).unwrap();
    let clip = |number| Clip::new(format!("v_{number:05}"), 0, vec![Subset::Train]).with_frames("dot", frames);
    let clips: Vec<_> = (0..clips).map(clip).collect();
    for clip in &clips {
        writer.add_clip(&clip.id, &records).unwrap();
    }
    let shards = vec![writer.finish(&sample::metadata(&clips)).unwrap()];
    let mut manifest = Manifest::new("", vec!["Dot".into()], vec!["1".into()]);
    (manifest.streams, manifest.clips) = (vec![Stream::new(spec, shards)], clips);
    manifest.write(dir).unwrap();
}

#[test]
fn opening_13320_clips_allocates_the_same_for_any_number_of_records() {
    let counted = [1, 30].map(|frames| {
        let dir = tempfile::tempdir().unwrap();
        build(dir.path(), 13_320, frames);
        allocations(|| Dataset::open(dir.path()).unwrap())
    });
    let [(few, _), (many, _)] = counted;
    assert_eq!(few, many);
    // A clip of the manifest needs five allocations: id, subsets, frames (a tree and a name), and
    // its share of the lists.
    assert!(many < 6 * 13_320, "{many}");
}

#[test]
fn opening_a_shard_takes_few_allocations_for_any_number_of_records() {
    let dir = tempfile::tempdir().unwrap();
    build(dir.path(), 2, 50_000);
    let path = dir.path().join("dot-00000.clipshard");
    let (count, largest) = allocations(|| Shard::open(&path).unwrap());
    assert!(count < 20 && largest < 1024, "{count} allocations, the largest of {largest} bytes");
    let shard = Shard::open(&path).unwrap();
    let (count, largest) = allocations(|| shard.clip(1).unwrap().record(49_999, 0).unwrap().shape);
    assert_eq!((count, largest), (0, 0));
}

#[test]
fn decoding_into_a_buffer_allocates_nothing_after_the_first_time() {
    for access in [Access::Map, Access::Read] {
        let data = Dataset::open_with(sample::golden(), access).unwrap();
        let mut decoder = clipshard::Decoder::new().unwrap();
        let mut out = vec![0; sample::RGB_SIZE.bytes()];
        let mut plane = vec![0; sample::FLOW_SIZE.bytes()];
        let rgb = data.clip("rgb", 0).unwrap();
        let [wave, jump] = [0, 1].map(|clip| data.clip("flow", clip).unwrap());
        let corner = Window { x: 0, y: 0, width: 2, height: 2 };
        let mut decode = || {
            // A JPEG file, a part of it, raw pixels, zstd and LZ4.
            rgb.decode(0, 0, &mut decoder, &mut out).unwrap();
            rgb.decode_window(0, 0, corner, &mut decoder, &mut out[..corner.bytes(sample::RGB_SIZE)]).unwrap();
            rgb.decode(1, 0, &mut decoder, &mut out).unwrap();
            rgb.decode(2, 0, &mut decoder, &mut out).unwrap();
            wave.decode(0, 1, &mut decoder, &mut plane).unwrap();
            jump.decode(1, 0, &mut decoder, &mut plane).unwrap();
        };
        decode();
        assert_eq!(allocations(decode).0, 0, "{access:?}");
    }
}

#[test]
fn hostile_sizes_make_no_large_allocation() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("hostile.clipshard");
    let parts = sample::Parts::of(&sample::golden().join("flow-00000.clipshard"));
    let changes: [fn(&mut clipshard::layout::Trailer); 5] = [
        |t| t.records = (1_u64 << 63).into(),
        |t| t.clips = u32::MAX.into(),
        |t| t.names_bytes = u32::MAX.into(),
        |t| t.metadata_bytes = u32::MAX.into(),
        |t| t.index_offset = u64::MAX.into(),
    ];
    for change in changes {
        std::fs::write(&path, parts.seal(change)).unwrap();
        let (_, largest) = allocations(|| assert!(Shard::open(&path).is_err()));
        assert!(largest < 1024, "{largest}");
    }
}

#[test]
fn no_hostile_file_makes_a_large_allocation() {
    for entry in std::fs::read_dir("tests/attacks").unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let (_, largest) = match path.extension().and_then(|ending| ending.to_str()).unwrap_or_default() {
            "clipshard" => allocations(|| sample::first_error(&path).expect(name)),
            "json" => {
                let dir = tempfile::tempdir().unwrap();
                std::fs::copy(&path, dir.path().join("manifest.json")).unwrap();
                allocations(|| Manifest::read(dir.path()).unwrap_err())
            }
            _ => continue,
        };
        // The largest file has 200 kB, and a buffer that grows to hold it may have twice its size.
        assert!(largest < 500_000, "{name}: {largest}");
    }
}
