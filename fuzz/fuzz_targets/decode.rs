//! Decodes any stored bytes as a record of any codec, filter, type and shape.
//!
//! Decoding must return samples or an error, and must not write outside of the record. A part of an
//! image must be the same part of the whole image.
#![no_main]

use clipshard::layout::{HEADER_BYTES, Header, INDEX_ENTRY_BYTES, IndexEntry};
use clipshard::{Codec, Decoder, Shard, Window};
use clipshard_fuzz::shard_of;
use libfuzzer_sys::fuzz_target;
use std::cell::RefCell;
use zerocopy::FromBytes;

thread_local! {
    static DECODER: RefCell<Decoder> = RefCell::new(Decoder::new().expect("cannot allocate a decoder"));
}

fuzz_target!(|input: &[u8]| {
    let Some((&[kind, width, height, form], bytes)) = input.split_first_chunk::<4>() else { return };
    let mut header = Header::read_from_bytes(&[0; HEADER_BYTES]).expect("its size");
    let mut entry = IndexEntry::read_from_bytes(&[0; INDEX_ENTRY_BYTES]).expect("its size");
    header.major = 1.into();
    header.stream[0] = b'x';
    header.planes = 1;
    (entry.codec, entry.filter, header.samples) = (kind & 3, kind >> 2 & 3, kind >> 4 & 7);
    if kind & 128 == 0 {
        header.channels = form % 4 + 1;
        (entry.width, entry.height) = ((u16::from(width) + 1).into(), (u16::from(height) + 1).into());
    } else {
        header.rank = form % 4 + 1;
        entry.width = u16::from(width).into();
        let inner = [height % 16 + 1, height / 16 + 1, form / 4 % 8 + 1];
        for (dim, inner) in header.dims.iter_mut().zip(inner).take(header.rank as usize - 1) {
            *dim = u32::from(inner).into();
        }
    }
    entry.channels = header.channels;
    let Ok(shard) = Shard::from_bytes("decode.clipshard", shard_of(&header, &entry, bytes)) else {
        assert!(header.samples > 4, "only the type of the samples can be wrong");
        return;
    };
    let Ok(records) = shard.clip(0) else { return };
    let shape = records.shape(0, 0).expect("the record exists");
    DECODER.with_borrow_mut(|decoder| {
        // The bytes around the record must stay as they are.
        let mut out = vec![0xaa; shape.bytes() + 64];
        let size = shape.bytes();
        let decoded = records.decode(0, 0, decoder, &mut out[32..32 + size]);
        assert!(out[..32].iter().chain(&out[32 + size..]).all(|&byte| byte == 0xaa));
        let Some(image) = shape.image_size() else { return };
        let window = Window {
            x: image.width / 3,
            y: image.height / 4,
            width: image.width.div_ceil(2),
            height: image.height.div_ceil(2),
        };
        assert!(window.is_inside(image));
        let mut part = vec![0xbb; window.bytes(image) * shape.samples().bytes()];
        let is_part = records.decode_window(0, 0, window, decoder, &mut part);
        // Damage in a JPEG file after the window is not noticed.
        if records.info(0, 0).expect("the record exists").codec == Codec::Jpeg {
            return;
        }
        assert_eq!(decoded.is_ok(), is_part.is_ok());
        if decoded.is_ok() {
            let pixel = usize::from(image.channels) * shape.samples().bytes();
            let row = |y: usize| {
                let start = 32 + y * shape.row_bytes() + usize::from(window.x) * pixel;
                &out[start..start + usize::from(window.width) * pixel]
            };
            let rows = usize::from(window.y)..usize::from(window.y + window.height);
            assert_eq!(rows.map(row).collect::<Vec<_>>().concat(), part);
        }
    });
});
