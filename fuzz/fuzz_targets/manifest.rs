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
    assert_eq!(Manifest::read(folder).expect("cannot read the manifest that was written"), manifest);
});
