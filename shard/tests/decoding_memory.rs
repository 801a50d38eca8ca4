//! Tests that all threads share one memory limit when they decode crafted images of large stated
//! sizes.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]
#![allow(unsafe_code, reason = "a global allocator that counts")]

mod sample;

use clipshard::{
    Clip, Codec, EncodeOptions, EncodedRecord, Encoder, Filter, ImageSize, Manifest, ShardWriter, Stream, StreamSpec,
    Subset, VerifyDepth, jpeg, verify,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

/// An allocator that counts the bytes that all threads hold.
struct Counting;

fn grow(bytes: usize) {
    let now = NOW.fetch_add(bytes, Ordering::Relaxed) + bytes;
    MOST.fetch_max(now, Ordering::Relaxed);
}

// SAFETY: all calls are passed to the system's allocator unchanged, and counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        grow(layout.size());
        // SAFETY: the caller keeps the contract of `alloc_zeroed`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        NOW.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`; the memory came from `System`.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const THREADS: usize = 16;
const SIZE: ImageSize = ImageSize { width: 8192, height: 4096, channels: 3 };

/// Builds a small JPEG file that states the size [`SIZE`].
fn crafted(name: &str) -> EncodedRecord {
    let mut bytes = std::fs::read(format!("tests/jpeg/{name}.jpg")).unwrap();
    let frame = bytes.windows(2).position(|pair| matches!(pair, [0xff, 0xc0..=0xc2])).unwrap();
    bytes[frame + 5..frame + 7].copy_from_slice(&SIZE.height.to_be_bytes());
    bytes[frame + 7..frame + 9].copy_from_slice(&SIZE.width.to_be_bytes());
    assert_eq!(jpeg::check_header(&bytes), Ok(SIZE));
    sample::record(Codec::Jpeg, Filter::None, SIZE, bytes)
}

/// Writes a dataset with one clip of one image per thread.
fn build(dir: &Path, record: &EncodedRecord) {
    let spec = StreamSpec::rgb();
    let clip = |number| Clip::new(format!("v_{number:02}"), 0, vec![Subset::Train]).with_frames("rgb", 1);
    let clips: Vec<_> = (0..THREADS).map(clip).collect();
    let mut writer = ShardWriter::create(dir.join("rgb-00000.clipshard"), &spec).unwrap();
    for clip in &clips {
        writer.add_clip(&clip.id, std::slice::from_ref(record)).unwrap();
    }
    let mut manifest = Manifest::new("", vec!["Any".into()], vec!["1".into()]);
    manifest.streams = vec![Stream::new(spec, vec![writer.finish(&sample::metadata(&clips)).unwrap()])];
    manifest.clips = clips;
    manifest.write(dir).unwrap();
}

#[test]
fn sixteen_threads_verify_large_images_in_half_a_gigabyte() {
    rayon::ThreadPoolBuilder::new().num_threads(THREADS).build_global().unwrap();
    let pixels = vec![0; SIZE.bytes()];
    let encoded =
        |codec, filter| Encoder::new(EncodeOptions::new(codec, filter, 1)).unwrap().encode(&pixels, SIZE).unwrap();
    let records = [
        ("baseline", crafted("420"), false),
        ("progressive", crafted("444-progressive-restarts"), false),
        ("zstd", encoded(Codec::Zstd, Filter::Up), true),
        ("lz4", encoded(Codec::Lz4, Filter::None), true),
    ];
    drop(pixels);
    for (name, record, whole) in records {
        let dir = tempfile::tempdir().unwrap();
        build(dir.path(), &record);
        let before = NOW.load(Ordering::Relaxed);
        MOST.store(before, Ordering::Relaxed);
        let report = verify(dir.path(), VerifyDepth::Deep, &|_| {}).unwrap();
        let most = (MOST.load(Ordering::Relaxed) - before) >> 20;
        assert_eq!(report.records, THREADS as u64);
        assert_eq!(report.damage.len(), if whole { 0 } else { THREADS }, "{name}: {:?}", report.damage.first());
        // One image has 96 MiB, so sixteen images at the same time would need at least 1536 MiB.
        assert!((96..=544).contains(&most), "{name}: {most} MiB");
    }
}
