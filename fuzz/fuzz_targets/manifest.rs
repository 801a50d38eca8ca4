//! Reads any bytes as a manifest with a correct checksum.
//!
//! Reading must return a manifest or an error. A manifest that is written and read again must be
//! the same.
#![no_main]

use clipshard::{MANIFEST_FILE, Manifest};
use clipshard_fuzz::Place;
use libfuzzer_sys::fuzz_target;
use std::collections::HashSet;
use std::sync::LazyLock;

static PLACE: LazyLock<Place> = LazyLock::new(Place::new);

fn reseal(bytes: &mut [u8]) {
    let key = b"\"checksum\":\"crc32:";
    let Some(at) = bytes.windows(key.len()).position(|window| window == key).map(|at| at + key.len()) else { return };
    if bytes.len() < at + 8 {
        return;
    }
    bytes[at..at + 8].copy_from_slice(b"00000000");
    let digits = format!("{:08x}", crc32fast::hash(bytes));
    bytes[at..at + 8].copy_from_slice(digits.as_bytes());
}

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    reseal(&mut bytes);
    let path = PLACE.put(MANIFEST_FILE, &bytes);
    let folder = path.parent().expect("the file is in a folder");
    let Ok(manifest) = Manifest::read(folder) else { return };
    for shard in manifest.streams.iter().flat_map(|stream| &stream.shards) {
        assert!(!shard.file.contains('/'));
    }
    let unique = |names: &[String]| names.iter().collect::<HashSet<_>>().len() == names.len();
    let written = manifest.write(folder);
    assert_eq!(written.is_ok(), unique(&manifest.classes) && unique(&manifest.splits));
    if written.is_err() {
        return;
    }
    let back = Manifest::read(folder).expect("cannot read the manifest that was written");
    assert_eq!(back, manifest);
    // Attributes are kept to the letter, and with them everything else.
    assert_eq!(back.to_json(), manifest.to_json());
    for (back, clip) in back.clips.iter().zip(&manifest.clips) {
        assert_eq!(back.attributes.as_json(), clip.attributes.as_json());
        assert!(clip.label.is_none_or(|label| (label as usize) < manifest.classes.len()));
        assert!(clip.subsets.iter().all(|subset| (1..=255).contains(&subset.name().len())));
    }
    for stream in manifest.streams.iter().filter(|stream| stream.unknown_features().is_empty()) {
        assert!(stream.spec.planes > 0 && stream.spec.array.is_some() == (stream.spec.channels == 0));
    }
});
