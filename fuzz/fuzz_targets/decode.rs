//! Decodes any stored bytes as a record of any codec, filter and size.
//!
//! Decoding must return an image or an error, and must not write outside the image.
#![no_main]

use clipshard::{
    Codec, Decoder, EncodedRecord, Filter, ImageSize, Shard, ShardClip, ShardMetadata, ShardWriter, StreamSpec,
};
use clipshard_fuzz::Place;
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static PLACE: LazyLock<Place> = LazyLock::new(Place::new);

fuzz_target!(|input: &[u8]| {
    let Some((&[kind, width, height, channels], bytes)) = input.split_first_chunk::<4>() else { return };
    let codec = Codec::from_byte(kind & 3).expect("there are four codecs");
    let filter = Filter::from_byte(kind >> 2 & 1).expect("there are two filters");
    let size = ImageSize { width: u16::from(width) + 1, height: u16::from(height) + 1, channels: channels % 4 + 1 };
    let record = EncodedRecord::from_stored(bytes.to_vec(), size, codec, filter);
    let path = PLACE.put("decode.clipshard", &[]);
    let spec = StreamSpec::new("x", 1, size.channels);
    let mut writer = ShardWriter::create(&path, &spec).expect("cannot write the shard");
    if writer.add_clip("a", &[record]).is_err() {
        return;
    }
    let clip = ShardClip::new(0, Vec::new());
    writer.finish(&ShardMetadata::default().with_clips(vec![clip])).expect("cannot write the shard");
    let shard = Shard::open(&path).expect("cannot read the shard that was written");
    let Ok(records) = shard.clip(0) else { return };
    let mut pixels = vec![0; size.bytes()];
    let _ = records.decode(0, 0, &mut Decoder::new().expect("cannot allocate a decoder"), &mut pixels);
});
