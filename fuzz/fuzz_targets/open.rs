//! Opens any bytes as a shard, unchanged and with corrected checksums.
//!
//! Opening must return a shard or an error.
#![no_main]

use clipshard::Shard;
use clipshard_fuzz::{Place, reseal};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static PLACE: LazyLock<Place> = LazyLock::new(Place::new);

fuzz_target!(|bytes: &[u8]| {
    let _ = Shard::open(PLACE.put("open.clipshard", bytes)).map(|shard| shard.metadata().is_ok());
    let mut bytes = bytes.to_vec();
    reseal(&mut bytes);
    if let Ok(shard) = Shard::open(PLACE.put("open.clipshard", &bytes)) {
        let frames: u64 = (0..shard.clip_count()).filter_map(|clip| shard.frame_count(clip)).map(u64::from).sum();
        assert_eq!(frames * u64::from(shard.spec().planes), shard.records());
        let ids: usize = shard.clip_ids().map(str::len).sum();
        assert!(ids < bytes.len());
        let Ok(metadata) = shard.metadata() else { return };
        assert_eq!(metadata.clips.len(), shard.clip_count());
        for clip in &metadata.clips {
            assert!(clip.label.is_none_or(|label| (label as usize) < metadata.classes.len()));
            assert_eq!(clip.subsets.len(), metadata.splits.len());
        }
    }
});
