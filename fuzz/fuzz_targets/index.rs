//! A shard whose checksums fit: the index of each clip is right or an error, and records lie inside the file.
#![no_main]

use clipshard::Shard;
use clipshard_fuzz::{Place, reseal};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static PLACE: LazyLock<Place> = LazyLock::new(Place::new);

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    reseal(&mut bytes);
    let Ok(shard) = Shard::open(&PLACE.put("index.clipshard", &bytes)) else { return };
    let mut end_of_last = 64;
    for clip in 0..shard.clips() {
        let Ok(records) = shard.clip(clip) else {
            end_of_last = 0;
            continue;
        };
        let (start, end) = records.byte_range();
        // Records follow each other without holes, as long as the clip before is whole.
        assert!(start >= 64 && end <= bytes.len() as u64 && (end_of_last == 0 || start == end_of_last));
        end_of_last = end;
        let mut sum = 0;
        for i in 0..records.frames() * records.planes() {
            let (frame, plane) = (i / records.planes(), i % records.planes());
            assert!(records.size(frame, plane).is_storable());
            sum += u64::from(records.stored(frame, plane).0);
        }
        assert_eq!(start + sum, end);
    }
});
