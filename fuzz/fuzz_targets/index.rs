//! Reads any bytes as a shard with correct checksums.
//!
//! The index of each clip must be consistent or an error. Records must be inside the file.
#![no_main]

use clipshard::Shard;
use clipshard_fuzz::reseal;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    reseal(&mut bytes);
    let Ok(shard) = Shard::from_bytes("index.clipshard", bytes.clone()) else { return };
    let mut end_of_last = 64;
    for records in shard.clips() {
        let Ok(records) = records else {
            end_of_last = 0;
            continue;
        };
        let (start, end) = (records.byte_range().start, records.byte_range().end);
        // There is no gap between the records of two clips. If the index of a clip is damaged, its
        // end is unknown.
        assert!(start >= 64 && end <= bytes.len() as u64 && (end_of_last == 0 || start == end_of_last));
        end_of_last = end;
        let mut sum = 0;
        for frame in records.frames() {
            for plane in 0..records.planes() {
                let info = frame.info(plane).expect("the record exists");
                assert!(shard.spec().accepts(&info.shape) && info.shape.is_storable());
                assert!(info.filter.fits(info.codec, info.shape.samples()));
                assert_eq!(info.stored_bytes == 0, info.shape.is_empty());
                sum += u64::from(info.stored_bytes);
            }
        }
        assert_eq!(start + sum, end);
    }
});
